// SPDX-License-Identifier: MIT
#include "pageserver/rpc/rpc_server.h"

#include <algorithm>
#include <array>
#include <deque>
#include <utility>
#include <vector>

#include "common/base/check.h"

namespace redoubt {
namespace {

// One gather write takes at most about so much, so that the first answer is not held up by the
// last.
constexpr size_t kBytesPerWrite = 512 << 10;
constexpr size_t kPartsPerWrite = 64;
// Closed connections stay until their last request has ended; together with the open ones they are
// at most so many times the bound of connections.
constexpr size_t kClosingFactor = 4;

}  // namespace

// One connection. Its tasks end before it is destroyed.
class RpcServer::Peer {
 public:
  Peer(RpcServer* server, std::unique_ptr<Connection> connection)
      : server_(server),
        connection_(std::move(connection)),
        reader_(connection_.get(), server->options_.limits),
        last_activity_(server->runtime_->scheduler->Now()),
        outgoing_changed_(server->runtime_->scheduler),
        slots_changed_(server->runtime_->scheduler),
        tasks_(server->runtime_->scheduler) {}

  // Reads until the peer leaves or the stream cannot go on; returns when all is over.
  Task<void> Run();
  void Close() {
    closed_ = true;
    connection_->Close();
    outgoing_changed_.NotifyAll();
    slots_changed_.NotifyAll();
  }

  bool closed() const { return closed_; }
  bool has_sent_valid() const { return request_count_ > 0; }
  bool idle() const { return in_flight_ == 0; }
  TimePoint last_activity() const { return last_activity_; }

 private:
  struct Outgoing {
    uint64_t request_id = 0;
    uint16_t type = 0;
    size_t bytes = 0;  // counted in in_flight_bytes_
    std::array<uint8_t, kFrameFixedBytes> fixed{};
    RpcReply reply;
  };

  Task<void> Serve(uint16_t type, uint64_t request_id, size_t request_bytes, Task<RpcReply> task);
  Task<void> WriteLoop();
  void Queue(uint16_t type, uint64_t request_id, size_t request_bytes, RpcReply reply);
  void Reject(const Status& why);
  size_t GatherParts(std::vector<ByteView>* parts) const;

  RpcServer* server_;
  std::unique_ptr<Connection> connection_;
  FrameReader reader_;
  TimePoint last_activity_;
  bool closed_ = false;
  bool draining_ = false;  // no more requests; close when all is written
  uint64_t request_count_ = 0;
  size_t in_flight_ = 0;
  size_t in_flight_bytes_ = 0;
  std::deque<Outgoing> outgoing_;
  Condition outgoing_changed_;
  Condition slots_changed_;
  TaskGroup tasks_;
};

Task<void> RpcServer::Peer::Run() {
  const RpcServerOptions& options = server_->options_;
  tasks_.Spawn(WriteLoop());
  while (!closed_) {
    Result<Frame> frame = co_await reader_.Next();
    if (closed_) {
      break;
    }
    if (!frame.ok()) {
      Reject(frame.status());
      break;
    }
    last_activity_ = server_->runtime_->scheduler->Now();
    ++request_count_;
    ++server_->counters_.requests;
    const size_t bytes = kFrameFixedBytes + frame->header.size() + frame->payload.size();
    server_->counters_.bytes_received += bytes;
    while (!closed_ &&
           (in_flight_ >= options.in_flight_max ||
            (in_flight_ > 0 && in_flight_bytes_ + bytes > options.in_flight_bytes_max))) {
      co_await slots_changed_.Wait();
    }
    if (closed_) {
      break;
    }
    ++in_flight_;
    in_flight_bytes_ += bytes;
    const uint16_t type = frame->type;
    const uint64_t request_id = frame->request_id;
    Task<RpcReply> task = server_->handler_->Handle(std::move(*frame));
    tasks_.Spawn(Serve(type, request_id, bytes, std::move(task)));
  }
  draining_ = true;
  outgoing_changed_.NotifyAll();
  co_await tasks_.Join();
  Close();
}

void RpcServer::Peer::Reject(const Status& why) {
  if (why.code() == StatusCode::kUnavailable) {
    Close();  // the peer is gone, nobody waits for answers
    return;
  }
  if (why.code() == StatusCode::kResourceExhausted) {
    ++server_->counters_.oversized_frames;
  } else {
    ++server_->counters_.bad_frames;
  }
  server_->bad_peers_.Warn("connection from " + connection_->peer() +
                           " is closed: " + why.ToString());
  proto::StatusProto status;
  ToProto(why, &status);
  ++in_flight_;
  Queue(0, 0, 0, MakeReply(status));
}

Task<void> RpcServer::Peer::Serve(uint16_t type, uint64_t request_id, size_t request_bytes,
                                  Task<RpcReply> task) {
  RpcReply reply = co_await task;
  Queue(type, request_id, request_bytes, std::move(reply));
}

void RpcServer::Peer::Queue(uint16_t type, uint64_t request_id, size_t request_bytes,
                            RpcReply reply) {
  REDOUBT_CHECK(in_flight_ > 0);
  Outgoing& outgoing = outgoing_.emplace_back();
  outgoing.request_id = request_id;
  outgoing.type = static_cast<uint16_t>(type | kResponseBit);
  // From here on the answer is what takes memory, until it is written.
  size_t reply_bytes = reply.header.size();
  for (const ReplyPart& part : reply.payload) {
    reply_bytes += part.bytes->size();
  }
  in_flight_bytes_ += reply_bytes;
  outgoing.bytes = request_bytes + reply_bytes;
  outgoing.reply = std::move(reply);
  EncodeReplyFixed(outgoing.type, request_id, outgoing.reply, MutableByteView(outgoing.fixed));
  outgoing_changed_.NotifyAll();
}

// Views of the first answers, as many as one write should take; returns how many.
size_t RpcServer::Peer::GatherParts(std::vector<ByteView>* parts) const {
  size_t count = 0;
  size_t bytes = 0;
  for (const Outgoing& outgoing : outgoing_) {
    if (count > 0 && (bytes >= kBytesPerWrite ||
                      parts->size() + 2 + outgoing.reply.payload.size() > kPartsPerWrite)) {
      break;
    }
    parts->emplace_back(outgoing.fixed);
    parts->emplace_back(outgoing.reply.header);
    for (const ReplyPart& part : outgoing.reply.payload) {
      parts->emplace_back(*part.bytes);
    }
    for (size_t i = parts->size() - 2 - outgoing.reply.payload.size(); i < parts->size(); ++i) {
      bytes += (*parts)[i].size();
    }
    ++count;
  }
  return count;
}

Task<void> RpcServer::Peer::WriteLoop() {
  std::vector<ByteView> parts;
  while (!closed_) {
    if (outgoing_.empty()) {
      if (draining_ && in_flight_ == 0) {
        co_return;
      }
      co_await outgoing_changed_.Wait();
      continue;
    }
    parts.clear();
    // outgoing_ is a deque: answers queued meanwhile do not move those being written.
    const size_t count = GatherParts(&parts);
    ++server_->counters_.writes;
    const Status written = co_await connection_->Write(parts);
    if (!written.ok()) {
      Close();
      co_return;
    }
    for (size_t i = 0; i < count; ++i) {
      --in_flight_;
      in_flight_bytes_ -= outgoing_.front().bytes;
      outgoing_.pop_front();
    }
    for (const ByteView part : parts) {
      server_->counters_.bytes_sent += part.size();
    }
    last_activity_ = server_->runtime_->scheduler->Now();
    slots_changed_.NotifyAll();
  }
}

RpcServer::RpcServer(Runtime* runtime, RpcHandler* handler, RpcServerOptions options)
    : runtime_(runtime),
      handler_(handler),
      options_(std::move(options)),
      bad_peers_(runtime, "connections were closed for what they sent", options_.warning_interval),
      accept_errors_(runtime, "connections could not be accepted", options_.warning_interval),
      tasks_(runtime->scheduler) {
  REDOUBT_CHECK(options_.connections_max > 0 && options_.in_flight_max > 0);
}

RpcServer::~RpcServer() = default;

Task<Status> RpcServer::Start() {
  REDOUBT_CHECK(listener_ == nullptr);
  Result<std::unique_ptr<Listener>> listener = co_await runtime_->network->Listen(options_.listen);
  if (!listener.ok()) {
    co_return listener.status();
  }
  listener_ = std::move(*listener);
  tasks_.Spawn(AcceptLoop());
  tasks_.Spawn(bad_peers_.Run(&tasks_));
  tasks_.Spawn(accept_errors_.Run(&tasks_));
  co_return Status::Ok();
}

void RpcServer::Close() {
  tasks_.Stop();
  bad_peers_.Wake();
  accept_errors_.Wake();
  if (listener_ != nullptr) {
    listener_->Close();
  }
  for (const std::unique_ptr<Peer>& peer : connections_) {
    peer->Close();
  }
}

Task<void> RpcServer::Stop() {
  Close();
  co_await tasks_.Join();
  runtime_->log->Info("served " + std::to_string(counters_.requests) + " requests on " +
                      std::to_string(counters_.accepted) + " connections; bad frames " +
                      std::to_string(counters_.bad_frames) + ", oversized " +
                      std::to_string(counters_.oversized_frames) + ", connections refused " +
                      std::to_string(counters_.refused) + ", closed for others " +
                      std::to_string(counters_.evicted));
}

// True when there is room for one more connection. The victim leaves connections_ when it has
// ended.
bool RpcServer::MakeRoom() {
  size_t open = 0;
  Peer* victim = nullptr;
  for (const std::unique_ptr<Peer>& peer : connections_) {
    if (peer->closed()) {
      continue;
    }
    ++open;
    if (!peer->idle()) {
      continue;
    }
    const bool better =
        victim == nullptr || std::pair(peer->has_sent_valid(), peer->last_activity()) <
                                 std::pair(victim->has_sent_valid(), victim->last_activity());
    if (better) {
      victim = peer.get();
    }
  }
  if (connections_.size() >= options_.connections_max * kClosingFactor) {
    return false;
  }
  if (open < options_.connections_max) {
    return true;
  }
  const TimePoint now = runtime_->scheduler->Now();
  if (victim == nullptr ||
      (victim->has_sent_valid() && now < victim->last_activity() + options_.idle_min)) {
    return false;
  }
  ++counters_.evicted;
  victim->Close();
  return true;
}

Task<void> RpcServer::AcceptLoop() {
  while (!tasks_.stopping()) {
    Result<std::unique_ptr<Connection>> accepted = co_await listener_->Accept();
    if (tasks_.stopping()) {
      co_return;
    }
    if (!accepted.ok()) {
      // Out of descriptors, most likely: let some go before the next try.
      accept_errors_.Warn("accept: " + accepted.status().ToString());
      co_await tasks_.stop_event().Wait(runtime_->scheduler->Now() +
                                        std::chrono::milliseconds(100));
      continue;
    }
    if (!MakeRoom()) {
      ++counters_.refused;
      (*accepted)->Close();
      continue;
    }
    ++counters_.accepted;
    connections_.push_back(std::make_unique<Peer>(this, std::move(*accepted)));
    tasks_.Spawn(ServePeer(connections_.back().get()));
  }
}

Task<void> RpcServer::ServePeer(Peer* peer) {
  co_await peer->Run();
  connections_.remove_if([peer](const std::unique_ptr<Peer>& held) { return held.get() == peer; });
}

}  // namespace redoubt
