// SPDX-License-Identifier: MIT
//
// Goal: a log writer finds out by itself that its log server's machine is gone or out of reach,
// when nothing and nobody tells it: no end, no reset, and a TCP that never gives up. It has lost
// nothing when it is through. Method: a page server and a writer with the default timeouts as two
// simulated machines whose network retransmits for an hour; and the log read back afterwards.
#include <gtest/gtest.h>

#include <string>
#include <utility>
#include <vector>

#include "client/log_writer.h"
#include "client/reconnecting_channel.h"
#include "client/volume_client.h"
#include "common/runtime/sync.h"
#include "pageserver/server.h"
#include "pageserver/storage/memory_kv_store.h"
#include "tests/pageserver/rpc/redo_maker.h"
#include "tests/sim/sim_test_util.h"

namespace redoubt::sim {
namespace {

constexpr char kAddress[] = "server:7000";
constexpr int kAppends = 4000;
constexpr Duration kAppendEvery = std::chrono::milliseconds(20);
constexpr int64_t kNoticedNs = 35 * kSecond;  // append_timeout and a little

struct Seen {
  std::string trouble;  // of the call that ended the client early
  Status problem;       // what the writer is trying again, if anything
  Epoch epoch;
  Lsn acknowledged;
  bool streamed = false;
  Bytes sent;
  Lsn log_begin;  // what lies below the pages hold
  Bytes log;      // as the server has it, from there
};

Task<void> Serve(Runtime* runtime) {
  PageServerOptions options;
  options.data_dir = "/data";
  options.listen = kAddress;
  options.open_store = [](Runtime* r, std::string path) {
    return MemoryKvStore::Open(r, std::move(path));
  };
  PageServer server(runtime, std::move(options));
  const Status started = co_await server.Start();
  EXPECT_TRUE(started.ok()) << started.ToString();
  Event never(runtime->scheduler);
  co_await never.Wait();
}

TimePoint In(Runtime* runtime, int seconds) {
  return runtime->scheduler->Now() + std::chrono::seconds(seconds);
}

Task<Status> MakeVolume(Runtime* runtime) {
  co_await runtime->scheduler->Sleep(std::chrono::milliseconds(100));
  ReconnectingChannel channel(runtime, kAddress, ReconnectingChannelOptions());
  VolumeClient client(&channel);
  proto::VolumeCreateRequest create;
  create.set_name("v");
  create.set_page_size(16384);
  const auto created = co_await client.VolumeCreate(std::move(create), In(runtime, 5));
  co_await channel.Close();
  co_return created.status();
}

Task<Status> Stream(Runtime* runtime, Seen* seen, LogWriter* writer) {
  std::string reason = "test";
  Status status = co_await writer->StartAt(RedoMaker::kStart, std::move(reason), In(runtime, 5));
  RedoMaker redo;
  for (int i = 0; i < kAppends && status.ok(); ++i) {
    RedoAppend append = i == 0 ? redo.AppendInit(3) : redo.AppendWrite(3, static_cast<uint64_t>(i));
    seen->sent.insert(seen->sent.end(), append.payload->begin(), append.payload->end());
    status = co_await writer->Append(std::move(append), In(runtime, 5));
    seen->acknowledged = writer->acknowledged();
    seen->problem = writer->last_problem();
    co_await runtime->scheduler->Sleep(kAppendEvery);
  }
  if (status.ok()) {
    status = co_await writer->WaitAcknowledged(redo.end(), In(runtime, 300));
  }
  co_return status;
}

Task<Status> ReadBack(Runtime* runtime, Seen* seen, VolumeId volume) {
  ReconnectingChannel channel(runtime, kAddress, ReconnectingChannelOptions());
  VolumeClient client(&channel);
  proto::LogStatusRequest status_request;
  status_request.set_volume_id(volume.value());
  const auto state = co_await client.LogStatus(std::move(status_request), In(runtime, 5));
  Status status = state.status();
  if (status.ok()) {
    seen->log_begin = Lsn(state->begin_lsn());
  }
  const Lsn end = innodb::AdvanceLsn(RedoMaker::kStart, seen->sent.size());
  while (status.ok() && innodb::AdvanceLsn(seen->log_begin, seen->log.size()) < end) {
    proto::LogReadRequest request;
    request.set_volume_id(volume.value());
    request.set_start_lsn(innodb::AdvanceLsn(seen->log_begin, seen->log.size()).value());
    request.set_bytes_max(1 << 20);
    request.set_deadline_ms(1000);
    const auto answer = co_await client.LogRead(std::move(request), In(runtime, 5));
    status = answer.status();
    if (status.ok() && answer->payload.empty()) {
      status = Unavailable("the log ends after " + std::to_string(seen->log.size()) + " bytes");
    }
    if (status.ok()) {
      seen->log.insert(seen->log.end(), answer->payload.begin(), answer->payload.end());
    }
  }
  co_await channel.Close();
  co_return status;
}

Task<void> WriteLog(Runtime* runtime, Seen* seen) {
  Status status = co_await MakeVolume(runtime);
  LogWriterOptions options;
  options.volume = "v";
  std::vector<std::string> addresses{kAddress};
  LogWriter writer(runtime, std::move(addresses), std::move(options));
  if (status.ok()) {
    const Result<LogPosition> position = co_await writer.Start(Epoch(0), In(runtime, 5));
    status = position.status();
  }
  if (status.ok()) {
    status = co_await Stream(runtime, seen, &writer);
    seen->epoch = writer.epoch();
  }
  co_await writer.Stop();
  seen->streamed = status.ok();
  if (status.ok()) {
    // Time for everything that an old connection may still have on the wire.
    co_await runtime->scheduler->Sleep(std::chrono::seconds(200));
    status = co_await ReadBack(runtime, seen, writer.volume());
  }
  seen->trouble = status.ok() ? "" : status.ToString();
}

class VanishedServer : public testing::TestWithParam<uint64_t> {
 protected:
  static SimOptions Patient() {
    SimOptions options;
    options.net.give_up_ns = 3600 * kSecond;
    return options;
  }
  VanishedServer() : test_(GetParam(), Patient()) {
    server_ = test_.world.AddNode("server");
    const NodeId client = test_.world.AddNode("client");
    StartServer();
    test_.world.StartNode(client, Program([this](Runtime* r) { return WriteLog(r, &seen_); }));
    test_.RunFor(5 * kSecond);
    EXPECT_EQ(seen_.trouble, "");
    EXPECT_GT(seen_.acknowledged, RedoMaker::kStart);
    EXPECT_EQ(test_.world.net().open_count(), 1U) << "the writer's connection";
  }
  void StartServer() {
    test_.world.StartNode(server_, Program([](Runtime* r) { return Serve(r); }));
  }
  // The server has just gone silent.
  void ExpectNoticed() {
    vanished_at_ = seen_.acknowledged;
    test_.RunFor(kSecond);
    EXPECT_TRUE(seen_.problem.ok()) << "silence alone says nothing: " << seen_.problem.ToString();
    test_.RunFor(kNoticedNs - kSecond);
    EXPECT_EQ(seen_.problem.code(), StatusCode::kDeadlineExceeded) << seen_.problem.ToString();
    EXPECT_LE(seen_.acknowledged.value(), vanished_at_.value() + 1000) << "nobody was there";
  }
  void ExpectNothingLost() {
    const Lsn before = seen_.acknowledged;
    test_.RunFor(5 * kSecond);
    EXPECT_TRUE(seen_.problem.ok()) << seen_.problem.ToString();
    EXPECT_GT(seen_.acknowledged, before);
    test_.RunFor(600 * kSecond);
    EXPECT_TRUE(seen_.streamed);
    EXPECT_EQ(seen_.trouble, "");
    EXPECT_EQ(seen_.epoch, Epoch(1));
    ASSERT_GE(seen_.log_begin, RedoMaker::kStart);
    EXPECT_LE(seen_.log_begin, vanished_at_) << "everything since is there to be compared";
    const uint64_t skipped =
        innodb::ToSn(seen_.log_begin).value() - innodb::ToSn(RedoMaker::kStart).value();
    ASSERT_LT(skipped, seen_.sent.size());
    const ByteView sent = ByteView(seen_.sent).subspan(skipped);
    EXPECT_EQ(seen_.log, Bytes(sent.begin(), sent.end()));
  }

  TestWorld test_;
  NodeId server_ = 0;
  Lsn vanished_at_;  // acknowledged then
  Seen seen_;
};

TEST_P(VanishedServer, MachineWithoutPowerIsGivenUpAndFoundAgain) {
  test_.world.KillNode(server_, KillKind::kPower, CrashPolicy::kSeeded);
  ExpectNoticed();
  EXPECT_EQ(test_.world.net().open_count(), 0U) << "the dead connection is closed";
  StartServer();
  ExpectNothingLost();
}

// Here the server lives and has its end of the old connection; what the writer had sent on it
// arrives after the writer went on upon a new one.
TEST_P(VanishedServer, BlockedLinkIsGivenUpAndLateAppendsDoNoHarm) {
  test_.world.net().Isolate(server_, true);
  ExpectNoticed();
  test_.world.net().HealAll();
  ExpectNothingLost();
}

INSTANTIATE_TEST_SUITE_P(Seeds, VanishedServer, testing::Values(1, 2, 3));

}  // namespace
}  // namespace redoubt::sim
