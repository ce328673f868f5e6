// SPDX-License-Identifier: MIT
#include "sim/command/child_run.h"

#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cstdio>
#include <cstring>
#include <iostream>

#include "sim/command/capsule.h"
#include "sim/command/commands.h"

namespace redoubt::sim {
namespace {

std::string ReadToEnd(int fd) {
  std::string text;
  std::array<char, 4096> chunk{};
  ssize_t count = read(fd, chunk.data(), chunk.size());
  while (count > 0) {
    text.append(chunk.data(), static_cast<size_t>(count));
    count = read(fd, chunk.data(), chunk.size());
  }
  return text;
}

std::string LastWords(const std::string& errors) {
  std::string last;
  size_t begin = 0;
  while (begin < errors.size()) {
    const size_t end = std::min(errors.find('\n', begin), errors.size());
    const std::string line = errors.substr(begin, end - begin);
    if (line.find("check failed") != line.npos) {
      return line;
    }
    last = line.empty() ? last : line;
    begin = end + 1;
  }
  return last;
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

}  // namespace

ChildEnd RunChild(const std::function<int(std::string* answer)>& work, uint32_t seconds_max) {
  ChildEnd end;
  end.exit_code = CodeOf(Outcome::kHarnessError);
  std::array<int, 2> ends{};
  FILE* errors = std::tmpfile();
  if (errors == nullptr || pipe(ends.data()) != 0) {
    end.last_words = std::strerror(errno);
    return end;
  }
  std::cout.flush();
  std::cerr.flush();
  const pid_t child = fork();
  if (child == 0) {
    close(ends[0]);
    dup2(fileno(errors), STDERR_FILENO);
    alarm(seconds_max);
    std::string answer;
    const int code = work(&answer);
    std::cout.flush();
    WriteAll(ends[1], answer);
    _exit(code);
  }
  close(ends[1]);
  end.answer = ReadToEnd(ends[0]);
  close(ends[0]);
  int status = 0;
  if (child > 0 && waitpid(child, &status, 0) == child) {
    end.signal = WIFSIGNALED(status) ? WTERMSIG(status) : 0;
    end.exit_code = WIFEXITED(status) ? WEXITSTATUS(status) : CodeOf(Outcome::kCrash);
  }
  lseek(fileno(errors), 0, SEEK_SET);
  const std::string text = ReadToEnd(fileno(errors));
  std::fclose(errors);
  std::cerr << text;
  end.last_words = LastWords(text);
  return end;
}

uint32_t SecondsMax(const proto::Scenario& scenario, uint32_t command_seconds_max) {
  const uint32_t own = scenario.limits().wall_s();
  return own == 0 ? command_seconds_max : std::min(own, command_seconds_max);
}

proto::RunVerdict VerdictOfDeath(const ChildEnd& end, uint32_t seconds_max) {
  proto::RunVerdict verdict;
  const bool late = end.signal == SIGALRM;
  const Outcome outcome = late ? Outcome::kTimeLimit : Outcome::kCrash;
  verdict.set_outcome(std::string(OutcomeName(outcome)));
  verdict.set_reason(late ? "time limit: " + std::to_string(seconds_max) + " s were not enough"
                          : std::string("crash: ") + strsignal(end.signal) +
                                (end.last_words.empty() ? "" : ", " + end.last_words));
  verdict.set_fingerprint(FingerprintOf(verdict.reason()));
  return verdict;
}

proto::RunVerdict RunCapsuleInChild(const proto::Capsule& capsule, uint32_t command_seconds_max) {
  const uint32_t seconds_max = SecondsMax(capsule.scenario(), command_seconds_max);
  const auto work = [&](std::string* answer) {
    const RunReport report = RunScenario(ScenarioOf(capsule), OptionsOf(capsule));
    *answer = VerdictOf(report).SerializeAsString();
    return 0;
  };
  const ChildEnd end = RunChild(work, seconds_max);
  proto::RunVerdict verdict;
  if (end.signal == 0 && end.exit_code == 0 && verdict.ParseFromString(end.answer)) {
    return verdict;
  }
  if (end.signal != 0) {
    return VerdictOfDeath(end, seconds_max);
  }
  verdict.set_outcome(std::string(OutcomeName(Outcome::kHarnessError)));
  verdict.set_reason("harness: " + end.last_words);
  return verdict;
}

}  // namespace redoubt::sim
