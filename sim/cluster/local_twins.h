// SPDX-License-Identifier: MIT
//
// Two database servers beside the page server that keep their pages on their own disks, in place:
// one without a doublewrite file, and one with it as a control. They have the redo of the followed
// server, and lose power whenever the page server's machine does. What each lost is counted.
#pragma once

#include <array>
#include <memory>
#include <string>

#include "sim/cluster/cast.h"
#include "sim/cluster/run_context.h"
#include "sim/runtime/sim_world.h"

namespace redoubt::sim {

// What one of them went through, over all its lives.
struct LocalFate {
  bool doublewrite = false;
  Lsn committed;  // told to clients
  uint64_t recovery_count = 0;
  uint64_t torn_count = 0;
  uint64_t repaired_count = 0;
  uint64_t lossy_recovery_count = 0;
  uint64_t lost_page_count = 0;
};

class LocalTwins {
 public:
  LocalTwins(SimWorld* world, RunContext* context) : world_(world), context_(context) {}
  LocalTwins(const LocalTwins&) = delete;
  LocalTwins& operator=(const LocalTwins&) = delete;

  // Adds their machines, with empty disks. They lose power with `page_server`.
  void Build(NodeId page_server, Cast* cast);
  // Sees every event of the run: they follow the page server's machine.
  void Observe(const TraceEvent& event);
  // "in place: 3 of 9 recoveries lost 7 pages; with doublewrite: 0 of 9 lost 0 pages"; empty when
  // there are none.
  std::string Summary() const;

 private:
  SimWorld* world_;
  RunContext* context_;
  Cast* cast_ = nullptr;  // null: there are none
  NodeId page_server_ = kWorldNode;
  std::array<NodeId, 2> nodes_{};
  std::array<LocalFate, 2> fates_{};
};

}  // namespace redoubt::sim
