// SPDX-License-Identifier: MIT
//
// redoubt_writer: appends are checked and stripped on the caller's thread and queued under a
// monitor; the loop joins what is queued and gives it to the LogWriter, and tells back how far it
// is durable. No append waits for the loop unless the window is full.
//
// Lock order: appending, then state.
#include <algorithm>
#include <deque>
#include <memory>
#include <utility>
#include <vector>

#include "client/abi/handles.h"
#include "client/block_stripper.h"
#include "client/dummy_redo.h"
#include "client/log_writer.h"
#include "client/volume_client.h"
#include "common/base/check.h"
#include "common/innodb/log_block.h"
#include "common/runtime/rpc/reconnecting_channel.h"

namespace redoubt::abi {
namespace {

// What waits together leaves as one append up to this size.
constexpr size_t kJoinedBytesMax = 1 << 20;
constexpr size_t kAppendBytesMax = 16 << 20;
constexpr size_t kSkippedBytesMax = 64 << 10;
// With send_when_awaited so much is sent although nobody waits for it.
constexpr size_t kUnawaitedBytesMax = 64 << 10;
constexpr Duration kTellProblemsEvery = std::chrono::milliseconds(200);

// An end of an append in the caller's form.
struct AppendedEnd {
  Lsn lsn;
  uint64_t as_given;
};

}  // namespace
}  // namespace redoubt::abi

struct redoubt_writer {
  // Shared with the callers' threads; under `monitor`.
  struct State {
    std::deque<redoubt::StrippedRedo> queue;
    size_t queued_bytes = 0;
    bool pump_called = false;
    size_t window_bytes = 0;  // taken and not acknowledged
    redoubt::Lsn appended;
    redoubt::Lsn acknowledged;
    redoubt::Lsn commit;
    std::deque<redoubt::abi::AppendedEnd> ends;  // above `acknowledged`
    uint64_t acknowledged_as_given = 0;
    redoubt::Status failure;
    redoubt::Status problem;
    uint64_t append_count = 0;
    uint64_t append_bytes = 0;
    uint64_t stall_count = 0;
    redoubt::Duration stalled{};
  };

  explicit redoubt_writer(redoubt_client* of) : client(of) {}

  redoubt_client* client;
  redoubt::LogWriterOptions options;
  bool send_when_awaited = false;
  std::vector<std::string> addresses;
  uint64_t epoch = 0;

  redoubt::Monitor appending;       // held by the append that is being taken
  redoubt::BlockStripper stripper;  // under `appending`
  redoubt::Monitor monitor;
  State state;

  // On the loop.
  std::unique_ptr<redoubt::LogWriter> log;
  std::unique_ptr<redoubt::Condition> queued;
  std::unique_ptr<redoubt::TaskGroup> tasks;
};

namespace redoubt::abi {
namespace {

// ---- on the loop

// Takes what is queued as one chunk; false: nothing is.
bool TakeQueued(redoubt_writer* writer, RedoAppend* chunk) {
  const Monitor::Lock lock(&writer->monitor);
  std::deque<StrippedRedo>& queue = writer->state.queue;
  writer->state.pump_called = false;
  if (queue.empty()) {
    return false;
  }
  chunk->range = queue.front().range;
  chunk->first_mtr_lsn = queue.front().first_mtr_lsn;
  chunk->source_time_unix_ns = writer->client->loop.runtime()->wall_clock->NowUnixNs();
  Bytes payload = std::move(queue.front().payload);
  queue.pop_front();
  while (!queue.empty() && payload.size() + queue.front().payload.size() <= kJoinedBytesMax) {
    const StrippedRedo& next = queue.front();
    REDOUBT_CHECK(next.range.start == chunk->range.end);
    payload.insert(payload.end(), next.payload.begin(), next.payload.end());
    chunk->range.end = next.range.end;
    chunk->first_mtr_lsn =
        chunk->first_mtr_lsn == Lsn{} ? next.first_mtr_lsn : chunk->first_mtr_lsn;
    queue.pop_front();
  }
  writer->state.queued_bytes -= payload.size();
  chunk->payload = std::make_shared<const Bytes>(std::move(payload));
  return true;
}

void TellFailure(redoubt_writer* writer, const Status& failure) {
  {
    const Monitor::Lock lock(&writer->monitor);
    if (writer->state.failure.ok()) {
      writer->state.failure = failure;
    }
  }
  writer->monitor.NotifyAll();
}

Task<void> Pump(redoubt_writer* writer) {
  while (!writer->tasks->stopping()) {
    RedoAppend chunk;
    if (!TakeQueued(writer, &chunk)) {
      co_await writer->queued->Wait();
      continue;
    }
    const Status taken = co_await writer->log->Append(std::move(chunk), kNever);
    if (!taken.ok()) {
      TellFailure(writer, taken);
      co_return;
    }
  }
}

void TellProgress(redoubt_writer* writer) {
  redoubt_writer::State& state = writer->state;
  {
    const Monitor::Lock lock(&writer->monitor);
    const Lsn acknowledged = writer->log->acknowledged();
    state.acknowledged = acknowledged;
    state.commit = writer->log->commit();
    state.problem = writer->log->last_problem();
    if (state.failure.ok()) {
      state.failure = writer->log->failure();
    }
    state.window_bytes =
        acknowledged == Lsn{} || state.appended <= acknowledged
            ? 0
            : innodb::ToSn(state.appended).value() - innodb::ToSn(acknowledged).value();
    while (!state.ends.empty() && state.ends.front().lsn <= acknowledged) {
      state.acknowledged_as_given = state.ends.front().as_given;
      state.ends.pop_front();
    }
  }
  writer->monitor.NotifyAll();
}

Task<void> Watch(redoubt_writer* writer) {
  LogWriter* log = writer->log.get();
  while (log->failure().ok()) {
    const Lsn next(log->acknowledged().value() + 1);
    const TimePoint look = writer->client->loop.runtime()->scheduler->Now() + kTellProblemsEvery;
    const Status reached = co_await log->WaitAcknowledged(next, look);
    TellProgress(writer);
    if (!reached.ok() && reached.code() != StatusCode::kDeadlineExceeded) {
      break;
    }
    if (!reached.ok()) {
      writer->queued->NotifyAll();  // what nobody waits for
    }
  }
}

struct Opening {
  redoubt_writer* writer;
  redoubt_position* position;
  TimePoint deadline{};
  Status status;
};

// Any member can tell; one that was wiped or is another volume's is passed over.
Task<Result<uint32_t>> AskPageSize(Runtime* runtime, redoubt_writer* writer, TimePoint deadline) {
  Status trouble = Unavailable("no log server told the volume's page size");
  for (const std::string& address : writer->addresses) {
    ReconnectingChannel channel(runtime, address, ReconnectingChannelOptions());
    VolumeClient client(&channel);
    proto::VolumeStatusRequest request;
    request.set_name(writer->options.volume);
    const TimePoint until = std::min(deadline, runtime->scheduler->Now() + std::chrono::seconds(2));
    const Result<proto::VolumeStatusResponse> answer =
        co_await client.VolumeStatus(std::move(request), until);
    co_await channel.Close();
    if (answer.ok() && answer->volume().volume_uid() == writer->log->volume_uid()) {
      co_return answer->volume().page_size();
    }
    trouble = answer.ok() ? trouble : answer.status().WithContext(address);
  }
  co_return trouble;
}

// Under which the redo just below the end was written.
Epoch EpochOfTheEnd(const LogPosition& position) {
  Epoch last;
  for (const EpochStart& entry : position.epochs) {
    last = entry.start < position.end ? entry.epoch : last;
  }
  return last;
}

Task<void> Open(Runtime* runtime, Opening* opening) {
  redoubt_writer* writer = opening->writer;
  std::vector<std::string> addresses = writer->addresses;
  LogWriterOptions options = writer->options;
  writer->log = std::make_unique<LogWriter>(runtime, std::move(addresses), std::move(options));
  const Result<LogPosition> started = co_await writer->log->Start(Epoch{}, opening->deadline);
  Result<uint32_t> page_size = Unavailable("not asked");
  opening->status = started.status();
  if (started.ok()) {
    page_size = co_await AskPageSize(runtime, writer, opening->deadline);
    opening->status = page_size.status();
  }
  if (!opening->status.ok()) {
    co_await writer->log->Stop();
    writer->log = nullptr;
    co_return;
  }
  writer->epoch = started->epoch.value();
  writer->state.appended = started->end;
  writer->state.acknowledged_as_given = started->end.value();
  if (started->end != Lsn{}) {
    writer->stripper.Reset(started->end);
  }
  opening->position->epoch = writer->epoch;
  opening->position->end_lsn = started->end.value();
  opening->position->volume_uid = writer->log->volume_uid();
  opening->position->page_size = *page_size;
  opening->position->redo_epoch = EpochOfTheEnd(*started).value();
  writer->queued = std::make_unique<Condition>(runtime->scheduler);
  writer->tasks = std::make_unique<TaskGroup>(runtime->scheduler);
  writer->tasks->Spawn(Pump(writer));
  writer->tasks->Spawn(Watch(writer));
  TellProgress(writer);
}

Task<void> Close(redoubt_writer* writer) {
  writer->tasks->Stop();
  writer->queued->NotifyAll();
  co_await writer->log->Stop();
  co_await writer->tasks->Join();
  writer->tasks = nullptr;
  writer->log = nullptr;
}

Task<void> TellProgressOnLoop(redoubt_writer* writer) {
  TellProgress(writer);
  co_return;
}

struct HoleToDeclare {
  redoubt_writer* writer;
  Lsn start;
  std::string reason;
  TimePoint deadline{};
  Status status;
};

Task<void> DeclareHole(HoleToDeclare* hole) {
  std::string reason = hole->reason;
  hole->status =
      co_await hole->writer->log->StartAt(hole->start, std::move(reason), hole->deadline);
}

// ---- on the callers' threads

Status Failure(const redoubt_writer::State& state) {
  return state.failure.code() == StatusCode::kCancelled ? Cancelled("the writer is being closed")
                                                        : state.failure;
}

std::string InTheWay(const redoubt_writer::State& state) {
  return state.problem.ok() ? std::string() : ": " + state.problem.ToString();
}

// An append that brings nothing may name the end in its other form, behind the header of the next
// block: whoever waits, waits for that one.
void TakeOtherForm(redoubt_writer* writer, uint64_t end_as_given) {
  redoubt_writer::State& state = writer->state;
  if (NormaliseEnd(Lsn(end_as_given)) != state.appended) {
    return;
  }
  uint64_t* const told =
      state.ends.empty() ? &state.acknowledged_as_given : &state.ends.back().as_given;
  if (*told < end_as_given) {
    *told = end_as_given;
    writer->monitor.NotifyAll();
  }
}

// True when the loop must be told that there is something to send. Under `monitor`.
bool MustCallPump(redoubt_writer::State* state) {
  return !state->queue.empty() && !std::exchange(state->pump_called, true);
}

void CallPump(redoubt_writer* writer) {
  writer->client->loop.Post([writer] { writer->queued->NotifyAll(); });
}

// Waits for room and queues. `appending` is held.
Status Enqueue(redoubt_writer* writer, const StrippedRedo& redo, uint64_t end_as_given,
               TimePoint deadline) {
  redoubt_writer::State& state = writer->state;
  const size_t bytes = redo.payload.size();
  bool call_pump = false;
  {
    Monitor::Lock lock(&writer->monitor);
    const auto may_go_on = [&state, bytes, writer] {
      return !state.failure.ok() || state.window_bytes == 0 ||
             state.window_bytes + bytes <= writer->options.window_bytes;
    };
    if (!may_go_on()) {
      if (MustCallPump(&state)) {
        CallPump(writer);
      }
      ++state.stall_count;
      const TimePoint began = Monitor::Now();
      const bool room = lock.WaitUntil(deadline, may_go_on);
      state.stalled += Monitor::Now() - began;
      if (!room) {
        return DeadlineExceeded(std::to_string(state.window_bytes) +
                                " bytes of redo are not on a quorum yet, no more are taken" +
                                InTheWay(state));
      }
    }
    if (!state.failure.ok()) {
      return Failure(state);
    }
    if (bytes > 0) {
      state.queue.push_back(redo);
      state.queued_bytes += bytes;
      state.window_bytes += bytes;
      state.appended = redo.range.end;
      state.ends.push_back({redo.range.end, end_as_given});
      state.append_bytes += bytes;
      const bool may_leave = !writer->send_when_awaited || state.queued_bytes >= kUnawaitedBytesMax;
      call_pump = may_leave && MustCallPump(&state);
    } else {
      TakeOtherForm(writer, end_as_given);
    }
    ++state.append_count;
  }
  if (call_pump) {
    CallPump(writer);
  }
  return Status::Ok();
}

Status CheckOptions(const redoubt_writer_options& options) {
  REDOUBT_RETURN_IF_ERROR(
      CheckStructSize(options.struct_size, sizeof options, "redoubt_writer_options"));
  if (options.log_server_count % 2 == 0) {
    return InvalidArgument(std::to_string(options.log_server_count) +
                           " log servers are named, an odd number is wanted");
  }
  if (options.window_bytes == 0 || options.append_timeout_ms == 0) {
    return InvalidArgument("window_bytes and append_timeout_ms must not be 0");
  }
  return Status::Ok();
}

// Everything that was taken is acknowledged, or why not. Does not look at `failure` of an empty
// window: then nothing is in doubt.
Status WaitForAll(redoubt_writer* writer, TimePoint deadline) {
  redoubt_writer::State& state = writer->state;
  Monitor::Lock lock(&writer->monitor);
  if (MustCallPump(&state)) {
    CallPump(writer);
  }
  const auto all = [&state] { return state.acknowledged >= state.appended; };
  const bool done =
      lock.WaitUntil(deadline, [&state, &all] { return all() || !state.failure.ok(); });
  if (all()) {
    return Status::Ok();
  }
  return done ? Failure(state)
              : DeadlineExceeded("redo up to LSN " + std::to_string(state.appended.value()) +
                                 " was taken, only up to LSN " +
                                 std::to_string(state.acknowledged.value()) + " it is on a quorum" +
                                 InTheWay(state));
}

Status StartAt(redoubt_writer* writer, uint64_t lsn, const char* reason, TimePoint deadline) {
  HoleToDeclare hole{writer, Lsn(lsn), ToString(reason), deadline, {}};
  const Monitor::Lock order(&writer->appending);
  REDOUBT_RETURN_IF_ERROR(WaitForAll(writer, deadline));
  if (!innodb::IsDataLsn(hole.start) || hole.start < writer->state.appended) {
    return InvalidArgument("the log cannot start at LSN " + std::to_string(lsn) +
                           ", it ends at LSN " + std::to_string(writer->state.appended.value()));
  }
  writer->client->loop.Call([&hole](Runtime*) { return DeclareHole(&hole); });
  REDOUBT_RETURN_IF_ERROR(hole.status);
  writer->stripper.Reset(hole.start);
  {
    const Monitor::Lock lock(&writer->monitor);
    writer->state.appended = hole.start;
    writer->state.ends.push_back({hole.start, lsn});
  }
  writer->client->loop.Call([writer](Runtime*) { return TellProgressOnLoop(writer); });
  return Status::Ok();
}

}  // namespace
}  // namespace redoubt::abi

using redoubt::ByteView;
using redoubt::InvalidArgument;
using redoubt::Lsn;
using redoubt::Monitor;
using redoubt::Result;
using redoubt::Status;
using redoubt::StrippedRedo;
using redoubt::TimePoint;
using redoubt::abi::DeadlineAfter;
using redoubt::abi::Finish;

extern "C" {

void redoubt_writer_options_init(redoubt_writer_options* options) {
  *options = {};
  options->struct_size = sizeof *options;
  options->window_bytes = 16 << 20;
  options->append_timeout_ms = 30'000;
}

int redoubt_writer_open(redoubt_client* client, const redoubt_writer_options* options,
                        uint32_t timeout_ms, redoubt_writer** out, redoubt_position* position,
                        redoubt_error* error) {
  const Status checked = redoubt::abi::CheckOptions(*options);
  if (!checked.ok()) {
    return Finish(checked, error);
  }
  auto writer = std::make_unique<redoubt_writer>(client);
  writer->addresses.assign(options->log_servers, options->log_servers + options->log_server_count);
  writer->options.volume = redoubt::abi::ToString(options->volume);
  writer->options.window_bytes = options->window_bytes;
  writer->options.append_timeout = std::chrono::milliseconds(options->append_timeout_ms);
  writer->send_when_awaited = options->send_when_awaited != 0;
  redoubt::abi::Opening opening{writer.get(), position, DeadlineAfter(timeout_ms), {}};
  client->loop.Call(
      [&opening](redoubt::Runtime* runtime) { return redoubt::abi::Open(runtime, &opening); });
  if (opening.status.ok()) {
    ++client->handle_count;
    *out = writer.release();
  }
  return Finish(opening.status, error);
}

int redoubt_writer_start_at(redoubt_writer* writer, uint64_t lsn, const char* reason,
                            uint32_t timeout_ms, redoubt_error* error) {
  return Finish(redoubt::abi::StartAt(writer, lsn, reason, DeadlineAfter(timeout_ms)), error);
}

int redoubt_writer_skip_to(redoubt_writer* writer, uint64_t lsn, uint32_t timeout_ms,
                           redoubt_error* error) {
  const TimePoint deadline = DeadlineAfter(timeout_ms);
  const Monitor::Lock order(&writer->appending);
  const Lsn next = writer->stripper.next_lsn();
  const Lsn to(lsn);
  if (next == Lsn{} || !redoubt::innodb::IsDataLsn(to) || to < next ||
      lsn - next.value() > redoubt::abi::kSkippedBytesMax) {
    return Finish(InvalidArgument("cannot skip from LSN " + std::to_string(next.value()) +
                                  " to LSN " + std::to_string(lsn)),
                  error);
  }
  const StrippedRedo redo{{next, to}, next, redoubt::DummyRedo({next, to})};
  const Status status = redoubt::abi::Enqueue(writer, redo, lsn, deadline);
  if (status.ok()) {
    writer->stripper.Accept(redo);
  }
  return Finish(status, error);
}

int redoubt_writer_append_blocks(redoubt_writer* writer, uint64_t block_start_lsn,
                                 const void* blocks, size_t size, uint64_t end_lsn,
                                 uint32_t timeout_ms, redoubt_error* error) {
  const TimePoint deadline = DeadlineAfter(timeout_ms);
  const ByteView view(static_cast<const uint8_t*>(blocks), size);
  const Monitor::Lock order(&writer->appending);
  const Result<StrippedRedo> redo =
      writer->stripper.Strip(view, Lsn(block_start_lsn), Lsn(end_lsn));
  Status status = redo.status();
  if (redo.ok() && redo->payload.size() > redoubt::abi::kAppendBytesMax) {
    status = InvalidArgument("at most 16 MiB go into one append");
  }
  if (status.ok()) {
    status = redoubt::abi::Enqueue(writer, *redo, end_lsn, deadline);
  }
  if (status.ok()) {
    writer->stripper.Accept(*redo);
  }
  return Finish(status, error);
}

int redoubt_writer_append_payload(redoubt_writer* writer, uint64_t start_lsn, uint64_t end_lsn,
                                  uint64_t first_mtr_lsn, const void* payload, size_t size,
                                  uint32_t timeout_ms, redoubt_error* error) {
  const TimePoint deadline = DeadlineAfter(timeout_ms);
  const uint8_t* const bytes = static_cast<const uint8_t*>(payload);
  StrippedRedo redo{{Lsn(start_lsn), redoubt::NormaliseEnd(Lsn(end_lsn))}, Lsn(first_mtr_lsn), {}};
  const Monitor::Lock order(&writer->appending);
  Status status;
  if (writer->stripper.next_lsn() == Lsn{} || redo.range.start != writer->stripper.next_lsn()) {
    status =
        Status(redoubt::StatusCode::kGap, "the payload starts at LSN " + std::to_string(start_lsn) +
                                              ", the log continues at LSN " +
                                              std::to_string(writer->stripper.next_lsn().value()));
  } else if (!redoubt::innodb::IsDataLsn(redo.range.end) || redo.range.empty() ||
             redoubt::innodb::ToSn(redo.range.end).value() -
                     redoubt::innodb::ToSn(redo.range.start).value() !=
                 size ||
             size > redoubt::abi::kAppendBytesMax) {
    status = InvalidArgument(std::to_string(size) + " bytes are not the payload of LSN " +
                             std::to_string(start_lsn) + " to " + std::to_string(end_lsn) +
                             ", or more than 16 MiB");
  } else if (first_mtr_lsn != 0 && !redo.range.Contains(redo.first_mtr_lsn)) {
    status = InvalidArgument("the first mtr begins outside of the payload");
  }
  if (status.ok()) {
    redo.payload.assign(bytes, bytes + size);
    status = redoubt::abi::Enqueue(writer, redo, end_lsn, deadline);
  }
  if (status.ok()) {
    writer->stripper.Accept(redo);
  }
  return Finish(status, error);
}

int redoubt_writer_wait(redoubt_writer* writer, uint64_t after_lsn, uint32_t timeout_ms,
                        uint64_t* acknowledged_lsn, redoubt_error* error) {
  redoubt_writer::State& state = writer->state;
  Monitor::Lock lock(&writer->monitor);
  const auto further = [&state, after_lsn] { return state.acknowledged_as_given > after_lsn; };
  if (!further() && redoubt::abi::MustCallPump(&state)) {
    redoubt::abi::CallPump(writer);
  }
  const bool ended = lock.WaitUntil(
      DeadlineAfter(timeout_ms), [&state, &further] { return further() || !state.failure.ok(); });
  if (acknowledged_lsn != nullptr) {
    *acknowledged_lsn = state.acknowledged_as_given;
  }
  if (further()) {
    return Finish(Status::Ok(), error);
  }
  return Finish(ended ? redoubt::abi::Failure(state)
                      : redoubt::DeadlineExceeded(
                            "no more than LSN " + std::to_string(state.acknowledged_as_given) +
                            " is on a quorum" + redoubt::abi::InTheWay(state)),
                error);
}

void redoubt_writer_get_status(redoubt_writer* writer, redoubt_writer_status* status) {
  const redoubt_writer::State& state = writer->state;
  const Monitor::Lock lock(&writer->monitor);
  status->epoch = writer->epoch;
  status->appended_lsn = state.appended.value();
  status->acknowledged_lsn = state.acknowledged_as_given;
  status->commit_lsn = state.commit.value();
  status->window_bytes = state.window_bytes;
  status->append_count = state.append_count;
  status->append_bytes = state.append_bytes;
  status->stall_count = state.stall_count;
  status->stall_us = static_cast<uint64_t>(state.stalled.count() / 1000);
  status->failure = static_cast<int>(state.failure.code());
  const Status& problem = state.failure.ok() ? state.problem : state.failure;
  redoubt::abi::CopyText(problem.message(), status->problem, sizeof status->problem);
}

int redoubt_writer_close(redoubt_writer* writer, uint32_t timeout_ms, redoubt_error* error) {
  if (writer == nullptr) {
    return Finish(Status::Ok(), error);
  }
  const Status drained = redoubt::abi::WaitForAll(writer, DeadlineAfter(timeout_ms));
  redoubt_client* const client = writer->client;
  client->loop.Call([writer](redoubt::Runtime*) { return redoubt::abi::Close(writer); });
  delete writer;
  --client->handle_count;
  return Finish(drained, error);
}

}  // extern "C"
