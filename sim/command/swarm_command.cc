// SPDX-License-Identifier: MIT
//
// Many seeds of one scenario, in child processes: a child runs seed after seed and writes one line
// each; when it dies the seed it was at is a crash, and a new child goes on behind it.
//
//   child -> parent, one line a message:   "start <seed>"   "done <seed> <json>"

#include <poll.h>
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <cstring>
#include <fstream>
#include <iostream>
#include <map>
#include <vector>

#include "sim/command/capsule.h"
#include "sim/command/child_run.h"
#include "sim/command/commands.h"
#include "sim/command/scenario_file.h"

namespace redoubt::sim {
namespace {

struct SeedResult {
  Outcome outcome = Outcome::kPass;
  std::string reason;
  uint64_t cpu_ms = 0;
  uint64_t virtual_ms = 0;
  uint64_t hash = 0;
};

std::string Escape(std::string_view text) {
  std::string out;
  for (const char c : text) {
    if (c == '"' || c == '\\') {
      out += '\\';
    }
    out += static_cast<unsigned char>(c) < 0x20 ? ' ' : c;
  }
  return out;
}

std::string Json(const SwarmCommand& command, uint64_t seed, const SeedResult& result) {
  return "{\"scenario\":\"" + Escape(command.scenario) + "\",\"seed\":" + std::to_string(seed) +
         ",\"outcome\":\"" + std::string(OutcomeName(result.outcome)) + "\",\"reason\":\"" +
         Escape(result.reason) + "\",\"hash\":\"" + HashText(result.hash) +
         "\",\"virtual_ms\":" + std::to_string(result.virtual_ms) +
         ",\"cpu_ms\":" + std::to_string(result.cpu_ms) + "}";
}

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

// Says where the capsule is, or why there is none.
void Keep(const SwarmCommand& command, const proto::Capsule& capsule) {
  const Result<std::string> path = SaveCapsule(command.capsule_directory, capsule);
  if (!path.ok()) {
    std::cerr << path.status().message() << '\n';
  }
}

SeedResult RunSeed(const SwarmCommand& command, const proto::Scenario& scenario, uint64_t seed) {
  RunOptions options;
  options.seed = seed;
  ParsePlant(command.plant, &options.plant);
  const uint64_t before_ms = CpuMs();
  const RunReport report = RunScenario(scenario, options);
  if (report.outcome != Outcome::kPass && report.outcome != Outcome::kIdle) {
    proto::Capsule capsule = MakeCapsule(command.scenario, scenario, seed, command.plant);
    AddReport(report, &capsule);
    Keep(command, capsule);
  }
  SeedResult result{report.outcome, report.reason, CpuMs() - before_ms,
                    static_cast<uint64_t>(report.virtual_ns / 1'000'000), report.trace_hash};
  if (command.double_run_every != 0 && seed % command.double_run_every == 0) {
    const RunReport again = RunScenario(scenario, options);
    if (again.trace_hash != report.trace_hash) {
      result.outcome = Outcome::kNondeterminism;
      result.reason = "two runs in one process gave the hashes " + HashText(report.trace_hash) +
                      " and " + HashText(again.trace_hash);
    }
  }
  return result;
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
      : command_(command), scenario_(scenario), end_(command.seed_base + command.seeds) {}

  int Run();

 private:
  void Spawn(Worker* worker);
  [[noreturn]] void WorkerMain(int fd, uint64_t first);
  void Receive(Worker* worker);
  void HandleLine(Worker* worker, const std::string& line);
  void Finish(Worker* worker);
  void Note(uint64_t seed, const SeedResult& result);
  int Report();

  const SwarmCommand& command_;
  const proto::Scenario& scenario_;
  uint64_t end_;
  std::map<uint64_t, SeedResult> results_;
  bool stop_ = false;
};

void Swarm::WorkerMain(int fd, uint64_t first) {
  for (uint64_t seed = first; seed < end_; seed += command_.jobs) {
    WriteAll(fd, "start " + std::to_string(seed) + "\n");
    alarm(command_.seed_seconds_max);
    const SeedResult result = RunSeed(command_, scenario_, seed);
    alarm(0);
    WriteAll(fd, "done " + std::to_string(seed) + ' ' + std::to_string(CodeOf(result.outcome)) +
                     ' ' + std::to_string(result.hash) + ' ' + std::to_string(result.virtual_ms) +
                     ' ' + std::to_string(result.cpu_ms) + ' ' + Escape(result.reason) + "\n");
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
    WorkerMain(ends[1], worker->next_seed);
  }
  close(ends[1]);
  worker->fd = ends[0];
  worker->buffer.clear();
}

void Swarm::Note(uint64_t seed, const SeedResult& result) {
  results_[seed] = result;
  if (result.outcome != Outcome::kPass) {
    std::cout << OutcomeName(result.outcome) << " seed " << seed << ": " << result.reason
              << std::endl;
    stop_ = stop_ || (command_.stop_at_failure && result.outcome != Outcome::kIdle);
  }
}

void Swarm::HandleLine(Worker* worker, const std::string& line) {
  unsigned long long seed = 0;
  unsigned long long hash = 0;
  unsigned long long virtual_ms = 0;
  unsigned long long cpu_ms = 0;
  int code = 0;
  int at = 0;
  if (std::sscanf(line.c_str(), "start %llu", &seed) == 1) {
    worker->current_seed = seed;
    worker->running_seed = true;
  } else if (std::sscanf(line.c_str(), "done %llu %d %llu %llu %llu %n", &seed, &code, &hash,
                         &virtual_ms, &cpu_ms, &at) == 5) {
    Note(seed, SeedResult{static_cast<Outcome>(code), line.substr(static_cast<size_t>(at)), cpu_ms,
                          virtual_ms, hash});
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
    SeedResult result;
    const ChildEnd end{"", 0, WIFSIGNALED(status) ? WTERMSIG(status) : 0, ""};
    proto::Capsule capsule =
        MakeCapsule(command_.scenario, scenario_, worker->current_seed, command_.plant);
    *capsule.mutable_verdict() = VerdictOfDeath(end, command_.seed_seconds_max);
    Keep(command_, capsule);
    result.outcome = OutcomeNamed(capsule.verdict().outcome());
    result.reason = capsule.verdict().reason();
    Note(worker->current_seed, result);
    worker->running_seed = false;
    worker->next_seed = worker->current_seed + command_.jobs;
  }
  Spawn(worker);
}

int Swarm::Run() {
  std::vector<Worker> workers(command_.jobs);
  for (uint32_t i = 0; i < command_.jobs; ++i) {
    workers[i].next_seed = command_.seed_base + i;
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
    poll(waits.data(), waits.size(), -1);
    for (size_t i = 0; i < waits.size(); ++i) {
      if (waits[i].revents != 0) {
        Receive(waiting[i]);
      }
    }
  }
}

int Swarm::Report() {
  std::map<Outcome, uint64_t> counts;
  uint64_t cpu_ms = 0;
  uint64_t virtual_ms = 0;
  const uint64_t* worst_seed = nullptr;
  Outcome worst = Outcome::kPass;
  std::ofstream json;
  if (!command_.json_file.empty()) {
    json.open(command_.json_file);
  }
  // The worst outcome of all is the swarm's; idle seeds alone do not fail it.
  constexpr std::array<Outcome, 6> kOrder{Outcome::kTimeLimit,      Outcome::kLiveness,
                                          Outcome::kNondeterminism, Outcome::kHarnessError,
                                          Outcome::kCrash,          Outcome::kSafety};
  const auto rank = [&](Outcome outcome) {
    size_t at = 0;
    for (size_t i = 0; i < kOrder.size(); ++i) {
      at = kOrder[i] == outcome ? i + 1 : at;
    }
    return at;
  };
  for (const auto& [seed, result] : results_) {
    ++counts[result.outcome];
    cpu_ms += result.cpu_ms;
    virtual_ms += result.virtual_ms;
    if (rank(result.outcome) > rank(worst)) {
      worst = result.outcome;
      worst_seed = &seed;
    }
    if (json.is_open()) {
      json << Json(command_, seed, result) << '\n';
    }
  }
  std::cout << scenario_.name() << ": " << results_.size() << " seeds from " << command_.seed_base
            << ':';
  for (const auto& [outcome, count] : counts) {
    std::cout << ' ' << count << ' ' << OutcomeName(outcome);
  }
  std::cout << "; " << virtual_ms / 1000 << " s virtual in " << cpu_ms / 1000 << " s of processor"
            << " (" << (cpu_ms == 0 ? 0 : virtual_ms / cpu_ms) << "x), "
            << (cpu_ms == 0 ? 0 : results_.size() * 60'000 / cpu_ms)
            << " seeds a minute and core\n";
  const bool mostly_idle = counts[Outcome::kIdle] * 2 > results_.size();
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
