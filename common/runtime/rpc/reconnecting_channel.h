// SPDX-License-Identifier: MIT
//
// A channel that connects when it is first needed and again after a loss. It never repeats a
// request: whether that is safe only the caller knows. Connection attempts are spaced by a delay
// that doubles from `retry_delay_min` to `retry_delay_max`, with jitter; a call that comes
// meanwhile waits.
#pragma once

#include <cstdint>
#include <memory>
#include <string>

#include "common/runtime/rpc/channel.h"
#include "common/runtime/rpc/rpc_channel.h"
#include "common/runtime/runtime.h"
#include "common/runtime/sync.h"

namespace redoubt {

struct ReconnectingChannelOptions {
  RpcChannelOptions channel;
  Duration connect_timeout = std::chrono::seconds(5);
  Duration retry_delay_min = std::chrono::milliseconds(20);
  Duration retry_delay_max = std::chrono::seconds(1);
};

class ReconnectingChannel final : public Channel {
 public:
  ReconnectingChannel(Runtime* runtime, std::string address, ReconnectingChannelOptions options);
  ReconnectingChannel(const ReconnectingChannel&) = delete;
  ReconnectingChannel& operator=(const ReconnectingChannel&) = delete;
  // Close must have returned, unless the whole node is being destroyed.
  ~ReconnectingChannel() override;

  // One connection attempt at most per call: kUnavailable when it fails, kDeadlineExceeded when the
  // deadline comes before a connection stands.
  Task<Result<Frame>> Call(RpcRequest request, TimePoint deadline) override;

  const std::string& address() const { return address_; }
  // How often a connection was made; a caller sees from it that there was a loss in between.
  uint64_t connection_count() const { return connection_count_; }
  // Gives the connection up, if there is one: a peer that does not answer in time may be gone
  // without a word. Running calls end with kUnavailable, later ones connect again. Never suspends.
  void Drop();
  // Ends running calls with kUnavailable and refuses later ones.
  Task<void> Close();

 private:
  Task<Status> Connect(TimePoint deadline);

  Runtime* runtime_;
  std::string address_;
  ReconnectingChannelOptions options_;
  // Shared with the calls that run on it, which may outlive its replacement.
  std::shared_ptr<RpcChannel> channel_;
  Semaphore connecting_;
  Event closing_;
  TimePoint next_attempt_{};
  Duration retry_delay_{};
  uint64_t connection_count_ = 0;
};

}  // namespace redoubt
