// SPDX-License-Identifier: MIT
//
// Swarms: what a child tells its parent arrives, canaries must be found, a directory's budget is
// shared, the corpus must pass, probes are counted.

#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>
#include <string>

#include "sim/command/capsule.h"
#include "sim/command/commands.h"
#include "sim/command/seed_run.h"
#include "sim/trace/probes.h"
#include "tests/sim/small_scenario.h"

namespace redoubt::sim {
namespace {

class SwarmTest : public ::testing::Test {
 protected:
  SwarmTest()
      : directory_(::testing::TempDir() + "swarm_test_" +
                   ::testing::UnitTest::GetInstance()->current_test_info()->name()) {
    std::filesystem::remove_all(directory_);
    std::filesystem::create_directories(directory_);
  }
  std::string Put(const std::string& name, const std::string& plant, const std::string& outcome) {
    proto::Scenario scenario = ShortScenario();
    scenario.set_name(name);
    scenario.set_plant(plant);
    scenario.mutable_expect()->set_outcome(outcome);
    const std::string path = directory_ + '/' + name + ".textproto";
    std::ofstream(path) << scenario.DebugString();
    return path;
  }
  SwarmCommand Command() const {
    SwarmCommand command;
    command.seeds = 6;
    command.jobs = 2;
    command.capsule_directory = directory_ + "/capsules";
    command.json_file = directory_ + "/out.jsonl";
    return command;
  }
  size_t JsonLines(const std::string& scenario) const {
    std::ifstream file(directory_ + "/out.jsonl");
    std::string line;
    size_t count = 0;
    while (std::getline(file, line)) {
      count += line.find('/' + scenario + ".textproto\"") != line.npos ? 1 : 0;
    }
    return count;
  }
  std::string directory_;
};

TEST_F(SwarmTest, CanariesMustBeFound) {
  SwarmCommand command = Command();
  command.scenario = Put("canary", "missing_dirsync", "SAFETY");
  EXPECT_EQ(RunSwarm(command), 0);
  EXPECT_FALSE(std::filesystem::exists(command.capsule_directory));
  // The bug is gone, and so nobody sees it: the harness is told.
  command.scenario = Put("dead", "", "SAFETY");
  EXPECT_EQ(RunSwarm(command), CodeOf(Outcome::kHarnessError));
}

TEST_F(SwarmTest, AFailureLeavesACapsuleThatFails) {
  SwarmCommand command = Command();
  command.scenario = Put("broken", "missing_dirsync", "");
  EXPECT_EQ(RunSwarm(command), CodeOf(Outcome::kSafety));
  ASSERT_TRUE(std::filesystem::exists(command.capsule_directory));
  const auto first = *std::filesystem::directory_iterator(command.capsule_directory);
  RunCommand replay;
  replay.file = first.path().string();
  EXPECT_EQ(RunOnce(replay), CodeOf(Outcome::kSafety));
  // In the corpus it is run without the planted bug, and passes.
  CorpusCommand corpus;
  corpus.directory = directory_ + "/corpus";
  EXPECT_EQ(RunCorpus(corpus), CodeOf(Outcome::kHarnessError));
  corpus.file = replay.file;
  EXPECT_EQ(AddToCorpus(corpus), 0);
  EXPECT_EQ(RunCorpus(corpus), 0);
  // A seed that fails still is told.
  corpus.file = command.scenario;
  corpus.seed = LoadCapsule(replay.file)->seed();
  EXPECT_EQ(AddToCorpus(corpus), 0);
  EXPECT_EQ(RunCorpus(corpus), CodeOf(Outcome::kSafety));
}

TEST_F(SwarmTest, ADirectorySharesItsBudget) {
  Put("first", "", "");
  Put("second", "", "");
  Put("canary", "missing_dirsync", "SAFETY");
  SwarmCommand command = Command();
  command.directory = directory_;
  command.budget = "4s";
  command.seed_base = "0123abc";
  EXPECT_EQ(RunSwarmOfDirectory(command), 0);
  EXPECT_GE(JsonLines("first"), 1U);
  EXPECT_GE(JsonLines("second"), 1U);
  // Broken runs are short: as much time is more seeds.
  EXPECT_GE(JsonLines("canary"), JsonLines("first"));
  EXPECT_NE(ShowProbes(command.json_file), CodeOf(Outcome::kHarnessError));
}

TEST(SeedLine, ArrivesAsItWasSent) {
  const SeedResult sent{Outcome::kSafety, "C1: two  words", 12, 34, 56, "0101", 78, true};
  uint64_t seed = 0;
  SeedResult got;
  std::string line = SeedLine(78, sent);
  ASSERT_EQ(line.back(), '\n');
  line.pop_back();
  ASSERT_TRUE(ParseSeedLine(line, &seed, &got));
  EXPECT_EQ(seed, 78U);
  EXPECT_EQ(SeedLine(78, got), SeedLine(78, sent));
  EXPECT_FALSE(ParseSeedLine("done 1 0 0", &seed, &got));
  EXPECT_FALSE(ParseSeedLine("start 1", &seed, &got));
}

TEST(SeedBase, IsANumberOrACommit) {
  EXPECT_EQ(SeedBaseOf("17"), 17U);
  EXPECT_NE(SeedBaseOf("17a"), SeedBaseOf("17b"));
  EXPECT_LT(SeedBaseOf("cb51312"), uint64_t{1} << 40);
}

// Each kind is broken in its own way, and only then.
TEST(Probes, TellWhatIsNotAsItShouldBe) {
  ProbeTable table;
  const size_t size = ProbeCatalogue().size();
  EXPECT_FALSE(table.Add("01"));
  EXPECT_FALSE(table.Add(std::string(size, 'x')));
  std::string as_it_should(size, '1');
  for (size_t i = 0; i < size; ++i) {
    as_it_should[i] = ProbeCatalogue()[i].kind == ProbeKind::kNever ? '0' : '1';
  }
  ASSERT_TRUE(table.Add(as_it_should));
  for (size_t i = 0; i < size; ++i) {
    EXPECT_FALSE(table.Broken(i)) << ProbeCatalogue()[i].name;
  }
  std::string opposite = as_it_should;
  for (char& c : opposite) {
    c = c == '0' ? '1' : '0';
  }
  ASSERT_TRUE(table.Add(opposite));
  for (size_t i = 0; i < size; ++i) {
    EXPECT_EQ(table.Broken(i), ProbeCatalogue()[i].kind != ProbeKind::kSometimes);
  }
  ProbeTable never;
  ASSERT_TRUE(never.Add(std::string(size, '0')));
  EXPECT_NE(never.Text().find("NEVER HIT"), std::string::npos);
}

TEST(Probes, SeeARun) {
  ProbeCounter counter;
  RunOptions options;
  options.observe = [&](const TraceEvent& event) { counter.Observe(event); };
  const RunReport report = RunScenario(ShortScenario(), options);
  ASSERT_EQ(report.outcome, Outcome::kPass) << report.reason;
  const std::string hits = counter.Hits();
  for (size_t i = 0; i < hits.size(); ++i) {
    const Probe& probe = ProbeCatalogue()[i];
    EXPECT_TRUE(probe.kind != ProbeKind::kAlways || hits[i] == '1') << probe.name;
    EXPECT_TRUE(probe.kind != ProbeKind::kNever || hits[i] == '0') << probe.name;
  }
}

}  // namespace
}  // namespace redoubt::sim
