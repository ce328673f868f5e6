// SPDX-License-Identifier: MIT
//
// Goal: pagectl compute gives mysqld what it was told, says so when mysqld does not start, and
// takes no other program for a server. Method: small programs in mysqld's place, in the production
// world. (A real mysqld: tests/integration/compute_test.py --mode stateless.)
#include "client/ctl/compute.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include <cstdio>
#include <filesystem>
#include <fstream>

#include "common/runtime/asio/asio_world.h"

namespace redoubt::ctl {
namespace {

using ::testing::ElementsAre;
using ::testing::StartsWith;

TEST(MysqldArguments, PutDefaultsFirstAndTheUsersOptionsLast) {
  ComputeStartOptions options;
  options.directory = "/d";
  options.volume = "v";
  options.log_servers = "a:1,b:2,c:3";
  options.page_servers = "p:4";
  options.mysqld = "/bin/mysqld";
  options.more = {"--port=7", "--no-defaults", "--skip-log-bin=0"};
  EXPECT_THAT(MysqldArguments(options),
              ElementsAre("/bin/mysqld", "--no-defaults", "--daemonize", "--datadir=/d",
                          StartsWith("--pid-file=/d/"), StartsWith("--socket=/d/"),
                          StartsWith("--log-error=/d/"), "--skip-log-bin",
                          "--innodb-pageserver-mode=STATELESS", "--innodb-pageserver-volume=v",
                          "--innodb-pageserver-log-servers=a:1,b:2,c:3",
                          "--innodb-pageserver-page-servers=p:4", "--port=7", "--skip-log-bin=0"));
}

class Compute : public ::testing::Test {
 protected:
  Compute() {
    std::filesystem::create_directories(directory_);
    AsioWorldOptions options;
    options.handle_signals = false;
    world_.emplace(options);
    file_ = std::tmpfile();
    console_.emplace(world_->runtime().scheduler, ConsoleOptions{false, false, 80, file_, file_});
  }
  ~Compute() override {
    std::fclose(file_);
    std::filesystem::remove_all(directory_);
  }
  std::string said() {
    std::fflush(file_);
    std::rewind(file_);
    std::string text(4096, '\0');
    text.resize(std::fread(text.data(), 1, text.size(), file_));
    return text;
  }
  Runtime* runtime() { return &world_->runtime(); }

  std::string directory_ = ::testing::TempDir() + "redoubt-compute-" + std::to_string(::getpid());
  std::optional<AsioWorld> world_;
  std::FILE* file_ = nullptr;
  std::optional<Console> console_;
};

TEST_F(Compute, SaysWithWhichCodeAServerEnded) {
  ComputeStartOptions options;
  options.directory = directory_;
  options.mysqld = "false";
  EXPECT_EQ(world_->Run(ComputeStart(runtime(), &*console_, options)), kExitProblem);
  EXPECT_THAT(said(), ::testing::HasSubstr("mysqld ended with 1"));
}

TEST_F(Compute, SaysThatThereIsNoMysqld) {
  ComputeStartOptions options;
  options.directory = directory_;
  options.mysqld = directory_ + "/nothing";
  EXPECT_EQ(world_->Run(ComputeStart(runtime(), &*console_, options)), kExitFiles);
}

TEST_F(Compute, TakesNoOtherProgramForAServer) {
  std::ofstream(directory_ + "/mysqld.pid") << ::getpid() << "\n";
  EXPECT_EQ(world_->Run(ComputeStatus(runtime(), &*console_, directory_)), kExitProblem);
}

TEST_F(Compute, StopsNothingWhereNothingRuns) {
  EXPECT_EQ(world_->Run(ComputeStop(runtime(), &*console_, directory_, std::chrono::seconds(1))),
            kExitProblem);
}

}  // namespace
}  // namespace redoubt::ctl
