// SPDX-License-Identifier: MIT
#include "sim/command/scenario_file.h"

#include <algorithm>
#include <filesystem>
#include <fstream>
#include <sstream>

#include "sim/cluster/settings.h"

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
  return scenario;
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
