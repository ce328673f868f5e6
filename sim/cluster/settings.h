// SPDX-License-Identifier: MIT
//
// What a run is made with: a scenario and a seed as the settings of its parts.
#pragma once

#include <string>
#include <vector>

#include "proto/scenario.pb.h"
#include "sim/cluster/run_context.h"
#include "sim/runtime/sim_world.h"

namespace redoubt::sim {

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

}  // namespace redoubt::sim
