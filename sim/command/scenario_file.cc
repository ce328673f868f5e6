// SPDX-License-Identifier: MIT
#include "sim/command/scenario_file.h"

#include <google/protobuf/text_format.h>

#include <algorithm>
#include <filesystem>
#include <fstream>
#include <sstream>

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
  const size_t equals = knob.find('=');
  if (equals == knob.npos) {
    return InvalidArgument(knob + ": say field.field=value");
  }
  google::protobuf::Message* message = scenario;
  size_t begin = 0;
  while (true) {
    const size_t end = std::min(knob.find('.', begin), equals);
    const std::string name = knob.substr(begin, end - begin);
    const auto* field = message->GetDescriptor()->FindFieldByName(name);
    if (field == nullptr || field->is_repeated()) {
      return InvalidArgument(knob + ": " + message->GetDescriptor()->name() + " has no single " +
                             name);
    }
    if (field->cpp_type() == field->CPPTYPE_MESSAGE) {
      message = message->GetReflection()->MutableMessage(message, field);
    }
    begin = end + 1;
    const bool is_range = message->GetDescriptor() == proto::Range::descriptor();
    if (end < equals && !is_range && field->cpp_type() == field->CPPTYPE_MESSAGE) {
      continue;
    }
    const std::string value = knob.substr(equals + 1);
    const std::string text = (is_range ? "min" : name) + (": " + value);
    if (is_range) {
      message->Clear();
    }
    if (end != equals || !google::protobuf::TextFormat::MergeFromString(text, message)) {
      return InvalidArgument(knob + ": no such field, or not its kind of value");
    }
    // The whole must still be a sound scenario.
    const Result<proto::Scenario> sound = ParseScenario(scenario->DebugString());
    return sound.ok() ? Status::Ok() : sound.status().WithContext(knob);
  }
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
