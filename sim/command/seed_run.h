// SPDX-License-Identifier: MIT
//
// One seed of a swarm: what a child does, and the line in which it tells its parent.
#pragma once

#include <cstdint>
#include <string>

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

// "done <seed> <code> <hash> <virtual ms> <cpu ms> <probes> <reason>\n"
std::string SeedLine(uint64_t seed, const SeedResult& result);
// False: another kind of line.
bool ParseSeedLine(const std::string& line, uint64_t* seed, SeedResult* result);

// One JSON object.
std::string SeedJson(const std::string& source, uint64_t seed, const SeedResult& result);
// The worst has the highest; a pass and an idle seed have 0.
size_t Severity(Outcome outcome);
// A number as it is, anything else (a commit) by its hash.
uint64_t SeedBaseOf(const std::string& text);

}  // namespace redoubt::sim
