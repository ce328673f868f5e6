// SPDX-License-Identifier: MIT
//
// Goal: the program says clearly why it cannot serve, by message and exit code, and stops cleanly
// on SIGTERM. Method: the real binary.
#include "tests/pageserver/rpc/program.h"

#include <gtest/gtest.h>
#include <signal.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>
#include <string>
#include <vector>

namespace redoubt {
namespace {

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

TEST_F(PageserverProgram, RefusesADirectoryBelowAFile) {
  std::ofstream(root_ / "file") << "x";
  Program program(Arguments(root_ / "file" / "data"));
  EXPECT_EQ(program.ExitCode(), 3);
  EXPECT_NE(program.text().find((root_ / "file" / "data").string()), std::string::npos)
      << program.text();
}

TEST_F(PageserverProgram, RefusesAnAddressInUse) {
  Program first(Arguments(root_ / "a"));
  const std::string address = first.Address();
  ASSERT_NE(address, "") << first.text();
  Program second(Arguments(root_ / "b", address));
  EXPECT_EQ(second.ExitCode(), 1);
  EXPECT_NE(second.text().find(address), std::string::npos) << second.text();
}

TEST_F(PageserverProgram, RefusesRolesThatAreNotThere) {
  const std::vector<std::pair<std::vector<std::string>, std::string>> wrong{
      {{"--role", "cook"}, "--role all"},
      {{"--role", "page"}, "needs --log-servers"},
      {{"--role", "log", "--log-servers", "127.0.0.1:1"}, "goes with --role page"}};
  for (const auto& [options, why] : wrong) {
    std::vector<std::string> arguments = Arguments(root_ / "data");
    arguments.insert(arguments.end(), options.begin(), options.end());
    Program program(arguments);
    EXPECT_EQ(program.ExitCode(), 2);
    EXPECT_NE(program.text().find(why), std::string::npos) << program.text();
  }
  Program none({"--data-dir", (root_ / "data").string()});
  EXPECT_EQ(none.ExitCode(), 2) << none.text();
}

TEST_F(PageserverProgram, KeepsRedoAloneWithRoleLog) {
  std::vector<std::string> arguments = Arguments(root_ / "data");
  arguments.insert(arguments.end(), {"--role", "log"});
  Program program(arguments);
  ASSERT_NE(program.Address(), "") << program.text();
  program.Signal(SIGTERM);
  EXPECT_EQ(program.ExitCode(), 0) << program.text();
  EXPECT_TRUE(fs::exists(root_ / "data" / "FORMAT"));
  EXPECT_FALSE(fs::exists(root_ / "data" / "pages"));
}

// It serves, whether its log servers are there or not.
TEST_F(PageserverProgram, KeepsPagesAloneWithRolePage) {
  std::vector<std::string> arguments = Arguments(root_ / "data");
  arguments.insert(arguments.end(),
                   {"--role", "page", "--log-servers", "127.0.0.1:1,127.0.0.1:2,127.0.0.1:3"});
  std::string name;
  for (int life = 0; life < 2; ++life) {
    Program program(arguments);
    ASSERT_NE(program.Address(), "") << program.text();
    program.Signal(SIGTERM);
    EXPECT_EQ(program.ExitCode(), 0) << program.text();
    EXPECT_TRUE(fs::exists(root_ / "data" / "pages"));
    EXPECT_FALSE(fs::exists(root_ / "data" / "log"));
    std::ifstream file(root_ / "data" / "reader");
    std::string line;
    std::getline(file, line);
    EXPECT_EQ(line.size(), 21U) << line;
    EXPECT_TRUE(life == 0 || line == name) << "drawn once";
    name = line;
  }
}
TEST_F(PageserverProgram, TakesSizesWithSuffixesAndNamesWrongOnes) {
  std::vector<std::string> arguments = Arguments(root_ / "data");
  arguments.insert(arguments.end(), {"--log-lag-bytes", "much"});
  Program wrong(arguments);
  EXPECT_EQ(wrong.ExitCode(), 2);
  EXPECT_NE(wrong.text().find("--log-lag-bytes"), std::string::npos) << wrong.text();
  Program help({"--help"});
  EXPECT_EQ(help.ExitCode(), 0);
  EXPECT_NE(help.text().find("--log-lag-bytes"), std::string::npos) << help.text();
}
TEST_F(PageserverProgram, ReadsOptionsFromAFile) {
  std::ofstream(root_ / "config.toml") << "data-dir=\"" << (root_ / "data").string()
                                       << "\"\nlisten=\"127.0.0.1:0\"\ncache-bytes=\"64MiB\"\n"
                                       << "log-lag-bytes=\"4GiB\"\n";
  Program program({"--config", (root_ / "config.toml").string()});
  ASSERT_TRUE(program.WaitFor("ready")) << program.text();
  program.Signal(SIGTERM);
  EXPECT_EQ(program.ExitCode(), 0);
}

}  // namespace
}  // namespace redoubt
