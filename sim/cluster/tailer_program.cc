// SPDX-License-Identifier: MIT
#include "sim/cluster/tailer_program.h"

#include <string>
#include <utility>
#include <vector>

namespace redoubt::sim {
namespace {

constexpr int64_t kMs = 1'000'000;
constexpr int64_t kRpcDeadlineNs = 5'000 * kMs;
constexpr int64_t kPollNs = 5 * kMs;
constexpr int64_t kRetryNsMax = 200 * kMs;
// A fenced writer comes back only after a while: whoever fenced it should get something done.
constexpr int64_t kFencedNsMin = 500 * kMs;
constexpr int64_t kFencedNsMax = 3'000 * kMs;
constexpr size_t kWindowBytes = 256 << 10;
constexpr uint64_t kFalseStartOneIn = 4;

// Ends that faults explain, or that are judged where they are seen. Everything else says that the
// log is not what the writer was told it is.
bool MayEnd(const Status& status) {
  switch (status.code()) {
    case StatusCode::kGap:
    case StatusCode::kCorruption:
    case StatusCode::kInvalidArgument:
    case StatusCode::kUnsupported:
      return false;
    default:
      return true;
  }
}

}  // namespace

TailerProgram::TailerProgram(Runtime* runtime, RunContext* context, uint64_t entity)
    : runtime_(runtime), context_(context), random_(&context->world->random(), "tailer", entity) {}

TimePoint TailerProgram::In(int64_t ns) const { return runtime_->scheduler->Now() + Duration(ns); }

Task<void> TailerProgram::Run() {
  while (true) {
    const Status status = co_await Serve();
    runtime_->log->Info("writer ended: " + status.ToString());
    if (!MayEnd(status)) {
      context_->findings.ReportLoss("C5",
                                    "a writer whom nobody replaced ended: " + status.ToString());
    }
    uint64_t pause_ns = random_.Below(kRetryNsMax);
    if (status.code() == StatusCode::kStaleEpoch) {
      context_->fence.Refused();
      pause_ns = random_.Between(kFencedNsMin, kFencedNsMax);
    }
    co_await runtime_->scheduler->Sleep(Duration(static_cast<int64_t>(pause_ns)));
  }
}

Task<Status> TailerProgram::BeginLog(LogWriter* writer, VolumeSetup* setup, LogPosition position) {
  const Lsn begin = context_->model.begin_lsn();
  if (position.end == Lsn()) {
    setup->ForgetHorizons();
    std::string reason = "first start";
    const Status started = co_await writer->StartAt(begin, std::move(reason), In(kRpcDeadlineNs));
    if (!started.ok()) {
      co_return started;
    }
  } else if (position.end < begin || position.end > context_->model.end_lsn()) {
    context_->findings.Report("C1", "the log ends at " + std::to_string(position.end.value()) +
                                        ", where nothing was ever sent");
  }
  if (!context_->replicated()) {
    const Status set = co_await setup->SetHorizon(position.volume, position.epoch);
    co_return set;
  }
  co_return Status::Ok();
}

// A writer may die when it was promised an epoch and before it began it. The promise stands.
Task<void> TailerProgram::FalseStart(VolumeSetup* setup) {
  const size_t chosen = random_.Below(context_->log_servers.size());
  const NodeId server = context_->log_servers[chosen].node;
  proto::PrepareRequest request;
  request.set_volume(context_->settings.volume);
  VolumeClient client = setup->ClientOf(server);
  const Result<proto::PrepareResponse> answer =
      co_await client.Prepare(std::move(request), In(kRpcDeadlineNs));
  if (answer.ok()) {
    context_->fence.PromisedBy(context_->world->NameOf(server), Epoch(answer->epoch()));
  }
  if (answer.ok() && !context_->replicated()) {
    context_->fence.Promised(Epoch(answer->epoch()), Lsn(answer->end_lsn()));
  }
}

Task<Status> TailerProgram::Write(LogWriter* writer, VolumeSetup* setup) {
  const Lsn acknowledged_before = context_->redo.acknowledged();
  const Result<LogPosition> position = co_await writer->Start(Epoch(0), In(kRpcDeadlineNs));
  if (!position.ok()) {
    if (position.status().code() == StatusCode::kNotFound && context_->volume_created) {
      context_->findings.ReportLoss("C1", "the volume was created before and has vanished");
    }
    co_return position.status();
  }
  ++context_->writer_count;
  const ShownWriter::While shown(&shown_, writer);
  runtime_->log->Info("writer of epoch " + std::to_string(position->epoch.value()) +
                      ", log ends at " + std::to_string(position->end.value()));
  context_->redo.ServerEnd(position->end, acknowledged_before, "Prepare");
  context_->fence.Promised(position->epoch, position->end);
  context_->times.EpochBegun(position->epoch, position->end);
  Status status = co_await BeginLog(writer, setup, *position);
  if (status.ok()) {
    TaskGroup watch(runtime_->scheduler);
    watch.Spawn(WatchAcknowledged(writer));
    if (context_->replicated()) {
      setup->KeepHorizonsSet(position->epoch);
    }
    status = co_await Stream(writer);
    co_await writer->Stop();
    co_await watch.Join();
  }
  co_return status;
}

Task<Status> TailerProgram::Serve() {
  VolumeSetup setup(runtime_, context_);
  Status status = co_await setup.EnsureVolume();
  if (status.ok() && random_.Below(kFalseStartOneIn) == 0) {
    co_await FalseStart(&setup);
  }
  if (status.ok()) {
    LogWriterOptions options;
    options.volume = context_->settings.volume;
    options.window_bytes = kWindowBytes;
    options.append_timeout = Duration(kRpcDeadlineNs);
    std::vector<std::string> addresses;
    for (const ServerPlace& place : context_->log_servers) {
      addresses.push_back(place.address);
    }
    LogWriter writer(runtime_, std::move(addresses), std::move(options));
    status = co_await Write(&writer, &setup);
    co_await writer.Stop();
  }
  co_await setup.Close();
  co_return status;
}

Task<Status> TailerProgram::Stream(LogWriter* writer) {
  while (true) {
    if (!writer->failure().ok()) {
      co_return writer->failure();
    }
    const Lsn next = writer->next_lsn();
    if (next >= context_->model.end_lsn()) {
      co_await runtime_->scheduler->Sleep(Duration(kPollNs));
      continue;
    }
    const uint64_t bytes = random_.Between(1, context_->settings.chunk_bytes_max);
    RedoAppend append;
    append.range = LsnRange{next, context_->model.Advance(next, bytes)};
    append.first_mtr_lsn = context_->model.FirstMtrIn(append.range);
    append.source_time_unix_ns = runtime_->wall_clock->NowUnixNs();
    const ByteView payload = context_->model.Payload(append.range);
    append.payload = std::make_shared<const Bytes>(payload.begin(), payload.end());
    const LsnRange range = append.range;
    const int64_t stamp = append.source_time_unix_ns;
    context_->times.Offered(range, stamp);
    const Status status = co_await writer->Append(std::move(append), In(kRpcDeadlineNs));
    if (status.ok()) {
      context_->times.Taken(writer->epoch(), range, stamp);
    }
    if (!status.ok() && status.code() != StatusCode::kDeadlineExceeded) {
      co_return status;
    }
  }
}

Task<void> TailerProgram::WatchAcknowledged(LogWriter* writer) {
  while (true) {
    // Half an mtr means nothing, acknowledged or not: the next writer cuts it off.
    const Lsn told = writer->acknowledged();
    const Lsn seen = context_->model.LastEndAtOrBelow(told);
    if (seen > context_->redo.acknowledged() || seen > context_->model.begin_lsn()) {
      context_->redo.Acknowledged(seen);
      context_->world->Record(kWorldNode, TraceKind::kOperation, seen.value(), 0,
                              "acknowledged LSN");
      context_->fence.Acknowledged(writer->epoch(), seen);
      context_->times.Acknowledged(writer->epoch(), context_->model.LastEndAtOrBelow(seen));
      context_->CheckMajority(writer->epoch(), seen);
    }
    const Status status = co_await writer->WaitAcknowledged(Lsn(told.value() + 1), kNever);
    if (!status.ok()) {
      co_return;
    }
  }
}

}  // namespace redoubt::sim
