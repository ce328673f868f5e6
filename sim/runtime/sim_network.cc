// SPDX-License-Identifier: MIT
#include "sim/runtime/sim_network.h"

#include <algorithm>
#include <charconv>
#include <optional>
#include <string_view>
#include <utility>

#include "sim/runtime/sim_world.h"

namespace redoubt::sim {
namespace {

constexpr int64_t kConnectRetryNs = 500'000'000;

class SimConnection : public Connection {
 public:
  SimConnection(SimNet* net, std::shared_ptr<SimStream> stream, int side, Scheduler* scheduler)
      : net_(net), stream_(std::move(stream)), side_(side) {
    here().readable = std::make_unique<WaitList>(scheduler);
    here().writable = std::make_unique<WaitList>(scheduler);
  }
  SimConnection(const SimConnection&) = delete;
  SimConnection& operator=(const SimConnection&) = delete;
  ~SimConnection() override { Close(); }

  Task<Result<size_t>> Read(MutableByteView into) override {
    REDOUBT_CHECK(!into.empty());
    while (here().inbox.empty() && !here().end_seen && !here().lost && !here().closed_here) {
      co_await here().readable->Wait(kNever);
    }
    if (here().closed_here) {
      co_return Unavailable("connection to " + peer() + " was closed here");
    }
    if (!here().inbox.empty()) {
      co_return Take(into);
    }
    if (here().lost) {
      co_return Unavailable("connection to " + peer() + " was lost");
    }
    co_return size_t{0};
  }

  Task<Status> Write(std::span<const ByteView> parts) override {
    const size_t segment_max = net_->options().segment_bytes_max;
    size_t left = 0;
    for (const ByteView part : parts) {
      left += part.size();
    }
    Bytes segment;
    for (ByteView part : parts) {
      while (!part.empty()) {
        if (segment.empty()) {
          segment.reserve(std::min(left, segment_max));
        }
        const size_t count = std::min(part.size(), segment_max - segment.size());
        left -= count;
        segment.insert(segment.end(), part.begin(), part.begin() + static_cast<ptrdiff_t>(count));
        part = part.subspan(count);
        if (segment.size() == segment_max) {
          const Status sent = co_await SendSegment(&segment);
          if (!sent.ok()) {
            co_return sent;
          }
        }
      }
    }
    const Status sent = co_await SendSegment(&segment);
    co_return sent;
  }

  void Close() override { net_->Close(stream_, side_); }
  std::string peer() const override { return here().peer; }

 private:
  SimStream::Side& here() { return stream_->sides[static_cast<size_t>(side_)]; }
  const SimStream::Side& here() const { return stream_->sides[static_cast<size_t>(side_)]; }

  size_t Take(MutableByteView into) {
    size_t filled = 0;
    while (filled < into.size() && !here().inbox.empty()) {
      const Bytes& front = here().inbox.front();
      const size_t count = std::min(into.size() - filled, front.size() - here().inbox_offset);
      std::copy_n(front.begin() + static_cast<ptrdiff_t>(here().inbox_offset), count,
                  into.begin() + static_cast<ptrdiff_t>(filled));
      filled += count;
      here().inbox_offset += count;
      if (here().inbox_offset == front.size()) {
        here().inbox.pop_front();
        here().inbox_offset = 0;
      }
    }
    net_->Consumed(stream_, side_, filled);
    return filled;
  }

  // Sends and empties *segment when there is room in the window. `segment` is owned by the caller's
  // frame.
  Task<Status> SendSegment(Bytes* segment) {
    while (!here().lost && !here().closed_here &&
           here().outstanding_bytes >= net_->options().window_bytes) {
      co_await here().writable->Wait(kNever);
    }
    if (here().lost || here().closed_here) {
      co_return Unavailable("connection to " + peer() +
                            (here().lost ? " was lost" : " was closed"));
    }
    if (!segment->empty()) {
      net_->Send(stream_, side_, std::exchange(*segment, Bytes()), false);
    }
    co_return Status::Ok();
  }

  SimNet* net_;
  std::shared_ptr<SimStream> stream_;
  int side_;
};

class SimListener : public Listener {
 public:
  SimListener(SimNet* net, std::shared_ptr<SimListenQueue> queue, Scheduler* scheduler)
      : net_(net), queue_(std::move(queue)), scheduler_(scheduler) {}
  SimListener(const SimListener&) = delete;
  SimListener& operator=(const SimListener&) = delete;
  ~SimListener() override { Close(); }

  Task<Result<std::unique_ptr<Connection>>> Accept() override {
    while (queue_->backlog.empty() && !queue_->closed) {
      co_await queue_->arrivals->Wait(kNever);
    }
    if (queue_->closed) {
      co_return Cancelled("listener was closed");
    }
    std::shared_ptr<SimStream> stream = std::move(queue_->backlog.front());
    queue_->backlog.pop_front();
    net_->world()->Record(queue_->node, TraceKind::kAccept, stream->id, 0);
    std::unique_ptr<Connection> connection =
        std::make_unique<SimConnection>(net_, std::move(stream), 1, scheduler_);
    co_return connection;
  }

  void Close() override { net_->RemoveListener(queue_.get()); }
  std::string address() const override {
    return std::string(net_->world()->NameOf(queue_->node)) + ':' + std::to_string(queue_->port);
  }

 private:
  SimNet* net_;
  std::shared_ptr<SimListenQueue> queue_;  // shared: the world may outlive it or be outlived
  Scheduler* scheduler_;
};

struct ParsedAddress {
  std::string_view host;
  uint16_t port = 0;
};

std::optional<ParsedAddress> ParseAddress(std::string_view address) {
  const size_t colon = address.rfind(':');
  if (colon == std::string_view::npos) {
    return std::nullopt;
  }
  ParsedAddress parsed;
  parsed.host = address.substr(0, colon);
  const std::string_view port = address.substr(colon + 1);
  const auto [end, error] = std::from_chars(port.data(), port.data() + port.size(), parsed.port);
  if (error != std::errc() || end != port.data() + port.size()) {
    return std::nullopt;
  }
  return parsed;
}

bool NamesSelf(std::string_view host) {
  return host.empty() || host == "0.0.0.0" || host == "127.0.0.1" || host == "localhost";
}

}  // namespace

Task<Result<std::unique_ptr<Connection>>> SimNetwork::Connect(std::string address,
                                                              TimePoint deadline) {
  const std::optional<ParsedAddress> parsed = ParseAddress(address);
  if (!parsed.has_value()) {
    co_return Status(StatusCode::kInvalidArgument, "not host:port: " + address);
  }
  SimWorld* world = self_.world;
  const NodeId target = NamesSelf(parsed->host) ? self_.node : world->FindNode(parsed->host);
  if (target == SimWorld::kNoNode) {
    co_return Unavailable("no such host: " + address);
  }
  while (true) {
    const TimePoint arrival = scheduler_->Now() + Duration(net_->DrawLatency(self_.node, target));
    co_await scheduler_->SleepUntil(std::min(arrival, deadline));
    if (scheduler_->Now() >= deadline) {
      co_return DeadlineExceeded("connecting to " + address);
    }
    if (world->IsPowered(target) && !net_->IsBlocked(self_.node, target) &&
        !net_->IsBlocked(target, self_.node) &&
        net_->ConnectFaultOf(target) != ConnectFault::kHangs) {
      break;
    }
    const TimePoint again = scheduler_->Now() + Duration(kConnectRetryNs);
    co_await scheduler_->SleepUntil(std::min(again, deadline));
  }
  SimListenQueue* queue = net_->FindListener(target, parsed->port);
  std::shared_ptr<SimStream> stream;
  const bool refused = net_->ConnectFaultOf(target) == ConnectFault::kRefused;
  if (queue != nullptr && !refused && queue->backlog.size() < net_->options().backlog_max) {
    stream = net_->AddStream(self_.node, self_.incarnation, queue);
    queue->backlog.push_back(stream);
    queue->arrivals->WakeAll();
  }
  world->Record(self_.node, TraceKind::kConnect, stream == nullptr ? 0 : stream->id, target,
                address);
  co_await scheduler_->Sleep(Duration(net_->DrawLatency(target, self_.node)));
  if (stream == nullptr) {
    co_return Unavailable("connection refused by " + address);
  }
  std::unique_ptr<Connection> connection =
      std::make_unique<SimConnection>(net_, std::move(stream), 0, scheduler_);
  co_return connection;
}

Task<Result<std::unique_ptr<Listener>>> SimNetwork::Listen(std::string address) {
  const std::optional<ParsedAddress> parsed = ParseAddress(address);
  if (!parsed.has_value()) {
    co_return Status(StatusCode::kInvalidArgument, "not host:port: " + address);
  }
  if (!NamesSelf(parsed->host) && self_.world->FindNode(parsed->host) != self_.node) {
    co_return IoError("cannot listen on " + address + ": not an address of this node");
  }
  std::shared_ptr<SimListenQueue> queue =
      net_->AddListener(self_.node, self_.incarnation, parsed->port, scheduler_);
  if (queue == nullptr) {
    co_return IoError("address in use: " + address);
  }
  std::unique_ptr<Listener> listener =
      std::make_unique<SimListener>(net_, std::move(queue), scheduler_);
  co_return listener;
}

}  // namespace redoubt::sim
