// SPDX-License-Identifier: MIT
#include "sim/cluster/scenario_run.h"

#include <gtest/gtest.h>

#include <set>
#include <string>
#include <vector>

#include "sim/cluster/explicit_scenario.h"
#include "sim/cluster/scenario_check.h"
#include "sim/cluster/settings.h"

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
schedule { kind: SERVER_POWER at_ms: 1000 duration_ms: 100 }
schedule { kind: SERVER_POWER at_ms: 2000 duration_ms: 100 }
schedule { kind: TAKE_OVER at_ms: 2500 duration_ms: 800 }
phases { chaos_ms: 4000 calm_ms_max: 60000 }
limits { events: 5000000 }
)";

proto::Scenario Small() {
  Result<proto::Scenario> scenario = ParseScenario(kSmall);
  REDOUBT_CHECK(scenario.ok());
  return *scenario;
}

RunReport RunSmall(uint64_t seed) {
  RunOptions options;
  options.seed = seed;
  return RunScenario(Small(), options);
}

// The same seed twice in one process: nothing of the first run may be left in the second.
TEST(ScenarioRun, SameSeedSameTrace) {
  const RunReport first = RunSmall(7);
  const RunReport second = RunSmall(7);
  EXPECT_EQ(first.trace_hash, second.trace_hash);
  EXPECT_EQ(first.draw_count, second.draw_count);
  EXPECT_NE(first.trace_hash, RunSmall(8).trace_hash);
}

// Who looks at a run, and asks its nodes for their states, changes nothing.
TEST(ScenarioRun, LookingChangesNothing) {
  const RunReport alone = RunSmall(7);
  RunOptions options;
  options.seed = 7;
  options.keep = Trace::Keep::kEverything;
  uint64_t states = 0;
  size_t nodes = 0;
  options.begun = [&](const std::vector<std::string>& names) { nodes = names.size(); };
  options.observe = [&](const TraceEvent& event) { states += event.state.has_value() ? 1 : 0; };
  const RunReport watched = RunScenario(Small(), options);
  EXPECT_EQ(watched.trace_hash, alone.trace_hash);
  EXPECT_EQ(nodes, alone.node_names.size());
  EXPECT_GT(states, 20U);
}

TEST(ScenarioRun, PassesAndDoesItsWork) {
  const RunReport report = RunSmall(1);
  EXPECT_EQ(report.outcome, Outcome::kPass) << report.reason;
  EXPECT_EQ(report.work.faults_fired, 3U);
  EXPECT_GE(report.server_starts, 4U);
  EXPECT_GE(report.writer_count, 2U);
  EXPECT_GT(report.work.acknowledged_bytes, 100'000U);
}

// No bug, no trust: a planted bug has to be found, as a safety failure, within a few seeds.
void ExpectFound(const char* plant, uint64_t seeds_max) {
  proto::Scenario scenario = Small();
  for (uint64_t i = 0; i < 12; ++i) {
    proto::ScheduledFault* fault = scenario.add_schedule();
    fault->set_kind(proto::SERVER_POWER_AT_OP);
    fault->set_at_ms(1500 + 200 * i);
    fault->set_duration_ms(20);
    fault->set_size(1 + 7 * i % 40);
  }
  for (uint64_t seed = 1; seed <= seeds_max; ++seed) {
    RunOptions options;
    options.seed = seed;
    options.plant = plant;
    const RunReport report = RunScenario(scenario, options);
    if (report.outcome == Outcome::kSafety) {
      return;
    }
  }
  ADD_FAILURE() << "not found within " << seeds_max << " seeds";
}

TEST(ScenarioRun, FindsAcknowledgementsBeforeTheSync) { ExpectFound("ack_before_sync", 40); }

TEST(ScenarioRun, FindsMissingDirectorySyncs) { ExpectFound("missing_dirsync", 40); }

// With a floor that cannot be reached the seed is idle, not passed.
TEST(ScenarioRun, CallsAnIdleSeedIdle) {
  proto::Scenario scenario = Small();
  scenario.mutable_expect()->set_reads_min(1'000'000);
  const RunReport report = RunScenario(scenario, RunOptions());
  EXPECT_EQ(report.outcome, Outcome::kIdle);
}

// A server that never comes back in the calm phase is a liveness failure that says where it hangs.
TEST(ScenarioRun, CallsAHangALivenessFailure) {
  proto::Scenario scenario = Small();
  scenario.mutable_limits()->set_events(2'000);
  const RunReport report = RunScenario(scenario, RunOptions());
  EXPECT_EQ(report.outcome, Outcome::kLiveness);
  EXPECT_NE(report.reason.find("event limit"), std::string::npos) << report.reason;
}

TEST(ParseScenario, NamesThePlaceOfAnError) {
  const Result<proto::Scenario> unknown = ParseScenario("name: \"x\"\nnonsense: 3\n");
  EXPECT_EQ(unknown.status().code(), StatusCode::kInvalidArgument);
  EXPECT_NE(unknown.status().message().find("line 2"), std::string::npos);
  std::string text = kSmall;
  text.replace(text.find("page_size_log2 { min: 12 }"), 26, "page_size_log2 { min: 11 }");
  EXPECT_NE(ParseScenario(text).status().message().find("page_size_log2"), std::string::npos);
}

// A scenario's own limit of virtual time ends the calm phase, too.
TEST(ScenarioRun, EndsAtItsLimitOfVirtualTime) {
  proto::Scenario scenario = Small();
  scenario.mutable_limits()->set_virtual_ms(4'050);
  const RunReport report = RunScenario(scenario, RunOptions());
  EXPECT_EQ(report.outcome, Outcome::kLiveness);
  EXPECT_EQ(report.virtual_ns, 4'050'000'000);
}

TEST(ScenarioRun, KeepsAsManyEventsAsTheScenarioSays) {
  proto::Scenario scenario = Small();
  scenario.mutable_limits()->set_trace_events(300);
  RunOptions options;
  options.keep = Trace::Keep::kRecent;
  EXPECT_EQ(RunScenario(scenario, options).events.size(), 300U);
}

// What other checkers find is forgotten, and the run goes on.
TEST(ScenarioRun, CountsOnlyTheCheckersThatTheScenarioNames) {
  proto::Scenario scenario = Small();
  scenario.mutable_limits()->set_virtual_ms(4'050);
  scenario.add_checkers("C2");
  EXPECT_EQ(RunScenario(scenario, RunOptions()).outcome, Outcome::kPass);
  scenario.add_checkers("C8");
  EXPECT_EQ(RunScenario(scenario, RunOptions()).outcome, Outcome::kLiveness);
  scenario.add_checkers("C12");
  EXPECT_EQ(CheckScenario(scenario).code(), StatusCode::kInvalidArgument);
}

// Small with two fault classes that are on in every seed.
proto::Scenario SmallWithSwarm() {
  proto::Scenario scenario = Small();
  for (const proto::FaultKind kind : {proto::SERVER_POWER, proto::CONNECTION_LOSS}) {
    proto::SwarmFault* fault = scenario.add_swarm();
    fault->set_kind(kind);
    fault->set_enable_percent(100);
    fault->mutable_interval_ms()->set_min(200);
    fault->mutable_interval_ms()->set_max(600);
    fault->mutable_duration_ms()->set_min(1);
    fault->mutable_duration_ms()->set_max(100);
  }
  return scenario;
}

std::vector<std::string> FaultsOf(const ResolvedScenario& resolved, proto::FaultKind kind) {
  std::vector<std::string> faults;
  for (const proto::ScheduledFault& fault : resolved.schedule) {
    if (fault.kind() == kind) {
      faults.push_back(fault.ShortDebugString());
    }
  }
  return faults;
}

// Switching one fault class off leaves the others' faults and all settings as they were.
TEST(Resolve, FaultClassesDrawFromTheirOwnStreams) {
  proto::Scenario scenario = SmallWithSwarm();
  const ResolvedScenario both = Resolve(scenario, 5);
  scenario.mutable_swarm()->DeleteSubrange(0, 1);
  const ResolvedScenario one = Resolve(scenario, 5);
  EXPECT_GT(FaultsOf(one, proto::CONNECTION_LOSS).size(), 3U);
  EXPECT_EQ(FaultsOf(both, proto::CONNECTION_LOSS), FaultsOf(one, proto::CONNECTION_LOSS));
  EXPECT_GT(FaultsOf(both, proto::SERVER_POWER).size(), FaultsOf(one, proto::SERVER_POWER).size());
  EXPECT_EQ(both.run.begin_lsn, one.run.begin_lsn);
}

TEST(Resolve, TheStoreIsRocksdbForItsShareOfTheSeeds) {
  proto::Scenario scenario = Small();
  int rocksdb_count = 0;
  for (uint64_t seed = 1; seed <= 400; ++seed) {
    scenario.mutable_topology()->set_rocksdb_percent(0);
    EXPECT_FALSE(Resolve(scenario, seed).run.rocksdb_store);
    scenario.mutable_topology()->set_rocksdb_percent(100);
    EXPECT_TRUE(Resolve(scenario, seed).run.rocksdb_store);
    scenario.mutable_topology()->set_rocksdb_percent(30);
    const bool rocksdb = Resolve(scenario, seed).run.rocksdb_store;
    EXPECT_EQ(Resolve(Explicit(scenario, seed), seed).run.rocksdb_store, rocksdb);
    rocksdb_count += rocksdb ? 1 : 0;
  }
  EXPECT_GT(rocksdb_count, 100);
  EXPECT_LT(rocksdb_count, 140);
}

// A range that has one value leaves what the others draw as it was.
TEST(Resolve, RangesDrawFromTheirOwnStreams) {
  proto::Scenario scenario = Small();
  scenario.mutable_workload()->mutable_pages_per_space()->set_max(10'000);
  scenario.mutable_workload()->mutable_spaces()->set_max(1'000);
  const ResolvedScenario drawn = Resolve(scenario, 5);
  scenario.mutable_workload()->mutable_spaces()->clear_max();
  const ResolvedScenario fixed = Resolve(scenario, 5);
  EXPECT_NE(drawn.run.spaces, fixed.run.spaces);
  EXPECT_EQ(drawn.run.pages_per_space, fixed.run.pages_per_space);
}

// `every_ms` gives faults of their own, each with its own draw, until the chaos phase ends.
TEST(Explicit, RepeatsAFaultUntilAllIsCalm) {
  proto::Scenario scenario = Small();
  const proto::Scenario before = Explicit(scenario, 3);
  scenario.mutable_schedule(0)->set_every_ms(700);  // at 1000, 1700 ... 3800
  const proto::Scenario one = Explicit(scenario, 3);
  ASSERT_EQ(one.schedule_size(), before.schedule_size() + 4);
  std::set<uint64_t> draws;
  for (const proto::ScheduledFault& fault : one.schedule()) {
    draws.insert(fault.draw());
    EXPECT_EQ(fault.every_ms(), 0U);
    EXPECT_LT(fault.at_ms(), 4'000U);
  }
  EXPECT_EQ(draws.size(), static_cast<size_t>(one.schedule_size()));
  EXPECT_EQ(one.schedule(0).DebugString(), before.schedule(0).DebugString());
  EXPECT_EQ(one.DebugString(), Explicit(one, 3).DebugString());
  scenario.mutable_schedule(0)->set_every_ms(4);
  EXPECT_EQ(CheckScenario(scenario).code(), StatusCode::kInvalidArgument);
}

// A knob is one value a seed, every value of its range for some seed, and changes nothing else.
TEST(Explicit, DrawsKnobsOncePerSeed) {
  const proto::Scenario plain = SmallWithSwarm();
  proto::Scenario scenario = plain;
  proto::Knob* knob = scenario.add_knobs();
  knob->set_name("topology.readers");
  knob->mutable_range()->set_min(1);
  knob->mutable_range()->set_max(3);
  ASSERT_TRUE(CheckScenario(scenario).ok());
  std::set<uint32_t> readers;
  for (uint64_t seed = 1; seed <= 40; ++seed) {
    proto::Scenario one = Explicit(scenario, seed);
    EXPECT_EQ(one.knobs_size(), 0);
    readers.insert(one.topology().readers());
    const std::string shown = "readers=" + std::to_string(one.topology().readers()) + ' ';
    EXPECT_NE(Resolve(scenario, seed).description.find(shown), std::string::npos);
    one.mutable_topology()->set_readers(plain.topology().readers());
    EXPECT_EQ(one.DebugString(), Explicit(plain, seed).DebugString());
  }
  EXPECT_EQ(readers, (std::set<uint32_t>{1, 2, 3}));
  RunOptions options;
  options.seed = 4;
  EXPECT_EQ(RunScenario(scenario, options).trace_hash,
            RunScenario(Explicit(scenario, 4), options).trace_hash);
}

TEST(CheckScenario, LooksAtKnobsAtBothEnds) {
  const auto refuses = [](const char* name, uint64_t min, uint64_t max, const char* value) {
    proto::Scenario scenario = Small();
    proto::Knob* knob = scenario.add_knobs();
    knob->set_name(name);
    knob->set_value(value);
    if (min != 0) {
      knob->mutable_range()->set_min(min);
      knob->mutable_range()->set_max(max);
    }
    return CheckScenario(scenario).code() == StatusCode::kInvalidArgument;
  };
  EXPECT_FALSE(refuses("topology.readers", 1, 64, ""));
  EXPECT_TRUE(refuses("topology.readers", 1, 65, ""));
  EXPECT_TRUE(refuses("topology.nobody", 1, 2, ""));
  EXPECT_FALSE(refuses("disk.torn_crashes_only", 0, 0, "true"));
  EXPECT_TRUE(refuses("disk.torn_crashes_only", 0, 0, "perhaps"));
  EXPECT_TRUE(refuses("topology.readers", 1, 2, "1"));
  EXPECT_TRUE(refuses("topology.readers", 0, 0, ""));
}

// What was drawn, written down, is the same run: nothing is drawn a second time.
TEST(Explicit, ReplaysTheRunThatDrewIt) {
  const proto::Scenario scenario = SmallWithSwarm();
  for (uint64_t seed = 1; seed <= 5; ++seed) {
    const proto::Scenario once = Explicit(scenario, seed);
    EXPECT_EQ(once.swarm_size(), 0);
    EXPECT_GT(once.schedule_size(), scenario.schedule_size());
    EXPECT_EQ(once.DebugString(), Explicit(once, seed).DebugString());
    RunOptions options;
    options.seed = seed;
    EXPECT_EQ(RunScenario(scenario, options).trace_hash, RunScenario(once, options).trace_hash);
  }
}

}  // namespace
}  // namespace redoubt::sim
