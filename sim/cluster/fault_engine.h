// SPDX-License-Identifier: MIT
//
// Makes things go wrong: fires the faults of a run's explicit schedule, each at its time; restarts
// what it took down; heals everything when the calm phase begins.
//
// Each fault draws what it hits from its own stream, so leaving one out leaves all others as they
// were.
#pragma once

#include <cstdint>
#include <functional>
#include <string>
#include <string_view>
#include <vector>

#include "proto/scenario.pb.h"
#include "sim/cluster/settings.h"
#include "sim/runtime/seeded_stream.h"
#include "sim/runtime/sim_world.h"

namespace redoubt::sim {

// The nodes of a run and how to start them.
struct Cast {
  NodeId server = 0;
  std::vector<NodeId> tailers;
  std::vector<NodeId> readers;
  // Starts a node that is down.
  std::function<void(NodeId)> start;
  // Prepares the server's empty disk, as an installation does.
  std::function<void()> install;
  // Synced bytes were damaged: what follows may be lost.
  std::function<void()> damaged;
};

class FaultEngine {
 public:
  // All outlive it; `cast` is complete before Begin.
  FaultEngine(SimWorld* world, const Cast* cast, const ResolvedScenario* resolved);

  void Begin();
  // No further fault; links healed, disks and network fast, clocks steady, every node of the cast
  // up again (second tailers excepted). Damage at rest stays.
  void CalmDown();
  uint64_t fired_count() const { return fired_count_; }

 private:
  // One fault that is to happen now.
  struct Shot {
    proto::FaultKind kind = proto::FAULT_UNKNOWN;
    uint64_t duration_ns = 0;
    uint64_t size = 0;
    std::string text;
    SeededStream* stream = nullptr;
  };
  // A power cut of the server that waits for its moment.
  struct Trigger {
    uint64_t op_no = 0;        // this file operation, or
    std::string text;          // this in a line of the log
    bool in_recovery = false;  // and then only before the server is ready
    Shot shot;
  };

  void Fire(const Shot& shot);
  // True when it had an effect. One function a family of kinds; false also for other kinds.
  bool FireNode(const Shot& shot);
  bool FireDisk(const Shot& shot);
  bool FireDamage(const Shot& shot);
  bool FireNetwork(const Shot& shot);
  bool FireClock(const Shot& shot);

  bool KillFor(NodeId node, KillKind kind, uint64_t duration_ns);
  bool TakeOver(uint64_t duration_ns);
  bool WipeServer(const Shot& shot);
  bool SwapDisks(const Shot& shot);
  void CutInRecovery(const Shot& shot);
  void Pull(const Trigger& trigger, std::string_view why);
  void RestartAfterDiskError(const Shot& shot);
  bool OneWay(const Shot& shot);
  bool SlowLink(const Shot& shot);
  bool SwizzleClog(const Shot& shot);
  bool RandomSplit(const Shot& shot);
  NodeId AnyNode(SeededStream* stream) const;
  void WatchServerDisk();
  void WatchServerLog();
  void Later(uint64_t delay_ns, std::function<void()> action);
  SimDisk& disk() { return world_->DiskOf(cast_->server); }

  SimWorld* world_;
  const Cast* cast_;
  const ResolvedScenario* resolved_;
  std::vector<SeededStream> streams_;  // of each scheduled fault
  std::vector<Trigger> triggers_;
  DiskOptions healthy_disk_;
  uint32_t ready_incarnation_ = 0;  // of the server, that said it is ready
  // Injected disk errors that a restart of the server has left behind.
  uint64_t disk_errors_over_ = 0;
  bool calm_ = false;
  uint64_t fired_count_ = 0;
};

}  // namespace redoubt::sim
