// SPDX-License-Identifier: MIT
#include "client/log_replica.h"

#include <algorithm>
#include <utility>

#include "client/serialise.h"
#include "common/base/check.h"

namespace redoubt {
namespace {

// Trying again cannot help: the writer must stop and say so.
bool IsFinal(const Status& status) {
  switch (status.code()) {
    case StatusCode::kStaleEpoch:
    case StatusCode::kGap:
    case StatusCode::kCorruption:
    case StatusCode::kInvalidArgument:
    case StatusCode::kNotFound:
    case StatusCode::kUnsupported:
      return true;
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
      tasks_(runtime->scheduler) {}

LogReplica::~LogReplica() = default;

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
  if (channel_ != nullptr) {
    co_await channel_->Close();
    channel_ = nullptr;
  }
}

Task<Result<LogPosition>> LogReplica::Prepare(Epoch epoch, TimePoint deadline) {
  co_await Disconnect();
  const Status connected = co_await Connect(deadline);
  if (!connected.ok()) {
    co_return connected;
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
  LogPosition position;
  position.volume = VolumeId(answer->volume_id());
  position.epoch = Epoch(answer->epoch());
  position.end = Lsn(answer->end_lsn());
  for (const proto::EpochStart& start : answer->epochs()) {
    position.epochs.push_back({Epoch(start.epoch()), Lsn(start.start_lsn())});
  }
  co_return position;
}

Task<Result<Lsn>> LogReplica::BeginEpoch(const LogPosition* position, TimePoint deadline) {
  REDOUBT_CHECK(channel_ != nullptr);
  VolumeClient client(channel_.get());
  proto::LogEpochStartRequest request;
  request.set_volume_id(position->volume.value());
  request.set_epoch(position->epoch.value());
  request.set_start_lsn(position->end.value());
  request.set_member_count(static_cast<uint32_t>(window_->member_count()));
  for (const EpochStart& entry : position->epochs) {
    proto::EpochStart* start = request.add_epochs();
    start->set_epoch(entry.epoch.value());
    start->set_start_lsn(entry.start.value());
  }
  const Result<proto::LogEpochStartResponse> answer =
      co_await client.LogEpochStart(std::move(request), deadline);
  if (!answer.ok()) {
    co_return answer.status();
  }
  co_return Lsn(answer->end_lsn());
}

void LogReplica::Run(LogPosition position) {
  REDOUBT_CHECK(position_.epoch == Epoch{});
  REDOUBT_CHECK(position.epoch != Epoch{});
  position_ = std::move(position);
  tasks_.Spawn(MainLoop());
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
    if (IsFinal(status)) {
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
  const TimePoint deadline = runtime_->scheduler->Now() + options_->append_timeout;
  if (channel_ == nullptr || !channel_->failure().ok()) {
    co_await Disconnect();
    const Status connected = co_await Connect(deadline);
    if (!connected.ok()) {
      co_return connected;
    }
  }
  const Status agreed = co_await AgreeOnEnd();
  if (!agreed.ok()) {
    co_return agreed;
  }
  window_->SetProblem(Status::Ok());
  streaming_ = true;
  changed_.NotifyAll();
  Pump();
  const Status ended = co_await ReceiveLoop();
  co_return ended;
}

Task<Status> LogReplica::AgreeOnEnd() {
  VolumeClient client(channel_.get());
  proto::LogStatusRequest request;
  request.set_volume_id(position_.volume.value());
  const TimePoint deadline = runtime_->scheduler->Now() + options_->append_timeout;
  const Result<proto::LogStatusResponse> answer =
      co_await client.LogStatus(std::move(request), deadline);
  if (!answer.ok()) {
    co_return answer.status();
  }
  if (Epoch(answer->epoch()) > position_.epoch) {
    co_return Status(StatusCode::kStaleEpoch,
                     "a writer with epoch " + std::to_string(answer->epoch()) +
                         " has taken over from epoch " + std::to_string(position_.epoch.value()));
  }
  if (Epoch(answer->epoch()) < position_.epoch) {
    co_return Corruption("the server forgot its promise of epoch " +
                         std::to_string(position_.epoch.value()) + ", it is at " +
                         std::to_string(answer->epoch()));
  }
  const Lsn end(answer->end_lsn());
  if (end == window_->starting_at() && end > window_->next_lsn()) {
    sent_ = window_->next_lsn();
    co_return Status::Ok();
  }
  if (end > window_->next_lsn()) {
    co_return Corruption("the log ends at " + std::to_string(end.value()) +
                         ", beyond all that this writer sent (" +
                         std::to_string(window_->next_lsn().value()) + ")");
  }
  const bool in_window = end == window_->next_lsn() || window_->Find(end) != nullptr;
  if (end < window_->member_end(member_) || !in_window) {
    co_return Status(StatusCode::kGap, "the log ends at " + std::to_string(end.value()) +
                                           ", what this writer still holds begins at " +
                                           std::to_string(window_->begin_lsn().value()));
  }
  window_->Acknowledge(member_, end);
  sent_ = end;
  co_return Status::Ok();
}

void LogReplica::Pump() {
  if (!streaming_) {
    return;
  }
  const WindowChunk* chunk = window_->Find(sent_);
  while (chunk != nullptr && SendChunk(*chunk)) {
    sent_ = chunk->append.range.end;
    chunk = window_->Find(sent_);
  }
  changed_.NotifyAll();
}

bool LogReplica::SendChunk(const WindowChunk& chunk) {
  proto::AppendRequest request;
  request.set_volume_id(position_.volume.value());
  request.set_epoch(position_.epoch.value());
  request.set_start_lsn(chunk.append.range.start.value());
  request.set_end_lsn(chunk.append.range.end.value());
  request.set_first_mtr_lsn(chunk.append.first_mtr_lsn.value());
  request.set_payload_crc32c(chunk.payload_crc32c);
  request.set_source_time_unix_ns(chunk.append.source_time_unix_ns);
  RpcRequest rpc{proto::LOG_APPEND, Serialise(request), chunk.append.payload};
  const Result<uint64_t> id = channel_->Send(std::move(rpc));
  if (!id.ok()) {
    // Dead, which the receive loop sees, or enough in flight, and an answer pumps again.
    return false;
  }
  in_flight_.push_back({*id, chunk.append.range.end});
  return true;
}

Task<Status> LogReplica::ReceiveLoop() {
  while (!tasks_.stopping()) {
    if (in_flight_.empty()) {
      if (!channel_->failure().ok()) {
        co_return channel_->failure();
      }
      co_await changed_.Wait();
      continue;
    }
    const InFlight first = in_flight_.front();
    in_flight_.pop_front();
    const TimePoint deadline = runtime_->scheduler->Now() + options_->append_timeout;
    const Result<Frame> frame = co_await channel_->Receive(first.request_id, deadline);
    if (!frame.ok()) {
      co_return frame.status();
    }
    proto::AppendResponse answer;
    if (!answer.ParseFromArray(frame->header.data(), static_cast<int>(frame->header.size()))) {
      co_return Corruption("the answer is no AppendResponse");
    }
    const Status status = FromProto(answer.status());
    if (status.code() == StatusCode::kGap) {
      // An append before this one was refused, or the server restarted: agree on the end again,
      // which tells a gap that cannot be filled.
      co_return Unavailable(status.message());
    }
    if (!status.ok()) {
      co_return status;
    }
    if (Lsn(answer.end_lsn()) < first.end) {
      co_return Corruption("an append up to " + std::to_string(first.end.value()) +
                           " was accepted, yet the log ends at " +
                           std::to_string(answer.end_lsn()));
    }
    window_->Acknowledge(member_, first.end);
    Pump();
  }
  co_return Cancelled("log writer is stopping");
}

Task<Status> LogReplica::StartAt(Lsn start, std::string reason, TimePoint deadline) {
  while (!tasks_.stopping() && window_->ok()) {
    if (!streaming_) {
      const bool woken = co_await changed_.Wait(deadline);
      if (!woken) {
        co_return DeadlineExceeded("log server " + address_ + " was not reached in time");
      }
      continue;
    }
    proto::StartAtRequest request;
    request.set_volume_id(position_.volume.value());
    request.set_epoch(position_.epoch.value());
    request.set_start_lsn(start.value());
    request.set_reason(reason);
    const std::shared_ptr<RpcChannel> channel = channel_;
    VolumeClient client(channel.get());
    const Result<proto::StartAtResponse> answer =
        co_await client.StartAt(std::move(request), deadline);
    if (answer.ok()) {
      sent_ = start;
      co_return Status::Ok();
    }
    if (answer.status().code() != StatusCode::kUnavailable) {
      co_return answer.status();
    }
    changed_.NotifyAll();  // an idle session does not see by itself that its connection is gone
    const bool pause = co_await tasks_.stop_event().Wait(
        std::min(deadline, runtime_->scheduler->Now() + options_->retry_delay_min));
    if (!pause && runtime_->scheduler->Now() >= deadline) {
      co_return answer.status();
    }
  }
  co_return window_->ok() ? Cancelled("log writer is stopping") : window_->failure();
}

Task<void> LogReplica::Stop() {
  tasks_.Stop();
  changed_.NotifyAll();
  if (channel_ != nullptr) {
    channel_->Shutdown();  // the main loop closes it
  }
  co_await tasks_.Join();
  co_await Disconnect();
}

}  // namespace redoubt
