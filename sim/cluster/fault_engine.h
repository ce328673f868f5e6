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
};

class FaultEngine {
 public:
  // All outlive it; `cast` is complete before Begin.
  FaultEngine(SimWorld* world, const Cast* cast, const ResolvedScenario* resolved);

  void Begin();
  // No further fault; links healed, disks and network fast, every node of the cast up again (second
  // tailers excepted).
  void CalmDown();
  uint64_t fired_count() const { return fired_count_; }

 private:
  // True when it had an effect.
  bool Fire(proto::FaultKind kind, uint64_t duration_ns, uint64_t size, SeededStream* stream);
  bool KillFor(NodeId node, KillKind kind, uint64_t duration_ns);
  bool PowerAtOperation(uint64_t operations, uint64_t duration_ns);
  bool OneWay(uint64_t duration_ns, SeededStream* stream);
  bool TakeOver(uint64_t duration_ns);
  void Later(uint64_t delay_ns, std::function<void()> action);

  SimWorld* world_;
  const Cast* cast_;
  const ResolvedScenario* resolved_;
  std::vector<SeededStream> streams_;  // of each scheduled fault
  bool calm_ = false;
  uint64_t fired_count_ = 0;
};

}  // namespace redoubt::sim
