// SPDX-License-Identifier: MIT
//
// The damage that no restart repairs. With several log servers it stays within a budget: what one
// has lost the others still have, and it is made whole before the next may be hurt.

#include <algorithm>
#include <utility>

#include "sim/cluster/fault_engine.h"

namespace redoubt::sim {
namespace {

constexpr uint64_t kMs = 1'000'000;
constexpr uint64_t kLookNs = 50 * kMs;
constexpr uint64_t kReplaceNs = 200 * kMs;

}  // namespace

bool FaultEngine::MayHurt(NodeId server) const {
  if (server == kWorldNode) {
    return false;
  }
  if (budget_.has_value() && !cast_->GroupOf(server).keeps_redo) {
    return cast_->all_redo_there();
  }
  return !budget_.has_value() || budget_->Allows(server);
}

void FaultEngine::Hurt(NodeId server) {
  if (budget_.has_value() && cast_->GroupOf(server).keeps_redo) {
    budget_->Hurt(server);
  }
  cast_->damaged(server, budget_.has_value());
}

void FaultEngine::WatchHurt() {
  if (!budget_.has_value()) {
    return;
  }
  const std::set<NodeId> hurt = budget_->hurt();
  for (const NodeId server : hurt) {
    if (!damaged_disks_.contains(server) && cast_->is_whole(server)) {
      budget_->Heal(server);
      world_->Record(server, TraceKind::kPhase, 0, 0, "whole");
    }
  }
  Later(kLookNs, [this] { WatchHurt(); });
}

bool FaultEngine::FireDamage(const Shot& shot) {
  switch (shot.kind) {
    case proto::SERVER_WIPE:
      return MayHurt(shot.server) && WipeServer(shot);
    case proto::DISK_SWAP:
      return MayHurt(shot.server) && SwapDisks(shot);
    case proto::LATENT_SECTOR:
    case proto::BIT_ROT:
    case proto::LOST_WRITE:
    case proto::MISDIRECTED_WRITE:
      return MayHurt(shot.server) && DamageAtRest(shot);
    default:
      return false;
  }
}

bool FaultEngine::DamageAtRest(const Shot& shot) {
  SimDisk& damaged = disk(shot.server);
  switch (shot.kind) {
    case proto::LATENT_SECTOR:
    case proto::BIT_ROT: {
      const DamageKind kind =
          shot.kind == proto::BIT_ROT ? DamageKind::kBitFlip : DamageKind::kUnreadable;
      // Within a budget the damage of a log is noticed: the newest redo file says that those before
      // it were synced. Of the newest itself nothing does.
      const bool noticed = kind == DamageKind::kUnreadable || !budget_.has_value() ||
                           !cast_->GroupOf(shot.server).keeps_redo || resolved_->beyond_budget;
      const auto spare = noticed ? SimDisk::Spare::kNothing : SimDisk::Spare::kNewest;
      const std::optional<DamageSpot> spot =
          damaged.DamageSector(kind, shot.text, shot.stream, spare);
      if (!spot.has_value()) {
        return false;
      }
      world_->Record(shot.server, TraceKind::kFault, spot->offset, 0,
                     std::string(DamageKindName(kind)) + " in " + spot->path);
      break;
    }
    case proto::LOST_WRITE:
      damaged.DamageNextWrite(DamageKind::kLostWrite, shot.text);
      break;
    default:
      damaged.DamageNextWrite(DamageKind::kMisdirected, shot.text);
      break;
  }
  Hurt(shot.server);
  if (budget_.has_value()) {
    damaged_disks_.insert(shot.server);
    cast_->rots(shot.server);
    Later(std::max(shot.duration_ns, kMs), [this, server = shot.server] { Replace(server); });
  }
  return true;
}

void FaultEngine::Replace(NodeId server) {
  if (damaged_disks_.erase(server) == 0) {
    return;
  }
  world_->Record(server, TraceKind::kPhase, 0, 0, "its damaged disk is replaced");
  world_->KillNode(server, KillKind::kPower, CrashPolicy::kSeeded);
  disk(server).Wipe();
  cast_->install(server);
  Later(kReplaceNs, [this, server] {
    if (!world_->IsUp(server)) {
      cast_->Start(server);
    }
  });
}

bool FaultEngine::WipeServer(const Shot& shot) {
  if (!KillFor(shot.server, KillKind::kPower, shot.duration_ns)) {
    return false;
  }
  disk(shot.server).Wipe();
  damaged_disks_.erase(shot.server);
  cast_->install(shot.server);
  Hurt(shot.server);
  return true;
}

bool FaultEngine::SwapDisks(const Shot& shot) {
  const NodeId tailer = cast_->Writers().front();
  if (!world_->IsUp(tailer) || !KillFor(shot.server, KillKind::kPower, shot.duration_ns)) {
    return false;
  }
  KillFor(tailer, KillKind::kPower, shot.duration_ns);
  disk(shot.server).SetObserver(nullptr);
  world_->SwapDisks(shot.server, tailer);
  if (budget_.has_value()) {
    // Nobody may bring the old disk back: its promises are not what its server has promised since.
    disk(tailer).Wipe();
    damaged_disks_.erase(shot.server);
  }
  WatchDisk(shot.server);
  disk_errors_over_[shot.server] = disk(shot.server).error_count();
  cast_->install(shot.server);
  Hurt(shot.server);
  return true;
}

}  // namespace redoubt::sim
