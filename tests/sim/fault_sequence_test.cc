// SPDX-License-Identifier: MIT
//
// Goal: faults that wait for a trigger happen where and when that was seen; a partition with a peer
// keeps exactly those apart; a sequence becomes an explicit schedule in which each round gives the
// places to other servers. Method: whole runs of a small quorum scenario, watched by their trace.
#include <gtest/gtest.h>

#include <map>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "sim/cluster/explicit_scenario.h"
#include "sim/cluster/scenario_check.h"
#include "sim/cluster/scenario_run.h"

namespace redoubt::sim {
namespace {

constexpr char kQuorum[] = R"(
name: "small"
topology { tailers: 2 log_servers: 3 page_servers: 1 readers: 1 }
workload {
  redo_bytes_per_s { min: 30000 } page_size_log2 { min: 12 } spaces { min: 2 }
  pages_per_space { min: 8 } chunk_bytes_max { min: 3000 } read_interval_ms { min: 20 }
  page_batch_bytes { min: 20000 } log_segment_bytes { min: 50000 } log_tail_bytes { min: 20000 }
  page_cache_bytes { min: 100000 }
}
network { latency_us_mean { min: 100 } }
disk { sync_us_mean { min: 500 } }
phases { chaos_ms: 6000 calm_ms_max: 60000 }
limits { events: 5000000 }
)";
// Their order in the cast.
constexpr NodeId kLog1 = 0;
constexpr NodeId kLog3 = 2;
constexpr NodeId kPage1 = 3;
constexpr NodeId kTailer1 = 4;
constexpr NodeId kTailer2 = 5;

proto::Scenario Parse(const std::string& more) {
  const Result<proto::Scenario> scenario = ParseScenario(kQuorum + more);
  EXPECT_TRUE(scenario.ok()) << scenario.status().ToString();
  return scenario.ok() ? *scenario : proto::Scenario();
}

TEST(FaultTriggers, KillWhoeverLoggedTheLineAfterTheDelay) {
  const proto::Scenario scenario = Parse(
      "schedule { kind: TAKE_OVER at_ms: 2000 duration_ms: 2000 }\n"
      "schedule { kind: SERVER_KILL at_ms: 1500 duration_ms: 100 target: TARGET_LOG"
      " trigger { log_text: \" promised, \" at: TARGET_LOG count: 2 delay_us: 3000 } }\n");
  RunOptions options;
  std::vector<std::pair<NodeId, int64_t>> promised;
  std::vector<std::pair<NodeId, int64_t>> killed;
  options.observe = [&](const TraceEvent& event) {
    if (event.time_ns < 1'500'000'000 || event.time_ns > 3'000'000'000) {
      return;
    }
    if (event.kind == TraceKind::kLog && event.text.find(" promised, ") != event.text.npos) {
      promised.emplace_back(event.node, event.time_ns);
    }
    if (event.kind == TraceKind::kNodeKill) {
      killed.emplace_back(event.node, event.time_ns);
    }
  };
  const RunReport report = RunScenario(scenario, options);
  EXPECT_EQ(report.outcome, Outcome::kPass) << report.reason;
  ASSERT_GE(promised.size(), 2U);
  ASSERT_EQ(killed.size(), 1U);
  EXPECT_EQ(killed[0].first, promised[1].first);
  EXPECT_EQ(killed[0].second, promised[1].second + 3'000'000);
}

TEST(FaultTriggers, StopWhenARequestArrivesAndWithoutOneNothingHappens) {
  const proto::Scenario scenario = Parse(
      "schedule { kind: NODE_PAUSE at_ms: 1000 duration_ms: 200 target: TARGET_LOG"
      " trigger { request: LOG_APPEND at: TARGET_LOG at_node: 3 } }\n"
      "schedule { kind: SERVER_KILL at_ms: 1000 duration_ms: 100 target: TARGET_LOG"
      " trigger { request: VOLUME_DELETE } }\n");
  RunOptions options;
  std::vector<NodeId> paused;
  size_t killed = 0;
  options.observe = [&](const TraceEvent& event) {
    if (event.kind == TraceKind::kNodePause) {
      paused.push_back(event.node);
    }
    killed += event.kind == TraceKind::kNodeKill && event.time_ns < 6'000'000'000 ? 1 : 0;
  };
  const RunReport report = RunScenario(scenario, options);
  EXPECT_EQ(report.outcome, Outcome::kPass) << report.reason;
  ASSERT_FALSE(paused.empty());
  EXPECT_EQ(paused.front(), kLog3);
  EXPECT_EQ(killed, 0U);
  EXPECT_EQ(report.work.faults_fired, 1U);
}

TEST(FaultPeers, PartitionKeepsOnlyTheNamedApart) {
  const proto::Scenario scenario = Parse(
      "schedule { kind: PARTITION at_ms: 1000 duration_ms: 1500 target: TARGET_LOG node: 1"
      " peer: TARGET_WRITER }\n"
      "schedule { kind: PARTITION at_ms: 3000 duration_ms: 1500 target: TARGET_LOG node: 1"
      " peer: TARGET_WRITER peer_node: 2 }\n");
  RunOptions options;
  std::map<int64_t, std::set<std::pair<NodeId, NodeId>>> blocked;  // by second
  options.observe = [&](const TraceEvent& event) {
    if (event.kind == TraceKind::kLink && event.b == 1) {
      blocked[event.time_ns / 1'000'000'000].insert({event.node, static_cast<NodeId>(event.a)});
    }
  };
  const RunReport report = RunScenario(scenario, options);
  EXPECT_EQ(report.outcome, Outcome::kPass) << report.reason;
  using Links = std::set<std::pair<NodeId, NodeId>>;
  EXPECT_EQ(blocked[1],
            (Links{{kLog1, kTailer1}, {kTailer1, kLog1}, {kLog1, kTailer2}, {kTailer2, kLog1}}))
      << "not from page server " << kPage1;
  EXPECT_EQ(blocked[3], (Links{{kLog1, kTailer2}, {kTailer2, kLog1}}));
}

constexpr char kSequence[] = R"(
sequences {
  name: "rounds" enable_percent: 100 interval_ms { min: 100 max: 300 }
  steps { fault { kind: PARTITION target: TARGET_LOG node: 1 peer: TARGET_WRITER } duration_ms { min: 10 max: 50 } }
  steps { fault { kind: SERVER_KILL target: TARGET_LOG node: 2
                  trigger { request: LOG_APPEND at: TARGET_LOG at_node: 1 } }
          after_ms { min: 20 max: 40 } duration_ms { min: 10 max: 50 } delay_us { min: 0 max: 900 } }
  steps { fault { kind: TAILER_KILL target: TARGET_WRITER node: 1 } after_ms { min: 5 max: 9 } duration_ms { min: 10 } skip_percent: 50 }
}
)";

TEST(FaultSequences, EachRoundGivesThePlacesToOthers) {
  const proto::Scenario scenario = Parse(kSequence);
  const proto::Scenario one = Explicit(scenario, 1);
  EXPECT_EQ(one.sequences_size(), 0);
  EXPECT_EQ(one.DebugString(), Explicit(one, 1).DebugString()) << "nothing is left to draw";
  EXPECT_NE(one.DebugString(), Explicit(scenario, 2).DebugString());
  std::set<std::pair<uint32_t, uint32_t>> places;
  int kills = 0;
  int rounds = 0;
  const proto::ScheduledFault* first = nullptr;
  for (const proto::ScheduledFault& fault : one.schedule()) {
    if (fault.kind() == proto::PARTITION) {
      first = &fault;
      ++rounds;
    } else if (fault.kind() == proto::SERVER_KILL) {
      ASSERT_NE(first, nullptr);
      EXPECT_NE(fault.node(), first->node()) << "two places are two servers";
      EXPECT_EQ(fault.trigger().at_node(), first->node()) << "one place is one server";
      EXPECT_GE(fault.at_ms(), first->at_ms() + 20);
      EXPECT_LE(fault.at_ms(), first->at_ms() + 40);
      places.insert({first->node(), fault.node()});
    } else {
      ++kills;
      EXPECT_EQ(fault.node(), 1U) << "writers keep their numbers";
    }
  }
  EXPECT_EQ(places.size(), 6U) << "every order came";
  EXPECT_GT(kills, 0);
  EXPECT_LT(kills, rounds);
}

TEST(FaultSequences, RunAndPass) {
  RunOptions options;
  const RunReport report = RunScenario(Parse(kSequence), options);
  EXPECT_EQ(report.outcome, Outcome::kPass) << report.reason;
  EXPECT_GT(report.work.faults_fired, 20U);
}

TEST(FaultSequences, AreRefusedWhenTheyNameWhatIsNotThere) {
  const auto parses = [](const std::string& more) { return ParseScenario(kQuorum + more).ok(); };
  const std::string head = "sequences { name: \"s\" interval_ms { min: 9 } ";
  EXPECT_TRUE(parses(head + "steps { fault { kind: TAKE_OVER } } }"));
  EXPECT_FALSE(parses(head + "}")) << "no steps";
  EXPECT_FALSE(parses("sequences { name: \"s\" steps { fault { kind: TAKE_OVER } } }"));
  EXPECT_FALSE(parses(head + "steps { fault { kind: TAKE_OVER at_ms: 5 } } }"));
  EXPECT_FALSE(parses(head + "steps { fault { kind: TAKE_OVER peer: TARGET_LOG } } }"));
  EXPECT_FALSE(parses(head + "steps { fault { kind: TAKE_OVER trigger { } } } }"));
  EXPECT_FALSE(parses(head + "steps { fault { kind: SERVER_WIPE } } }")) << "the only copy";
}

}  // namespace
}  // namespace redoubt::sim
