// SPDX-License-Identifier: MIT
#include "client/log_replica.h"

#include <algorithm>
#include <utility>

#include "common/base/check.h"

namespace redoubt {
namespace {

std::string Text(Epoch epoch) { return std::to_string(epoch.value()); }

// Trying again cannot help: the writer must stop and say so.
bool IsFinal(const Status& status, bool alone) {
  switch (status.code()) {
    case StatusCode::kStaleEpoch:
      return true;
    case StatusCode::kGap:
    case StatusCode::kCorruption:
    case StatusCode::kInvalidArgument:
    case StatusCode::kNotFound:
    case StatusCode::kUnsupported:
      return alone;
    default:
      return false;
  }
}

}  // namespace

LogReplica::LogReplica(Runtime* runtime, std::string address, size_t member, LogWindow* window,
                       const LogWriterOptions* options)
    : runtime_(runtime),
      address_(std::move(address)),
      member_(member),
      window_(window),
      options_(options),
      changed_(runtime->scheduler),
      commit_due_(runtime->scheduler),
      tasks_(runtime->scheduler) {}

LogReplica::~LogReplica() = default;

TimePoint LogReplica::CallDeadline() const {
  return runtime_->scheduler->Now() + options_->append_timeout;
}

Task<Status> LogReplica::Connect(TimePoint deadline) {
  REDOUBT_CHECK(channel_ == nullptr);
  RpcChannelOptions options;
  Result<std::unique_ptr<RpcChannel>> channel =
      co_await RpcChannel::Connect(runtime_, address_, options, deadline);
  if (!channel.ok()) {
    co_return channel.status();
  }
  channel_ = std::move(*channel);
  co_return Status::Ok();
}

Task<void> LogReplica::Disconnect() {
  streaming_ = false;
  in_flight_.clear();
  in_flight_bytes_ = 0;
  commit_told_ = Lsn{};
  keep_told_ = Lsn{};
  window_->NotePagesWant(member_, std::nullopt);
  if (channel_ != nullptr) {
    co_await channel_->Close();
    channel_ = nullptr;
  }
}

// ---- the promise ----

Task<Result<Epoch>> LogReplica::PromisedEpoch(TimePoint deadline) {
  co_await Disconnect();
  Status status = co_await Connect(deadline);
  if (status.ok()) {
    status = co_await FindVolume(deadline);
  }
  if (!status.ok()) {
    co_return status;
  }
  VolumeClient client(channel_.get());
  proto::LogStatusRequest request;
  request.set_volume_id(volume_.value());
  const Result<proto::LogStatusResponse> answer =
      co_await client.LogStatus(std::move(request), deadline);
  if (!answer.ok()) {
    co_return answer.status();
  }
  co_return Epoch(answer->epoch());
}

Task<Result<PromisedLog>> LogReplica::Prepare(Epoch epoch, TimePoint deadline) {
  if (channel_ == nullptr || !channel_->failure().ok()) {
    co_await Disconnect();
    const Status connected = co_await Connect(deadline);
    if (!connected.ok()) {
      co_return connected;
    }
  }
  VolumeClient client(channel_.get());
  proto::PrepareRequest request;
  request.set_volume(options_->volume);
  request.set_epoch(epoch.value());
  const Result<proto::PrepareResponse> answer =
      co_await client.Prepare(std::move(request), deadline);
  if (!answer.ok()) {
    co_return answer.status();
  }
  PromisedLog log;
  log.volume = VolumeId(answer->volume_id());
  log.epoch = Epoch(answer->epoch());
  log.begin = Lsn(answer->begin_lsn());
  log.end = Lsn(answer->end_lsn());
  log.commit = Lsn(answer->commit_lsn());
  log.last_mtr = Lsn(answer->last_mtr_lsn());
  log.volume_uid = answer->volume_uid();
  for (const proto::EpochStart& start : answer->epochs()) {
    log.epochs.push_back({Epoch(start.epoch()), Lsn(start.start_lsn())});
  }
  volume_ = log.volume;
  promised_ = log.epoch;
  co_return log;
}

Task<Result<proto::LogStatusResponse>> LogReplica::AskLog(TimePoint deadline) {
  const std::shared_ptr<RpcChannel> channel = channel_;
  if (channel == nullptr) {
    co_return Unavailable("not connected to log server " + address_);
  }
  VolumeClient client(channel.get());
  proto::LogStatusRequest request;
  request.set_volume_id(volume_.value());
  Result<proto::LogStatusResponse> answer = co_await client.LogStatus(std::move(request), deadline);
  co_return answer;
}

Status LogReplica::CheckStillAt(Epoch epoch, const proto::LogStatusResponse& log) const {
  if (Epoch(log.epoch()) == epoch) {
    return Status::Ok();
  }
  return {StatusCode::kStaleEpoch, "log server " + address_ + " is at epoch " +
                                       std::to_string(log.epoch()) + ", no longer at epoch " +
                                       Text(epoch)};
}

Task<Status> LogReplica::ConfirmPromise(Epoch epoch, TimePoint deadline) {
  const Result<proto::LogStatusResponse> log = co_await AskLog(deadline);
  if (!log.ok()) {
    co_return log.status();
  }
  co_return CheckStillAt(epoch, *log);
}

// ---- its life ----

void LogReplica::Run(const EpochPlan* plan,
                     const std::vector<std::unique_ptr<LogReplica>>* members) {
  REDOUBT_CHECK(plan_ == nullptr);
  plan_ = plan;
  members_ = members;
  tasks_.Spawn(MainLoop());
  tasks_.Spawn(CommitLoop());
}

Task<void> LogReplica::MainLoop() {
  Duration delay = options_->retry_delay_min;
  while (!tasks_.stopping() && window_->ok()) {
    const Lsn before = window_->member_end(member_);
    const Status status = co_await Session();
    co_await Disconnect();
    changed_.NotifyAll();
    if (tasks_.stopping()) {
      break;
    }
    if (IsFinal(status, alone())) {
      window_->Fail(status.WithContext("log server " + address_));
      break;
    }
    window_->SetProblem(status.WithContext("log server " + address_));
    if (window_->member_end(member_) > before) {
      delay = options_->retry_delay_min;
    }
    const auto jitter =
        static_cast<int64_t>(runtime_->random->Below(static_cast<uint64_t>(delay.count()) / 2 + 1));
    const TimePoint next = runtime_->scheduler->Now() + delay - Duration(jitter);
    delay = std::min(delay * 2, options_->retry_delay_max);
    co_await tasks_.stop_event().Wait(next);
  }
}

Task<Status> LogReplica::Session() {
  if (channel_ == nullptr || !channel_->failure().ok()) {
    co_await Disconnect();
    const Status connected = co_await Connect(CallDeadline());
    if (!connected.ok()) {
      co_return connected;
    }
  }
  const Status joined = co_await Join();
  if (!joined.ok()) {
    co_return joined;
  }
  window_->SetProblem(Status::Ok());
  streaming_ = true;
  changed_.NotifyAll();
  window_->changed().NotifyAll();  // who is filled up may look for a source
  Pump();
  const Status ended = co_await ReceiveLoop();
  co_return ended;
}

Task<Status> LogReplica::SendStartAt(Lsn start, std::string reason, bool trimmed,
                                     TimePoint deadline) {
  proto::StartAtRequest request;
  request.set_volume_id(volume_.value());
  request.set_epoch(plan_->epoch.value());
  request.set_start_lsn(start.value());
  request.set_reason(std::move(reason));
  request.set_trimmed(trimmed);
  for (const auto& [name, persisted] : readers_elsewhere_) {
    proto::LogReader* reader = request.add_readers();
    reader->set_name(name);
    reader->set_persisted_lsn(persisted.value());
  }
  const std::shared_ptr<RpcChannel> channel = channel_;
  VolumeClient client(channel.get());
  const Result<proto::StartAtResponse> answer =
      co_await client.StartAt(std::move(request), deadline);
  if (answer.ok()) {
    readers_elsewhere_.clear();
  }
  co_return answer.status();
}

Task<Status> LogReplica::StartAt(Lsn start, std::string reason, TimePoint deadline) {
  while (!tasks_.stopping() && window_->ok()) {
    if (window_->next_lsn() >= start) {
      co_return Status::Ok();  // a majority has it; this one is filled up
    }
    if (!streaming_) {
      const bool woken = co_await changed_.Wait(deadline);
      if (!woken) {
        co_return DeadlineExceeded("log server " + address_ + " was not reached in time");
      }
      continue;
    }
    std::string copy = reason;
    const Status status = co_await SendStartAt(start, std::move(copy), /*trimmed=*/false, deadline);
    if (status.ok()) {
      if (streaming_) {
        sent_ = start;
      }
      co_return status;
    }
    if (status.code() != StatusCode::kUnavailable) {
      co_return status;
    }
    changed_.NotifyAll();  // an idle session does not see by itself that its connection is gone
    const bool pause = co_await tasks_.stop_event().Wait(
        std::min(deadline, runtime_->scheduler->Now() + options_->retry_delay_min));
    if (!pause && runtime_->scheduler->Now() >= deadline) {
      co_return status;
    }
  }
  co_return window_->ok() ? Cancelled("log writer is stopping") : window_->failure();
}

Task<void> LogReplica::Stop() {
  tasks_.Stop();
  changed_.NotifyAll();
  commit_due_.NotifyAll();
  window_->changed().NotifyAll();
  if (channel_ != nullptr) {
    channel_->Shutdown();  // the main loop closes it
  }
  co_await tasks_.Join();
  co_await Disconnect();
}

}  // namespace redoubt
