// SPDX-License-Identifier: MIT
//
// Scenario files: reading them, and drawing one seed's settings from their ranges.
#pragma once

#include <string>
#include <vector>

#include "common/base/result.h"
#include "proto/scenario.pb.h"
#include "sim/cluster/run_context.h"
#include "sim/runtime/seeded_stream.h"
#include "sim/runtime/sim_world.h"

namespace redoubt::sim {

// kInvalidArgument with line and column of the first error; also for a value out of its range.
Result<proto::Scenario> ParseScenario(const std::string& text);

struct ResolvedFault {
  proto::FaultKind kind = proto::FAULT_UNKNOWN;
  bool enabled = false;
  uint64_t interval_ns_mean = 0;
  proto::Range duration_ms;  // drawn anew for each fault
  proto::Range size;
};

struct ResolvedScenario {
  RunSettings run;
  SimOptions sim;
  std::vector<ResolvedFault> swarm;
  // "redo_bytes_per_s=120000 page_size=4096 ... faults=SERVER_POWER,PARTITION"
  std::string description;
};

ResolvedScenario Resolve(const proto::Scenario& scenario, uint64_t seed);

uint64_t DrawRange(const proto::Range& range, SeededStream* stream);

}  // namespace redoubt::sim
