// SPDX-License-Identifier: MIT
//
// The faults of disks, networks and clocks.

#include <algorithm>
#include <numeric>
#include <set>
#include <utility>
#include <vector>

#include "sim/cluster/fault_engine.h"

namespace redoubt::sim {
namespace {

constexpr uint64_t kMs = 1'000'000;
constexpr int64_t kSecond = 1'000'000'000;
constexpr uint32_t kSlowPpm = 300'000;
constexpr uint32_t kStallPpm = 200'000;
constexpr uint64_t kMillion = 1'000'000;

uint64_t AtLeastOne(uint64_t value) { return std::max<uint64_t>(value, 1); }
int64_t MsToNs(uint64_t ms) { return static_cast<int64_t>(AtLeastOne(ms) * kMs); }

// Uniform in [-bound, bound).
int64_t EitherWay(uint64_t bound, SeededStream* stream) {
  const auto range = static_cast<int64_t>(AtLeastOne(bound));
  return static_cast<int64_t>(stream->Below(static_cast<uint64_t>(2 * range))) - range;
}

}  // namespace

bool FaultEngine::FireDisk(const Shot& shot) {
  const NodeId server = shot.server;
  if (server == kWorldNode) {
    return false;  // a fault of another family
  }
  DiskOptions& options = disk(server).options();
  switch (shot.kind) {
    case proto::SYNC_STALL:
      options.sync_stall_ppm = kStallPpm;
      options.sync_stall_ns = MsToNs(shot.size);
      Later(shot.duration_ns, [this, server] { disk(server).options().sync_stall_ppm = 0; });
      return true;
    case proto::SLOW_SYNC:
      options.sync_ns_mean = MsToNs(shot.size);
      Later(shot.duration_ns,
            [this, server] { disk(server).options().sync_ns_mean = healthy_disk_.sync_ns_mean; });
      return true;
    case proto::SYNC_ERROR:
      disk(server).FailNext(FileOp::kSync, "", StatusCode::kIoError, 1);
      Later(shot.duration_ns, [this, shot] { RestartAfterDiskError(shot); });
      return true;
    case proto::DISK_FULL:
      disk(server).SetCapacity(disk(server).used_bytes() + shot.size * 1024);
      Later(shot.duration_ns,
            [this, server] { disk(server).SetCapacity(healthy_disk_.capacity_bytes); });
      return true;
    case proto::DISK_STALL:
      disk(server).StallUntil(world_->now_ns() + static_cast<int64_t>(shot.duration_ns));
      return true;
    case proto::DISK_THROTTLE:
      options.slowdown = static_cast<uint32_t>(AtLeastOne(shot.size));
      Later(shot.duration_ns, [this, server] { disk(server).options().slowdown = 1; });
      return true;
    default:
      return false;
  }
}

// A server whose disk has failed says so and waits to be restarted.
void FaultEngine::RestartAfterDiskError(const Shot& shot) {
  const uint64_t error_count = disk(shot.server).error_count();
  if (error_count == disk_errors_over_[shot.server]) {
    Later(AtLeastOne(shot.duration_ns), [this, shot] { RestartAfterDiskError(shot); });
    return;
  }
  disk_errors_over_[shot.server] = error_count;
  const bool power = shot.size == 0 || shot.stream->Below(2) == 0;
  KillFor(shot.server, power ? KillKind::kPower : KillKind::kProcess, shot.duration_ns);
}

bool FaultEngine::FireNetwork(const Shot& shot) {
  const NodeId server = shot.server;
  SimNet& net = world_->net();
  switch (shot.kind) {
    case proto::CONNECTION_LOSS:
      return net.BreakOne(false, shot.stream);
    case proto::HALF_OPEN:
      return net.BreakOne(true, shot.stream);
    case proto::PARTITION:
    case proto::ISOLATE_ONE:
      return Partition(shot);
    case proto::RANDOM_SPLIT:
      return RandomSplit(shot);
    case proto::UNIFORM_SPLIT:
      return UniformSplit(shot);
    case proto::ONE_WAY_PARTITION:
      return OneWay(shot);
    case proto::SWIZZLE_CLOG:
      return SwizzleClog(shot);
    case proto::SLOW_NETWORK:
      net.SetSlow(kSlowPpm, MsToNs(shot.size));
      Later(shot.duration_ns, [this] { world_->net().SetSlow(0, 0); });
      return true;
    case proto::SLOW_LINK:
      return SlowLink(shot);
    case proto::WIRE_BIT_FLIP:
      net.SetBitFlips(static_cast<uint32_t>(kMillion / AtLeastOne(shot.size)));
      Later(shot.duration_ns, [this] { world_->net().SetBitFlips(0); });
      return true;
    case proto::CONNECT_REFUSED:
    case proto::CONNECT_HANGS:
      net.SetConnectFault(server, shot.kind == proto::CONNECT_HANGS ? ConnectFault::kHangs
                                                                    : ConnectFault::kRefused);
      Later(shot.duration_ns,
            [this, server] { world_->net().SetConnectFault(server, ConnectFault::kNone); });
      return true;
    default:
      return false;
  }
}

bool FaultEngine::Partition(const Shot& shot) {
  const NodeId node = shot.kind == proto::PARTITION ? shot.server : AnyNode(shot);
  if (node == kWorldNode) {
    return false;
  }
  if (shot.peer == proto::TARGET_ANY) {
    Part({node}, shot);
    return true;
  }
  std::vector<NodeId> peers = Numbered(shot.peer, shot.peer_no);
  std::erase(peers, node);
  const auto set_blocked = [this, node, peers](bool blocked) {
    for (const NodeId peer : peers) {
      world_->net().SetLinkBlocked(node, peer, blocked);
      world_->net().SetLinkBlocked(peer, node, blocked);
    }
  };
  set_blocked(true);
  Later(shot.duration_ns, [set_blocked] { set_blocked(false); });
  return !peers.empty();
}

// One direction between the server and another node.
std::pair<NodeId, NodeId> FaultEngine::OneDirection(const Shot& shot) {
  const uint64_t others = world_->node_count() - 1;
  auto other = static_cast<NodeId>(shot.stream->Below(others));
  other += other >= shot.server ? 1 : 0;
  const bool to_server = shot.stream->Below(2) == 0;
  return to_server ? std::pair(other, shot.server) : std::pair(shot.server, other);
}

bool FaultEngine::OneWay(const Shot& shot) {
  const std::pair<NodeId, NodeId> link = OneDirection(shot);
  world_->net().SetLinkBlocked(link.first, link.second, true);
  Later(shot.duration_ns,
        [this, link] { world_->net().SetLinkBlocked(link.first, link.second, false); });
  return true;
}

bool FaultEngine::SlowLink(const Shot& shot) {
  const std::pair<NodeId, NodeId> link = OneDirection(shot);
  world_->net().SetLinkSlow(link.first, link.second, MsToNs(shot.size));
  Later(shot.duration_ns, [this, link] { world_->net().SetLinkSlow(link.first, link.second, 0); });
  return true;
}

bool FaultEngine::SwizzleClog(const Shot& shot) {
  const uint64_t half_ns = AtLeastOne(shot.duration_ns / 2);
  bool any = false;
  for (NodeId node = 0; node < world_->node_count(); ++node) {
    if (shot.stream->Below(2) == 0) {
      continue;
    }
    any = true;
    const uint64_t clogged_ns = shot.stream->Below(half_ns);
    const uint64_t free_ns = half_ns + shot.stream->Below(half_ns);
    Later(clogged_ns, [this, node] { world_->net().Isolate(node, true); });
    Later(free_ns, [this, node] { world_->net().Isolate(node, false); });
  }
  return any;
}

bool FaultEngine::RandomSplit(const Shot& shot) {
  std::set<NodeId> side;
  for (NodeId node = 0; node < world_->node_count(); ++node) {
    if (shot.stream->Below(2) == 0) {
      side.insert(node);
    }
  }
  Part(side, shot);
  return !side.empty() && side.size() < world_->node_count();
}

// As many nodes on one side as on average a random split never has: one against all others, say.
bool FaultEngine::UniformSplit(const Shot& shot) {
  const auto count = static_cast<NodeId>(world_->node_count());
  if (count < 2) {
    return false;
  }
  std::vector<NodeId> nodes(count);
  std::iota(nodes.begin(), nodes.end(), NodeId{0});
  const uint64_t size = shot.stream->Between(1, count - 1);
  std::set<NodeId> side;
  for (uint64_t i = 0; i < size; ++i) {
    std::swap(nodes[i], nodes[i + shot.stream->Below(count - i)]);
    side.insert(nodes[i]);
  }
  Part(side, shot);
  return true;
}

void FaultEngine::Part(const std::set<NodeId>& side, const Shot& shot) {
  Cut cut = Cut::kBothWays;
  if (shot.size == 1) {
    cut = shot.stream->Below(2) == 0 ? Cut::kInto : Cut::kOutOf;
  }
  world_->net().Split(side, true, cut);
  Later(shot.duration_ns, [this, side, cut] { world_->net().Split(side, false, cut); });
}

bool FaultEngine::SwingClock(const Shot& shot) {
  constexpr uint64_t kSwings = 8;
  const NodeId node = AnyNode(shot);
  if (node == kWorldNode) {
    return false;
  }
  const auto ahead_s = static_cast<int64_t>(shot.stream->Below(AtLeastOne(shot.size)) + 1);
  for (uint64_t i = 0; i < 2 * kSwings; ++i) {
    Later(shot.duration_ns * i / (2 * kSwings), [this, node, i, ahead_s] {
      world_->SetWallOffset(node, i % 2 == 0 ? ahead_s * kSecond : 0);
    });
  }
  return true;
}

bool FaultEngine::FireClock(const Shot& shot) {
  switch (shot.kind) {
    case proto::CLOCK_STEP: {
      const NodeId node = AnyNode(shot);
      world_->SetWallOffset(node, EitherWay(shot.size, shot.stream) * kSecond);
      return true;
    }
    case proto::CLOCK_PERIODIC:
      return SwingClock(shot);
    case proto::CLOCK_DRIFT: {
      const NodeId node = AnyNode(shot);
      world_->SetClockDrift(node, EitherWay(shot.size, shot.stream));
      return true;
    }
    default:
      return false;
  }
}

}  // namespace redoubt::sim
