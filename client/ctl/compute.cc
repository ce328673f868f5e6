// SPDX-License-Identifier: MIT
#include "client/ctl/compute.h"

#include <signal.h>
#include <spawn.h>
#include <sys/wait.h>

#include <algorithm>
#include <cerrno>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <optional>
#include <sstream>
#include <system_error>
#include <utility>

#include "client/ctl/json.h"

extern char** environ;

namespace redoubt::ctl {
namespace {

constexpr const char* kPidFile = "/mysqld.pid";
constexpr const char* kSocket = "/mysqld.sock";
constexpr const char* kErrorLog = "/mysqld.log";
constexpr size_t kLogTailBytes = 1500;
constexpr Duration kPoll = std::chrono::milliseconds(50);

std::string ReadAll(const std::string& path) {
  std::ifstream file(path, std::ios::binary);
  std::ostringstream text;
  text << file.rdbuf();
  return text.str();
}

std::string Absolute(const std::string& directory) {
  std::error_code error;
  const std::filesystem::path path = std::filesystem::absolute(directory, error);
  return error ? directory : path.lexically_normal().string();
}

// The server that runs in the directory. A pid file is left behind by kill -9, and its number may
// be another program's since.
std::optional<pid_t> RunningIn(const std::string& directory) {
  std::istringstream text(ReadAll(directory + kPidFile));
  pid_t pid = 0;
  if (!(text >> pid) || pid <= 0) {
    return std::nullopt;
  }
  const std::string command = ReadAll("/proc/" + std::to_string(pid) + "/cmdline");
  const bool is_it = command.find("--datadir=" + directory + '\0') != std::string::npos;
  return is_it ? std::optional<pid_t>(pid) : std::nullopt;
}

// Runs a program to its end; its exit code, or 128 + the signal that ended it.
Result<int> RunProgram(const std::vector<std::string>& arguments) {
  std::vector<char*> pointers;
  for (const std::string& argument : arguments) {
    pointers.push_back(const_cast<char*>(argument.c_str()));
  }
  pointers.push_back(nullptr);
  pid_t pid = 0;
  const int error =
      posix_spawnp(&pid, pointers.front(), nullptr, nullptr, pointers.data(), environ);
  if (error != 0) {
    return FromErrno(error, "start of " + arguments.front());
  }
  int state = 0;
  while (waitpid(pid, &state, 0) < 0) {
    if (errno != EINTR) {
      return FromErrno(errno, "wait for " + arguments.front());
    }
  }
  return WIFEXITED(state) ? WEXITSTATUS(state) : 128 + WTERMSIG(state);
}

int PrintServer(Console* console, const std::string& directory, pid_t pid, const char* state) {
  if (console->json()) {
    JsonWriter json;
    json.BeginObject().Field("state", state).Field("directory", directory).Field("pid", pid);
    json.Field("socket", directory + kSocket).EndObject();
    console->Print(json.text());
  } else {
    console->Print(std::string(state) + ": pid " + std::to_string(pid) + ", socket " + directory +
                   kSocket);
  }
  return kExitOk;
}

Status NobodyRuns(const std::string& directory) {
  return NotFound("no server runs in " + directory);
}

}  // namespace

std::vector<std::string> MysqldArguments(const ComputeStartOptions& options) {
  std::vector<std::string> arguments{options.mysqld};
  std::vector<std::string> last;
  for (const std::string& option : options.more) {
    const bool first = option == "--no-defaults" || option.starts_with("--defaults-");
    (first ? arguments : last).push_back(option);
  }
  arguments.insert(arguments.end(), {
                                        "--daemonize",
                                        "--datadir=" + options.directory,
                                        "--pid-file=" + options.directory + kPidFile,
                                        "--socket=" + options.directory + kSocket,
                                        "--log-error=" + options.directory + kErrorLog,
                                        "--skip-log-bin",
                                        "--innodb-pageserver-mode=STATELESS",
                                        "--innodb-pageserver-volume=" + options.volume,
                                        "--innodb-pageserver-log-servers=" + options.log_servers,
                                        "--innodb-pageserver-page-servers=" + options.page_servers,
                                    });
  std::ranges::move(last, std::back_inserter(arguments));
  return arguments;
}

Task<int> ComputeStart(Runtime* runtime, Console* console, ComputeStartOptions options) {
  options.directory = Absolute(options.directory);
  if (RunningIn(options.directory)) {
    co_return console->Fail(kExitProblem,
                            InvalidArgument("a server runs in " + options.directory + " already"));
  }
  std::error_code error;
  std::filesystem::create_directories(options.directory, error);
  if (error) {
    co_return console->Fail(kExitFiles, FromErrno(error.value(), "make " + options.directory));
  }
  auto run = [arguments = MysqldArguments(options)] { return RunProgram(arguments); };
  const Result<int> code = co_await RunBlocking(runtime->blocking, std::move(run));
  if (!code.ok()) {
    co_return console->Fail(kExitFiles, code.status());
  }
  const std::optional<pid_t> pid = RunningIn(options.directory);
  if (*code != 0 || !pid) {
    const std::string log = ReadAll(options.directory + kErrorLog);
    const size_t from = log.size() > kLogTailBytes ? log.size() - kLogTailBytes : 0;
    co_return console->Fail(kExitProblem, Unavailable("mysqld ended with " + std::to_string(*code) +
                                                      "; its log ends with\n" + log.substr(from)));
  }
  co_return PrintServer(console, options.directory, *pid, "serving");
}

Task<int> ComputeStop(Runtime* runtime, Console* console, std::string directory,
                      Duration patience) {
  directory = Absolute(directory);
  const std::optional<pid_t> pid = RunningIn(directory);
  if (!pid) {
    co_return console->Fail(kExitProblem, NobodyRuns(directory));
  }
  if (kill(*pid, SIGTERM) != 0) {
    co_return console->Fail(kExitFiles, FromErrno(errno, "SIGTERM to " + std::to_string(*pid)));
  }
  const TimePoint deadline = runtime->scheduler->Now() + patience;
  while (RunningIn(directory)) {
    if (runtime->scheduler->Now() > deadline) {
      co_return console->Fail(kExitProblem,
                              DeadlineExceeded("the server in " + directory + " still runs, pid " +
                                               std::to_string(*pid)));
    }
    co_await runtime->scheduler->Sleep(kPoll);
  }
  co_return PrintServer(console, directory, *pid, "stopped");
}

Task<int> ComputeStatus(Runtime* runtime, Console* console, std::string directory) {
  static_cast<void>(runtime);
  directory = Absolute(directory);
  const std::optional<pid_t> pid = RunningIn(directory);
  if (!pid) {
    co_return console->Fail(kExitProblem, NobodyRuns(directory));
  }
  co_return PrintServer(console, directory, *pid, "serving");
}

}  // namespace redoubt::ctl
