// SPDX-License-Identifier: MIT
//
// `simulate shrink`: the shrinker with child processes and a budget of wall time.

#include <iostream>

#include "sim/command/build_info.h"
#include "sim/command/capsule.h"
#include "sim/command/child_run.h"
#include "sim/command/commands.h"
#include "sim/command/shrinker.h"

namespace redoubt::sim {
namespace {

std::string SmallPath(const std::string& path) {
  const size_t stem =
      path.ends_with(kCapsuleSuffix) ? path.size() - kCapsuleSuffix.size() : path.size();
  return path.substr(0, stem) + "-small" + std::string(kCapsuleSuffix);
}

int Fail(const std::string& message) {
  std::cerr << message << '\n';
  return CodeOf(Outcome::kHarnessError);
}

}  // namespace

int ShrinkCapsule(const ShrinkCommand& command) {
  Result<proto::Capsule> capsule = LoadCapsule(command.capsule);
  const Result<uint64_t> budget_ms = ParseDurationMs(command.budget);
  if (!capsule.ok() || !budget_ms.ok()) {
    return Fail(capsule.ok() ? budget_ms.status().message() : capsule.status().message());
  }
  const uint64_t end_ms = HostMs() + *budget_ms;
  const auto run = [&](const proto::Capsule& candidate) {
    return RunCapsuleInChild(candidate, command.run_seconds_max);
  };
  const proto::RunVerdict now = run(*capsule);
  std::cout << "run 0: " << capsule->schedule_size() << " faults, " << now.virtual_ns() / 1'000'000
            << " ms virtual: " << now.outcome() << ' ' << now.reason() << std::endl;
  const Outcome outcome = OutcomeNamed(now.outcome());
  if (outcome == Outcome::kPass || outcome == Outcome::kIdle || outcome == Outcome::kHarnessError) {
    return Fail(command.capsule + " does not fail");
  }
  if (capsule->has_verdict() && capsule->verdict().fingerprint() != now.fingerprint()) {
    std::cout << "it failed otherwise when it was stored: " << capsule->verdict().reason() << '\n';
  }
  *capsule->mutable_verdict() = now;
  Shrinker shrinker(
      run, [&] { return HostMs() >= end_ms; },
      [](const std::string& line) { std::cout << line << std::endl; });
  proto::Capsule small = shrinker.Shrink(*capsule);
  small.set_commit(BuildCommit());
  small.set_build(BuildId());
  const std::string path = command.output.empty() ? SmallPath(command.capsule) : command.output;
  const Status written = WriteCapsule(path, small);
  if (!written.ok()) {
    return Fail(written.message());
  }
  std::cout << shrinker.run_count() << " runs: " << capsule->schedule_size() << " faults became "
            << small.schedule_size() << ", " << now.virtual_ns() / 1'000'000 << " ms became "
            << small.verdict().virtual_ns() / 1'000'000 << '\n'
            << FailureText(small, path);
  return 0;
}

}  // namespace redoubt::sim
