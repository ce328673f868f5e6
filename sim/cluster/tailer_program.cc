// SPDX-License-Identifier: MIT
#include "sim/cluster/tailer_program.h"

#include <string>
#include <utility>

#include "common/runtime/rpc/reconnecting_channel.h"
#include "common/runtime/task_group.h"

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

}  // namespace

TailerProgram::TailerProgram(Runtime* runtime, RunContext* context, uint64_t entity)
    : runtime_(runtime), context_(context), random_(&context->world->random(), "tailer", entity) {}

TimePoint TailerProgram::In(int64_t ns) const { return runtime_->scheduler->Now() + Duration(ns); }

Task<void> TailerProgram::Run() {
  while (true) {
    const Status status = co_await Serve();
    runtime_->log->Info("writer ended: " + status.ToString());
    uint64_t pause_ns = random_.Below(kRetryNsMax);
    if (status.code() == StatusCode::kStaleEpoch) {
      context_->fence.Refused();
      pause_ns = random_.Between(kFencedNsMin, kFencedNsMax);
    }
    co_await runtime_->scheduler->Sleep(Duration(static_cast<int64_t>(pause_ns)));
  }
}

Task<Status> TailerProgram::EnsureVolume(VolumeClient* client) {
  proto::VolumeCreateRequest request;
  request.set_name(context_->settings.volume);
  request.set_page_size(context_->settings.page_size);
  const bool created_before = context_->volume_created;
  const Result<proto::VolumeCreateResponse> answer =
      co_await client->VolumeCreate(std::move(request), In(kRpcDeadlineNs));
  if (answer.ok()) {
    if (created_before) {
      context_->findings.ReportLoss("C1", "the volume was created before and has vanished");
    }
    context_->volume_created = true;
    co_return Status::Ok();
  }
  const bool there = answer.status().code() == StatusCode::kAlreadyExists;
  co_return there ? Status::Ok() : answer.status();
}

Task<Status> TailerProgram::BeginLog(LogWriter* writer, VolumeClient* client,
                                     LogPosition position) {
  const Lsn begin = context_->model.begin_lsn();
  if (position.end == Lsn()) {
    context_->horizon_set = false;
    std::string reason = "first start";
    const Status started = co_await writer->StartAt(begin, std::move(reason), In(kRpcDeadlineNs));
    if (!started.ok()) {
      co_return started;
    }
  } else if (position.end < begin || position.end > context_->model.end_lsn()) {
    context_->findings.Report("C1", "the log ends at " + std::to_string(position.end.value()) +
                                        ", where nothing was ever sent");
  }
  if (!context_->horizon_set) {
    proto::SetHorizonRequest request;
    request.set_volume_id(position.volume.value());
    request.set_epoch(position.epoch.value());
    request.set_horizon_lsn(begin.value());
    const Result<proto::SetHorizonResponse> answer =
        co_await client->SetHorizon(std::move(request), In(kRpcDeadlineNs));
    if (!answer.ok()) {
      co_return answer.status();
    }
    context_->horizon_set = true;
  }
  co_return Status::Ok();
}

Task<Status> TailerProgram::Serve() {
  ReconnectingChannel channel(runtime_, context_->settings.server_address,
                              ReconnectingChannelOptions());
  VolumeClient client(&channel);
  Status status = co_await EnsureVolume(&client);
  if (status.ok()) {
    LogWriterOptions options;
    options.volume = context_->settings.volume;
    options.window_bytes = kWindowBytes;
    options.append_timeout = Duration(kRpcDeadlineNs);
    std::vector<std::string> addresses{context_->settings.server_address};
    LogWriter writer(runtime_, std::move(addresses), std::move(options));
    const Lsn acknowledged_before = context_->redo.acknowledged();
    const Result<LogPosition> position = co_await writer.Start(Epoch(0), In(kRpcDeadlineNs));
    status = position.status();
    if (status.code() == StatusCode::kNotFound && context_->volume_created) {
      context_->findings.ReportLoss("C1", "the volume was created before and has vanished");
    }
    if (position.ok()) {
      ++context_->writer_count;
      runtime_->log->Info("writer of epoch " + std::to_string(position->epoch.value()) +
                          ", log ends at " + std::to_string(position->end.value()));
      context_->redo.ServerEnd(position->end, acknowledged_before, "Prepare");
      context_->fence.Promised(position->epoch, position->end);
      TaskGroup watch(runtime_->scheduler);
      status = co_await BeginLog(&writer, &client, *position);
      if (status.ok()) {
        watch.Spawn(WatchAcknowledged(&writer));
        status = co_await Stream(&writer);
      }
      co_await writer.Stop();
      co_await watch.Join();
    } else {
      co_await writer.Stop();
    }
  }
  co_await channel.Close();
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
    const Status status = co_await writer->Append(std::move(append), In(kRpcDeadlineNs));
    if (!status.ok() && status.code() != StatusCode::kDeadlineExceeded) {
      co_return status;
    }
  }
}

Task<void> TailerProgram::WatchAcknowledged(LogWriter* writer) {
  while (true) {
    const Lsn seen = writer->acknowledged();
    if (seen > context_->redo.acknowledged() || seen > context_->model.begin_lsn()) {
      context_->redo.Acknowledged(seen);
      context_->world->Record(kWorldNode, TraceKind::kOperation, seen.value(), 0,
                              "acknowledged LSN");
      context_->fence.Acknowledged(writer->epoch(), seen);
    }
    const Status status = co_await writer->WaitAcknowledged(Lsn(seen.value() + 1), kNever);
    if (!status.ok()) {
      co_return;
    }
  }
}

}  // namespace redoubt::sim
