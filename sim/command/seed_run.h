// SPDX-License-Identifier: MIT
//
// One seed of a swarm: what a child does, and the line in which it tells its parent.
#pragma once

#include <cstdint>
#include <fstream>
#include <map>
#include <string>
#include <string_view>

#include "proto/scenario.pb.h"
#include "sim/cluster/scenario_run.h"

namespace redoubt::sim {

struct SeedResult {
  Outcome outcome = Outcome::kPass;
  std::string reason;
  uint64_t cpu_ms = 0;
  uint64_t virtual_ms = 0;
  uint64_t hash = 0;   // 0: the process died
  std::string probes;  // ProbeCounter::Hits
  uint64_t wall_ms = 0;
  bool twice = false;  // it was run twice, and the hashes were compared
};

struct SeedTask {
  std::string source;  // the scenario's file
  const proto::Scenario* scenario = nullptr;
  uint64_t seed = 1;
  std::string plant;
  std::string capsule_directory;
  bool twice = false;  // and compare the hashes
};

// Writes a capsule when it fails.
SeedResult RunSeed(const SeedTask& task);
// Of a child that was killed at this seed: writes a capsule, too.
SeedResult DeadSeed(const SeedTask& task, int signal, uint32_t seconds_max);

// "done <seed> <code> <hash> <virtual ms> <cpu ms> <wall ms> <twice> <probes> <reason>\n"
std::string SeedLine(uint64_t seed, const SeedResult& result);
// False: another kind of line.
bool ParseSeedLine(const std::string& line, uint64_t* seed, SeedResult* result);

// One JSON object. `expected`: how the scenario's runs must end when it is a canary, else empty.
std::string SeedJson(const std::string& source, std::string_view expected, uint64_t seed,
                     const SeedResult& result);
// The file of a swarm's JSON lines. Each is written as its run ends, so that a swarm that is
// stopped leaves what it has done. An empty path: none.
class SeedJsonFile {
 public:
  explicit SeedJsonFile(const std::string& path);
  void Add(const std::string& source, const proto::Scenario& scenario, uint64_t seed,
           const SeedResult& result);

 private:
  std::ofstream file_;
};

// While one lives, SIGINT and SIGTERM ask a swarm to stop instead of ending the process. Its
// children must not hear the terminal's SIGINT: the swarm ends them.
class SwarmStop {
 public:
  SwarmStop();
  SwarmStop(const SwarmStop&) = delete;
  SwarmStop& operator=(const SwarmStop&) = delete;
  ~SwarmStop();
  bool requested() const;
  // In the child.
  static void Ignore();
};
// The first of the scenario's expected shares that these seeds do not reach, as a line for people;
// empty when they do, or are fewer than `seeds_min`.
std::string MissedShare(const proto::Scenario& scenario,
                        const std::map<uint64_t, SeedResult>& results, size_t seeds_min);
// The worst has the highest; a pass and an idle seed have 0.
size_t Severity(Outcome outcome);
// A number as it is, anything else (a commit) by its hash.
uint64_t SeedBaseOf(const std::string& text);

}  // namespace redoubt::sim
