// SPDX-License-Identifier: MIT
#include "sim/command/seed_run.h"

#include <signal.h>

#include <array>
#include <charconv>
#include <cstdio>
#include <iostream>

#include "common/base/bytes.h"
#include "common/base/hash.h"
#include "sim/command/build_info.h"
#include "sim/command/capsule.h"
#include "sim/command/child_run.h"
#include "sim/command/commands.h"
#include "sim/trace/probes.h"
#include "sim/trace/trace_file.h"

namespace redoubt::sim {
namespace {

// A signal handler has nowhere else to put it.
volatile sig_atomic_t stop_signal = 0;

void NoteStop(int number) { stop_signal = number; }

void Keep(const SeedTask& task, const proto::Capsule& capsule) {
  const Result<std::string> path = SaveCapsule(task.capsule_directory, capsule);
  if (!path.ok()) {
    std::cerr << path.status().message() << '\n';
  }
}

}  // namespace

SeedResult RunSeed(const SeedTask& task) {
  ProbeCounter probes;
  RunOptions options;
  options.seed = task.seed;
  options.plant = task.plant;
  options.observe = [&](const TraceEvent& event) { probes.Observe(event); };
  const uint64_t before_ms = CpuMs();
  const uint64_t began_ms = HostMs();
  const RunReport report = RunScenario(*task.scenario, options);
  SeedResult result;
  result.outcome = report.outcome;
  result.reason = report.reason;
  result.cpu_ms = CpuMs() - before_ms;
  result.wall_ms = HostMs() - began_ms;
  result.virtual_ms = static_cast<uint64_t>(report.virtual_ns / 1'000'000);
  result.hash = report.trace_hash;
  result.probes = task.scenario->expect().outcome().empty() ? probes.Hits() : "";
  result.twice = task.twice;
  if (task.twice) {
    options.observe = nullptr;
    const RunReport again = RunScenario(*task.scenario, options);
    if (again.trace_hash != report.trace_hash) {
      result.outcome = Outcome::kNondeterminism;
      result.reason = "two runs in one process gave the hashes " + HashText(report.trace_hash) +
                      " and " + HashText(again.trace_hash);
    }
  }
  const bool wanted = task.scenario->expect().outcome() == OutcomeName(result.outcome);
  if (Severity(result.outcome) > 0 && !wanted) {
    proto::Capsule capsule = MakeCapsule(task.source, *task.scenario, task.seed, task.plant);
    AddReport(report, &capsule);
    capsule.mutable_verdict()->set_outcome(std::string(OutcomeName(result.outcome)));
    capsule.mutable_verdict()->set_reason(result.reason);
    Keep(task, capsule);
  }
  return result;
}

SeedResult DeadSeed(const SeedTask& task, int signal, uint32_t seconds_max) {
  proto::Capsule capsule = MakeCapsule(task.source, *task.scenario, task.seed, task.plant);
  *capsule.mutable_verdict() = VerdictOfDeath(ChildEnd{"", 0, signal, ""}, seconds_max);
  Keep(task, capsule);
  SeedResult result;
  result.outcome = OutcomeNamed(capsule.verdict().outcome());
  result.reason = capsule.verdict().reason();
  return result;
}

std::string SeedLine(uint64_t seed, const SeedResult& result) {
  std::string reason = result.reason;
  for (char& c : reason) {
    c = c == '\n' ? ' ' : c;
  }
  return "done " + std::to_string(seed) + ' ' + std::to_string(CodeOf(result.outcome)) + ' ' +
         std::to_string(result.hash) + ' ' + std::to_string(result.virtual_ms) + ' ' +
         std::to_string(result.cpu_ms) + ' ' + std::to_string(result.wall_ms) + ' ' +
         (result.twice ? "1 " : "0 ") + (result.probes.empty() ? "-" : result.probes) + ' ' +
         reason + '\n';
}

bool ParseSeedLine(const std::string& line, uint64_t* seed, SeedResult* result) {
  unsigned long long number = 0;
  unsigned long long hash = 0;
  unsigned long long virtual_ms = 0;
  unsigned long long cpu_ms = 0;
  unsigned long long wall_ms = 0;
  int twice = 0;
  int code = 0;
  int probes_at = 0;
  int reason_at = 0;
  if (std::sscanf(line.c_str(), "done %llu %d %llu %llu %llu %llu %d %n%*s%n", &number, &code,
                  &hash, &virtual_ms, &cpu_ms, &wall_ms, &twice, &probes_at, &reason_at) != 7 ||
      reason_at <= probes_at) {
    return false;
  }
  *seed = number;
  const auto begin = static_cast<size_t>(probes_at);
  const auto end = static_cast<size_t>(reason_at);
  result->outcome = static_cast<Outcome>(code);
  result->reason = end < line.size() ? line.substr(end + 1) : "";
  result->cpu_ms = cpu_ms;
  result->virtual_ms = virtual_ms;
  result->hash = hash;
  result->probes = line.substr(begin, end - begin);
  result->wall_ms = wall_ms;
  result->twice = twice != 0;
  return true;
}

std::string SeedJson(const std::string& source, std::string_view expected, uint64_t seed,
                     const SeedResult& result) {
  return "{\"commit\":" + JsonText(BuildCommit()) + ",\"scenario\":" + JsonText(source) +
         ",\"expected\":" + JsonText(std::string(expected)) + ",\"seed\":" + std::to_string(seed) +
         ",\"outcome\":\"" + std::string(OutcomeName(result.outcome)) +
         "\",\"reason\":" + JsonText(result.reason) + ",\"hash\":\"" + HashText(result.hash) +
         "\",\"virtual_ms\":" + std::to_string(result.virtual_ms) +
         ",\"cpu_ms\":" + std::to_string(result.cpu_ms) +
         ",\"wall_ms\":" + std::to_string(result.wall_ms) +
         ",\"twice\":" + (result.twice ? "true" : "false") + ",\"probes\":\"" + result.probes +
         "\"}";
}

SeedJsonFile::SeedJsonFile(const std::string& path) {
  if (!path.empty()) {
    file_.open(path);
  }
}

void SeedJsonFile::Add(const std::string& source, const proto::Scenario& scenario, uint64_t seed,
                       const SeedResult& result) {
  if (file_.is_open()) {
    file_ << SeedJson(source, scenario.expect().outcome(), seed, result) << std::endl;
  }
}

SwarmStop::SwarmStop() {
  stop_signal = 0;
  struct sigaction action{};
  action.sa_handler = NoteStop;
  sigaction(SIGINT, &action, nullptr);
  sigaction(SIGTERM, &action, nullptr);
}

SwarmStop::~SwarmStop() {
  signal(SIGINT, SIG_DFL);
  signal(SIGTERM, SIG_DFL);
}

bool SwarmStop::requested() const { return stop_signal != 0; }

void SwarmStop::Ignore() {
  signal(SIGINT, SIG_IGN);
  signal(SIGTERM, SIG_DFL);
}

std::string MissedShare(const proto::Scenario& scenario,
                        const std::map<uint64_t, SeedResult>& results, size_t seeds_min) {
  const std::span<const Probe> catalogue = ProbeCatalogue();
  for (const proto::ProbeShare& share : scenario.expect().shares()) {
    size_t index = 0;
    while (index < catalogue.size() && catalogue[index].name != share.probe()) {
      ++index;
    }
    uint64_t hit_count = 0;
    for (const auto& [seed, result] : results) {
      hit_count += index < result.probes.size() && result.probes[index] == '1' ? 1 : 0;
    }
    if (results.size() >= seeds_min && hit_count * 100 < results.size() * share.percent_min()) {
      return "HARNESS " + scenario.name() + ": " + share.probe() + " in " +
             std::to_string(hit_count) + " of " + std::to_string(results.size()) +
             " seeds, expected in " + std::to_string(share.percent_min()) + " % at least\n";
    }
  }
  return "";
}

size_t Severity(Outcome outcome) {
  constexpr std::array<Outcome, 6> kOrder{Outcome::kTimeLimit,      Outcome::kLiveness,
                                          Outcome::kNondeterminism, Outcome::kHarnessError,
                                          Outcome::kCrash,          Outcome::kSafety};
  size_t severity = 0;
  for (size_t i = 0; i < kOrder.size(); ++i) {
    severity = kOrder[i] == outcome ? i + 1 : severity;
  }
  return severity;
}

uint64_t SeedBaseOf(const std::string& text) {
  uint64_t number = 0;
  const char* end = text.data() + text.size();
  const auto parsed = std::from_chars(text.data(), end, number);
  if (!text.empty() && parsed.ec == std::errc() && parsed.ptr == end) {
    return number;
  }
  return HashBytes(0, AsBytes(std::string_view(text))) >> 24;
}

}  // namespace redoubt::sim
