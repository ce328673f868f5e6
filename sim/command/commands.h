// SPDX-License-Identifier: MIT
//
// The subcommands of `simulate`. Each returns the process's exit code (sim::Outcome).
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "common/base/result.h"
#include "proto/capsule.pb.h"
#include "sim/cluster/scenario_run.h"
#include "sim/trace/trace_file.h"

namespace redoubt::sim {

inline constexpr char kDefaultCapsuleDirectory[] = "build/capsules";

// One run: a seed of a scenario, or a capsule.
struct RunCommand {
  std::string file;
  uint64_t seed = 1;             // of a scenario
  std::vector<std::string> set;  // "workload.spaces=3", a scenario's only
  std::string trace_file;        // "-": standard output
  bool trace_full = false;
  std::string history_file;  // of a scenario with computes
  std::string plant;         // a scenario's only
  std::string capsule_directory = kDefaultCapsuleDirectory;
  uint32_t seconds_max = 600;
  bool in_process = false;  // no child: for debuggers
  bool hash_only = false;
  bool quiet = false;   // no lines of states
  bool bisect = false;  // idle, harness error, time limit: 125, for `git bisect run`
};
int RunOnce(const RunCommand& command);

struct ShrinkCommand {
  std::string capsule;
  std::string output;  // default: beside the capsule, "-small"
  std::string budget = "2m";
  uint32_t run_seconds_max = 60;
};
int ShrinkCapsule(const ShrinkCommand& command);

struct TraceCommand {
  std::string file;
  std::string format = "ascii";  // lines, jsonl, html, perfetto
  std::string node;
  std::string since;  // virtual time: "12s", "1500ms"
  std::string grep;
  std::string output;  // default: standard output
};
int ShowTrace(const TraceCommand& command);
// 13 when they differ.
int DiffTraces(const std::string& path_a, const std::string& path_b);
TraceFile MakeTraceFile(const proto::Capsule& capsule, const RunReport& report);

struct SwarmCommand {
  std::string scenario;   // one, for `seeds` seeds, or
  std::string directory;  // all below it, until the budget of wall time is used up
  std::string budget = "5m";
  uint64_t seeds = 100;
  std::string seed_base = "1";  // a number, or a commit
  uint32_t jobs = 1;
  uint32_t double_run_every = 20;  // 0: never
  uint32_t seed_seconds_max = 60;
  bool stop_at_failure = false;
  std::string json_file;
  std::string plant;
  std::string capsule_directory = kDefaultCapsuleDirectory;
};
int RunSwarm(const SwarmCommand& command);
int RunSwarmOfDirectory(const SwarmCommand& command);

struct CorpusCommand {
  std::string directory = "scenarios/corpus";
  std::string file;              // to add: a capsule or a scenario
  uint64_t seed = 1;             // of a scenario
  std::vector<std::string> set;  // its knobs
  uint32_t run_seconds_max = 120;
  std::string capsule_directory = kDefaultCapsuleDirectory;
};
// Everything stored must pass now, without the planted bug that it was found with.
int RunCorpus(const CorpusCommand& command);
int AddToCorpus(const CorpusCommand& command);

// The catalogue; with a file of `swarm --json` lines, how many of its runs hit each probe. 14 when
// a probe is not as it should be.
int ShowProbes(const std::string& history);

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
// The last lines of a failure: reason, seed and build, the commands that shrink it and do it again.
std::string FailureText(const proto::Capsule& capsule, const std::string& capsule_path);
// "world" for what is no node.
std::string_view NodeName(const RunReport& report, NodeId node);
// "90s", "2m", "1h30m", "500ms" in milliseconds; kInvalidArgument.
Result<uint64_t> ParseDurationMs(std::string_view text);
// Milliseconds of a clock that only goes on: for budgets of wall time, outside of any run.
uint64_t HostMs();
// Milliseconds of processor time that this process has used.
uint64_t CpuMs();
int CodeOf(Outcome outcome);

}  // namespace redoubt::sim
