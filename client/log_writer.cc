// SPDX-License-Identifier: MIT
#include "client/log_writer.h"

#include <utility>

#include "client/epoch_negotiation.h"
#include "client/log_replica.h"
#include "client/log_window.h"
#include "common/base/check.h"
#include "common/innodb/log_block.h"

namespace redoubt {
namespace {

// Well below the frame limit of every server.
constexpr size_t kChunkBytesMax = 16 << 20;

Status CheckChunk(const RedoAppend& chunk, Lsn next_lsn) {
  const LsnRange range = chunk.range;
  if (range.start != next_lsn) {
    return InvalidArgument("chunk starts at " + std::to_string(range.start.value()) +
                           ", the log continues at " + std::to_string(next_lsn.value()));
  }
  if (!innodb::IsDataLsn(range.start) || !innodb::IsDataLsn(range.end) || range.empty()) {
    return InvalidArgument("[" + std::to_string(range.start.value()) + ", " +
                           std::to_string(range.end.value()) + ") is no range of data LSNs");
  }
  const uint64_t wanted = innodb::ToSn(range.end).value() - innodb::ToSn(range.start).value();
  const size_t given = chunk.payload == nullptr ? 0 : chunk.payload->size();
  if (given != wanted) {
    return InvalidArgument("chunk at " + std::to_string(range.start.value()) + " carries " +
                           std::to_string(given) + " bytes, its LSNs span " +
                           std::to_string(wanted));
  }
  if (given > kChunkBytesMax) {
    return InvalidArgument("chunk at " + std::to_string(range.start.value()) + " has " +
                           std::to_string(given) + " bytes, at most " +
                           std::to_string(kChunkBytesMax) + " go into one append");
  }
  return Status::Ok();
}

}  // namespace

// A StartAt that is under way at every member.
struct LogWriter::Starting {
  explicit Starting(Scheduler* scheduler) : changed(scheduler) {}
  Lsn start;
  std::string reason;
  std::vector<size_t> done;  // members
  size_t failed_count = 0;
  Status failure;
  Condition changed;
};

LogWriter::LogWriter(Runtime* runtime, std::vector<std::string> addresses, LogWriterOptions options)
    : runtime_(runtime),
      options_(std::move(options)),
      window_(std::make_unique<LogWindow>(runtime->scheduler, addresses.size())),
      tasks_(runtime->scheduler) {
  REDOUBT_CHECK(addresses.size() % 2 == 1);
  for (size_t member = 0; member < addresses.size(); ++member) {
    replicas_.push_back(std::make_unique<LogReplica>(runtime, std::move(addresses[member]), member,
                                                     window_.get(), &options_));
  }
}

LogWriter::~LogWriter() = default;

Task<Result<LogPosition>> LogWriter::Start(Epoch epoch, TimePoint deadline) {
  REDOUBT_CHECK(!started_);
  Result<NegotiatedEpoch> negotiated =
      co_await NegotiateEpoch(runtime_, &replicas_, epoch, options_.prepare_timeout, deadline);
  if (!negotiated.ok()) {
    co_return negotiated.status();
  }
  plan_ = std::move(negotiated->plan);
  started_ = true;
  window_->BeginAt(plan_.start);
  for (const std::unique_ptr<LogReplica>& replica : replicas_) {
    replica->Run(&plan_, &replicas_);
  }
  const Status stands = co_await WaitUntilEpochStands(deadline);
  if (!stands.ok()) {
    co_return stands;
  }
  position_ = {negotiated->volume, plan_.epoch, plan_.start, plan_.history};
  co_return position_;
}

// A majority has begun the epoch and holds everything below its start.
Task<Status> LogWriter::WaitUntilEpochStands(TimePoint deadline) {
  while (!window_->begun_by_majority() || acknowledged() < plan_.start) {
    if (!window_->ok()) {
      co_return window_->failure();
    }
    const bool woken = co_await window_->changed().Wait(deadline);
    if (!woken) {
      co_return DeadlineExceeded("epoch " + std::to_string(plan_.epoch.value()) +
                                 " does not stand at a majority of the log servers" +
                                 (last_problem().ok() ? "" : ": " + last_problem().ToString()));
    }
  }
  co_return Status::Ok();
}

Task<void> LogWriter::StartMember(LogWriter* writer, size_t member,
                                  std::shared_ptr<Starting> starting, TimePoint deadline) {
  std::string reason = starting->reason;
  const Status status =
      co_await writer->replicas_[member]->StartAt(starting->start, std::move(reason), deadline);
  if (!status.ok()) {
    ++starting->failed_count;
    starting->failure = status;
  } else if (writer->window_->next_lsn() >= starting->start) {
    writer->replicas_[member]->Acknowledge(starting->start);  // late
    writer->replicas_[member]->Pump();
  } else {
    starting->done.push_back(member);
  }
  starting->changed.NotifyAll();
}

Task<Status> LogWriter::StartAt(Lsn start, std::string reason, TimePoint deadline) {
  REDOUBT_CHECK(started_);
  if (!innodb::IsDataLsn(start) || start < window_->next_lsn()) {
    co_return InvalidArgument("the log cannot start at " + std::to_string(start.value()) +
                              ", it ends at " + std::to_string(window_->next_lsn().value()));
  }
  const Status drained = co_await WaitAcknowledged(window_->next_lsn(), deadline);
  if (!drained.ok() || start == window_->next_lsn()) {
    co_return drained;
  }
  window_->set_starting_at(start);
  const auto starting = std::make_shared<Starting>(runtime_->scheduler);
  starting->start = start;
  starting->reason = std::move(reason);
  for (size_t member = 0; member < replicas_.size(); ++member) {
    tasks_.Spawn(StartMember(this, member, starting, deadline));
  }
  const size_t majority = replicas_.size() / 2 + 1;
  while (starting->done.size() < majority) {
    if (starting->failed_count > replicas_.size() - majority) {
      co_return starting->failure;
    }
    co_await starting->changed.Wait();
  }
  if (!window_->ok()) {
    co_return window_->failure();
  }
  window_->BeginAt(start);
  for (const size_t member : starting->done) {
    replicas_[member]->Acknowledge(start);
  }
  co_return Status::Ok();
}

Task<Status> LogWriter::Append(RedoAppend chunk, TimePoint deadline) {
  REDOUBT_CHECK(started_);
  const Status checked = CheckChunk(chunk, window_->next_lsn());
  if (!checked.ok()) {
    co_return checked;
  }
  const size_t bytes = chunk.payload->size();
  while (window_->ok() && window_->bytes() > 0 &&
         window_->bytes() + bytes > options_.window_bytes) {
    const bool woken = co_await window_->changed().Wait(deadline);
    if (!woken) {
      co_return DeadlineExceeded("the append window is full, " + std::to_string(window_->bytes()) +
                                 " bytes wait for the log server" +
                                 (last_problem().ok() ? "" : ": " + last_problem().ToString()));
    }
  }
  if (!window_->ok()) {
    co_return window_->failure();
  }
  REDOUBT_CHECK(chunk.range.start == window_->next_lsn());
  const Status pushed = window_->Push(std::move(chunk));
  if (!pushed.ok()) {
    co_return pushed;
  }
  for (const std::unique_ptr<LogReplica>& replica : replicas_) {
    replica->Pump();
  }
  co_return Status::Ok();
}

Task<Status> LogWriter::WaitAcknowledged(Lsn lsn, TimePoint deadline) {
  if (!window_->ok()) {
    co_return window_->failure();
  }
  const bool reached = co_await window_->acknowledged().WaitFor(lsn, deadline);
  if (reached) {
    co_return Status::Ok();
  }
  if (!window_->ok()) {
    co_return window_->failure();
  }
  co_return DeadlineExceeded("LSN " + std::to_string(lsn.value()) + " is not acknowledged, only " +
                             std::to_string(acknowledged().value()) + " is" +
                             (last_problem().ok() ? "" : ": " + last_problem().ToString()));
}

Lsn LogWriter::acknowledged() const { return window_->acknowledged().value(); }
Lsn LogWriter::commit() const { return window_->commit(); }
Lsn LogWriter::next_lsn() const { return window_->next_lsn(); }
size_t LogWriter::window_bytes_used() const { return window_->bytes(); }
const Status& LogWriter::failure() const { return window_->failure(); }
const Status& LogWriter::last_problem() const { return window_->problem(); }

Task<void> LogWriter::Stop() {
  const bool sound = window_->ok();
  window_->Fail(Cancelled("log writer is stopping"));
  if (sound) {
    TaskGroup farewells(runtime_->scheduler);
    const TimePoint deadline = runtime_->scheduler->Now() + options_.farewell_timeout;
    for (const std::unique_ptr<LogReplica>& replica : replicas_) {
      farewells.Spawn(replica->TellCommitAtLast(deadline));
    }
    co_await farewells.Join();
  }
  tasks_.Stop();
  for (const std::unique_ptr<LogReplica>& replica : replicas_) {
    co_await replica->Stop();
  }
  co_await tasks_.Join();
}

}  // namespace redoubt
