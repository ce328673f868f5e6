// SPDX-License-Identifier: MIT
//
// A capsule is the run that it was made from: writes runs down as text, reads them back, runs them
// again and compares the trace hashes, with and without planted bugs.
#include "sim/command/capsule.h"

#include <gtest/gtest.h>

#include <array>
#include <string>

#include "sim/command/child_run.h"
#include "sim/command/commands.h"
#include "sim/command/scenario_file.h"
#include "tests/sim/small_scenario.h"

namespace redoubt::sim {
namespace {

// The capsule of a run, through its text.
Result<proto::Capsule> Written(uint64_t seed, const std::string& plant) {
  const proto::Scenario scenario = ShortScenario();
  RunOptions options;
  options.seed = seed;
  options.plant = plant;
  proto::Capsule capsule = MakeCapsule("short.textproto", scenario, seed, plant);
  AddReport(RunScenario(scenario, options), &capsule);
  return ParseCapsule(CapsuleText(capsule));
}

TEST(Capsule, ReplaysTwentyRunsWithTheirHashes) {
  const std::array<std::string, 3> plants{"", "ack_before_sync", "missing_dirsync"};
  uint64_t failed_count = 0;
  for (uint64_t seed = 1; seed <= 20; ++seed) {
    const Result<proto::Capsule> capsule = Written(seed, plants[seed % plants.size()]);
    ASSERT_TRUE(capsule.ok()) << capsule.status().message();
    EXPECT_GT(capsule->schedule_size(), 1);
    EXPECT_GT(capsule->fired_size(), 0);
    const RunReport again = RunScenario(ScenarioOf(*capsule), OptionsOf(*capsule));
    EXPECT_EQ(HashText(again.trace_hash), capsule->verdict().trace_hash()) << "seed " << seed;
    EXPECT_EQ(VerdictOf(again).DebugString(), capsule->verdict().DebugString());
    failed_count += again.outcome == Outcome::kSafety ? 1 : 0;
  }
  // Nothing would be shown about failures if there were none.
  EXPECT_GE(failed_count, 6U);
}

// Without the plant, or with one fault less, it is another run: the hash does see them.
TEST(Capsule, AnotherScheduleOrPlantIsAnotherRun) {
  Result<proto::Capsule> capsule = Written(2, "missing_dirsync");
  ASSERT_TRUE(capsule.ok());
  proto::Capsule other = *capsule;
  other.clear_plant();
  EXPECT_NE(HashText(RunScenario(ScenarioOf(other), OptionsOf(other)).trace_hash),
            capsule->verdict().trace_hash());
  other = *capsule;
  other.mutable_schedule()->DeleteSubrange(0, 1);
  EXPECT_NE(HashText(RunScenario(ScenarioOf(other), OptionsOf(other)).trace_hash),
            capsule->verdict().trace_hash());
}

// The densest swarm there can be still fits; a line of `fired` goes before a fault does.
TEST(Capsule, StaysBelowItsSize) {
  proto::Scenario scenario = ShortScenario();
  for (proto::SwarmFault& fault : *scenario.mutable_swarm()) {
    fault.set_enable_percent(100);
    fault.mutable_interval_ms()->set_min(1);
    fault.mutable_interval_ms()->set_max(1);
  }
  proto::Capsule capsule = MakeCapsule("short.textproto", scenario, 1, "");
  EXPECT_GE(capsule.schedule_size(), 800);
  for (int i = 0; i < 200; ++i) {
    capsule.add_fired(std::string(200, 'x') + std::to_string(i));
  }
  const std::string text = CapsuleText(capsule);
  EXPECT_LE(text.size(), kCapsuleBytesMax);
  const Result<proto::Capsule> read = ParseCapsule(text);
  ASSERT_TRUE(read.ok()) << read.status().message();
  EXPECT_EQ(read->schedule_size(), capsule.schedule_size());
  ASSERT_GT(read->fired_size(), 0);
  EXPECT_LT(read->fired_size(), 200);
  EXPECT_EQ(read->fired(read->fired_size() - 1), capsule.fired(199));
}

TEST(Capsule, RefusesWhatIsNotExplicit) {
  proto::Capsule capsule = MakeCapsule("short.textproto", ShortScenario(), 1, "");
  EXPECT_TRUE(ParseCapsule(CapsuleText(capsule)).ok());
  EXPECT_EQ(ParseCapsule("seed: 1 nonsense: 2").status().code(), StatusCode::kInvalidArgument);
  proto::Capsule range = capsule;
  range.mutable_scenario()->mutable_workload()->mutable_spaces()->set_max(9);
  EXPECT_EQ(ParseCapsule(CapsuleText(range)).status().code(), StatusCode::kInvalidArgument);
  proto::Capsule plant = capsule;
  plant.set_plant("no_such_bug");
  EXPECT_EQ(ParseCapsule(CapsuleText(plant)).status().code(), StatusCode::kInvalidArgument);
  proto::Capsule order = capsule;
  order.mutable_schedule(0)->set_at_ms(1'000'000);
  EXPECT_EQ(ParseCapsule(CapsuleText(order)).status().code(), StatusCode::kInvalidArgument);
}

TEST(Fingerprint, KeepsTheCheckerAndDropsTheNumbers) {
  EXPECT_EQ(FingerprintOf("C1: the log ends at 5743, but 9 was"),
            "C1: the log ends at #, but # was");
  EXPECT_EQ(FingerprintOf(""), "");
  EXPECT_NE(FingerprintOf("C1: lost 5"), FingerprintOf("C2: lost 5"));
}

// A death is a result: with the check that failed, or the limit that was passed.
TEST(ChildRun, TellsHowTheChildDied) {
  const ChildEnd check = RunChild(
      [](std::string*) {
        REDOUBT_CHECK(1 + 1 == 3);
        return 0;
      },
      60);
  EXPECT_NE(check.signal, 0);
  const proto::RunVerdict crash = VerdictOfDeath(check, 60);
  EXPECT_EQ(OutcomeNamed(crash.outcome()), Outcome::kCrash);
  EXPECT_NE(crash.reason().find("1 + 1 == 3"), std::string::npos) << crash.reason();
  const ChildEnd late = RunChild(
      [](std::string*) {
        volatile bool forever = true;
        while (forever) {
        }
        return 0;
      },
      1);
  EXPECT_EQ(OutcomeNamed(VerdictOfDeath(late, 1).outcome()), Outcome::kTimeLimit);
  proto::Scenario scenario = ShortScenario();
  EXPECT_EQ(SecondsMax(scenario, 60), 60U);
  scenario.mutable_limits()->set_wall_s(5);
  EXPECT_EQ(SecondsMax(scenario, 60), 5U);
  EXPECT_EQ(SecondsMax(scenario, 1), 1U);
  const ChildEnd fine = RunChild(
      [](std::string* answer) {
        *answer = "hello";
        return 7;
      },
      60);
  EXPECT_EQ(fine.signal, 0);
  EXPECT_EQ(fine.exit_code, 7);
  EXPECT_EQ(fine.answer, "hello");
}

TEST(SetKnob, SetsFieldsAndRanges) {
  proto::Scenario scenario = ShortScenario();
  EXPECT_TRUE(SetKnob("workload.spaces=2", &scenario).ok());
  EXPECT_EQ(scenario.workload().spaces().min(), 2U);
  EXPECT_EQ(scenario.workload().spaces().max(), 0U);
  EXPECT_TRUE(SetKnob("topology.readers=5", &scenario).ok());
  EXPECT_EQ(scenario.topology().readers(), 5U);
  EXPECT_TRUE(SetKnob("checkers=C2", &scenario).ok());
  EXPECT_TRUE(SetKnob("checkers=\"C9\"", &scenario).ok());
  EXPECT_EQ(scenario.checkers_size(), 2);
  for (const char* wrong :
       {"workload.spaces", "workload.nothing=1", "swarm=1", "workload=1", "topology.readers=x",
        "checkers=C99", "workload.spaces=2000", "topology.readers.x=1"}) {
    EXPECT_EQ(SetKnob(wrong, &scenario).code(), StatusCode::kInvalidArgument) << wrong;
  }
}

TEST(ParseDurationMs, KnowsTheUnits) {
  EXPECT_EQ(*ParseDurationMs("90"), 90'000U);
  EXPECT_EQ(*ParseDurationMs("90s"), 90'000U);
  EXPECT_EQ(*ParseDurationMs("1h30m"), 5'400'000U);
  EXPECT_EQ(*ParseDurationMs("500ms"), 500U);
  for (const char* wrong : {"", "0s", "m", "5 m", "5x", "-5s"}) {
    EXPECT_FALSE(ParseDurationMs(wrong).ok()) << wrong;
  }
}

}  // namespace
}  // namespace redoubt::sim
