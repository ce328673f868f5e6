// SPDX-License-Identifier: MIT
//
// Makes things go wrong: fires the faults of a run's explicit schedule, each at its time or when
// what it waits for happens; restarts what it took down; heals everything when the calm phase
// begins.
//
// Each fault draws what it hits from its own stream, so leaving one out leaves all others as they
// were.
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "proto/scenario.pb.h"
#include "sim/cluster/cast.h"
#include "sim/cluster/damage_budget.h"
#include "sim/cluster/settings.h"
#include "sim/cluster/trigger_list.h"
#include "sim/runtime/seeded_stream.h"
#include "sim/runtime/sim_world.h"

namespace redoubt::sim {

class FaultEngine {
 public:
  // All outlive it; `cast` is complete before Begin.
  FaultEngine(SimWorld* world, const Cast* cast, const ResolvedScenario* resolved);

  void Begin();
  // No further fault; links healed, disks and network fast, clocks steady, every node of the cast
  // up again (second tailers excepted). Damage at rest stays.
  void CalmDown();
  // Of the run's trace, for probes that faults wait for.
  void Observe(const TraceEvent& event) { triggers_.SawEvent(event); }
  uint64_t fired_count() const { return fired_count_; }

 private:
  // One fault that is to happen now.
  struct Shot {
    proto::FaultKind kind = proto::FAULT_UNKNOWN;
    uint64_t duration_ns = 0;
    uint64_t size = 0;
    std::string text;
    SeededStream* stream = nullptr;
    proto::FaultTarget target = proto::TARGET_ANY;
    uint32_t node_no = 0;       // of the target's; 0: drawn
    NodeId there = kWorldNode;  // where what it waited for happened
    proto::FaultTarget peer = proto::TARGET_ANY;
    uint32_t peer_no = 0;
    NodeId server = kWorldNode;                // the victim, of faults that have a server for one
    CrashPolicy image = CrashPolicy::kSeeded;  // where it cuts the power
  };

  static Shot ShotOf(const proto::ScheduledFault& fault, SeededStream* stream);
  // Fires the shot when the trigger's moment comes.
  void Arm(const proto::Trigger& trigger, Shot shot);
  // A power cut of the shot's server at its n-th file operation from now, or at a line of its log;
  // `in_recovery`: only before the server is ready, and then again and again.
  void CutAt(proto::Trigger moment, const Shot& shot, bool in_recovery);
  void Fire(Shot shot, std::string_view why = "");
  // All nodes of a target, up or not; `usual` for TARGET_ANY.
  std::vector<NodeId> NodesOf(proto::FaultTarget target, std::vector<NodeId> usual) const;
  // The number-th of them, or with 0 all.
  std::vector<NodeId> Numbered(proto::FaultTarget target, uint32_t number) const;
  // The one that the shot names, that it happened at, or drawn; kWorldNode: there is none. Draws
  // only when there are several.
  NodeId Pick(const Shot& shot, std::vector<NodeId> usual) const;
  // True when it had an effect. One function a family of kinds; false also for other kinds.
  bool FireNode(const Shot& shot);
  bool FireDisk(const Shot& shot);
  bool FireDamage(const Shot& shot);
  bool DamageAtRest(const Shot& shot);
  bool FireNetwork(const Shot& shot);
  bool FireClock(const Shot& shot);

  bool PauseFor(NodeId node, uint64_t duration_ns);
  bool KillFor(NodeId node, KillKind kind, uint64_t duration_ns,
               CrashPolicy image = CrashPolicy::kSeeded);
  // As an operator does it: the program is asked to stop, and started again.
  bool Restart(const Shot& shot);
  void FinishRestart(NodeId server, uint32_t incarnation, uint64_t duration_ns, int64_t give_up_ns);
  bool SwingClock(const Shot& shot);
  bool TakeOver(const Shot& shot);
  bool WipeServer(const Shot& shot);
  bool SwapDisks(const Shot& shot);
  // Whether the victim may lose synced bytes now; with a single copy that is the scenario's word.
  bool MayHurt(NodeId server) const;
  void Hurt(NodeId server);
  // Whoever looks after the machines takes the damaged disk out and puts an empty one in.
  void Replace(NodeId server);
  // Looks again and again which hurt servers are whole.
  void WatchHurt();
  void CutInRecovery(const Shot& shot);
  // kill -9 of a writer; again within shot.size ms of its start unless it has recovered by then.
  bool KillInRecovery(const Shot& shot, NodeId writer);
  bool Partition(const Shot& shot);
  void RestartAfterDiskError(const Shot& shot);
  bool OneWay(const Shot& shot);
  bool SlowLink(const Shot& shot);
  bool SwizzleClog(const Shot& shot);
  bool RandomSplit(const Shot& shot);
  bool UniformSplit(const Shot& shot);
  // Cuts `side` off for the shot's duration, in both directions or in one.
  void Part(const std::set<NodeId>& side, const Shot& shot);
  NodeId AnyNode(const Shot& shot) const;
  std::pair<NodeId, NodeId> OneDirection(const Shot& shot);
  void WatchDisk(NodeId server);
  void WatchLogs();
  void Later(uint64_t delay_ns, std::function<void()> action);
  SimDisk& disk(NodeId server) { return world_->DiskOf(server); }

  SimWorld* world_;
  const Cast* cast_;
  const ResolvedScenario* resolved_;
  std::vector<SeededStream> streams_;  // of each scheduled fault
  TriggerList triggers_;
  DiskOptions healthy_disk_;
  std::optional<DamageBudget> budget_;             // with several log servers
  std::set<NodeId> damaged_disks_;                 // and not replaced yet
  std::map<NodeId, uint32_t> ready_incarnations_;  // of servers that said they are ready
  // Injected disk errors that a restart of the server has left behind.
  std::map<NodeId, uint64_t> disk_errors_over_;
  bool calm_ = false;
  uint64_t fired_count_ = 0;
};

}  // namespace redoubt::sim
