// SPDX-License-Identifier: MIT
//
// Goal: every fault class that a scenario can name happens when it is asked for, heals, and leaves
// the run passing; damage to the only copy is refused unless the scenario says so. Method: whole
// runs of a small scenario with one class each.
#include <gtest/gtest.h>

#include <algorithm>
#include <set>
#include <string>
#include <utility>

#include "common/base/types.h"
#include "sim/cluster/damage_budget.h"
#include "sim/cluster/scenario_check.h"
#include "sim/cluster/scenario_run.h"

namespace redoubt::sim {
namespace {

constexpr char kSmall[] = R"(
name: "small"
topology { tailers: 2 readers: 1 }
workload {
  redo_bytes_per_s { min: 30000 } page_size_log2 { min: 12 } spaces { min: 2 }
  pages_per_space { min: 8 } chunk_bytes_max { min: 3000 } read_interval_ms { min: 20 }
  page_batch_bytes { min: 20000 } log_segment_bytes { min: 50000 } log_tail_bytes { min: 20000 }
  page_cache_bytes { min: 100000 }
}
network { latency_us_mean { min: 100 } }
disk { sync_us_mean { min: 500 } }
phases { chaos_ms: 4000 calm_ms_max: 60000 }
limits { events: 5000000 }
)";

struct OneFault {
  proto::FaultKind kind;
  uint64_t duration_ms = 0;
  uint64_t size = 0;
  const char* text = "";
  bool beyond_budget = false;
  bool with_kills = false;  // what shows only when the server starts
};

std::string TextOf(const OneFault& fault) {
  std::string text = kSmall;
  for (const int at_ms : {800, 1600, 2400}) {
    text += "schedule { kind: " + proto::FaultKind_Name(fault.kind) +
            " at_ms: " + std::to_string(at_ms) +
            " duration_ms: " + std::to_string(fault.duration_ms) +
            " size: " + std::to_string(fault.size) + " text: \"" + fault.text + "\" }\n";
  }
  if (fault.beyond_budget) {
    text += "beyond_budget: true\n";
  }
  if (fault.with_kills) {
    text += "schedule { kind: SERVER_KILL at_ms: 1000 duration_ms: 50 }\n";
    text += "schedule { kind: SERVER_KILL at_ms: 3000 duration_ms: 50 }\n";
  }
  return text;
}

class FaultEngineRuns : public testing::TestWithParam<OneFault> {};

TEST_P(FaultEngineRuns, FaultHappensAndTheRunPasses) {
  const Result<proto::Scenario> scenario = ParseScenario(TextOf(GetParam()));
  ASSERT_TRUE(scenario.ok()) << scenario.status().ToString();
  uint64_t fired = 0;
  for (uint64_t seed = 1; seed <= 3; ++seed) {
    RunOptions options;
    options.seed = seed;
    const RunReport report = RunScenario(*scenario, options);
    EXPECT_EQ(report.outcome, Outcome::kPass) << "seed " << seed << ": " << report.reason;
    EXPECT_GT(report.work.acknowledged_bytes, 1000U);
    fired += report.work.faults_fired;
  }
  const uint64_t kills = GetParam().with_kills ? 2 * 3 : 0;
  EXPECT_GE(fired, kills + 3U) << "three seeds, at least once each";
}

std::string NameOfCase(const testing::TestParamInfo<OneFault>& info) {
  return proto::FaultKind_Name(info.param.kind);
}

INSTANTIATE_TEST_SUITE_P(
    Kinds, FaultEngineRuns,
    testing::Values(OneFault{proto::SYNC_ERROR, 200}, OneFault{proto::DISK_FULL, 400, 2},
                    OneFault{proto::DISK_STALL, 300}, OneFault{proto::DISK_THROTTLE, 300, 20},
                    OneFault{proto::SLOW_SYNC, 400, 30}, OneFault{proto::SWIZZLE_CLOG, 600},
                    OneFault{proto::SLOW_LINK, 500, 40}, OneFault{proto::WIRE_BIT_FLIP, 500, 20},
                    OneFault{proto::CONNECT_REFUSED, 400}, OneFault{proto::CONNECT_HANGS, 400},
                    OneFault{proto::ISOLATE_ONE, 500}, OneFault{proto::RANDOM_SPLIT, 500},
                    OneFault{proto::UNIFORM_SPLIT, 500}, OneFault{proto::CLOCK_STEP, 0, 5000},
                    OneFault{proto::CLOCK_DRIFT, 0, 300'000},
                    OneFault{proto::CLOCK_PERIODIC, 500, 3600}, OneFault{proto::UPGRADE, 100},
                    OneFault{proto::CONFIG_CHANGE, 100, 8}, OneFault{proto::NODE_PAUSE, 500},
                    OneFault{proto::SERVER_POWER_IN_RECOVERY, 30, 8},
                    OneFault{proto::SERVER_POWER_AT_EVENT, 50, 0, "ready at", false, true},
                    OneFault{proto::SERVER_WIPE, 50, 0, "", true},
                    OneFault{proto::DISK_SWAP, 50, 0, "", true},
                    OneFault{proto::LATENT_SECTOR, 0, 0, "/log", true, true},
                    OneFault{proto::BIT_ROT, 0, 0, "/log", true, true},
                    OneFault{proto::LOST_WRITE, 0, 0, "/log", true, true},
                    OneFault{proto::MISDIRECTED_WRITE, 0, 0, "/log", true, true}),
    NameOfCase);

// A cut in recovery really hits servers that were not ready yet.
TEST(FaultEngine, CutsThePowerDuringRecoveryMoreThanOnce) {
  const Result<proto::Scenario> scenario =
      ParseScenario(TextOf(OneFault{proto::SERVER_POWER_IN_RECOVERY, 20, 5}));
  ASSERT_TRUE(scenario.ok());
  const RunReport report = RunScenario(*scenario, RunOptions());
  EXPECT_EQ(report.outcome, Outcome::kPass) << report.reason;
  EXPECT_GT(report.work.faults_fired, 3U) << "each of the three cuts again before it is ready";
}

// The links that `kind` has cut at the moment when it fires, of one direction or both.
std::set<std::pair<uint64_t, uint64_t>> LinksCut(proto::FaultKind kind, uint64_t size,
                                                 uint64_t seed) {
  Result<proto::Scenario> scenario = ParseScenario(TextOf(OneFault{kind, 500, size}));
  REDOUBT_CHECK(scenario.ok());
  scenario->mutable_schedule()->DeleteSubrange(1, scenario->schedule_size() - 1);
  std::set<std::pair<uint64_t, uint64_t>> links;
  RunOptions options;
  options.seed = seed;
  options.observe = [&links](const TraceEvent& event) {
    if (event.kind == TraceKind::kLink && event.b == 1) {
      links.emplace(event.node, event.a);
    }
  };
  EXPECT_EQ(RunScenario(*scenario, options).outcome, Outcome::kPass);
  return links;
}

// Of n nodes a side has each size from 1 to n - 1; one way is half of the links.
TEST(FaultEngine, SplitsHaveEverySizeAndMayBeOneWay) {
  std::set<size_t> counts;
  for (uint64_t seed = 1; seed <= 30; ++seed) {
    const auto both = LinksCut(proto::UNIFORM_SPLIT, 0, seed);
    const auto one = LinksCut(proto::UNIFORM_SPLIT, 1, seed);
    EXPECT_EQ(both.size(), 2 * one.size()) << "the same nodes, half of the directions";
    EXPECT_TRUE(std::includes(both.begin(), both.end(), one.begin(), one.end()));
    counts.insert(one.size());
  }
  // Five nodes: 1 x 4, 2 x 3.
  EXPECT_EQ(counts, (std::set<size_t>{4, 6}));
}

// A server that is upgraded reads what the older one wrote; one that shall go back refuses, once it
// has written newer files, and before that it does not.
TEST(FaultEngine, DowngradesAreRefusedOnlyWhereNewerFilesExist) {
  const auto refusals = [](const char* schedule) {
    std::string text = kSmall;
    text.replace(text.find("tailers: 2"), 0, "log_format: 2 ");
    Result<proto::Scenario> scenario = ParseScenario(text + schedule);
    REDOUBT_CHECK(scenario.ok());
    uint64_t count = 0;
    RunOptions options;
    options.observe = [&count](const TraceEvent& event) {
      const bool refused =
          event.text.find("and this server keeps to version 2") != std::string::npos;
      count += event.kind == TraceKind::kLog && refused ? 1 : 0;
    };
    const RunReport report = RunScenario(*scenario, options);
    EXPECT_EQ(report.outcome, Outcome::kPass) << report.reason;
    EXPECT_GE(report.server_starts, 2U);
    return count;
  };
  EXPECT_EQ(refusals("schedule { kind: DOWNGRADE at_ms: 1500 duration_ms: 50 }"), 0U);
  EXPECT_EQ(refusals("schedule { kind: UPGRADE at_ms: 1000 duration_ms: 50 }"), 0U);
  EXPECT_GE(refusals("schedule { kind: UPGRADE at_ms: 1000 duration_ms: 50 }\n"
                     "schedule { kind: DOWNGRADE at_ms: 2500 duration_ms: 50 }"),
            1U);
  EXPECT_FALSE(ParseScenario(TextOf(OneFault{proto::DOWNGRADE})).ok()) << "back to what?";
}

TEST(FaultEngine, RefusesDamageThatNoBudgetCovers) {
  for (const proto::FaultKind kind :
       {proto::SERVER_WIPE, proto::DISK_SWAP, proto::LATENT_SECTOR, proto::BIT_ROT,
        proto::LOST_WRITE, proto::MISDIRECTED_WRITE}) {
    const Status status = ParseScenario(TextOf(OneFault{kind})).status();
    EXPECT_NE(status.message().find("beyond_budget"), std::string::npos) << status.ToString();
    EXPECT_TRUE(ParseScenario(TextOf(OneFault{kind, 0, 0, "", true})).ok());
  }
  EXPECT_FALSE(ParseScenario(TextOf(OneFault{proto::SERVER_POWER_AT_EVENT})).ok());
  EXPECT_FALSE(ParseScenario(TextOf(OneFault{proto::CLOCK_DRIFT, 0, 600'000})).ok());
}

// Three log servers: whatever happens to one of them, the other two go on.
TEST(FaultEngine, HitsTheServerThatWasNamedAndTheQuorumGoesOn) {
  std::string text = kSmall;
  text.replace(text.find("tailers: 2 readers: 1"), 21, "tailers: 2 log_servers: 3");
  text +=
      "schedule { kind: SERVER_POWER at_ms: 1000 duration_ms: 3000 target: TARGET_LOG node: 2 }\n";
  const Result<proto::Scenario> scenario = ParseScenario(text);
  ASSERT_TRUE(scenario.ok()) << scenario.status().ToString();
  RunOptions options;
  std::string killed;
  Lsn acknowledged;
  Lsn acknowledged_while_down;
  options.observe = [&](const TraceEvent& event) {
    if (event.kind == TraceKind::kNodeKill && event.time_ns < 4'000'000'000) {
      killed += std::to_string(event.node);
    }
    if (event.kind == TraceKind::kOperation && event.text == "acknowledged LSN") {
      acknowledged = Lsn(event.a);
      acknowledged_while_down =
          event.time_ns < 4'000'000'000 ? acknowledged : acknowledged_while_down;
    }
  };
  const RunReport report = RunScenario(*scenario, options);
  EXPECT_EQ(report.outcome, Outcome::kPass) << report.reason;
  EXPECT_EQ(killed, "1") << "node 1 is log2";
  EXPECT_GT(acknowledged_while_down.value(), acknowledged.value() - 60'000U);
}

TEST(FaultEngine, RefusesTargetsThatAreNotThere) {
  std::string text = kSmall;
  EXPECT_FALSE(ParseScenario(text + "schedule { kind: SERVER_KILL target: TARGET_LOG }").ok());
  EXPECT_FALSE(ParseScenario(text + "schedule { kind: SERVER_KILL target: TARGET_PAGE }").ok());
  EXPECT_TRUE(ParseScenario(text + "schedule { kind: NODE_PAUSE target: TARGET_WRITER }").ok());
  text.replace(text.find("tailers: 2 readers: 1"), 21, "tailers: 2 log_servers: 2");
  EXPECT_FALSE(ParseScenario(text).ok());
}

// A minority may lose its disks, and only a minority: the budget holds back what would be too much.
TEST(FaultEngine, WipesLogServersOnlyAsTheBudgetAllows) {
  std::string text = kSmall;
  text.replace(text.find("tailers: 2 readers: 1"), 21, "tailers: 2 log_servers: 3");
  for (const int at_ms : {1000, 1001, 1002, 2500, 2501}) {
    text += "schedule { kind: SERVER_WIPE duration_ms: 100 target: TARGET_LOG node: " +
            std::to_string(at_ms % 10 + 1) + " at_ms: " + std::to_string(at_ms) + " }\n";
  }
  const Result<proto::Scenario> scenario = ParseScenario(text);
  ASSERT_TRUE(scenario.ok()) << scenario.status().ToString();
  const RunReport report = RunScenario(*scenario, RunOptions());
  EXPECT_EQ(report.outcome, Outcome::kPass) << report.reason;
  EXPECT_EQ(report.work.faults_fired, 2U) << "one at a time, each after the last was whole again";
}

TEST(DamageBudget, IsAMinorityThatIsHurt) {
  DamageBudget budget({1, 2, 3, 4, 5});
  EXPECT_FALSE(budget.Allows(1)) << "nothing was written yet";
  for (const NodeId server : {1U, 2U, 3U, 4U, 5U}) {
    budget.Heal(server);
  }
  EXPECT_TRUE(budget.Allows(1));
  budget.Hurt(1);
  budget.Hurt(2);
  EXPECT_TRUE(budget.Allows(2)) << "it is hurt already";
  EXPECT_FALSE(budget.Allows(3));
  budget.Heal(1);
  EXPECT_TRUE(budget.Allows(3));
}

}  // namespace
}  // namespace redoubt::sim
