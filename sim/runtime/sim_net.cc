// SPDX-License-Identifier: MIT
#include "sim/runtime/sim_net.h"

#include <algorithm>
#include <utility>
#include <vector>

#include "common/base/check.h"
#include "common/base/crc32c.h"
#include "sim/runtime/sim_world.h"

namespace redoubt::sim {
namespace {

uint64_t EndOf(const SimStream& stream, int side) {
  return stream.id * 2 + static_cast<uint64_t>(side);
}

void WakeAll(SimStream::Side* side) {
  if (side->readable != nullptr) {
    side->readable->WakeAll();
  }
  if (side->writable != nullptr) {
    side->writable->WakeAll();
  }
}

}  // namespace

SimNet::SimNet(SimWorld* world, const NetOptions& options) : world_(world), options_(options) {}

// `name` is a literal.
SeededStream& SimNet::LinkStream(std::string_view name, NodeId from, NodeId to) {
  const std::pair key(name, Link(from, to));
  const auto it = link_streams_.find(key);
  if (it != link_streams_.end()) {
    return it->second;
  }
  const uint64_t entity = (static_cast<uint64_t>(from) << 32) | to;
  return link_streams_.emplace(key, SeededStream(&world_->random(), name, entity)).first->second;
}

int64_t SimNet::DrawLatency(NodeId from, NodeId to) {
  int64_t latency = options_.latency_ns_min;
  latency += static_cast<int64_t>(
      LinkStream("link", from, to).Exponential(static_cast<uint64_t>(options_.latency_ns_mean)));
  if (options_.tail_ppm != 0 && LinkStream("link-tail", from, to).Chance(options_.tail_ppm)) {
    latency += static_cast<int64_t>(LinkStream("link-tail", from, to)
                                        .Exponential(static_cast<uint64_t>(options_.tail_ns_mean)));
  }
  const bool slow =
      options_.slow_ppm != 0 && LinkStream("network-slow", from, to).Chance(options_.slow_ppm);
  if (slow) {
    latency += static_cast<int64_t>(LinkStream("network-slow", from, to)
                                        .Exponential(static_cast<uint64_t>(options_.slow_ns_mean)));
  }
  const auto link = slow_ns_means_.find({from, to});
  if (link != slow_ns_means_.end()) {
    latency += static_cast<int64_t>(
        LinkStream("link-slow", from, to).Exponential(static_cast<uint64_t>(link->second)));
  }
  return latency;
}

void SimNet::FlipBit(NodeId from, NodeId to, Bytes* bytes) {
  if (options_.bit_flip_ppm == 0 || bytes->empty() ||
      !LinkStream("bit-flip", from, to).Chance(options_.bit_flip_ppm)) {
    return;
  }
  const uint64_t bit = LinkStream("bit-flip", from, to).Below(bytes->size() * 8);
  (*bytes)[bit / 8] ^= static_cast<uint8_t>(1U << (bit % 8));
  ++bit_flip_count_;
  world_->Record(from, TraceKind::kFault, to, bit, "bit flip on the wire");
}

std::shared_ptr<SimListenQueue> SimNet::AddListener(NodeId node, uint32_t incarnation,
                                                    uint16_t port, Scheduler* scheduler) {
  while (port == 0) {
    const uint16_t candidate = next_port_++;
    port = listeners_.contains({node, candidate}) ? uint16_t{0} : candidate;
  }
  if (listeners_.contains({node, port})) {
    return nullptr;
  }
  auto queue = std::make_shared<SimListenQueue>();
  queue->node = node;
  queue->incarnation = incarnation;
  queue->port = port;
  queue->arrivals = std::make_unique<WaitList>(scheduler);
  listeners_[{node, port}] = queue;
  return queue;
}

void SimNet::RemoveListener(SimListenQueue* queue) {
  if (queue->closed) {
    return;
  }
  queue->closed = true;
  if (queue->arrivals != nullptr && world_->IsAlive(queue->node, queue->incarnation)) {
    queue->arrivals->WakeAll();
  }
  const std::deque<std::shared_ptr<SimStream>> refused = std::move(queue->backlog);
  queue->backlog.clear();
  listeners_.erase({queue->node, queue->port});
  for (const std::shared_ptr<SimStream>& stream : refused) {
    Close(stream, 1);
  }
}

SimListenQueue* SimNet::FindListener(NodeId node, uint16_t port) {
  const auto it = listeners_.find({node, port});
  return it == listeners_.end() ? nullptr : it->second.get();
}

std::shared_ptr<SimStream> SimNet::AddStream(NodeId from, uint32_t from_incarnation,
                                             SimListenQueue* to) {
  auto stream = std::make_shared<SimStream>();
  stream->id = next_stream_++;
  stream->sides[0].node = from;
  stream->sides[0].incarnation = from_incarnation;
  stream->sides[0].peer = std::string(world_->NameOf(to->node)) + ':' + std::to_string(to->port);
  stream->sides[1].node = to->node;
  stream->sides[1].incarnation = to->incarnation;
  stream->sides[1].peer = std::string(world_->NameOf(from)) + ":c" + std::to_string(stream->id);
  streams_[stream->id] = stream;
  return stream;
}

void SimNet::Send(const std::shared_ptr<SimStream>& stream, int side, Bytes bytes, bool end) {
  REDOUBT_CHECK(bytes.size() <= options_.segment_bytes_max);
  SimStream::Side& from = stream->sides[static_cast<size_t>(side)];
  world_->Record(from.node, end ? TraceKind::kClose : TraceKind::kSend, EndOf(*stream, side),
                 (static_cast<uint64_t>(bytes.size()) << 32) | Crc32c(bytes));
  FlipBit(from.node, stream->sides[static_cast<size_t>(1 - side)].node, &bytes);
  const size_t count = bytes.size();
  from.outstanding_bytes += count;
  from.on_wire.push_back(SimStream::Segment{std::move(bytes), end});
  ScheduleArrival(stream, side, count);
}

void SimNet::ScheduleArrival(const std::shared_ptr<SimStream>& stream, int side, size_t bytes) {
  SimStream::Side& from = stream->sides[static_cast<size_t>(side)];
  const NodeId to = stream->sides[static_cast<size_t>(1 - side)].node;
  // It leaves behind everything that was sent on this link before, by whatever stream.
  int64_t& free_ns = free_ns_[{from.node, to}];
  free_ns = std::max(free_ns, world_->now_ns()) +
            static_cast<int64_t>(bytes * 1'000'000'000 / options_.bytes_per_s);
  from.last_arrival_ns = std::max(from.last_arrival_ns, free_ns + DrawLatency(from.node, to));
  world_->At(from.last_arrival_ns, [this, stream, side] { Arrive(stream, side); });
}

bool SimNet::Deliverable(const SimStream& stream, int side) const {
  const NodeId from = stream.sides[static_cast<size_t>(side)].node;
  const NodeId to = stream.sides[static_cast<size_t>(1 - side)].node;
  return !IsBlocked(from, to) && world_->IsPowered(to);
}

void SimNet::Arrive(const std::shared_ptr<SimStream>& stream, int side) {
  SimStream::Side& from = stream->sides[static_cast<size_t>(side)];
  SimStream::Side& to = stream->sides[static_cast<size_t>(1 - side)];
  if (from.on_wire.empty() || from.silent_since_ns >= 0) {
    return;
  }
  if (!Deliverable(*stream, side)) {
    from.silent_since_ns = world_->now_ns();
    world_->At(world_->now_ns() + options_.retransmit_ns,
               [this, stream, side] { Retransmit(stream, side); });
    return;
  }
  SimStream::Segment segment = std::move(from.on_wire.front());
  from.on_wire.pop_front();
  const bool there = world_->IsAlive(to.node, to.incarnation) && !to.closed_here && !to.lost;
  if (!there) {
    from.on_wire.clear();
    if (!segment.end) {
      Reset(stream, side, "reset by peer");
    }
    return;
  }
  world_->Record(to.node, TraceKind::kDeliver, EndOf(*stream, side), segment.bytes.size());
  if (segment.end) {
    to.end_seen = true;
  } else {
    if (arrival_observer_) {
      arrival_observer_(to.node, segment.bytes);
    }
    to.inbox.push_back(std::move(segment.bytes));
  }
  if (to.readable != nullptr) {
    to.readable->WakeAll();
  }
}

void SimNet::Retransmit(const std::shared_ptr<SimStream>& stream, int side) {
  SimStream::Side& from = stream->sides[static_cast<size_t>(side)];
  const int64_t silent_ns = world_->now_ns() - from.silent_since_ns;
  if (from.on_wire.empty() || from.lost) {
    from.silent_since_ns = -1;
    return;
  }
  if (Deliverable(*stream, side)) {
    from.silent_since_ns = -1;
    const size_t count = from.on_wire.size();
    for (size_t i = 0; i < count; ++i) {
      Arrive(stream, side);
    }
    return;
  }
  if (silent_ns >= options_.give_up_ns || !world_->IsAlive(from.node, from.incarnation)) {
    from.on_wire.clear();
    from.silent_since_ns = -1;
    MarkLost(stream, side, "timed out");
    return;
  }
  const int64_t wait_ns = std::max(options_.retransmit_ns, silent_ns / 2);
  world_->At(world_->now_ns() + wait_ns, [this, stream, side] { Retransmit(stream, side); });
}

void SimNet::Consumed(const std::shared_ptr<SimStream>& stream, int side, size_t count) {
  SimStream::Side& sender = stream->sides[static_cast<size_t>(1 - side)];
  REDOUBT_CHECK(count <= sender.outstanding_bytes);
  sender.outstanding_bytes -= count;
  if (sender.writable != nullptr && !sender.writable->empty()) {
    sender.writable->WakeAll();
  }
}

void SimNet::Close(const std::shared_ptr<SimStream>& stream, int side) {
  SimStream::Side& here = stream->sides[static_cast<size_t>(side)];
  if (here.closed_here || !world_->IsAlive(here.node, here.incarnation)) {
    return;
  }
  here.closed_here = true;
  here.inbox.clear();
  WakeAll(&here);
  if (!here.lost) {
    Send(stream, side, {}, true);
  }
  Forget(*stream);
}

void SimNet::MarkLost(const std::shared_ptr<SimStream>& stream, int side, std::string_view why) {
  SimStream::Side& here = stream->sides[static_cast<size_t>(side)];
  if (here.lost || here.closed_here || !world_->IsAlive(here.node, here.incarnation)) {
    return;
  }
  here.lost = true;
  world_->Record(here.node, TraceKind::kLost, EndOf(*stream, side), 0, std::string(why));
  WakeAll(&here);
  Forget(*stream);
}

// The end at `side` learns, one latency later, that nobody is there.
void SimNet::Reset(const std::shared_ptr<SimStream>& stream, int side, std::string_view why) {
  const NodeId here = stream->sides[static_cast<size_t>(side)].node;
  const NodeId there = stream->sides[static_cast<size_t>(1 - side)].node;
  const int64_t when = world_->now_ns() + DrawLatency(there, here);
  world_->At(when, [this, stream, side, why] { MarkLost(stream, side, why); });
}

// Takes a stream whose ends are both gone off the books.
void SimNet::Forget(const SimStream& stream) {
  for (const SimStream::Side& side : stream.sides) {
    if (!side.closed_here && !side.lost && world_->IsAlive(side.node, side.incarnation)) {
      return;
    }
  }
  streams_.erase(stream.id);
}

void SimNet::SetLinkBlocked(NodeId from, NodeId to, bool blocked) {
  world_->Record(from, TraceKind::kLink, to, blocked ? 1 : 0);
  const auto it = blocked_.find({from, to});
  if (blocked) {
    ++blocked_[{from, to}];
  } else if (it != blocked_.end() && --it->second == 0) {
    blocked_.erase(it);
  }
}

void SimNet::Split(const std::set<NodeId>& side, bool parted, Cut cut) {
  for (const NodeId node : side) {
    for (NodeId other = 0; other < world_->node_count(); ++other) {
      if (side.contains(other)) {
        continue;
      }
      if (cut != Cut::kInto) {
        SetLinkBlocked(node, other, parted);
      }
      if (cut != Cut::kOutOf) {
        SetLinkBlocked(other, node, parted);
      }
    }
  }
}

void SimNet::SetLinkSlow(NodeId from, NodeId to, int64_t extra_ns_mean) {
  world_->Record(from, TraceKind::kLink, to, static_cast<uint64_t>(extra_ns_mean), "slow");
  if (extra_ns_mean == 0) {
    slow_ns_means_.erase({from, to});
  } else {
    slow_ns_means_[{from, to}] = extra_ns_mean;
  }
}

void SimNet::SetConnectFault(NodeId to, ConnectFault fault) {
  world_->Record(to, TraceKind::kLink, to, static_cast<uint64_t>(fault), "connects");
  if (fault == ConnectFault::kNone) {
    connect_faults_.erase(to);
  } else {
    connect_faults_[to] = fault;
  }
}

ConnectFault SimNet::ConnectFaultOf(NodeId to) const {
  const auto it = connect_faults_.find(to);
  return it == connect_faults_.end() ? ConnectFault::kNone : it->second;
}

void SimNet::HealAll() {
  world_->Record(kWorldNode, TraceKind::kLink, 0, 0, "heal all");
  blocked_.clear();
  slow_ns_means_.clear();
  connect_faults_.clear();
  options_.bit_flip_ppm = 0;
}

bool SimNet::BreakOne(bool one_sided, SeededStream* stream) {
  if (streams_.empty()) {
    return false;
  }
  auto it = streams_.begin();
  std::advance(it, static_cast<ptrdiff_t>(stream->Below(streams_.size())));
  const std::shared_ptr<SimStream> victim = it->second;
  const auto first = static_cast<int>(stream->Below(2));
  victim->sides[0].on_wire.clear();
  victim->sides[1].on_wire.clear();
  MarkLost(victim, first, "broken");
  if (!one_sided) {
    MarkLost(victim, 1 - first, "broken");
  }
  return true;
}

void SimNet::SetSlow(uint32_t slow_ppm, int64_t slow_ns_mean) {
  options_.slow_ppm = slow_ppm;
  options_.slow_ns_mean = slow_ns_mean;
}

void SimNet::NodeDied(NodeId node, bool power) {
  std::vector<std::shared_ptr<SimListenQueue>> queues;
  for (const auto& [key, queue] : listeners_) {
    if (key.first == node) {
      queues.push_back(queue);
    }
  }
  for (const std::shared_ptr<SimListenQueue>& queue : queues) {
    queue->arrivals.reset();
    RemoveListener(queue.get());
  }
  std::vector<std::shared_ptr<SimStream>> streams;
  for (const auto& [id, stream] : streams_) {
    streams.push_back(stream);
  }
  for (const std::shared_ptr<SimStream>& stream : streams) {
    for (int i = 0; i < 2; ++i) {
      SimStream::Side& side = stream->sides[static_cast<size_t>(i)];
      if (side.node != node || world_->IsAlive(node, side.incarnation) ||
          (side.readable == nullptr && side.closed_here)) {
        continue;
      }
      side.readable.reset();
      side.writable.reset();
      side.inbox.clear();
      if (power && !side.on_wire.empty()) {
        side.on_wire.resize(LinkStream("power", node, node).Below(side.on_wire.size() + 1));
      } else if (!power && !side.closed_here && !side.lost) {
        Send(stream, i, {}, true);
      }
      side.closed_here = true;
    }
    Forget(*stream);
  }
}

size_t SimNet::open_count() const { return streams_.size(); }

size_t SimNet::OpenCountOf(NodeId node) const {
  size_t count = 0;
  for (const auto& [id, stream] : streams_) {
    for (const SimStream::Side& side : stream->sides) {
      count += side.node == node && !side.closed_here ? 1 : 0;
    }
  }
  return count;
}

size_t SimNet::ListenerCountOf(NodeId node) const {
  size_t count = 0;
  for (const auto& [where, queue] : listeners_) {
    count += where.first == node && !queue->closed ? 1 : 0;
  }
  return count;
}

}  // namespace redoubt::sim
