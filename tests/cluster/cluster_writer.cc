// SPDX-License-Identifier: MIT
#include "tests/cluster/cluster_writer.h"

#include <algorithm>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "client/volume_client.h"
#include "common/runtime/rpc/reconnecting_channel.h"
#include "common/runtime/task_group.h"

namespace redoubt::cluster {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;

constexpr size_t kChunkBytesMax = 16 << 10;
constexpr milliseconds kTick(5);
constexpr milliseconds kRetry(100);
constexpr seconds kStartPatience(5);
constexpr seconds kRequestPatience(2);

LogWriterOptions WriterOptions(const ClusterOptions& options) {
  LogWriterOptions writer;
  writer.volume = options.volume;
  writer.window_bytes = 1 << 20;
  writer.append_timeout = seconds(2);
  writer.prepare_timeout = milliseconds(500);
  return writer;
}

// One server, until the deadline.
Task<Status> CreateVolume(Runtime* runtime, const ClusterOptions* options, std::string server,
                          TimePoint deadline) {
  ReconnectingChannel channel(runtime, std::move(server), ReconnectingChannelOptions());
  VolumeClient client(&channel);
  Status status = Unavailable("not tried");
  while (!status.ok() && runtime->scheduler->Now() < deadline) {
    proto::VolumeCreateRequest request;
    request.set_name(options->volume);
    request.set_page_size(options->page_size);
    request.set_uid(options->volume_uid());
    const Result<proto::VolumeCreateResponse> answer = co_await client.VolumeCreate(
        std::move(request), runtime->scheduler->Now() + kRequestPatience);
    const bool there = answer.status().code() == StatusCode::kAlreadyExists;
    status = there ? Status::Ok() : answer.status();
    if (!status.ok()) {
      co_await runtime->scheduler->Sleep(kRetry);
    }
  }
  co_await channel.Close();
  co_return status;
}

}  // namespace

Task<Status> CreateVolumes(Runtime* runtime, const ClusterOptions* options, TimePoint deadline) {
  std::vector<std::string> servers = options->log_servers;
  // A page role asks the log servers what the volume is.
  servers.insert(servers.end(), options->page_servers.begin(), options->page_servers.end());
  for (const std::string& server : servers) {
    Status status = co_await CreateVolume(runtime, options, server, deadline);
    if (!status.ok()) {
      co_return status;
    }
  }
  co_return Status::Ok();
}

ClusterWriter::ClusterWriter(Runtime* runtime, const ClusterOptions* options, Truth* truth,
                             Chronicle* chronicle, Event* stop)
    : runtime_(runtime),
      options_(options),
      truth_(truth),
      chronicle_(chronicle),
      stop_(stop),
      random_(&truth->random, "cluster writer " + options->who, 0) {}

Task<Status> ClusterWriter::Run() {
  while (!stop_->is_set()) {
    const Status status = co_await Serve();
    if (status.code() == StatusCode::kStaleEpoch) {
      co_return status;
    }
    if (!status.ok()) {
      runtime_->log->Info("writer " + options_->who + " begins again: " + status.ToString());
      co_await stop_->Wait(runtime_->scheduler->Now() + kRetry);
    }
  }
  co_return Status::Ok();
}

Task<Status> ClusterWriter::Serve() {
  LogWriter writer(runtime_, options_->log_servers, WriterOptions(*options_));
  chronicle_->Add(Kind::kStarting);
  const Result<LogPosition> position =
      co_await writer.Start(Epoch(0), runtime_->scheduler->Now() + kStartPatience);
  Status status = position.status();
  if (position.ok()) {
    const uint64_t epoch = position->epoch.value();
    chronicle_->Add(Kind::kPromised, {epoch, position->end.value()});
    status = co_await Begin(&writer, position->end);
    TaskGroup watch(runtime_->scheduler);
    if (status.ok()) {
      watch.Spawn(WatchAcknowledged(&writer));
      status = co_await Stream(&writer);
    }
    if (status.code() == StatusCode::kStaleEpoch) {
      chronicle_->Add(Kind::kRefused, {epoch});
    }
    co_await writer.Stop();
    co_await watch.Join();
  } else {
    co_await writer.Stop();
    if (status.code() == StatusCode::kStaleEpoch) {
      // Two took an epoch at the same time; nothing was written.
      status = Unavailable(status.message());
    }
  }
  co_return status;
}

Task<Status> ClusterWriter::Begin(LogWriter* writer, Lsn end) {
  const Lsn begin = truth_->model.begin_lsn();
  if (end == Lsn()) {
    std::string reason = "first start";
    const Status started = co_await writer->StartAt(begin, std::move(reason),
                                                    runtime_->scheduler->Now() + kStartPatience);
    if (!started.ok()) {
      co_return started;
    }
  } else {
    truth_->ProduceTo(end);
    if (end < begin || truth_->model.LastEndAtOrBelow(end) != end) {
      chronicle_->Add(Kind::kFinding, {},
                      "C1 the log ends at " + std::to_string(end.value()) +
                          ", which is not the end of an mtr that was written");
    }
  }
  for (const std::string& server : options_->page_servers) {
    const Status status = co_await SetHorizon(server, writer->epoch());
    if (status.code() == StatusCode::kStaleEpoch) {
      co_return status;
    }
  }
  co_return Status::Ok();
}

// From where pages can be read; once is enough, and a server that is down gets it from a later
// writer.
Task<Status> ClusterWriter::SetHorizon(std::string server, Epoch epoch) {
  ReconnectingChannel channel(runtime_, std::move(server), ReconnectingChannelOptions());
  VolumeClient client(&channel);
  const TimePoint deadline = runtime_->scheduler->Now() + kRequestPatience;
  proto::VolumeStatusRequest request;
  request.set_name(options_->volume);
  const Result<proto::VolumeStatusResponse> state =
      co_await client.VolumeStatus(std::move(request), deadline);
  Status status = state.status();
  if (status.ok() && state->volume().horizon_lsn() == 0) {
    proto::SetHorizonRequest set;
    set.set_volume_id(state->volume().volume_id());
    set.set_epoch(epoch.value());
    set.set_horizon_lsn(truth_->model.begin_lsn().value());
    const Result<proto::SetHorizonResponse> answer =
        co_await client.SetHorizon(std::move(set), deadline);
    status = answer.status();
  }
  if (!status.ok()) {
    runtime_->log->Info("horizon at " + channel.address() + ": " + status.ToString());
  }
  co_await channel.Close();
  co_return status;
}

Task<Status> ClusterWriter::Stream(LogWriter* writer) {
  TimePoint last = runtime_->scheduler->Now();
  uint64_t owed = 0;  // bytes times ns
  while (!stop_->is_set()) {
    if (!writer->failure().ok()) {
      co_return writer->failure();
    }
    const TimePoint now = runtime_->scheduler->Now();
    const Duration passed = std::min<Duration>(now - last, milliseconds(200));
    last = now;
    owed += options_->redo_bytes_per_s * static_cast<uint64_t>(passed.count());
    if (truth_->model.end_lsn() <= writer->next_lsn()) {
      truth_->model.Produce(owed / 1'000'000'000);
      owed %= 1'000'000'000;
    }
    while (writer->next_lsn() < truth_->model.end_lsn()) {
      const Lsn next = writer->next_lsn();
      RedoAppend append;
      append.range =
          LsnRange{next, truth_->model.Advance(next, random_.Between(1, kChunkBytesMax))};
      append.first_mtr_lsn = truth_->model.FirstMtrIn(append.range);
      append.source_time_unix_ns = runtime_->wall_clock->NowUnixNs();
      const ByteView payload = truth_->model.Payload(append.range);
      append.payload = std::make_shared<const Bytes>(payload.begin(), payload.end());
      const Status status =
          co_await writer->Append(std::move(append), runtime_->scheduler->Now() + seconds(1));
      if (status.code() == StatusCode::kDeadlineExceeded) {
        break;  // no room: no majority, for now
      }
      if (!status.ok()) {
        co_return status;
      }
    }
    co_await stop_->Wait(runtime_->scheduler->Now() + kTick);
  }
  co_return Status::Ok();
}

// The part of an mtr at the log's end may be cut off although a majority has it: only whole mtrs
// are promised to anybody.
Task<void> ClusterWriter::WatchAcknowledged(LogWriter* writer) {
  while (true) {
    const Lsn seen = writer->acknowledged();
    const Lsn whole = truth_->model.LastEndAtOrBelow(seen);
    if (whole > acknowledged_ && seen > truth_->model.begin_lsn()) {
      const Lsn claimed = innodb::AdvanceLsn(whole, options_->claim_bytes);
      chronicle_->Add(Kind::kAcknowledged, {writer->epoch().value(), claimed.value()});
      acknowledged_ = whole;
    }
    const Status status = co_await writer->WaitAcknowledged(Lsn(seen.value() + 1), kNever);
    if (!status.ok()) {
      co_return;
    }
  }
}

}  // namespace redoubt::cluster
