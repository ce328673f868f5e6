// SPDX-License-Identifier: MIT
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <cstdio>
#include <cstring>
#include <fstream>
#include <iostream>

#include "sim/command/commands.h"
#include "sim/command/scenario_file.h"

namespace redoubt::sim {
namespace {

constexpr size_t kEventsShown = 40;

std::string_view NodeName(const RunReport& report, NodeId node) {
  return node < report.node_names.size() ? std::string_view(report.node_names[node])
                                         : std::string_view("world");
}

void WriteTrace(const RunReport& report, std::ostream* out, size_t count_max) {
  const size_t count = report.events.size();
  for (size_t i = count > count_max ? count - count_max : 0; i < count; ++i) {
    const TraceEvent& event = report.events[i];
    *out << FormatTraceEvent(event, NodeName(report, event.node)) << '\n';
  }
}

// In the child, or in the process itself.
int RunHere(const RunCommand& command, const proto::Scenario& scenario) {
  RunOptions options;
  options.seed = command.seed;
  options.keep = command.trace_full  ? Trace::Keep::kEverything
                 : command.hash_only ? Trace::Keep::kNothing
                                     : Trace::Keep::kRecent;
  ParsePlant(command.plant, &options.plant);
  const RunReport report = RunScenario(scenario, options);
  if (command.hash_only) {
    std::cout << HashText(report.trace_hash) << ' ' << CodeOf(report.outcome) << std::endl;
    return 0;
  }
  std::cout << "settings: " << report.settings << '\n';
  if (command.trace_file == "-") {
    WriteTrace(report, &std::cout, SIZE_MAX);
  } else if (!command.trace_file.empty()) {
    std::ofstream file(command.trace_file);
    WriteTrace(report, &file, SIZE_MAX);
  } else if (report.outcome != Outcome::kPass) {
    WriteTrace(report, &std::cout, kEventsShown);
  }
  for (const Finding& finding : report.findings) {
    std::cout << "finding " << finding.checker << ": " << finding.what << '\n';
  }
  std::cout << Summary(report, CpuMs()) << '\n';
  std::cout << OutcomeName(report.outcome) << ' ' << scenario.name() << " seed " << command.seed
            << (report.reason.empty() ? "" : ": " + report.reason) << '\n';
  if (report.outcome != Outcome::kPass) {
    std::cout << "replay: " << ReplayLine(command.scenario, command.seed, command.plant) << '\n';
  }
  std::cout.flush();
  return CodeOf(report.outcome);
}

}  // namespace

std::string HashText(uint64_t hash) {
  std::array<char, 24> text{};
  std::snprintf(text.data(), text.size(), "0x%016llx", static_cast<unsigned long long>(hash));
  return text.data();
}

uint64_t CpuMs() {
  rusage usage{};
  getrusage(RUSAGE_SELF, &usage);
  return static_cast<uint64_t>(usage.ru_utime.tv_sec + usage.ru_stime.tv_sec) * 1000 +
         static_cast<uint64_t>(usage.ru_utime.tv_usec + usage.ru_stime.tv_usec) / 1000;
}

int CodeOf(Outcome outcome) { return static_cast<int>(outcome); }

std::string Summary(const RunReport& report, uint64_t cpu_ms) {
  std::array<char, 400> text{};
  const double virtual_s = static_cast<double>(report.virtual_ns) / 1e9;
  const double cpu_s = static_cast<double>(cpu_ms) / 1e3;
  std::snprintf(text.data(), text.size(),
                "%.1f s virtual in %.2f s of processor (%.0fx), %llu events, hash %s; %llu bytes "
                "acknowledged in %llu mtrs, %llu pages checked, %llu reads failed, %llu faults, "
                "%llu server starts, %llu writers",
                virtual_s, cpu_s, cpu_s > 0 ? virtual_s / cpu_s : 0.0,
                static_cast<unsigned long long>(report.event_count),
                HashText(report.trace_hash).c_str(),
                static_cast<unsigned long long>(report.work.acknowledged_bytes),
                static_cast<unsigned long long>(report.mtr_count),
                static_cast<unsigned long long>(report.work.pages_checked),
                static_cast<unsigned long long>(report.reads_failed),
                static_cast<unsigned long long>(report.work.faults_fired),
                static_cast<unsigned long long>(report.server_starts),
                static_cast<unsigned long long>(report.writer_count));
  return text.data();
}

std::string ReplayLine(const std::string& scenario, uint64_t seed, const std::string& plant) {
  std::string line = "simulate run " + scenario + " --seed " + std::to_string(seed);
  if (!plant.empty()) {
    line += " --plant " + plant;
  }
  return line + " --trace -";
}

int RunOneSeed(const RunCommand& command) {
  const Result<proto::Scenario> scenario = LoadScenario(command.scenario);
  if (!scenario.ok()) {
    std::cerr << scenario.status().message() << '\n';
    return CodeOf(Outcome::kHarnessError);
  }
  if (!command.hash_only) {
    std::cout << "simulate run " << command.scenario << " seed " << command.seed << " compiler "
              << __VERSION__ << std::endl;
  }
  if (command.in_process || command.hash_only) {
    return RunHere(command, *scenario);
  }
  const pid_t child = fork();
  if (child == 0) {
    _exit(RunHere(command, *scenario));
  }
  int status = 0;
  if (child < 0 || waitpid(child, &status, 0) != child) {
    std::cerr << "cannot run a child: " << std::strerror(errno) << '\n';
    return CodeOf(Outcome::kHarnessError);
  }
  if (WIFSIGNALED(status)) {
    std::cout << "CRASH " << scenario->name() << " seed " << command.seed << ": "
              << strsignal(WTERMSIG(status)) << '\n'
              << "replay: " << ReplayLine(command.scenario, command.seed, command.plant)
              << " --in-process\n";
    return CodeOf(Outcome::kCrash);
  }
  return WEXITSTATUS(status);
}

int ListScenarios(const std::string& directory) {
  int code = 0;
  for (const std::string& path : FindScenarios(directory)) {
    const Result<proto::Scenario> scenario = LoadScenario(path);
    if (scenario.ok()) {
      std::cout << path << "  " << scenario->description() << '\n';
    } else {
      std::cout << path << "  BROKEN: " << scenario.status().message() << '\n';
      code = CodeOf(Outcome::kHarnessError);
    }
  }
  std::cout << "plants:";
  for (const std::string& name : PlantNames()) {
    std::cout << ' ' << name;
  }
  std::cout << '\n';
  return code;
}

}  // namespace redoubt::sim
