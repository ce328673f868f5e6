// SPDX-License-Identifier: MIT
//
// Whole runs with computes: they pass, do their work, and see what is planted.
#include <gtest/gtest.h>

#include <set>
#include <string>

#include "sim/cluster/scenario_check.h"
#include "sim/cluster/scenario_run.h"

namespace redoubt::sim {
namespace {

constexpr char kSmall[] = R"(
name: "small_compute"
topology { computes: 2 readers: 1 }
workload {
  page_size_log2 { min: 12 } chunk_bytes_max { min: 3000 } read_interval_ms { min: 20 }
  page_batch_bytes { min: 20000 } log_segment_bytes { min: 50000 } log_tail_bytes { min: 20000 }
  page_cache_bytes { min: 100000 }
  compute_clients { min: 3 } accounts { min: 40 } think_ms { min: 10 } pool_pages { min: 48 }
  rows_per_page { min: 8 }
}
network { latency_us_mean { min: 100 } }
disk { sync_us_mean { min: 500 } }
schedule { kind: TAILER_KILL at_ms: 800 duration_ms: 20 }
schedule { kind: TAKE_OVER at_ms: 1300 duration_ms: 700 }
schedule { kind: SERVER_POWER at_ms: 2200 duration_ms: 100 }
schedule { kind: WRITER_KILL_IN_RECOVERY at_ms: 2700 duration_ms: 20 size: 20 }
phases { chaos_ms: 4000 calm_ms_max: 60000 }
limits { events: 5000000 }
)";

RunReport RunSmall(uint64_t seed, const std::string& plant = "") {
  const Result<proto::Scenario> scenario = ParseScenario(kSmall);
  REDOUBT_CHECK(scenario.ok());
  RunOptions options;
  options.seed = seed;
  options.plant = plant;
  return RunScenario(*scenario, options);
}

TEST(ComputeRun, PassesAndDoesItsWork) {
  for (uint64_t seed = 1; seed <= 5; ++seed) {
    const RunReport report = RunSmall(seed);
    EXPECT_EQ(report.outcome, Outcome::kPass) << "seed " << seed << ": " << report.reason;
    EXPECT_GT(report.work.commits, 50U) << "seed " << seed;
    EXPECT_GE(report.recoveries, 5U) << "seed " << seed;
    EXPECT_NE(report.history.find("\"result\":\"ok\""), std::string::npos);
    EXPECT_NE(report.history.find("\"type\":\"read_all\""), std::string::npos);
  }
}

TEST(ComputeRun, SameSeedSameTrace) {
  const RunReport first = RunSmall(3);
  const RunReport second = RunSmall(3);
  EXPECT_EQ(first.trace_hash, second.trace_hash);
  EXPECT_EQ(first.history, second.history);
}

// The checkers that a planted bug wakes, over some seeds.
std::set<std::string> Found(const std::string& plant) {
  std::set<std::string> checkers;
  for (uint64_t seed = 1; seed <= 20 && checkers.empty(); ++seed) {
    for (const Finding& finding : RunSmall(seed, plant).findings) {
      checkers.insert(finding.checker);
    }
  }
  return checkers;
}

// A server that answers before its syncs are done loses commits in power cuts.
TEST(ComputeRun, SeesAServerThatAcknowledgesTooEarly) {
  EXPECT_FALSE(Found("ack_before_sync").empty());
}

// An old compute that goes on writing after a takeover.
TEST(ComputeRun, SeesAServerThatDoesNotFence) { EXPECT_FALSE(Found("skip_epoch_check").empty()); }

// A compute gets a page as it was before its own last change.
TEST(ComputeRun, SeesAPageRoleThatHandsOutStalePages) {
  EXPECT_TRUE(Found("page_cache_not_invalidated").contains("C2"));
}

}  // namespace
}  // namespace redoubt::sim
