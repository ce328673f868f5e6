// SPDX-License-Identifier: MIT
//
// Shrinking keeps the failure and loses the rest: once against a made-up rule that says what fails,
// and on runs with planted bugs.
#include "sim/command/shrinker.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <string>

#include "sim/command/capsule.h"
#include "sim/command/commands.h"
#include "tests/sim/small_scenario.h"

namespace redoubt::sim {
namespace {

proto::RunVerdict Verdict(bool fails, const std::string& fingerprint) {
  proto::RunVerdict verdict;
  verdict.set_outcome(fails ? "SAFETY" : "PASS");
  verdict.set_fingerprint(fails ? fingerprint : "");
  verdict.set_virtual_ns(3'900'000'000);
  return verdict;
}

// Fails exactly when two certain entries are both there.
TEST(Shrinker, FindsTheTwoFaultsThatItTakes) {
  proto::Capsule capsule = MakeCapsule("short.textproto", ShortScenario(), 4, "");
  ASSERT_GT(capsule.schedule_size(), 12);
  const uint64_t first = capsule.schedule(3).draw();
  const uint64_t second = capsule.schedule(10).draw();
  const auto has = [](const proto::Capsule& candidate, uint64_t draw) {
    return std::any_of(candidate.schedule().begin(), candidate.schedule().end(),
                       [&](const proto::ScheduledFault& fault) { return fault.draw() == draw; });
  };
  const auto run = [&](const proto::Capsule& candidate) {
    return Verdict(has(candidate, first) && has(candidate, second), "C1: lost");
  };
  *capsule.mutable_verdict() = run(capsule);
  Shrinker shrinker(run, [] { return false; }, [](const std::string&) {});
  const proto::Capsule small = shrinker.Shrink(capsule);
  EXPECT_EQ(small.schedule_size(), 2);
  EXPECT_TRUE(has(small, first) && has(small, second));
  EXPECT_EQ(small.scenario().topology().readers(), 0U);
  // Without the bug it must count as a run that did something.
  EXPECT_LE(small.scenario().expect().faults_min(), 1U);
  EXPECT_LE(small.scenario().expect().acknowledged_bytes_min(), 1U);
}

// What fails whatever happens, as long as one fault makes the server stand still, becomes the least
// that does so, on the fewest nodes with the least load.
TEST(Shrinker, WeakensOutcomesAndLeavesFewNodesClientsAndKeys) {
  Result<proto::Scenario> scenario = ParseScenario(R"(
name: "wide"
topology { log_servers: 5 page_servers: 3 computes: 2 readers: 4 }
workload {
  page_size_log2 { min: 12 } chunk_bytes_max { min: 100 } read_interval_ms { min: 20 }
  page_batch_bytes { min: 4000 } log_segment_bytes { min: 67108864 } log_tail_bytes { min: 5000 }
  page_cache_bytes { min: 20000 } compute_clients { min: 8 } accounts { min: 100 }
}
network { latency_us_mean { min: 1234 } kib_per_s { min: 500 } }
disk { sync_us_mean { min: 1234 } }
schedule { kind: DISK_SWAP at_ms: 100 at_ns: 77 duration_ms: 64 target: TARGET_LOG }
schedule { kind: TAKE_OVER at_ms: 150 duration_ms: 64 }
schedule { kind: SERVER_POWER at_ms: 200 duration_ms: 64 }
phases { chaos_ms: 4000 calm_ms_max: 60000 }
)");
  ASSERT_TRUE(scenario.ok()) << scenario.status().message();
  proto::Capsule capsule = MakeCapsule("wide.textproto", *scenario, 4, "");
  const auto run = [&](const proto::Capsule& candidate) {
    bool first = false;
    bool torn = false;
    for (const proto::ScheduledFault& fault : candidate.schedule()) {
      first = first || fault.at_ms() == 100;
      // This one is needed as a power cut, but not as a torn one.
      torn = torn || (fault.at_ms() == 200 && fault.kind() == proto::SERVER_POWER);
    }
    return Verdict(first && torn, "C8: it stands");
  };
  *capsule.mutable_verdict() = run(capsule);
  Shrinker shrinker(run, [] { return false; }, [](const std::string&) {});
  const proto::Capsule small = shrinker.Shrink(capsule);
  ASSERT_EQ(small.schedule_size(), 2);
  EXPECT_EQ(small.schedule(0).kind(), proto::SERVER_PAUSE);
  EXPECT_EQ(small.schedule(0).at_ns(), 0U);
  EXPECT_EQ(small.schedule(0).duration_ms(), 1U);
  EXPECT_EQ(small.schedule(1).kind(), proto::SERVER_POWER);
  EXPECT_EQ(small.schedule(1).image(), proto::IMAGE_ALL);
  const proto::Topology& topology = small.scenario().topology();
  EXPECT_EQ(topology.log_servers(), 3U);
  EXPECT_EQ(topology.page_servers() + topology.readers(), 0U);
  EXPECT_EQ(topology.computes(), 1U);
  EXPECT_EQ(small.scenario().workload().compute_clients().min(), 1U);
  EXPECT_EQ(small.scenario().workload().accounts().min(), 2U);
  EXPECT_EQ(small.scenario().network().latency_us_mean().min(), 100U);
  EXPECT_FALSE(small.scenario().network().has_kib_per_s());
  EXPECT_TRUE(CheckScenario(ScenarioOf(small)).ok());
}

// Another failure is not this failure, however small.
TEST(Shrinker, DoesNotTakeAnotherFailure) {
  proto::Capsule capsule = MakeCapsule("short.textproto", ShortScenario(), 4, "");
  const int size = capsule.schedule_size();
  const auto run = [&](const proto::Capsule& candidate) {
    const bool whole = candidate.schedule_size() == size;
    return Verdict(true, whole ? "C1: lost" : "C2: wrong");
  };
  *capsule.mutable_verdict() = run(capsule);
  Shrinker shrinker(run, [] { return false; }, [](const std::string&) {});
  EXPECT_EQ(shrinker.Shrink(capsule).schedule_size(), size);
}

TEST(Shrinker, StopsWhenTheBudgetIsUsedUp) {
  proto::Capsule capsule = MakeCapsule("short.textproto", ShortScenario(), 4, "");
  uint64_t runs = 0;
  const auto run = [&](const proto::Capsule&) {
    ++runs;
    return Verdict(true, "C1: lost");
  };
  *capsule.mutable_verdict() = run(capsule);
  Shrinker shrinker(run, [&] { return runs >= 3; }, [](const std::string&) {});
  const proto::Capsule small = shrinker.Shrink(capsule);
  EXPECT_EQ(runs, 3U);
  EXPECT_EQ(shrinker.run_count(), 2U);
  EXPECT_GT(capsule.schedule_size(), small.schedule_size());
}

// The real thing: at most five faults are left within a budget of runs, and they still fail.
void ExpectShrinks(const std::string& plant) {
  proto::Capsule capsule;
  for (uint64_t seed = 1; seed <= 40 && capsule.verdict().outcome() != "SAFETY"; ++seed) {
    capsule = MakeCapsule("short.textproto", ShortScenario(), seed, plant);
    AddReport(RunScenario(ScenarioOf(capsule), OptionsOf(capsule)), &capsule);
  }
  ASSERT_EQ(capsule.verdict().outcome(), "SAFETY");
  const auto run = [](const proto::Capsule& candidate) {
    return VerdictOf(RunScenario(ScenarioOf(candidate), OptionsOf(candidate)));
  };
  uint64_t runs = 0;
  Shrinker shrinker(run, [&] { return ++runs > 300; }, [](const std::string&) {});
  const proto::Capsule small = shrinker.Shrink(capsule);
  EXPECT_LE(small.schedule_size(), 5) << "from " << capsule.schedule_size();
  const Result<proto::Capsule> stored = ParseCapsule(CapsuleText(small));
  ASSERT_TRUE(stored.ok()) << stored.status().message();
  const proto::RunVerdict again = run(*stored);
  EXPECT_EQ(again.fingerprint(), capsule.verdict().fingerprint());
  EXPECT_EQ(again.trace_hash(), stored->verdict().trace_hash());
}

TEST(Shrinker, ShrinksAcknowledgementsBeforeTheSync) { ExpectShrinks("ack_before_sync"); }

TEST(Shrinker, ShrinksMissingDirectorySyncs) { ExpectShrinks("missing_dirsync"); }

}  // namespace
}  // namespace redoubt::sim
