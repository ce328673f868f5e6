// SPDX-License-Identifier: MIT
//
// Goal: a log writer finds out by itself that its log server's machine is gone or out of reach,
// when nothing and nobody tells it: no end, no reset, and a TCP that never gives up. It has lost
// nothing when it is through. Method: a page server and a writer with the default timeouts as two
// simulated machines whose network retransmits for an hour; and the log read back afterwards.
#include "tests/sim/streaming_client.h"

namespace redoubt::sim {
namespace {

constexpr int64_t kNoticedNs = 35 * kSecond;  // append_timeout and a little

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
