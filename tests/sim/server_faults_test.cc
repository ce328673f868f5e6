// SPDX-License-Identifier: MIT
//
// Goal: what the network and the disk do to a page server and a log writer means what it should:
// nothing acknowledged is lost while one sound copy is there, and damage to that copy is named and
// never given out as redo. Method: both as simulated machines, one fault each, and the log read
// back afterwards.
#include "tests/sim/streaming_client.h"

namespace redoubt::sim {
namespace {

constexpr char kLog[] = "/data/log/";
constexpr uint64_t kSegmentBytes = 8 << 10;  // of which 1 KiB is written ahead of the records

class ServerFaults : public testing::TestWithParam<uint64_t> {
 protected:
  ServerFaults() : test_(GetParam()) {
    seen_.appends_wanted = 1000;
    server_ = test_.world.AddNode("server");
    client_ = test_.world.AddNode("client");
    test_.world.SetLogObserver([this](NodeId node, std::string_view line) {
      if (node == server_) {
        server_log_ += std::string(line) + "\n";
      }
    });
    StartServer();
    test_.world.StartNode(client_, Program([this](Runtime* r) { return WriteLog(r, &seen_); }));
  }
  void StartServer() {
    test_.world.StartNode(server_, Program([](Runtime* r) { return Serve(r, kSegmentBytes); }));
  }
  void RestartServer(KillKind kind) {
    test_.world.KillNode(server_, kind, CrashPolicy::kSeeded);
    test_.RunFor(kSecond / 5);
    StartServer();
  }
  void ExpectNothingLost() {
    test_.RunFor(400 * kSecond);
    EXPECT_TRUE(seen_.streamed) << seen_.problem.ToString();
    EXPECT_EQ(seen_.trouble, "");
    EXPECT_EQ(seen_.epoch, Epoch(1)) << "one writer, from the beginning to the end";
    EXPECT_EQ(seen_.log, SentFrom(seen_.log_begin));
  }
  // Everything was sent; the client waits before it reads back. Then the disk, not the page cache,
  // answers.
  void StreamAndDamage(DamageKind kind) {
    test_.RunFor(60 * kSecond);
    ASSERT_TRUE(seen_.streamed) << seen_.problem.ToString();
    SeededStream draw(&test_.world.random(), "test", 0);
    const std::optional<DamageSpot> spot =
        test_.world.DiskOf(server_).DamageSector(kind, kLog, &draw);
    ASSERT_TRUE(spot.has_value());
    ASSERT_TRUE(spot->path.ends_with(".redo") || spot->path.ends_with("epoch")) << spot->path;
    damaged_ = spot->path;
    RestartServer(KillKind::kPower);
    test_.RunFor(400 * kSecond);
  }
  Bytes SentFrom(Lsn begin) const {
    const uint64_t skipped = innodb::ToSn(begin).value() - innodb::ToSn(RedoMaker::kStart).value();
    const ByteView sent = ByteView(seen_.sent).subspan(skipped);
    return Bytes(sent.begin(), sent.end());
  }

  TestWorld test_;
  NodeId server_ = 0;
  NodeId client_ = 0;
  Seen seen_;
  std::string server_log_;
  std::string damaged_;
};

// The frame's checksum refuses what TCP's did not see, at either end; both connect again.
TEST_P(ServerFaults, FlippedBitsAreRefusedAndTheWriterRecovers) {
  test_.RunFor(3 * kSecond);
  test_.world.net().SetBitFlips(20'000);
  test_.RunFor(60 * kSecond);  // a request of which the length was hit is given up after 30
  EXPECT_GT(test_.world.net().bit_flip_count(), 2U);
  EXPECT_NE(server_log_.find("is closed: corruption"), std::string::npos) << server_log_;
  test_.world.net().SetBitFlips(0);
  ExpectNothingLost();
}

TEST_P(ServerFaults, FullDiskIsNamedAndAppendsGoOnWhenThereIsSpace) {
  test_.RunFor(3 * kSecond);
  SimDisk& disk = test_.world.DiskOf(server_);
  disk.SetCapacity(disk.used_bytes() + 300);
  test_.RunFor(4 * kSecond);  // first what was written ahead is used up
  EXPECT_EQ(seen_.problem.code(), StatusCode::kNoSpace) << seen_.problem.ToString();
  const Lsn stuck = seen_.acknowledged;
  test_.RunFor(2 * kSecond);
  EXPECT_EQ(seen_.acknowledged, stuck);
  disk.SetCapacity(uint64_t{1} << 30);
  test_.RunFor(5 * kSecond);
  EXPECT_GT(seen_.acknowledged, stuck);
  ExpectNothingLost();
}

// After a failed sync nothing more is acknowledged, and after the restart, of the process only,
// what the page cache shows and the disk does not have is not taken for durable: a power cut says
// so.
TEST_P(ServerFaults, FailedSyncStopsTheLogUntilARestart) {
  test_.RunFor(3 * kSecond);
  test_.world.DiskOf(server_).FailNext(FileOp::kSync, kLog, StatusCode::kIoError, 1);
  test_.RunFor(2 * kSecond);
  EXPECT_EQ(seen_.problem.code(), StatusCode::kIoError) << seen_.problem.ToString();
  const Lsn stuck = seen_.acknowledged;
  RestartServer(KillKind::kProcess);
  test_.RunFor(2 * kSecond);
  EXPECT_GT(seen_.acknowledged, stuck);
  test_.world.KillNode(server_, KillKind::kPower, CrashPolicy::kClean);
  StartServer();
  ExpectNothingLost();
}

TEST_P(ServerFaults, StalledDeviceIsLateAndNothingElse) {
  test_.RunFor(3 * kSecond);
  test_.world.DiskOf(server_).StallUntil(test_.world.now_ns() + 8 * kSecond);
  test_.RunFor(kSecond);
  const Lsn stuck = seen_.acknowledged;
  test_.RunFor(6 * kSecond);
  EXPECT_EQ(seen_.acknowledged, stuck);
  ExpectNothingLost();
}

TEST_P(ServerFaults, ClocksThatDriftAndJumpChangeNothing) {
  test_.RunFor(3 * kSecond);
  test_.world.SetClockDrift(server_, -300'000);
  test_.world.SetClockDrift(client_, 300'000);
  test_.world.SetWallOffset(server_, -86'400 * kSecond);
  test_.RunFor(20 * kSecond);
  test_.world.PauseNode(server_, test_.world.now_ns() + 3 * kSecond);
  test_.RunFor(20 * kSecond);
  test_.world.SetClockDrift(server_, 0);
  test_.world.SetClockDrift(client_, 0);
  ExpectNothingLost();
}

// With one copy, damage loses redo by nature. The server says where, and gives out nothing of it.
TEST_P(ServerFaults, UnreadableSectorIsReportedWithFileAndOffset) {
  StreamAndDamage(DamageKind::kUnreadable);
  EXPECT_NE(server_log_.find(damaged_), std::string::npos) << server_log_;
  EXPECT_NE(server_log_.find("at offset "), std::string::npos) << server_log_;
  EXPECT_NE(seen_.trouble, "");
  EXPECT_TRUE(seen_.log.empty());
}

TEST_P(ServerFaults, FlippedBitOnTheDiskIsReportedWithFileAndNeverRead) {
  StreamAndDamage(DamageKind::kBitFlip);
  EXPECT_NE(server_log_.find(damaged_), std::string::npos) << server_log_;
  EXPECT_NE(seen_.trouble, "");
  EXPECT_TRUE(seen_.log.empty());
}

INSTANTIATE_TEST_SUITE_P(Seeds, ServerFaults, testing::Values(1, 2, 3));

}  // namespace
}  // namespace redoubt::sim
