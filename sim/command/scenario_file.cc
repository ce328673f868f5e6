// SPDX-License-Identifier: MIT
#include "sim/command/scenario_file.h"

#include <algorithm>
#include <filesystem>
#include <fstream>
#include <sstream>

#include "sim/cluster/knobs.h"
#include "sim/cluster/plants.h"
#include "sim/cluster/scenario_check.h"
#include "sim/command/capsule.h"
#include "sim/trace/probes.h"

namespace redoubt::sim {

Result<proto::Scenario> LoadScenario(const std::string& path) {
  std::ifstream file(path);
  if (!file) {
    return NotFound("cannot read scenario " + path);
  }
  std::ostringstream text;
  text << file.rdbuf();
  Result<proto::Scenario> scenario = ParseScenario(text.str());
  if (!scenario.ok()) {
    return scenario.status().WithContext(path);
  }
  if (scenario->name() != std::filesystem::path(path).stem().string()) {
    return InvalidArgument(path + ": the scenario's name must be the file's");
  }
  const std::string& outcome = scenario->expect().outcome();
  if (!IsKnownPlant(scenario->plant()) ||
      (!outcome.empty() && OutcomeNamed(outcome) == Outcome::kHarnessError)) {
    return InvalidArgument(path + ": no such planted bug, or no such outcome");
  }
  for (const proto::ProbeShare& share : scenario->expect().shares()) {
    const auto known = ProbeCatalogue();
    if (std::none_of(known.begin(), known.end(),
                     [&](const Probe& probe) { return probe.name == share.probe(); })) {
      return InvalidArgument(path + ": no probe is called " + share.probe());
    }
  }
  return scenario;
}

Status SetKnob(const std::string& knob, proto::Scenario* scenario) {
  REDOUBT_RETURN_IF_ERROR(SetField(knob, scenario));
  // The whole must still be a sound scenario.
  const Result<proto::Scenario> sound = ParseScenario(scenario->DebugString());
  return sound.ok() ? Status::Ok() : sound.status().WithContext(knob);
}

std::vector<std::string> FindScenarios(const std::string& directory) {
  std::vector<std::string> paths;
  std::error_code error;
  for (const auto& entry : std::filesystem::recursive_directory_iterator(directory, error)) {
    if (entry.path().extension() == ".textproto") {
      paths.push_back(entry.path().string());
    }
  }
  std::sort(paths.begin(), paths.end());
  return paths;
}

}  // namespace redoubt::sim
