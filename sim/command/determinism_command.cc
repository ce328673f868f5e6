// SPDX-License-Identifier: MIT
//
// The same seed must give the same trace hash: twice in one process, in a process with fixed
// addresses, and in one with randomised addresses, another size of environment and poisoned heap
// memory.

#include <sys/personality.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cstring>
#include <iostream>
#include <vector>

#include "sim/command/build_info.h"
#include "sim/command/commands.h"
#include "sim/command/scenario_file.h"

namespace redoubt::sim {
namespace {

enum class Layout { kFixed, kRandom };

// Runs this program again for one seed; the child's line "hash code", or why there is none.
std::string HashInOtherProcess(const DeterminismCommand& command, uint64_t seed, Layout layout) {
  std::array<int, 2> ends{};
  if (pipe(ends.data()) != 0) {
    return "no pipe";
  }
  const pid_t child = fork();
  if (child == 0) {
    dup2(ends[1], STDOUT_FILENO);
    close(ends[0]);
    close(ends[1]);
    const std::string seed_text = std::to_string(seed);
    std::string padding = "REDOUBT_SIM_PADDING=" + std::string(3000, 'x');
    std::string perturb = "MALLOC_PERTURB_=165";
    std::vector<char*> environment;
    if (layout == Layout::kFixed) {
      // Best effort: some containers refuse it, and nothing depends on it.
      personality(ADDR_NO_RANDOMIZE);
    } else {
      environment = {padding.data(), perturb.data()};
    }
    environment.push_back(nullptr);
    std::vector<std::string> words{"simulate", "run",     command.scenario,
                                   "--seed",   seed_text, "--hash-only"};
    std::vector<char*> arguments;
    std::transform(words.begin(), words.end(), std::back_inserter(arguments),
                   [](std::string& word) { return word.data(); });
    arguments.push_back(nullptr);
    execve("/proc/self/exe", arguments.data(), environment.data());
    _exit(CodeOf(Outcome::kHarnessError));
  }
  close(ends[1]);
  std::string text;
  std::array<char, 256> chunk{};
  ssize_t count = read(ends[0], chunk.data(), chunk.size());
  while (count > 0) {
    text.append(chunk.data(), static_cast<size_t>(count));
    count = read(ends[0], chunk.data(), chunk.size());
  }
  close(ends[0]);
  int status = 0;
  waitpid(child, &status, 0);
  while (!text.empty() && text.back() == '\n') {
    text.pop_back();
  }
  return WIFSIGNALED(status) ? std::string("died: ") + strsignal(WTERMSIG(status)) : text;
}

// Where two runs parted.
void PrintDivergence(const proto::Scenario& scenario, const RunOptions& options) {
  proto::Capsule capsule;
  *capsule.mutable_scenario() = scenario;
  const TraceFile first = MakeTraceFile(capsule, RunScenario(scenario, options));
  const TraceFile second = MakeTraceFile(capsule, RunScenario(scenario, options));
  std::cout << DivergenceText(CompareTraces(first, second), first, second);
}

}  // namespace

int CheckDeterminism(const DeterminismCommand& command) {
  const Result<proto::Scenario> scenario = LoadScenario(command.scenario);
  if (!scenario.ok()) {
    std::cerr << scenario.status().message() << '\n';
    return CodeOf(Outcome::kHarnessError);
  }
  for (uint64_t seed = command.seed; seed < command.seed + command.seeds; ++seed) {
    RunOptions options;
    options.seed = seed;
    const RunReport first = RunScenario(*scenario, options);
    const RunReport second = RunScenario(*scenario, options);
    const auto line = [](const RunReport& report) {
      return HashText(report.trace_hash) + ' ' + std::to_string(CodeOf(report.outcome));
    };
    const std::array<std::string, 4> hashes{line(first), line(second),
                                            HashInOtherProcess(command, seed, Layout::kFixed),
                                            HashInOtherProcess(command, seed, Layout::kRandom)};
    if (std::any_of(hashes.begin(), hashes.end(),
                    [&](const std::string& hash) { return hash != hashes[0]; })) {
      if (hashes[0] != hashes[1]) {
        options.keep = Trace::Keep::kEverything;
        PrintDivergence(*scenario, options);
      }
      std::cout << "in process: " << hashes[0] << ", again: " << hashes[1]
                << "\nother process, fixed addresses: " << hashes[2]
                << "\nother process, random addresses, poisoned heap: " << hashes[3] << '\n'
                << "NONDETERMINISM " << scenario->name() << " seed " << seed << '\n'
                << "replay: " << ProgramPath() << " check-determinism " << command.scenario
                << " --seed " << seed << '\n';
      return CodeOf(Outcome::kNondeterminism);
    }
    std::cout << "seed " << seed << ": " << hashes[0] << " four times" << std::endl;
  }
  std::cout << "PASS\n";
  return 0;
}

}  // namespace redoubt::sim
