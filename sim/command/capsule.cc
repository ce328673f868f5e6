// SPDX-License-Identifier: MIT
#include "sim/command/capsule.h"

#include <google/protobuf/text_format.h>

#include <filesystem>
#include <fstream>
#include <sstream>

#include "sim/cluster/explicit_scenario.h"
#include "sim/cluster/plants.h"
#include "sim/cluster/scenario_check.h"
#include "sim/cluster/text_message.h"
#include "sim/command/build_info.h"
#include "sim/command/commands.h"

namespace redoubt::sim {
namespace {

std::string OneLine(const google::protobuf::Message& message) {
  google::protobuf::TextFormat::Printer printer;
  printer.SetSingleLineMode(true);
  std::string text;
  printer.PrintToString(message, &text);
  return text;
}

bool IsDigit(char c) { return c >= '0' && c <= '9'; }

}  // namespace

std::string FingerprintOf(std::string_view reason) {
  const size_t colon = reason.find(':');
  // The checker's own number stays.
  std::string text(reason.substr(0, colon == reason.npos ? 0 : colon));
  bool in_number = false;
  for (const char c : reason.substr(text.size())) {
    if (!IsDigit(c)) {
      text += c;
    } else if (!in_number) {
      text += '#';
    }
    in_number = IsDigit(c);
  }
  return text;
}

proto::RunVerdict VerdictOf(const RunReport& report) {
  proto::RunVerdict verdict;
  verdict.set_outcome(std::string(OutcomeName(report.outcome)));
  verdict.set_reason(report.reason);
  verdict.set_fingerprint(FingerprintOf(report.reason));
  verdict.set_trace_hash(HashText(report.trace_hash));
  verdict.set_virtual_ns(static_cast<uint64_t>(report.virtual_ns));
  verdict.set_event_count(report.event_count);
  return verdict;
}

Outcome OutcomeNamed(std::string_view name) {
  for (const Outcome outcome :
       {Outcome::kPass, Outcome::kSafety, Outcome::kLiveness, Outcome::kCrash,
        Outcome::kNondeterminism, Outcome::kIdle, Outcome::kTimeLimit}) {
    if (OutcomeName(outcome) == name) {
      return outcome;
    }
  }
  return Outcome::kHarnessError;
}

proto::Capsule MakeCapsule(const std::string& source, const proto::Scenario& scenario,
                           uint64_t seed, const std::string& plant) {
  proto::Capsule capsule;
  capsule.set_source(source);
  capsule.set_seed(seed);
  capsule.set_plant(plant.empty() ? scenario.plant() : plant);
  capsule.set_commit(BuildCommit());
  capsule.set_build(BuildId());
  *capsule.mutable_scenario() = Explicit(scenario, seed);
  capsule.mutable_scenario()->clear_plant();
  capsule.mutable_schedule()->Swap(capsule.mutable_scenario()->mutable_schedule());
  return capsule;
}

void AddReport(const RunReport& report, proto::Capsule* capsule) {
  *capsule->mutable_verdict() = VerdictOf(report);
  capsule->clear_fired();
  for (const TraceEvent& event : report.faults) {
    capsule->add_fired(FormatTraceEvent(event, NodeName(report, event.node)));
  }
}

proto::Scenario ScenarioOf(const proto::Capsule& capsule) {
  proto::Scenario scenario = capsule.scenario();
  *scenario.mutable_schedule() = capsule.schedule();
  return scenario;
}

RunOptions OptionsOf(const proto::Capsule& capsule) {
  RunOptions options;
  options.seed = capsule.seed();
  options.plant = capsule.plant();
  return options;
}

std::string CapsuleText(proto::Capsule capsule) {
  proto::Capsule head = capsule;
  head.clear_schedule();
  head.clear_fired();
  std::string text = "# A failed run of the simulator. Again: simulate replay FILE\n";
  std::string head_text;
  google::protobuf::TextFormat::PrintToString(head, &head_text);
  text += head_text;
  for (const proto::ScheduledFault& fault : capsule.schedule()) {
    text += "schedule { " + OneLine(fault) + "}\n";
  }
  std::string fired;
  for (int i = capsule.fired_size(); i-- > 0;) {
    proto::Capsule line;
    line.add_fired(capsule.fired(i));
    const std::string one = OneLine(line) + '\n';
    if (text.size() + fired.size() + one.size() > kCapsuleBytesMax) {
      break;
    }
    fired.insert(0, one);
  }
  return text + fired;
}

Result<proto::Capsule> ParseCapsule(const std::string& text) {
  proto::Capsule capsule;
  REDOUBT_RETURN_IF_ERROR(ParseText(text, &capsule));
  const proto::Scenario scenario = ScenarioOf(capsule);
  const Result<proto::Scenario> checked = ParseScenario(scenario.DebugString());
  if (!checked.ok()) {
    return checked.status();
  }
  if (!IsKnownPlant(capsule.plant())) {
    return InvalidArgument("no planted bug is called " + capsule.plant());
  }
  if (scenario.SerializeAsString() != Explicit(scenario, capsule.seed()).SerializeAsString()) {
    return InvalidArgument("the scenario has something left to draw, or is not in order of time");
  }
  return capsule;
}

Result<proto::Capsule> LoadCapsule(const std::string& path) {
  std::ifstream file(path);
  if (!file) {
    return NotFound("cannot read capsule " + path);
  }
  std::ostringstream text;
  text << file.rdbuf();
  Result<proto::Capsule> capsule = ParseCapsule(text.str());
  return capsule.ok() ? std::move(capsule) : capsule.status().WithContext(path);
}

Status WriteCapsule(const std::string& path, const proto::Capsule& capsule) {
  std::ofstream file(path, std::ios::trunc);
  file << CapsuleText(capsule);
  file.close();
  return file ? Status::Ok() : IoError("cannot write capsule " + path);
}

std::string CapsulePath(const std::string& directory, const proto::Capsule& capsule) {
  return directory + '/' + capsule.scenario().name() + '-' + std::to_string(capsule.seed()) +
         (capsule.plant().empty() ? "" : '-' + capsule.plant()) + std::string(kCapsuleSuffix);
}

Result<std::string> SaveCapsule(const std::string& directory, const proto::Capsule& capsule) {
  std::error_code error;
  std::filesystem::create_directories(directory, error);
  std::string path = CapsulePath(directory, capsule);
  REDOUBT_RETURN_IF_ERROR(WriteCapsule(path, capsule));
  return path;
}

}  // namespace redoubt::sim
