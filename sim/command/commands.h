// SPDX-License-Identifier: MIT
//
// The subcommands of `simulate`. Each returns the process's exit code (sim::Outcome).
#pragma once

#include <cstdint>
#include <string>

#include "sim/cluster/scenario_run.h"

namespace redoubt::sim {

struct RunCommand {
  std::string scenario;
  uint64_t seed = 1;
  std::string trace_file;  // "-": standard output
  bool trace_full = false;
  std::string plant;
  bool in_process = false;  // no child: for debuggers
  bool hash_only = false;
};
int RunOneSeed(const RunCommand& command);

struct SwarmCommand {
  std::string scenario;
  uint64_t seeds = 100;
  uint64_t seed_base = 1;
  uint32_t jobs = 1;
  uint32_t double_run_every = 20;  // 0: never
  uint32_t seed_seconds_max = 60;
  bool stop_at_failure = false;
  std::string json_file;
  std::string plant;
};
int RunSwarm(const SwarmCommand& command);

struct DeterminismCommand {
  std::string scenario;
  uint64_t seed = 1;
  uint64_t seeds = 1;
};
int CheckDeterminism(const DeterminismCommand& command);

int ListScenarios(const std::string& directory);

// "0x0123456789abcdef"
std::string HashText(uint64_t hash);
// What a run was, in one line.
std::string Summary(const RunReport& report, uint64_t cpu_ms);
// The command that does it again.
std::string ReplayLine(const std::string& scenario, uint64_t seed, const std::string& plant);
// Milliseconds of processor time that this process has used.
uint64_t CpuMs();
int CodeOf(Outcome outcome);

}  // namespace redoubt::sim
