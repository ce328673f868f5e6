// SPDX-License-Identifier: MIT
//
// Failure capsules: a run with everything that was drawn written down. Replaying one with the same
// build gives the same trace hash, because a run draws nothing but from streams that are named by
// seed, purpose and counter (sim/README.md, "The rules of the simulated world").
#pragma once

#include <string>
#include <string_view>

#include "common/base/result.h"
#include "proto/capsule.pb.h"
#include "proto/scenario.pb.h"
#include "sim/cluster/scenario_run.h"

namespace redoubt::sim {

inline constexpr size_t kCapsuleBytesMax = 100'000;
inline constexpr std::string_view kCapsuleSuffix = ".capsule";

// Checker and place of a failure: its reason with every number as '#'. Empty for a pass.
std::string FingerprintOf(std::string_view reason);

proto::RunVerdict VerdictOf(const RunReport& report);
// kHarnessError for a name that no outcome has.
Outcome OutcomeNamed(std::string_view name);

// The run of `scenario` under `seed`, explicit, without verdict.
proto::Capsule MakeCapsule(const std::string& source, const proto::Scenario& scenario,
                           uint64_t seed, const std::string& plant);
// Adds how it ended and what the faults hit.
void AddReport(const RunReport& report, proto::Capsule* capsule);

// What a capsule runs.
proto::Scenario ScenarioOf(const proto::Capsule& capsule);
RunOptions OptionsOf(const proto::Capsule& capsule);

// At most kCapsuleBytesMax bytes: the oldest lines of `fired` go first. A schedule entry a line.
std::string CapsuleText(proto::Capsule capsule);
// kInvalidArgument with the place of the error, or for a scenario that is not explicit.
Result<proto::Capsule> ParseCapsule(const std::string& text);

// kNotFound, kInvalidArgument; the message names the file.
Result<proto::Capsule> LoadCapsule(const std::string& path);
// "<directory>/<scenario>-<seed>[-<plant>].capsule"
std::string CapsulePath(const std::string& directory, const proto::Capsule& capsule);
// Writes it there; makes the directory. kIoError.
Result<std::string> SaveCapsule(const std::string& directory, const proto::Capsule& capsule);
Status WriteCapsule(const std::string& path, const proto::Capsule& capsule);

}  // namespace redoubt::sim
