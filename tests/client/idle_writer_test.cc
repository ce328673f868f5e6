// SPDX-License-Identifier: MIT
//
// Goal: a writer that has nothing to send hears of a newer one within a few of its probes, also
// when a single log server can say so, when it was paused or cut off meanwhile, and when it is
// waiting to fill a server up; then whoever waits for it is told kStaleEpoch. Method: one or three
// page servers and two writers as simulated machines; the second writer starts for good, or only
// one server is asked for its promise.
#include <gtest/gtest.h>

#include <functional>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "client/log_writer.h"
#include "client/volume_client.h"
#include "client/volume_creation.h"
#include "common/runtime/rpc/reconnecting_channel.h"
#include "pageserver/server.h"
#include "tests/pageserver/rpc/redo_maker.h"
#include "tests/sim/sim_test_util.h"
#include "tests/support/page_server_program.h"

namespace redoubt {
namespace {

const std::vector<std::string> kThree{"log1:7000", "log2:7000", "log3:7000"};
const std::vector<std::string> kOne{"log1:7000"};
constexpr Duration kProbe = std::chrono::milliseconds(500);
// A probe, the next one should the first have left just before, and the way there and back.
constexpr int64_t kFewProbesNs = 3 * kProbe.count();

TimePoint In(Runtime* runtime, int ms) {
  return runtime->scheduler->Now() + std::chrono::milliseconds(ms);
}

LogWriterOptions Options() {
  LogWriterOptions options;
  options.volume = "v";
  options.idle_probe = kProbe;
  return options;
}

Task<void> ServeForever(Runtime* runtime, std::string address) {
  return RunPageServer(runtime, InMemoryPageServer(std::move(address)));
}

struct Seen {
  std::vector<std::string> addresses;
  bool append_later = false;  // not before the test says so
  bool appended = false;
  bool idle = false;
  Epoch epoch;
  Status wait;  // of somebody who waits for more than there is
  bool wait_ended = false;
  Status append;  // after that
  Status failure;
};

Task<void> MakeVolume(Runtime* runtime, const Seen* seen, bool* done) {
  for (const std::string& address : seen->addresses) {
    ReconnectingChannel channel(runtime, address, ReconnectingChannelOptions());
    VolumeClient client(&channel);
    proto::VolumeCreateRequest create;
    create.set_name("v");
    create.set_page_size(16384);
    create.set_uid(77);
    const auto created = co_await client.VolumeCreate(std::move(create), In(runtime, 3000));
    EXPECT_TRUE(created.ok()) << created.status().ToString();
    co_await channel.Close();
  }
  *done = true;
}

Task<Status> AppendSome(Runtime* runtime, LogWriter* writer, RedoMaker* redo) {
  Status status;
  for (uint32_t i = 0; i < 20 && status.ok(); ++i) {
    RedoAppend append = redo->AppendInit(i);
    status = co_await writer->Append(std::move(append), In(runtime, 3000));
  }
  if (status.ok()) {
    status = co_await writer->WaitAcknowledged(redo->end(), In(runtime, 3000));
  }
  co_return status;
}

// Appends, then only waits for what never comes.
Task<void> StandIdle(Runtime* runtime, Seen* seen) {
  LogWriter writer(runtime, seen->addresses, Options());
  const Result<LogPosition> position = co_await writer.Start(Epoch(0), In(runtime, 3000));
  EXPECT_TRUE(position.ok()) << position.status().ToString();
  std::string reason = "first";
  Status status = co_await writer.StartAt(RedoMaker::kStart, std::move(reason), In(runtime, 3000));
  EXPECT_TRUE(status.ok()) << status.ToString();
  RedoMaker redo;
  status = co_await AppendSome(runtime, &writer, &redo);
  EXPECT_TRUE(status.ok()) << status.ToString();
  seen->appended = true;
  while (seen->append_later) {
    co_await runtime->scheduler->Sleep(std::chrono::milliseconds(10));
  }
  status = co_await AppendSome(runtime, &writer, &redo);
  EXPECT_TRUE(status.ok()) << status.ToString();
  seen->epoch = writer.epoch();
  seen->idle = true;
  seen->wait = co_await writer.WaitAcknowledged(Lsn(redo.end().value() + 1), kNever);
  seen->failure = writer.failure();
  RedoAppend append = redo.AppendInit(1);
  seen->append = co_await writer.Append(std::move(append), In(runtime, 3000));
  seen->wait_ended = true;
  Event never(runtime->scheduler);
  co_await never.Wait();
}

// Takes the volume over, and then dies.
Task<void> TakeOver(Runtime* runtime, const Seen* seen, bool* done) {
  LogWriter writer(runtime, seen->addresses, Options());
  const Result<LogPosition> position = co_await writer.Start(Epoch(0), In(runtime, 5000));
  EXPECT_TRUE(position.ok()) << position.status().ToString();
  *done = position.ok();
  Event never(runtime->scheduler);
  co_await never.Wait();
}

// One server promises the next epoch to somebody who is not heard of again.
Task<void> PrepareAt(Runtime* runtime, std::string address, Epoch epoch, bool* done) {
  ReconnectingChannel channel(runtime, std::move(address), ReconnectingChannelOptions());
  VolumeClient client(&channel);
  proto::PrepareRequest request;
  request.set_volume("v");
  request.set_epoch(epoch.value());
  const auto answer = co_await client.Prepare(std::move(request), In(runtime, 3000));
  EXPECT_TRUE(answer.ok()) << answer.status().ToString();
  co_await channel.Close();
  *done = true;
}

class IdleWriter : public ::testing::Test {
 protected:
  void Begin(const std::vector<std::string>& addresses, bool append_later = false) {
    seen_.addresses = addresses;
    seen_.append_later = append_later;
    for (const std::string& address : addresses) {
      servers_.push_back(net().AddNode(address.substr(0, address.find(':'))));
      Serve(servers_.size() - 1);
    }
    world_.RunFor(sim::kSecond);
    Start("admin", [this](Runtime* r) { return MakeVolume(r, &seen_, &volume_made_); });
    ASSERT_TRUE(Until(volume_made_));
    writer_ = Start("writer", [this](Runtime* r) { return StandIdle(r, &seen_); });
    ASSERT_TRUE(Until(append_later ? seen_.appended : seen_.idle));
  }

  void Serve(size_t server) {
    const std::string address = seen_.addresses.at(server);
    net().StartNode(servers_.at(server),
                    sim::Program([address](Runtime* r) { return ServeForever(r, address); }));
  }
  void Kill(size_t server) {
    net().KillNode(servers_.at(server), sim::KillKind::kProcess, sim::CrashPolicy::kAll);
  }
  sim::NodeId Start(const std::string& name, sim::BodyProgram::Body body) {
    const sim::NodeId node = net().AddNode(name);
    net().StartNode(node, sim::Program(std::move(body)));
    return node;
  }
  void TakeOverNow() {
    const sim::NodeId second =
        Start("second", [this](Runtime* r) { return TakeOver(r, &seen_, &replaced_); });
    ASSERT_TRUE(Until(replaced_));
    net().KillNode(second, sim::KillKind::kPower, sim::CrashPolicy::kAll);
  }
  void PrepareNow(size_t server) {
    const std::string address = seen_.addresses.at(server);
    const Epoch next(seen_.epoch.value() + 1);
    Start("somebody",
          [this, address, next](Runtime* r) { return PrepareAt(r, address, next, &replaced_); });
    ASSERT_TRUE(Until(replaced_));
  }
  bool Until(const bool& done) {
    net().RunUntil(net().now_ns() + 20 * sim::kSecond, [&done] { return done; }, sim::kEventLimit);
    return done;
  }
  // Within a few probes from now, and in every way in which it can be heard.
  void ExpectFenced() {
    const int64_t until = net().now_ns() + kFewProbesNs;
    net().RunUntil(until, [this] { return seen_.wait_ended; }, sim::kEventLimit);
    ASSERT_TRUE(seen_.wait_ended) << "it does not know yet that it was replaced";
    EXPECT_EQ(seen_.wait.code(), StatusCode::kStaleEpoch) << seen_.wait.ToString();
    EXPECT_EQ(seen_.failure.code(), StatusCode::kStaleEpoch) << seen_.failure.ToString();
    EXPECT_EQ(seen_.append.code(), StatusCode::kStaleEpoch) << seen_.append.ToString();
  }
  sim::SimWorld& net() { return world_.world; }

  sim::TestWorld world_{1};
  Seen seen_;
  bool volume_made_ = false;
  bool replaced_ = false;
  std::vector<sim::NodeId> servers_;
  sim::NodeId writer_{};
};

TEST_F(IdleWriter, HearsOfATakeover) {
  Begin(kThree);
  world_.RunFor(10 * sim::kSecond);
  EXPECT_FALSE(seen_.wait_ended) << "nobody has replaced it yet";
  TakeOverNow();
  ExpectFenced();
}

TEST_F(IdleWriter, HearsOfATakeoverFromTheOnlyServer) {
  Begin(kOne);
  world_.RunFor(10 * sim::kSecond);
  TakeOverNow();
  ExpectFenced();
}

class IdleWriterOfThree : public IdleWriter, public ::testing::WithParamInterface<size_t> {};

// The others have not heard of the newer writer.
TEST_P(IdleWriterOfThree, HearsOfItFromOne) {
  Begin(kThree);
  PrepareNow(GetParam());
  ExpectFenced();
}

INSTANTIATE_TEST_SUITE_P(Servers, IdleWriterOfThree, ::testing::Values(0, 1, 2));

// The others are away.
TEST_F(IdleWriter, HearsOfItFromTheOneOfThreeThatIsThere) {
  Begin(kThree);
  Kill(0);
  Kill(1);
  world_.RunFor(5 * sim::kSecond);
  PrepareNow(2);
  ExpectFenced();
}

TEST_F(IdleWriter, HearsOfItWhenItWakesUp) {
  Begin(kThree);
  net().PauseNode(writer_, net().now_ns() + 8 * sim::kSecond);
  TakeOverNow();
  world_.RunFor(7 * sim::kSecond);
  EXPECT_FALSE(seen_.wait_ended) << "it was paused";
  world_.RunFor(sim::kSecond);
  ExpectFenced();
}

TEST_F(IdleWriter, HearsOfItWhenItIsNoLongerCutOff) {
  Begin(kThree);
  net().net().Isolate(writer_, true);
  TakeOverNow();
  world_.RunFor(6 * sim::kSecond);
  EXPECT_FALSE(seen_.wait_ended) << "it was cut off";
  net().net().Isolate(writer_, false);
  ExpectFenced();
}

// The one that is there lacks redo that the window does not hold any more, and those are away who
// could give it.
TEST_F(IdleWriter, HearsOfItWhileItWaitsToFillAServerUp) {
  Begin(kThree, /*append_later=*/true);
  Kill(2);
  seen_.append_later = false;
  ASSERT_TRUE(Until(seen_.idle));
  Kill(0);
  Kill(1);
  Serve(2);
  world_.RunFor(5 * sim::kSecond);
  PrepareNow(2);
  ExpectFenced();
}

}  // namespace
}  // namespace redoubt
