// SPDX-License-Identifier: MIT
//
// Many seeds of one scenario, in child processes: a child runs seed after seed and writes one line
// each; when it dies the seed it was at is a crash, and a new child goes on behind it.
//
//   child -> parent, one line a message:   "start <seed>"   SeedLine

#include <poll.h>
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <cstring>
#include <iostream>
#include <map>
#include <vector>

#include "sim/command/capsule.h"
#include "sim/command/child_run.h"
#include "sim/command/commands.h"
#include "sim/command/scenario_file.h"
#include "sim/command/seed_run.h"

namespace redoubt::sim {
namespace {

constexpr size_t kShareSeedsMin = 20;

void WriteAll(int fd, const std::string& text) {
  size_t done = 0;
  while (done < text.size()) {
    const ssize_t count = write(fd, text.data() + done, text.size() - done);
    if (count <= 0) {
      _exit(CodeOf(Outcome::kHarnessError));
    }
    done += static_cast<size_t>(count);
  }
}

// One worker's view of the parent: which seeds are its own.
struct Worker {
  pid_t pid = -1;
  int fd = -1;
  uint64_t next_seed = 0;     // of this worker's sequence
  uint64_t current_seed = 0;  // started, not done
  bool running_seed = false;
  std::string buffer;
};

class Swarm {
 public:
  Swarm(const SwarmCommand& command, const proto::Scenario& scenario)
      : command_(command),
        scenario_(scenario),
        begin_(SeedBaseOf(command.seed_base)),
        end_(begin_ + command.seeds),
        json_(command.json_file) {}

  int Run();

 private:
  void Spawn(Worker* worker);
  SeedTask TaskOf(uint64_t seed) const;
  [[noreturn]] void WorkerMain(int fd, uint64_t first);
  void Receive(Worker* worker);
  void HandleLine(Worker* worker, const std::string& line);
  void Finish(Worker* worker);
  void Note(uint64_t seed, const SeedResult& result);
  int Report();
  int ReportCanary(uint64_t found_count) const;

  const SwarmCommand& command_;
  const proto::Scenario& scenario_;
  uint64_t begin_;
  uint64_t end_;
  SeedJsonFile json_;
  SwarmStop stop_request_;
  std::map<uint64_t, SeedResult> results_;
  bool stop_ = false;
};

SeedTask Swarm::TaskOf(uint64_t seed) const {
  const bool twice = command_.double_run_every != 0 && seed % command_.double_run_every == 0;
  return SeedTask{command_.scenario,          &scenario_, seed, command_.plant,
                  command_.capsule_directory, twice};
}

void Swarm::WorkerMain(int fd, uint64_t first) {
  for (uint64_t seed = first; seed < end_; seed += command_.jobs) {
    WriteAll(fd, "start " + std::to_string(seed) + "\n");
    alarm(SecondsMax(scenario_, command_.seed_seconds_max));
    const SeedResult result = RunSeed(TaskOf(seed));
    alarm(0);
    WriteAll(fd, SeedLine(seed, result));
  }
  _exit(0);
}

void Swarm::Spawn(Worker* worker) {
  std::array<int, 2> ends{};
  if (worker->next_seed >= end_ || stop_ || pipe(ends.data()) != 0) {
    worker->fd = -1;
    return;
  }
  std::cout.flush();
  worker->pid = fork();
  if (worker->pid == 0) {
    close(ends[0]);
    SwarmStop::Ignore();
    WorkerMain(ends[1], worker->next_seed);
  }
  close(ends[1]);
  worker->fd = ends[0];
  worker->buffer.clear();
}

void Swarm::Note(uint64_t seed, const SeedResult& result) {
  results_[seed] = result;
  json_.Add(command_.scenario, scenario_, seed, result);
  if (result.outcome != Outcome::kPass) {
    std::cout << OutcomeName(result.outcome) << " seed " << seed << ": " << result.reason
              << std::endl;
    stop_ = stop_ || (command_.stop_at_failure && result.outcome != Outcome::kIdle);
  }
}

void Swarm::HandleLine(Worker* worker, const std::string& line) {
  unsigned long long started = 0;
  uint64_t seed = 0;
  SeedResult result;
  if (std::sscanf(line.c_str(), "start %llu", &started) == 1) {
    worker->current_seed = started;
    worker->running_seed = true;
  } else if (ParseSeedLine(line, &seed, &result)) {
    Note(seed, result);
    worker->running_seed = false;
    worker->next_seed = seed + command_.jobs;
  }
}

void Swarm::Receive(Worker* worker) {
  std::array<char, 4096> chunk{};
  const ssize_t count = read(worker->fd, chunk.data(), chunk.size());
  if (count <= 0) {
    return Finish(worker);
  }
  worker->buffer.append(chunk.data(), static_cast<size_t>(count));
  size_t line_end = worker->buffer.find('\n');
  while (line_end != std::string::npos) {
    HandleLine(worker, worker->buffer.substr(0, line_end));
    worker->buffer.erase(0, line_end + 1);
    line_end = worker->buffer.find('\n');
  }
  if (stop_) {
    kill(worker->pid, SIGKILL);
  }
}

void Swarm::Finish(Worker* worker) {
  int status = 0;
  waitpid(worker->pid, &status, 0);
  close(worker->fd);
  worker->fd = -1;
  if (worker->running_seed && !stop_) {
    const SeedResult result =
        DeadSeed(TaskOf(worker->current_seed), WIFSIGNALED(status) ? WTERMSIG(status) : 0,
                 SecondsMax(scenario_, command_.seed_seconds_max));
    Note(worker->current_seed, result);
    worker->running_seed = false;
    worker->next_seed = worker->current_seed + command_.jobs;
  }
  Spawn(worker);
}

int Swarm::Run() {
  std::vector<Worker> workers(command_.jobs);
  for (uint32_t i = 0; i < command_.jobs; ++i) {
    workers[i].next_seed = begin_ + i;
    Spawn(&workers[i]);
  }
  while (true) {
    std::vector<pollfd> waits;
    std::vector<Worker*> waiting;
    for (Worker& worker : workers) {
      if (worker.fd >= 0) {
        waits.push_back(pollfd{worker.fd, POLLIN, 0});
        waiting.push_back(&worker);
      }
    }
    if (waits.empty()) {
      return Report();
    }
    const bool told = poll(waits.data(), waits.size(), -1) > 0;
    if (stop_request_.requested() && !stop_) {
      stop_ = true;
      for (const Worker* worker : waiting) {
        kill(worker->pid, SIGKILL);
      }
    }
    for (size_t i = 0; told && i < waits.size(); ++i) {
      if (waits[i].revents != 0) {
        Receive(waiting[i]);
      }
    }
  }
}

int Swarm::ReportCanary(uint64_t found_count) const {
  const std::string& outcome = scenario_.expect().outcome();
  if (found_count == 0) {
    std::cout << "HARNESS " << scenario_.name() << ": no seed ended with " << outcome
              << ", so the harness is blind\n";
    return CodeOf(Outcome::kHarnessError);
  }
  std::cout << "PASS: " << found_count << " seeds ended with " << outcome << ", as they must\n";
  return 0;
}

int Swarm::Report() {
  std::map<Outcome, uint64_t> counts;
  uint64_t cpu_ms = 0;
  uint64_t virtual_ms = 0;
  const uint64_t* worst_seed = nullptr;
  Outcome worst = Outcome::kPass;
  // The worst outcome of all is the swarm's; idle seeds alone do not fail it.
  for (const auto& [seed, result] : results_) {
    ++counts[result.outcome];
    cpu_ms += result.cpu_ms;
    virtual_ms += result.virtual_ms;
    if (Severity(result.outcome) > Severity(worst)) {
      worst = result.outcome;
      worst_seed = &seed;
    }
  }
  std::cout << scenario_.name() << ": " << results_.size() << " seeds from " << begin_ << ':';
  for (const auto& [outcome, count] : counts) {
    std::cout << ' ' << count << ' ' << OutcomeName(outcome);
  }
  std::cout << "; " << virtual_ms / 1000 << " s virtual in " << cpu_ms / 1000 << " s of processor"
            << " (" << (cpu_ms == 0 ? 0 : virtual_ms / cpu_ms) << "x), "
            << (cpu_ms == 0 ? 0 : results_.size() * 60'000 / cpu_ms)
            << " seeds a minute and core\n";
  if (!scenario_.expect().outcome().empty()) {
    return ReportCanary(counts[OutcomeNamed(scenario_.expect().outcome())]);
  }
  const bool mostly_idle = counts[Outcome::kIdle] * 2 > results_.size();
  const std::string missed = MissedShare(scenario_, results_, kShareSeedsMin);
  if (worst_seed == nullptr && !missed.empty()) {
    std::cout << missed;
    return CodeOf(Outcome::kHarnessError);
  }
  if (worst_seed == nullptr) {
    std::cout << (mostly_idle ? "IDLE: most seeds did no useful work\n" : "PASS\n");
    return mostly_idle ? CodeOf(Outcome::kIdle) : 0;
  }
  proto::Capsule capsule = MakeCapsule(command_.scenario, scenario_, *worst_seed, command_.plant);
  const SeedResult& result = results_[*worst_seed];
  capsule.mutable_verdict()->set_outcome(std::string(OutcomeName(worst)));
  capsule.mutable_verdict()->set_reason(result.reason);
  capsule.mutable_verdict()->set_trace_hash(result.hash == 0 ? "" : HashText(result.hash));
  std::cout << FailureText(capsule, CapsulePath(command_.capsule_directory, capsule));
  return CodeOf(worst);
}

}  // namespace

int RunSwarm(const SwarmCommand& command) {
  const Result<proto::Scenario> scenario = LoadScenario(command.scenario);
  if (!scenario.ok() || command.jobs == 0) {
    std::cerr << (scenario.ok() ? "no jobs" : scenario.status().message()) << '\n';
    return CodeOf(Outcome::kHarnessError);
  }
  Swarm swarm(command, *scenario);
  return swarm.Run();
}

}  // namespace redoubt::sim
