// SPDX-License-Identifier: MIT
//
// Scenario files: reading them, and drawing one seed's settings and faults from their ranges.
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

// kInvalidArgument: what ParseScenario refuses besides its syntax.
Status CheckScenario(const proto::Scenario& scenario);

// The same run without anything left to draw before it begins: every range is one value, and the
// swarm's faults have become entries of the schedule, which is in order of time. Making it explicit
// again changes nothing, so a stored one replays the run that it came from.
proto::Scenario Explicit(const proto::Scenario& scenario, uint64_t seed);

struct ResolvedScenario {
  RunSettings run;
  SimOptions sim;
  std::vector<proto::ScheduledFault> schedule;
  bool beyond_budget = false;
  // "redo_bytes_per_s=120000 page_size=4096 ... faults=SERVER_POWER,PARTITION"
  std::string description;
};

// Makes the scenario explicit first.
ResolvedScenario Resolve(const proto::Scenario& scenario, uint64_t seed);

// When a scheduled fault fires, in nanoseconds from the run's beginning.
uint64_t FireTimeNs(const proto::ScheduledFault& fault);

uint64_t DrawRange(const proto::Range& range, SeededStream* stream);

}  // namespace redoubt::sim
