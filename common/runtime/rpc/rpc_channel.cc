// SPDX-License-Identifier: MIT
#include "common/runtime/rpc/rpc_channel.h"

#include <utility>
#include <vector>

#include "common/base/check.h"
#include "common/runtime/rpc/wire_message.h"

namespace redoubt {
namespace {

// One gather write takes at most so many frames, so that a long queue does not delay its head.
constexpr size_t kFramesPerWrite = 64;

}  // namespace

Task<Result<std::unique_ptr<RpcChannel>>> RpcChannel::Connect(Runtime* runtime, std::string address,
                                                              RpcChannelOptions options,
                                                              TimePoint deadline) {
  Result<std::unique_ptr<Connection>> connection =
      co_await runtime->network->Connect(std::move(address), deadline);
  if (!connection.ok()) {
    co_return connection.status();
  }
  co_return std::make_unique<RpcChannel>(runtime, std::move(*connection), options);
}

RpcChannel::RpcChannel(Runtime* runtime, std::unique_ptr<Connection> connection,
                       RpcChannelOptions options)
    : runtime_(runtime),
      options_(options),
      connection_(std::move(connection)),
      reader_(connection_.get(), options.limits),
      outgoing_changed_(runtime->scheduler),
      tasks_(runtime->scheduler) {
  tasks_.Spawn(ReadLoop());
  tasks_.Spawn(WriteLoop());
}

RpcChannel::~RpcChannel() = default;

Task<Result<Frame>> RpcChannel::Call(RpcRequest request, TimePoint deadline) {
  const Result<uint64_t> id = Send(std::move(request));
  if (!id.ok()) {
    co_return id.status();
  }
  Result<Frame> answer = co_await Receive(*id, deadline);
  co_return answer;
}

Result<uint64_t> RpcChannel::Send(RpcRequest request) {
  REDOUBT_CHECK((request.type & kResponseBit) == 0);
  if (!failure_.ok()) {
    return failure_;
  }
  const size_t payload_bytes = request.payload == nullptr ? 0 : request.payload->size();
  if (request.header.size() > options_.limits.header_bytes_max ||
      payload_bytes > options_.limits.payload_bytes_max) {
    return ResourceExhausted("request of " + std::to_string(request.header.size()) + " + " +
                             std::to_string(payload_bytes) + " bytes is over the frame limits");
  }
  if (slots_.size() >= options_.in_flight_max) {
    return ResourceExhausted(std::to_string(slots_.size()) + " requests to " + peer() +
                             " are in flight, no more are allowed");
  }
  FrameView view;
  view.type = request.type;
  view.request_id = next_request_id_++;
  view.header = request.header;
  if (request.payload != nullptr) {
    view.payload = *request.payload;
  }
  Outgoing outgoing;
  outgoing.head.resize(kFrameFixedBytes);
  EncodeFrameFixed(view, MutableByteView(outgoing.head));
  outgoing.head.insert(outgoing.head.end(), request.header.begin(), request.header.end());
  outgoing.payload = std::move(request.payload);
  slots_.emplace(view.request_id, std::make_unique<Slot>(runtime_->scheduler, view.type));
  outgoing_.push_back(std::move(outgoing));
  outgoing_changed_.NotifyAll();
  return view.request_id;
}

Task<Result<Frame>> RpcChannel::Receive(uint64_t request_id, TimePoint deadline) {
  const auto found = slots_.find(request_id);
  REDOUBT_CHECK(found != slots_.end());
  Slot* slot = found->second.get();
  while (!slot->done && failure_.ok()) {
    const bool woken = co_await slot->answered.Wait(deadline);
    if (!woken) {
      break;
    }
  }
  const bool done = slot->done;
  Frame answer = std::move(slot->answer);
  slots_.erase(request_id);
  if (done) {
    co_return answer;
  }
  if (!failure_.ok()) {
    co_return failure_;
  }
  co_return DeadlineExceeded("no answer from " + peer() + " in time");
}

void RpcChannel::Abandon(uint64_t request_id) { slots_.erase(request_id); }

Status RpcChannel::Deliver(Frame frame) {
  if (frame.request_id == 0 && frame.type == kResponseBit) {
    // The server says why it closes the connection: a frame of ours arrived damaged, perhaps. That
    // is no answer to any request; on the next connection all of them may be fine.
    proto::StatusProto why;
    const bool parsed =
        why.ParseFromArray(frame.header.data(), static_cast<int>(frame.header.size()));
    return Unavailable(peer() + " closes the connection" + (parsed ? ": " + why.message() : ""));
  }
  if (frame.request_id == 0 || frame.request_id >= next_request_id_) {
    return Corruption("answer to request " + std::to_string(frame.request_id) +
                      " that was never sent, from " + peer());
  }
  const auto found = slots_.find(frame.request_id);
  if (found == slots_.end()) {
    return Status::Ok();  // abandoned, or past its deadline
  }
  Slot& slot = *found->second;
  if (slot.done || frame.type != (slot.type | kResponseBit)) {
    return Corruption("answer of type " + std::to_string(frame.type) + " to a request of type " +
                      std::to_string(slot.type) + " from " + peer());
  }
  slot.done = true;
  slot.answer = std::move(frame);
  slot.answered.NotifyAll();
  return Status::Ok();
}

Task<void> RpcChannel::ReadLoop() {
  while (failure_.ok()) {
    Result<Frame> frame = co_await reader_.Next();
    if (!frame.ok()) {
      Fail(Unavailable("connection to " + peer() + ": " + frame.status().message()));
      co_return;
    }
    Status delivered = Deliver(std::move(*frame));
    if (!delivered.ok()) {
      Fail(std::move(delivered));
    }
  }
}

Task<void> RpcChannel::WriteLoop() {
  std::vector<Outgoing> batch;
  std::vector<ByteView> parts;
  while (failure_.ok()) {
    if (outgoing_.empty()) {
      co_await outgoing_changed_.Wait();
      continue;
    }
    batch.clear();
    parts.clear();
    while (!outgoing_.empty() && batch.size() < kFramesPerWrite) {
      batch.push_back(std::move(outgoing_.front()));
      outgoing_.pop_front();
    }
    for (const Outgoing& outgoing : batch) {
      parts.emplace_back(outgoing.head);
      if (outgoing.payload != nullptr && !outgoing.payload->empty()) {
        parts.emplace_back(*outgoing.payload);
      }
    }
    const Status written = co_await connection_->Write(parts);
    if (!written.ok()) {
      Fail(Unavailable("connection to " + peer() + ": " + written.message()));
    }
  }
}

void RpcChannel::Fail(Status status) {
  REDOUBT_CHECK(!status.ok());
  if (!failure_.ok()) {
    return;
  }
  failure_ = std::move(status);
  connection_->Close();
  outgoing_.clear();
  outgoing_changed_.NotifyAll();
  for (const auto& [id, slot] : slots_) {
    slot->answered.NotifyAll();
  }
}

void RpcChannel::Shutdown() { Fail(Unavailable("channel to " + peer() + " was closed")); }

Task<void> RpcChannel::Close() {
  Shutdown();
  tasks_.Stop();
  co_await tasks_.Join();
}

}  // namespace redoubt
