// SPDX-License-Identifier: MIT
#include "sim/command/seed_run.h"

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
  const RunReport report = RunScenario(*task.scenario, options);
  const bool wanted = task.scenario->expect().outcome() == OutcomeName(report.outcome);
  if (Severity(report.outcome) > 0 && !wanted) {
    proto::Capsule capsule = MakeCapsule(task.source, *task.scenario, task.seed, task.plant);
    AddReport(report, &capsule);
    Keep(task, capsule);
  }
  SeedResult result{
      report.outcome,      report.reason,
      CpuMs() - before_ms, static_cast<uint64_t>(report.virtual_ns / 1'000'000),
      report.trace_hash,   task.scenario->expect().outcome().empty() ? probes.Hits() : ""};
  if (task.twice) {
    options.observe = nullptr;
    const RunReport again = RunScenario(*task.scenario, options);
    if (again.trace_hash != report.trace_hash) {
      result.outcome = Outcome::kNondeterminism;
      result.reason = "two runs in one process gave the hashes " + HashText(report.trace_hash) +
                      " and " + HashText(again.trace_hash);
    }
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
         std::to_string(result.cpu_ms) + ' ' + (result.probes.empty() ? "-" : result.probes) + ' ' +
         reason + '\n';
}

bool ParseSeedLine(const std::string& line, uint64_t* seed, SeedResult* result) {
  unsigned long long number = 0;
  unsigned long long hash = 0;
  unsigned long long virtual_ms = 0;
  unsigned long long cpu_ms = 0;
  int code = 0;
  int probes_at = 0;
  int reason_at = 0;
  if (std::sscanf(line.c_str(), "done %llu %d %llu %llu %llu %n%*s%n", &number, &code, &hash,
                  &virtual_ms, &cpu_ms, &probes_at, &reason_at) != 5 ||
      reason_at <= probes_at) {
    return false;
  }
  *seed = number;
  const auto begin = static_cast<size_t>(probes_at);
  const auto end = static_cast<size_t>(reason_at);
  *result = SeedResult{static_cast<Outcome>(code),
                       end < line.size() ? line.substr(end + 1) : "",
                       cpu_ms,
                       virtual_ms,
                       hash,
                       line.substr(begin, end - begin)};
  return true;
}

std::string SeedJson(const std::string& source, uint64_t seed, const SeedResult& result) {
  return "{\"commit\":" + JsonText(BuildCommit()) + ",\"scenario\":" + JsonText(source) +
         ",\"seed\":" + std::to_string(seed) + ",\"outcome\":\"" +
         std::string(OutcomeName(result.outcome)) + "\",\"reason\":" + JsonText(result.reason) +
         ",\"hash\":\"" + HashText(result.hash) +
         "\",\"virtual_ms\":" + std::to_string(result.virtual_ms) +
         ",\"cpu_ms\":" + std::to_string(result.cpu_ms) + ",\"probes\":\"" + result.probes + "\"}";
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
