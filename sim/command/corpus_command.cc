// SPDX-License-Identifier: MIT
//
// The corpus: capsules (*.capsule) and once-failed seeds (seeds.txt, lines "SCENARIO SEED
// [KNOB=VALUE
// ...]", knobs as of `run --set`) that must pass for ever. A capsule that was found with a planted
// bug is run without it.

#include <algorithm>
#include <filesystem>
#include <fstream>
#include <iostream>
#include <sstream>
#include <string>
#include <vector>

#include "sim/command/build_info.h"
#include "sim/command/capsule.h"
#include "sim/command/child_run.h"
#include "sim/command/commands.h"
#include "sim/command/scenario_file.h"
#include "sim/command/seed_run.h"

namespace redoubt::sim {
namespace {

struct Stored {
  std::string name;
  proto::Capsule capsule;
};

std::string SeedsFile(const std::string& directory) { return directory + "/seeds.txt"; }

Status LoadSeeds(const std::string& directory, std::vector<Stored>* all) {
  std::ifstream file(SeedsFile(directory));
  std::string line;
  while (std::getline(file, line)) {
    std::istringstream words(line);
    std::string path;
    uint64_t seed = 0;
    if (!(words >> path >> seed)) {
      return InvalidArgument(SeedsFile(directory) + ": no seed behind " + path);
    }
    Result<proto::Scenario> scenario = LoadScenario(path);
    if (!scenario.ok()) {
      return scenario.status();
    }
    for (std::string knob; words >> knob;) {
      REDOUBT_RETURN_IF_ERROR(SetKnob(knob, &*scenario));
    }
    all->push_back(
        {path + " seed " + std::to_string(seed), MakeCapsule(path, *scenario, seed, "")});
  }
  return Status::Ok();
}

Result<std::vector<Stored>> LoadCorpus(const std::string& directory) {
  std::vector<std::string> paths;
  std::error_code error;
  for (const auto& entry : std::filesystem::directory_iterator(directory, error)) {
    if (entry.path().extension() == kCapsuleSuffix) {
      paths.push_back(entry.path().string());
    }
  }
  std::sort(paths.begin(), paths.end());
  std::vector<Stored> all;
  for (const std::string& path : paths) {
    const Result<proto::Capsule> capsule = LoadCapsule(path);
    if (!capsule.ok()) {
      return capsule.status();
    }
    all.push_back({path, *capsule});
    all.back().capsule.clear_plant();
  }
  REDOUBT_RETURN_IF_ERROR(LoadSeeds(directory, &all));
  if (all.empty()) {
    return NotFound("nothing is stored in " + directory);
  }
  return all;
}

int Fail(const Status& status) {
  std::cerr << status.message() << '\n';
  return CodeOf(Outcome::kHarnessError);
}

}  // namespace

int RunCorpus(const CorpusCommand& command) {
  const Result<std::vector<Stored>> all = LoadCorpus(command.directory);
  if (!all.ok()) {
    return Fail(all.status());
  }
  Outcome worst = Outcome::kPass;
  proto::Capsule worst_capsule;
  for (const Stored& stored : *all) {
    const proto::RunVerdict verdict = RunCapsuleInChild(stored.capsule, command.run_seconds_max);
    const Outcome outcome = OutcomeNamed(verdict.outcome());
    std::cout << verdict.outcome() << ' ' << stored.name
              << (verdict.reason().empty() ? "" : ": " + verdict.reason()) << std::endl;
    // A stored run that does too little says nothing about the bug that it was stored for.
    const bool worse = Severity(outcome) > Severity(worst) ||
                       (outcome == Outcome::kIdle && worst == Outcome::kPass);
    if (worse) {
      worst = outcome;
      worst_capsule = stored.capsule;
      *worst_capsule.mutable_verdict() = verdict;
    }
  }
  std::cout << all->size() << " stored runs: " << OutcomeName(worst) << '\n';
  if (worst != Outcome::kPass) {
    // As it failed now: without the planted bug, by this build.
    worst_capsule.set_commit(BuildCommit());
    worst_capsule.set_build(BuildId());
    const Result<std::string> path = SaveCapsule(command.capsule_directory, worst_capsule);
    std::cout << FailureText(worst_capsule, path.ok() ? *path : "");
  }
  return CodeOf(worst);
}

// With the planted bug that it was found with, if any, switched off it must pass, not be idle. One
// that was found without one fails until the bug is repaired.
Status CheckCounts(const proto::Capsule& capsule, uint32_t seconds_max) {
  proto::Capsule clean = capsule;
  clean.clear_plant();
  const proto::RunVerdict verdict = RunCapsuleInChild(clean, seconds_max);
  if (OutcomeNamed(verdict.outcome()) != Outcome::kIdle) {
    return Status::Ok();
  }
  return InvalidArgument("it would say nothing: " + verdict.reason() +
                         "lower `expect` in the capsule, or add the one before shrinking");
}

int AddToCorpus(const CorpusCommand& command) {
  std::error_code error;
  std::filesystem::create_directories(command.directory, error);
  if (command.file.ends_with(kCapsuleSuffix)) {
    const Result<proto::Capsule> capsule = LoadCapsule(command.file);
    if (!capsule.ok()) {
      return Fail(capsule.status());
    }
    const Status counts = CheckCounts(*capsule, command.run_seconds_max);
    if (!counts.ok()) {
      return Fail(counts.WithContext(command.file));
    }
    const std::string path =
        command.directory + '/' + std::filesystem::path(command.file).filename().string();
    const Status written = WriteCapsule(path, *capsule);
    std::cout << (written.ok() ? "stored as " + path + '\n' : "");
    return written.ok() ? 0 : Fail(written);
  }
  Result<proto::Scenario> scenario = LoadScenario(command.file);
  if (!scenario.ok()) {
    return Fail(scenario.status());
  }
  std::string line = command.file + ' ' + std::to_string(command.seed);
  for (const std::string& knob : command.set) {
    const Status set = SetKnob(knob, &*scenario);
    if (!set.ok()) {
      return Fail(set);
    }
    line += ' ' + knob;
  }
  std::ofstream file(SeedsFile(command.directory), std::ios::app);
  file << line << '\n';
  file.close();
  return file ? 0 : Fail(IoError("cannot write " + SeedsFile(command.directory)));
}

}  // namespace redoubt::sim
