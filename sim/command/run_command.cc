// SPDX-License-Identifier: MIT
#include <sys/resource.h>
#include <time.h>

#include <array>
#include <cstdio>
#include <fstream>
#include <iostream>
#include <optional>

#include "sim/cluster/plants.h"
#include "sim/cluster/settings.h"
#include "sim/command/build_info.h"
#include "sim/command/capsule.h"
#include "sim/command/child_run.h"
#include "sim/command/commands.h"
#include "sim/command/scenario_file.h"
#include "sim/trace/state_lines.h"

namespace redoubt::sim {
namespace {

constexpr size_t kEventsShown = 40;
constexpr int kBisectSkip = 125;

void WriteTrace(const RunReport& report, std::ostream* out, size_t count_max) {
  const size_t count = report.events.size();
  for (size_t i = count > count_max ? count - count_max : 0; i < count; ++i) {
    const TraceEvent& event = report.events[i];
    *out << FormatTraceEvent(event, NodeName(report, event.node)) << '\n';
  }
}

Result<proto::Capsule> LoadRun(const RunCommand& command) {
  if (command.file.ends_with(kCapsuleSuffix)) {
    return LoadCapsule(command.file);
  }
  Result<proto::Scenario> scenario = LoadScenario(command.file);
  if (!scenario.ok()) {
    return scenario.status();
  }
  for (const std::string& knob : command.set) {
    REDOUBT_RETURN_IF_ERROR(SetKnob(knob, &*scenario));
  }
  return MakeCapsule(command.file, *scenario, command.seed, command.plant);
}

// Where it is written; "" when it cannot be, which is said.
std::string SaveFailure(const RunCommand& command, const proto::Capsule& capsule) {
  if (command.file.ends_with(kCapsuleSuffix)) {
    return command.file;
  }
  const Result<std::string> path = SaveCapsule(command.capsule_directory, capsule);
  if (!path.ok()) {
    std::cerr << path.status().message() << '\n';
    return "";
  }
  return *path;
}

void WriteHistory(const RunCommand& command, const RunReport& report) {
  if (command.history_file.empty()) {
    return;
  }
  std::ofstream file(command.history_file, std::ios::binary | std::ios::trunc);
  file << report.history;
  file.close();
  std::cout << (file.good() ? "history: " : "cannot write ") << command.history_file << '\n';
}

void ShowEvents(const RunCommand& command, const proto::Capsule& capsule, const RunReport& report) {
  if (command.trace_file == "-") {
    WriteTrace(report, &std::cout, SIZE_MAX);
  } else if (!command.trace_file.empty()) {
    const Status written = WriteTraceFile(command.trace_file, MakeTraceFile(capsule, report));
    std::cout << (written.ok() ? "trace: " + ProgramPath() + " trace " + command.trace_file +
                                     " --format html"
                               : written.message())
              << '\n';
  } else if (report.outcome != Outcome::kPass) {
    WriteTrace(report, &std::cout, kEventsShown);
  }
  for (const Finding& finding : report.findings) {
    std::cout << "finding " << finding.checker << ": " << finding.what << '\n';
  }
}

// A stored hash is promised for the build that stored it.
Outcome CompareWithStored(const proto::RunVerdict& stored, const std::string& stored_build,
                          const RunReport& report) {
  if (stored.trace_hash().empty()) {
    return report.outcome;
  }
  const bool same = stored.trace_hash() == HashText(report.trace_hash);
  const bool same_build = stored_build == BuildId();
  std::cout << (same ? "the same hash as in the capsule\n"
                     : "another hash than the capsule's " + stored.trace_hash() +
                           (same_build ? ", by the same build\n" : ", which another build gave\n"));
  return same || !same_build ? report.outcome : Outcome::kNondeterminism;
}

// In the child, or in the process itself.
int RunHere(const RunCommand& command, proto::Capsule capsule) {
  RunOptions options = OptionsOf(capsule);
  options.keep = command.trace_full  ? Trace::Keep::kEverything
                 : command.hash_only ? Trace::Keep::kNothing
                                     : Trace::Keep::kRecent;
  std::optional<StateLines> lines;
  if (!command.quiet && !command.hash_only && command.trace_file != "-") {
    // Each is written at once: the last ones are wanted most when the run dies.
    options.begun = [&lines](const std::vector<std::string>& names) {
      lines.emplace(names);
      std::cout << lines->Head() << std::flush;
    };
    options.observe = [&lines](const TraceEvent& event) {
      if (lines.has_value() && IsTransition(event.kind)) {
        std::cout << lines->Line(event) << std::flush;
      }
    };
  }
  const RunReport report = RunScenario(ScenarioOf(capsule), options);
  if (command.hash_only) {
    std::cout << HashText(report.trace_hash) << ' ' << CodeOf(report.outcome) << std::endl;
    return 0;
  }
  ShowEvents(command, capsule, report);
  WriteHistory(command, report);
  std::cout << Summary(report, CpuMs()) << '\n';
  if (!report.local_storage.empty()) {
    std::cout << report.local_storage << '\n';
  }
  const Outcome outcome = CompareWithStored(capsule.verdict(), capsule.build(), report);
  AddReport(report, &capsule);
  capsule.mutable_verdict()->set_outcome(std::string(OutcomeName(outcome)));
  if (outcome == Outcome::kPass) {
    std::cout << "PASS " << capsule.scenario().name() << " seed " << capsule.seed() << '\n';
  } else {
    std::cout << FailureText(capsule, SaveFailure(command, capsule));
  }
  std::cout.flush();
  return CodeOf(outcome);
}

int RunSomewhere(const RunCommand& command, const proto::Capsule& capsule) {
  if (command.in_process || command.hash_only) {
    return RunHere(command, capsule);
  }
  const auto work = [&](std::string*) { return RunHere(command, capsule); };
  const uint32_t seconds_max = SecondsMax(capsule.scenario(), command.seconds_max);
  const ChildEnd end = RunChild(work, seconds_max);
  if (end.signal == 0) {
    return end.exit_code;
  }
  proto::Capsule failed = capsule;
  *failed.mutable_verdict() = VerdictOfDeath(end, seconds_max);
  std::cout << FailureText(failed, SaveFailure(command, failed));
  return CodeOf(OutcomeNamed(failed.verdict().outcome()));
}

}  // namespace

std::string_view NodeName(const RunReport& report, NodeId node) {
  return node < report.node_names.size() ? std::string_view(report.node_names[node])
                                         : std::string_view("world");
}

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

uint64_t HostMs() {
  timespec now{};
  // tidy: allow(clock): the budget of a command is wall time, outside of any run
  clock_gettime(CLOCK_MONOTONIC, &now);
  return static_cast<uint64_t>(now.tv_sec) * 1000 + static_cast<uint64_t>(now.tv_nsec) / 1'000'000;
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

std::string FailureText(const proto::Capsule& capsule, const std::string& capsule_path) {
  std::string text = capsule.verdict().outcome() + ' ' + capsule.scenario().name() + ": " +
                     capsule.verdict().reason() + "\nseed " + std::to_string(capsule.seed());
  text += capsule.plant().empty() ? "" : ", planted bug " + capsule.plant();
  text += ", commit " + BuildCommit() + ", build " + BuildId() + ", hash " +
          (capsule.verdict().trace_hash().empty() ? "unknown" : capsule.verdict().trace_hash());
  if (capsule_path.empty()) {
    return text + '\n';
  }
  const std::string program = ProgramPath();
  return text + "\nsmaller: " + program + " shrink " + capsule_path + "\nreplay: " + program +
         " replay " + capsule_path + " --trace -\n";
}

Result<uint64_t> ParseDurationMs(std::string_view text) {
  uint64_t total = 0;
  size_t at = 0;
  while (at < text.size()) {
    uint64_t value = 0;
    const size_t digits = at;
    while (at < text.size() && text[at] >= '0' && text[at] <= '9' && value < 1'000'000'000) {
      value = value * 10 + static_cast<uint64_t>(text[at++] - '0');
    }
    const size_t unit_end = std::min(text.find_first_of("0123456789", at), text.size());
    const std::string_view unit = text.substr(at, unit_end - at);
    const uint64_t factor = unit == "ms"                ? 1
                            : unit == "s" || unit == "" ? 1000
                            : unit == "m"               ? 60'000
                            : unit == "h"               ? 3'600'000
                                                        : 0;
    if (at == digits || factor == 0) {
      return InvalidArgument("no duration: " + std::string(text) + "; say 90s, 2m or 1h30m");
    }
    total += value * factor;
    at = unit_end;
  }
  return total == 0 ? Result<uint64_t>(InvalidArgument("a duration of nothing")) : total;
}

int RunOnce(const RunCommand& asked) {
  RunCommand command = asked;
  if (command.trace_file == "full") {
    command.trace_file = "-";
    command.trace_full = true;
  }
  const Result<proto::Capsule> capsule = LoadRun(command);
  if (!capsule.ok()) {
    std::cerr << capsule.status().message() << '\n';
    return command.bisect ? kBisectSkip : CodeOf(Outcome::kHarnessError);
  }
  if (!command.hash_only) {
    std::cout << "simulate " << command.file << " seed " << capsule->seed() << ", commit "
              << BuildCommit() << ", build " << BuildId() << ", compiler " << __VERSION__
              << "\nsettings: " << Resolve(ScenarioOf(*capsule), capsule->seed()).description
              << std::endl;
  }
  const int code = RunSomewhere(command, *capsule);
  const bool undecided = code == CodeOf(Outcome::kIdle) || code == CodeOf(Outcome::kTimeLimit) ||
                         code == CodeOf(Outcome::kHarnessError);
  return command.bisect && undecided ? kBisectSkip : code;
}

int ListScenarios(const std::string& directory) {
  int code = 0;
  const std::vector<std::string> paths = FindScenarios(directory);
  if (paths.empty()) {
    std::cerr << "no scenarios below " << directory << '\n';
    code = CodeOf(Outcome::kHarnessError);
  }
  for (const std::string& path : paths) {
    const Result<proto::Scenario> scenario = LoadScenario(path);
    if (scenario.ok()) {
      std::cout << path << "  " << scenario->description() << '\n';
    } else {
      std::cout << path << "  BROKEN: " << scenario.status().message() << '\n';
      code = CodeOf(Outcome::kHarnessError);
    }
  }
  std::cout << "plants:";
  for (const PlantInfo& plant : PlantCatalogue()) {
    std::cout << "\n  " << plant.name << ": " << plant.what;
  }
  std::cout << '\n';
  return code;
}

}  // namespace redoubt::sim
