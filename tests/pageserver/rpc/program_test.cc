// SPDX-License-Identifier: MIT
//
// Goal: the program says clearly why it cannot serve, by message and exit code, and stops cleanly
// on SIGTERM. Method: the real binary.
#include <fcntl.h>
#include <gtest/gtest.h>
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>
#include <string>
#include <vector>

namespace redoubt {
namespace {

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
  // Reads until `wanted` was printed or the output ends.
  bool WaitFor(const std::string& wanted) {
    char buffer[4096];
    while (text_.find(wanted) == std::string::npos) {
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

TEST_F(PageserverProgram, SaysReadyAndStopsCleanly) {
  for (int life = 0; life < 2; ++life) {
    Program program(Arguments(root_ / "data"));
    ASSERT_TRUE(program.WaitFor("ready")) << program.text();
    EXPECT_NE(program.text().find("127.0.0.1:"), std::string::npos);
    program.Signal(SIGTERM);
    EXPECT_EQ(program.ExitCode(), 0) << program.text();
  }
}

TEST_F(PageserverProgram, StartsAgainAfterBeingKilled) {
  for (int life = 0; life < 2; ++life) {
    Program program(Arguments(root_ / "data"));
    ASSERT_TRUE(program.WaitFor("ready")) << program.text();
    program.Signal(SIGKILL);
    EXPECT_EQ(program.ExitCode(), -SIGKILL);
  }
}

TEST_F(PageserverProgram, RefusesADataDirectoryInUse) {
  Program first(Arguments(root_ / "data"));
  ASSERT_TRUE(first.WaitFor("ready")) << first.text();
  Program second(Arguments(root_ / "data"));
  EXPECT_EQ(second.ExitCode(), 3);
  EXPECT_NE(second.text().find("in use by another page server"), std::string::npos)
      << second.text();
}

TEST_F(PageserverProgram, RefusesADirectoryThatIsNotItsOwn) {
  fs::create_directories(root_ / "mysql");
  std::ofstream(root_ / "mysql" / "ibdata1") << "x";
  Program program(Arguments(root_ / "mysql"));
  EXPECT_EQ(program.ExitCode(), 3);
  EXPECT_NE(program.text().find("ibdata1"), std::string::npos) << program.text();
}

TEST_F(PageserverProgram, RefusesANewerFormat) {
  fs::create_directories(root_ / "data");
  std::ofstream(root_ / "data" / "FORMAT") << "redoubt-pageserver 99\n";
  Program program(Arguments(root_ / "data"));
  EXPECT_EQ(program.ExitCode(), 3);
  EXPECT_NE(program.text().find("format 99"), std::string::npos) << program.text();
}

TEST_F(PageserverProgram, RefusesAReadOnlyDirectory) {
  fs::create_directories(root_ / "data");
  fs::permissions(root_ / "data", fs::perms::owner_read | fs::perms::owner_exec);
  if (access((root_ / "data").c_str(), W_OK) == 0) {
    GTEST_SKIP() << "permissions do not bind this user";
  }
  Program program(Arguments(root_ / "data"));
  EXPECT_EQ(program.ExitCode(), 3);
  EXPECT_NE(program.text().find("cannot be written"), std::string::npos) << program.text();
}

TEST_F(PageserverProgram, RefusesADirectoryThatCannotBeMade) {
  Program program(Arguments("/proc/redoubt/data"));
  EXPECT_EQ(program.ExitCode(), 3);
  EXPECT_NE(program.text().find("/proc/redoubt/data"), std::string::npos) << program.text();
}

TEST_F(PageserverProgram, RefusesAnAddressInUse) {
  Program first(Arguments(root_ / "a"));
  ASSERT_TRUE(first.WaitFor("data in")) << first.text();
  const size_t at = first.text().find("127.0.0.1:");
  const std::string address = first.text().substr(at, first.text().find(',', at) - at);
  Program second(Arguments(root_ / "b", address));
  EXPECT_EQ(second.ExitCode(), 1);
  EXPECT_NE(second.text().find(address), std::string::npos) << second.text();
}

TEST_F(PageserverProgram, RefusesRolesThatAreNotThere) {
  for (const std::string role : {"log", "page", "cook"}) {
    std::vector<std::string> arguments = Arguments(root_ / "data");
    arguments.insert(arguments.end(), {"--role", role});
    Program program(arguments);
    EXPECT_EQ(program.ExitCode(), 2);
    EXPECT_NE(program.text().find("--role all"), std::string::npos) << program.text();
  }
  Program none({"--data-dir", (root_ / "data").string()});
  EXPECT_EQ(none.ExitCode(), 2) << none.text();
}

TEST_F(PageserverProgram, ReadsOptionsFromAFile) {
  std::ofstream(root_ / "config.toml") << "data-dir=\"" << (root_ / "data").string()
                                       << "\"\nlisten=\"127.0.0.1:0\"\ncache-bytes=\"64MiB\"\n";
  Program program({"--config", (root_ / "config.toml").string()});
  ASSERT_TRUE(program.WaitFor("ready")) << program.text();
  program.Signal(SIGTERM);
  EXPECT_EQ(program.ExitCode(), 0);
}

}  // namespace
}  // namespace redoubt
