// SPDX-License-Identifier: MIT
//
// A swarm over many scenarios for a budget of wall time. The next seed is always of the scenario
// that has had the least processor time so far, so that slow scenarios do not starve quick ones.
// Each seed is a child process, which answers with its SeedLine.

#include <poll.h>
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <iostream>
#include <map>
#include <vector>

#include "sim/command/capsule.h"
#include "sim/command/child_run.h"
#include "sim/command/commands.h"
#include "sim/command/scenario_file.h"
#include "sim/command/seed_run.h"
#include "sim/trace/probes.h"

namespace redoubt::sim {
namespace {

// How many seeds a scenario gets depends on the machine, and which ones on the caller: of few a
// share says little.
constexpr size_t kShareSeedsMin = 200;

struct Entry {
  std::string path;
  proto::Scenario scenario;
  uint64_t next_seed = 0;
  uint64_t cpu_ms = 0;
  uint64_t running = 0;
  std::map<uint64_t, SeedResult> results;
};

struct Job {
  pid_t pid = -1;
  int fd = -1;
  Entry* entry = nullptr;
  uint64_t seed = 0;
  std::string answer;
  uint64_t began_ms = 0;
};

class DirectorySwarm {
 public:
  DirectorySwarm(const SwarmCommand& command, std::vector<Entry> entries, uint64_t budget_ms)
      : command_(command),
        entries_(std::move(entries)),
        json_(command.json_file),
        end_ms_(HostMs() + budget_ms) {}

  int Run() {
    while (true) {
      while (jobs_.size() < command_.jobs && HostMs() < end_ms_ && !stop_.requested() && Begin()) {
      }
      if (stop_.requested()) {
        EndAll();
      }
      if (jobs_.empty()) {
        return Report();
      }
      WaitForOne();
    }
  }

 private:
  bool Begin();
  void WaitForOne();
  void End(const Job& job);
  // A seed that was not through is no result.
  void EndAll();
  int Report();
  int ReportEntry(Entry* entry, ProbeTable* probes, std::string* failure);

  const SwarmCommand& command_;
  std::vector<Entry> entries_;
  SeedJsonFile json_;
  SwarmStop stop_;
  uint64_t end_ms_;
  std::vector<Job> jobs_;
};

bool DirectorySwarm::Begin() {
  // A seed under way counts as a second, so that all places do not go to one scenario.
  const auto used = [](const Entry& entry) { return entry.cpu_ms + entry.running * 1000; };
  Entry* entry =
      &*std::min_element(entries_.begin(), entries_.end(),
                         [&](const Entry& a, const Entry& b) { return used(a) < used(b); });
  std::array<int, 2> ends{};
  if (pipe(ends.data()) != 0) {
    return false;
  }
  Job job;
  job.entry = entry;
  job.seed = entry->next_seed++;
  job.began_ms = HostMs();
  const bool twice = command_.double_run_every != 0 && job.seed % command_.double_run_every == 0;
  std::cout.flush();
  job.pid = fork();
  if (job.pid == 0) {
    close(ends[0]);
    SwarmStop::Ignore();
    alarm(SecondsMax(entry->scenario, command_.seed_seconds_max));
    const std::string line =
        SeedLine(job.seed, RunSeed(SeedTask{entry->path, &entry->scenario, job.seed, command_.plant,
                                            command_.capsule_directory, twice}));
    const bool written =
        write(ends[1], line.data(), line.size()) == static_cast<ssize_t>(line.size());
    _exit(written ? 0 : CodeOf(Outcome::kHarnessError));
  }
  close(ends[1]);
  job.fd = ends[0];
  ++entry->running;
  jobs_.push_back(std::move(job));
  return true;
}

void DirectorySwarm::WaitForOne() {
  std::vector<pollfd> waits;
  for (const Job& job : jobs_) {
    waits.push_back(pollfd{job.fd, POLLIN, 0});
  }
  if (poll(waits.data(), waits.size(), -1) <= 0) {
    return;  // interrupted
  }
  for (size_t i = waits.size(); i-- > 0;) {
    std::array<char, 4096> chunk{};
    const ssize_t count = waits[i].revents == 0 ? 1 : read(jobs_[i].fd, chunk.data(), chunk.size());
    if (waits[i].revents != 0 && count > 0) {
      jobs_[i].answer.append(chunk.data(), static_cast<size_t>(count));
    } else if (count <= 0) {
      const Job job = std::move(jobs_[i]);
      jobs_.erase(jobs_.begin() + static_cast<ptrdiff_t>(i));
      End(job);
    }
  }
}

void DirectorySwarm::End(const Job& job) {
  close(job.fd);
  int status = 0;
  waitpid(job.pid, &status, 0);
  uint64_t seed = 0;
  SeedResult result;
  std::string line = job.answer;
  if (!line.empty()) {
    line.pop_back();
  }
  if (!ParseSeedLine(line, &seed, &result)) {
    result = DeadSeed(SeedTask{job.entry->path, &job.entry->scenario, job.seed, command_.plant,
                               command_.capsule_directory, false},
                      WIFSIGNALED(status) ? WTERMSIG(status) : 0,
                      SecondsMax(job.entry->scenario, command_.seed_seconds_max));
    // What it used is not known; without a charge it would be picked again and again.
    result.cpu_ms = 1000;
    result.wall_ms = HostMs() - job.began_ms;
  }
  --job.entry->running;
  job.entry->cpu_ms += std::max<uint64_t>(result.cpu_ms, 1);
  const bool canary = !job.entry->scenario.expect().outcome().empty();
  if (Severity(result.outcome) > 0 && !canary) {
    std::cout << OutcomeName(result.outcome) << ' ' << job.entry->path << " seed " << job.seed
              << ": " << result.reason << std::endl;
  }
  json_.Add(job.entry->path, job.entry->scenario, job.seed, result);
  job.entry->results[job.seed] = std::move(result);
}

void DirectorySwarm::EndAll() {
  for (const Job& job : jobs_) {
    kill(job.pid, SIGKILL);
    close(job.fd);
    int status = 0;
    waitpid(job.pid, &status, 0);
  }
  jobs_.clear();
}

// The scenario's exit code. `failure`: what to say last, if anything.
int DirectorySwarm::ReportEntry(Entry* entry, ProbeTable* probes, std::string* failure) {
  std::map<Outcome, uint64_t> counts;
  Outcome worst = Outcome::kPass;
  uint64_t worst_seed = 0;
  const std::string& wanted = entry->scenario.expect().outcome();
  for (const auto& [seed, result] : entry->results) {
    ++counts[result.outcome];
    if (wanted.empty()) {
      probes->Add(result.probes);
    }
    // A planted bug may end a run in other ways than the one that must be found.
    if (wanted.empty() && Severity(result.outcome) > Severity(worst)) {
      worst = result.outcome;
      worst_seed = seed;
    }
  }
  std::cout << entry->path << ": " << entry->results.size() << " seeds in " << entry->cpu_ms / 1000
            << " s of processor:";
  for (const auto& [outcome, count] : counts) {
    std::cout << ' ' << count << ' ' << OutcomeName(outcome);
  }
  std::cout << '\n';
  if (worst != Outcome::kPass) {
    proto::Capsule capsule = MakeCapsule(entry->path, entry->scenario, worst_seed, command_.plant);
    const SeedResult& result = entry->results[worst_seed];
    capsule.mutable_verdict()->set_outcome(std::string(OutcomeName(worst)));
    capsule.mutable_verdict()->set_reason(result.reason);
    capsule.mutable_verdict()->set_trace_hash(result.hash == 0 ? "" : HashText(result.hash));
    *failure = FailureText(capsule, CapsulePath(command_.capsule_directory, capsule));
    return CodeOf(worst);
  }
  if (!wanted.empty() && !entry->results.empty() && counts[OutcomeNamed(wanted)] == 0) {
    *failure =
        "HARNESS " + entry->path + ": no seed ended with " + wanted + ", so the harness is blind\n";
    return CodeOf(Outcome::kHarnessError);
  }
  const std::string missed = MissedShare(entry->scenario, entry->results, kShareSeedsMin);
  if (!missed.empty()) {
    *failure = missed;
    return CodeOf(Outcome::kHarnessError);
  }
  const bool mostly_idle = counts[Outcome::kIdle] * 2 > entry->results.size();
  return mostly_idle ? CodeOf(Outcome::kIdle) : 0;
}

int DirectorySwarm::Report() {
  ProbeTable probes;
  int code = 0;
  // In order of severity: what stands last is what people see first.
  std::multimap<size_t, std::string> failures;
  for (Entry& entry : entries_) {
    std::string failure;
    const int one = ReportEntry(&entry, &probes, &failure);
    const auto severity = [](int exit_code) { return Severity(static_cast<Outcome>(exit_code)); };
    code = code == 0 || severity(one) > severity(code) ? one : code;
    failures.emplace(severity(one), std::move(failure));
  }
  size_t broken = 0;
  for (size_t i = 0; i < ProbeCatalogue().size(); ++i) {
    broken += probes.Broken(i) ? 1 : 0;
  }
  std::cout << probes.run_count() << " runs, " << broken << " of " << ProbeCatalogue().size()
            << " probes not as they should be (simulate probes --history)\n"
            << (code == 0 ? "PASS\n" : "FAIL\n");
  for (const auto& [severity, failure] : failures) {
    std::cout << failure;
  }
  return code;
}

}  // namespace

int RunSwarmOfDirectory(const SwarmCommand& command) {
  const Result<uint64_t> budget_ms = ParseDurationMs(command.budget);
  std::vector<Entry> entries;
  for (const std::string& path : FindScenarios(command.directory)) {
    const Result<proto::Scenario> scenario = LoadScenario(path);
    if (!scenario.ok()) {
      std::cerr << scenario.status().message() << '\n';
      return CodeOf(Outcome::kHarnessError);
    }
    entries.push_back(Entry{path, *scenario, SeedBaseOf(command.seed_base), 0, 0, {}});
  }
  if (!budget_ms.ok() || entries.empty() || command.jobs == 0) {
    std::cerr << (budget_ms.ok() ? "no scenarios below " + command.directory + ", or no jobs"
                                 : budget_ms.status().message())
              << '\n';
    return CodeOf(Outcome::kHarnessError);
  }
  DirectorySwarm swarm(command, std::move(entries), *budget_ms);
  return swarm.Run();
}

}  // namespace redoubt::sim
