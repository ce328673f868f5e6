// SPDX-License-Identifier: MIT
#include "common/runtime/rpc/reconnecting_channel.h"

#include <algorithm>
#include <utility>

#include "common/base/check.h"

namespace redoubt {

ReconnectingChannel::ReconnectingChannel(Runtime* runtime, std::string address,
                                         ReconnectingChannelOptions options)
    : runtime_(runtime),
      address_(std::move(address)),
      options_(options),
      connecting_(runtime->scheduler, 1),
      closing_(runtime->scheduler),
      retry_delay_(options.retry_delay_min) {
  REDOUBT_CHECK(options.retry_delay_min.count() > 0);
  REDOUBT_CHECK(options.retry_delay_min <= options.retry_delay_max);
}

ReconnectingChannel::~ReconnectingChannel() = default;

Task<Result<Frame>> ReconnectingChannel::Call(RpcRequest request, TimePoint deadline) {
  if (closing_.is_set()) {
    co_return Unavailable("channel to " + address_ + " is closed");
  }
  if (channel_ == nullptr || !channel_->failure().ok()) {
    const bool mine = co_await connecting_.Acquire(1, deadline);
    if (!mine) {
      co_return DeadlineExceeded("no connection to " + address_ + " in time");
    }
    // Somebody may have connected, or closed, while we waited.
    Status status;
    if (closing_.is_set()) {
      status = Unavailable("channel to " + address_ + " is closed");
    } else if (channel_ == nullptr || !channel_->failure().ok()) {
      status = co_await Connect(deadline);
    }
    connecting_.Release(1);
    if (!status.ok()) {
      co_return status;
    }
  }
  const std::shared_ptr<RpcChannel> channel = channel_;
  Result<Frame> answer = co_await channel->Call(std::move(request), deadline);
  co_return answer;
}

Task<Status> ReconnectingChannel::Connect(TimePoint deadline) {
  if (channel_ != nullptr) {
    const std::shared_ptr<RpcChannel> dead = std::move(channel_);
    channel_ = nullptr;
    co_await dead->Close();
  }
  const TimePoint now = runtime_->scheduler->Now();
  if (now < next_attempt_) {
    if (deadline <= next_attempt_) {
      co_return Unavailable("no connection to " + address_ + ", the next attempt comes later");
    }
    const bool closed = co_await closing_.Wait(next_attempt_);
    if (closed) {
      co_return Unavailable("channel to " + address_ + " is closed");
    }
  }
  const TimePoint until = std::min(deadline, runtime_->scheduler->Now() + options_.connect_timeout);
  Result<std::unique_ptr<RpcChannel>> made =
      co_await RpcChannel::Connect(runtime_, address_, options_.channel, until);
  const auto jitter = static_cast<int64_t>(
      runtime_->random->Below(static_cast<uint64_t>(retry_delay_.count()) / 2 + 1));
  next_attempt_ = runtime_->scheduler->Now() + retry_delay_ - Duration(jitter);
  if (!made.ok()) {
    retry_delay_ = std::min(retry_delay_ * 2, options_.retry_delay_max);
    co_return made.status();
  }
  retry_delay_ = options_.retry_delay_min;
  ++connection_count_;
  channel_ = std::move(*made);
  if (closing_.is_set()) {
    co_return Unavailable("channel to " + address_ + " is closed");
  }
  co_return Status::Ok();
}

void ReconnectingChannel::Drop() {
  if (channel_ != nullptr) {
    channel_->Shutdown();
  }
}

Task<void> ReconnectingChannel::Close() {
  closing_.Set();
  // Whoever is connecting ends first; nobody begins again.
  co_await connecting_.Acquire(1);
  connecting_.Release(1);
  if (channel_ != nullptr) {
    co_await channel_->Close();
  }
}

}  // namespace redoubt
