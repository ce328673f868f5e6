// SPDX-License-Identifier: MIT
//
// The real pageserver binary as a child process, for tests.
#pragma once

#include <gtest/gtest.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

#include <filesystem>
#include <string>
#include <utility>
#include <vector>

namespace redoubt {

namespace fs = std::filesystem;

// One run of the program; its stdout and stderr come through one pipe.
class Program {
 public:
  explicit Program(std::vector<std::string> arguments) {
    int ends[2];
    EXPECT_EQ(pipe(ends), 0);
    pid_ = fork();
    if (pid_ == 0) {
      dup2(ends[1], 1);
      dup2(ends[1], 2);
      close(ends[0]);
      arguments.insert(arguments.begin(), REDOUBT_PAGESERVER);
      std::vector<char*> argv;
      for (std::string& argument : arguments) {
        argv.push_back(argument.data());
      }
      argv.push_back(nullptr);
      execv(argv[0], argv.data());
      _exit(127);
    }
    close(ends[1]);
    output_ = ends[0];
  }
  ~Program() {
    if (pid_ > 0) {
      kill(pid_, SIGKILL);
      waitpid(pid_, nullptr, 0);
    }
    close(output_);
  }
  // Reads until `wanted` was printed, the output ends, or nothing comes for a minute.
  bool WaitFor(const std::string& wanted) {
    char buffer[4096];
    while (text_.find(wanted) == std::string::npos) {
      pollfd ready{output_, POLLIN, 0};
      if (poll(&ready, 1, 60'000) <= 0) {
        return false;
      }
      const ssize_t got = read(output_, buffer, sizeof buffer);
      if (got <= 0) {
        return false;
      }
      text_.append(buffer, static_cast<size_t>(got));
    }
    return true;
  }
  int ExitCode() {
    WaitFor("\n\n\nnever printed");
    int status = 0;
    waitpid(pid_, &status, 0);
    pid_ = -1;
    return WIFEXITED(status) ? WEXITSTATUS(status) : -WTERMSIG(status);
  }
  // "127.0.0.1:40213" of the line that says ready.
  std::string Address() {
    if (!WaitFor(", data in")) {
      return {};
    }
    const size_t at = text_.find("127.0.0.1:");
    return text_.substr(at, text_.find(',', at) - at);
  }
  void Signal(int number) const { kill(pid_, number); }
  const std::string& text() const { return text_; }

 private:
  pid_t pid_ = -1;
  int output_ = -1;
  std::string text_;
};

class PageserverProgram : public testing::Test {
 protected:
  void SetUp() override {
    std::string pattern = fs::temp_directory_path() / "redoubt_program.XXXXXX";
    root_ = mkdtemp(pattern.data());
  }
  void TearDown() override {
    fs::permissions(root_, fs::perms::owner_all);
    fs::remove_all(root_);
  }
  std::vector<std::string> Arguments(const std::string& data_dir,
                                     const std::string& listen = "127.0.0.1:0") {
    return {"--data-dir", data_dir, "--listen", listen};
  }
  fs::path root_;
};

}  // namespace redoubt
