// SPDX-License-Identifier: MIT
//
// A scenario of a few virtual seconds with fault classes that find planted bugs, for tests of what
// the command does with runs.
#pragma once

#include <string>

#include "common/base/check.h"
#include "sim/cluster/scenario_check.h"

namespace redoubt::sim {

inline constexpr char kShortScenario[] = R"(
name: "short"
topology { tailers: 2 readers: 2 }
workload {
  redo_bytes_per_s { min: 20000 max: 60000 } page_size_log2 { min: 12 max: 14 }
  spaces { min: 1 max: 3 } pages_per_space { min: 4 max: 12 } chunk_bytes_max { min: 500 max: 5000 }
  read_interval_ms { min: 20 max: 100 } page_batch_bytes { min: 4000 max: 60000 }
  log_segment_bytes { min: 20000 max: 90000 } log_tail_bytes { min: 5000 max: 40000 }
  page_cache_bytes { min: 20000 max: 200000 }
}
network { latency_us_mean { min: 50 max: 1000 } }
disk { sync_us_mean { min: 100 max: 3000 } }
swarm { kind: SERVER_POWER       enable_percent: 90 interval_ms { min: 300 max: 900 } duration_ms { min: 1 max: 200 } }
swarm { kind: SERVER_POWER_AT_OP enable_percent: 90 interval_ms { min: 200 max: 800 } duration_ms { min: 1 max: 200 } size { min: 1 max: 100 } }
swarm { kind: CONNECTION_LOSS    enable_percent: 50 interval_ms { min: 200 max: 900 } }
swarm { kind: TAILER_KILL        enable_percent: 50 interval_ms { min: 300 max: 900 } duration_ms { min: 1 max: 300 } }
swarm { kind: READER_KILL        enable_percent: 50 interval_ms { min: 300 max: 900 } duration_ms { min: 1 max: 300 } }
swarm { kind: PARTITION          enable_percent: 30 interval_ms { min: 500 max: 2000 } duration_ms { min: 100 max: 500 } }
schedule { kind: CLOCK_STEP at_ms: 500 size: 100 }
phases { chaos_ms: 4000 calm_ms_max: 60000 }
limits { events: 5000000 }
)";

inline proto::Scenario ShortScenario() {
  Result<proto::Scenario> scenario = ParseScenario(kShortScenario);
  REDOUBT_CHECK(scenario.ok());
  return *scenario;
}

}  // namespace redoubt::sim
