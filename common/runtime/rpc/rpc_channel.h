// SPDX-License-Identifier: MIT
//
// One connection to one server, with many requests in flight. When the connection is lost every
// pending request ends with kUnavailable and the channel stays dead: whoever owns it makes a new
// one (ReconnectingChannel does).
//
// Requests leave in the order of Send; everything queued while a write is in progress leaves with
// the next write. Answers may come in any order.
//
// Invariants:
//   - every request that was sent has exactly one slot until it was received, abandoned or failed
//   - once failure() is not OK it stays so
// Suspends: Receive, Call, Close.
#pragma once

#include <cstddef>
#include <cstdint>
#include <deque>
#include <map>
#include <memory>
#include <string>

#include "common/runtime/rpc/channel.h"
#include "common/runtime/runtime.h"
#include "common/runtime/sync.h"
#include "common/runtime/task_group.h"

namespace redoubt {

struct RpcChannelOptions {
  FrameLimits limits;
  // Requests in flight; Send answers kResourceExhausted beyond.
  size_t in_flight_max = 4096;
};

class RpcChannel final : public Channel {
 public:
  // kUnavailable, kDeadlineExceeded, kInvalidArgument as Network::Connect.
  static Task<Result<std::unique_ptr<RpcChannel>>> Connect(Runtime* runtime, std::string address,
                                                           RpcChannelOptions options,
                                                           TimePoint deadline);
  // Takes a connection that is already made.
  RpcChannel(Runtime* runtime, std::unique_ptr<Connection> connection, RpcChannelOptions options);
  RpcChannel(const RpcChannel&) = delete;
  RpcChannel& operator=(const RpcChannel&) = delete;
  // Close must have returned, unless the whole node is being destroyed.
  ~RpcChannel() override;

  Task<Result<Frame>> Call(RpcRequest request, TimePoint deadline) override;

  // Queues a request without suspending; the answer is fetched with Receive, in any order. The
  // returned id must be given to Receive or Abandon once. kUnavailable: the channel is dead.
  Result<uint64_t> Send(RpcRequest request);
  // The answer to the request. As Call.
  Task<Result<Frame>> Receive(uint64_t request_id, TimePoint deadline);
  // Forgets a request; its answer will be dropped.
  void Abandon(uint64_t request_id);

  // OK while the connection works.
  const Status& failure() const { return failure_; }
  std::string peer() const { return connection_->peer(); }
  // Fails what is pending, closes the connection and waits until nothing of the channel runs.
  Task<void> Close();
  // The first half of Close: fails what is pending and everything later. Never suspends.
  void Shutdown();

 private:
  struct Slot {
    Slot(Scheduler* scheduler, uint16_t request_type) : type(request_type), answered(scheduler) {}
    uint16_t type;
    bool done = false;
    Frame answer;  // when done and the channel has not failed first
    Condition answered;
  };
  struct Outgoing {
    Bytes head;  // fixed part and header
    SharedPayload payload;
  };

  Task<void> ReadLoop();
  Task<void> WriteLoop();
  Status Deliver(Frame frame);
  void Fail(Status status);

  Runtime* runtime_;
  RpcChannelOptions options_;
  std::unique_ptr<Connection> connection_;
  FrameReader reader_;
  Status failure_;
  uint64_t next_request_id_ = 1;
  // Ordered by id, so that failing all of them is deterministic.
  std::map<uint64_t, std::unique_ptr<Slot>> slots_;
  std::deque<Outgoing> outgoing_;
  Condition outgoing_changed_;
  TaskGroup tasks_;
};

}  // namespace redoubt
