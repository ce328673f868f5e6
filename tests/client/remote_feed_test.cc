// SPDX-License-Identifier: MIT
//
// Goal: page servers that get their redo from log servers elsewhere show every page as it was at
// every LSN, whichever log server or page server dies or loses its disk meanwhile. Method: three
// log servers, two page servers and a writer as simulated machines; the writer notes what it wrote
// where; at the end every version of every page is read from both page servers and held against
// the notes.
#include <gtest/gtest.h>

#include <string>
#include <utility>
#include <vector>

#include "client/log_writer.h"
#include "common/base/hash.h"
#include "tests/client/feed_cluster.h"

namespace redoubt {
namespace {

enum class Harm { kKill, kWipeLog };

void RunSeed(uint64_t seed, Harm harm, int rounds) {
  SCOPED_TRACE("seed " + std::to_string(seed));
  Cluster cluster(seed);
  cluster.Start();
  uint64_t draw = 0;
  const auto next = [&](uint64_t below) { return HashMix(seed, ++draw) % below; };
  for (int round = 0; round < rounds; ++round) {
    cluster.world.RunFor(static_cast<int64_t>(200'000'000 + next(1'500'000'000)));
    const uint64_t what = next(8);
    if (what == 0) {
      cluster.world.world.KillNode(cluster.writer, sim::KillKind::kProcess, sim::CrashPolicy::kAll);
      cluster.StartWriter();
      continue;
    }
    const bool pages = what < 4;
    const auto& machines = pages ? cluster.page_servers : cluster.log_servers;
    const Cluster::Machine& victim = machines[next(machines.size())];
    cluster.Stop(victim, next(2) == 0);
    cluster.world.RunFor(static_cast<int64_t>(next(4'000'000'000)));
    if (!pages && harm == Harm::kWipeLog) {
      cluster.world.world.DiskOf(victim.node).Wipe();
    }
    cluster.world.world.StartNode(victim.node, victim.program);
    if (!pages && harm == Harm::kWipeLog) {
      cluster.world.RunFor(8 * sim::kSecond);
    }
  }
  const Verdict verdict = cluster.Finish();
  EXPECT_TRUE(verdict.status.ok()) << verdict.status.ToString();
  EXPECT_GT(cluster.notes.writes.size(), 500U);
  EXPECT_GT(verdict.trimmed_below, RedoMaker::kStart) << "nothing was trimmed, nothing is shown";
}

TEST(RemoteFeed, PagesAreRightWhicheverServerDies) {
  for (uint64_t seed = 1; seed <= 4 && !testing::Test::HasFailure(); ++seed) {
    RunSeed(seed, Harm::kKill, 20);
  }
}

TEST(RemoteFeed, PagesAreRightWhenALogServerLosesItsDisk) {
  for (uint64_t seed = 11; seed <= 13 && !testing::Test::HasFailure(); ++seed) {
    RunSeed(seed, Harm::kWipeLog, 8);
  }
}

// A page server that lost its disk builds its pages anew from a log that was not trimmed yet.
TEST(RemoteFeed, AWipedPageServerCatchesUpFromTheLog) {
  Cluster cluster(21);
  cluster.Start();
  cluster.world.RunFor(sim::kSecond);
  cluster.Wipe(cluster.page_servers[1]);
  bool made = false;
  cluster.Do(sim::Program([&made](Runtime* r) { return MakeVolumes(r, &made); }));
  ASSERT_TRUE(cluster.Until(&made, 30));
  EXPECT_EQ(cluster.State(kLogServers[0]).log_begin_lsn(), RedoMaker::kStart.value());
  cluster.notes.calm = true;
  ASSERT_TRUE(cluster.Until(&cluster.notes.quiet, 60));
  // What it held of the import is gone with its disk.
  bool set = false;
  const Epoch epoch(cluster.State(kPageServers[1]).epoch());
  struct Horizon {
    static Task<void> Set(Runtime* runtime, Epoch epoch, bool* done) {
      std::string address = kPageServers[1];
      const Status stale = co_await SetHorizon(runtime, address, Epoch(epoch.value() - 1));
      EXPECT_EQ(stale.code(), StatusCode::kStaleEpoch) << stale.ToString();
      const Status early = co_await SetHorizon(runtime, address, Epoch(epoch.value() + 1));
      EXPECT_EQ(early.code(), StatusCode::kInvalidArgument) << early.ToString();
      const Status now = co_await SetHorizon(runtime, address, epoch);
      EXPECT_TRUE(now.ok()) << now.ToString();
      *done = true;
    }
  };
  cluster.Do(sim::Program([&set, epoch](Runtime* r) { return Horizon::Set(r, epoch, &set); }));
  ASSERT_TRUE(cluster.Until(&set, 30));
  const Verdict verdict = cluster.Finish();
  EXPECT_TRUE(verdict.status.ok()) << verdict.status.ToString();
}

// And says so when the redo is gone.
TEST(RemoteFeed, AWipedPageServerSaysThatTheLogWasTrimmed) {
  Cluster cluster(22);
  cluster.Start();
  cluster.world.RunFor(40 * sim::kSecond);
  for (const std::string& address : kLogServers) {
    EXPECT_GT(cluster.State(address).log_begin_lsn(), RedoMaker::kStart.value()) << address;
  }
  cluster.Wipe(cluster.page_servers[1]);
  bool made = false;
  cluster.Do(sim::Program([&made](Runtime* r) { return MakeVolumes(r, &made); }));
  ASSERT_TRUE(cluster.Until(&made, 30));
  cluster.world.RunFor(3 * sim::kSecond);
  const proto::VolumeState state = cluster.State(kPageServers[1]);
  EXPECT_NE(state.ingest_error().find("was trimmed by all log servers"), std::string::npos)
      << state.ShortDebugString();
  EXPECT_EQ(state.applied_lsn(), 0U);
  const proto::VolumeState other = cluster.State(kPageServers[0]);
  EXPECT_EQ(other.ingest_error(), "");
  EXPECT_FALSE(other.feed_server().empty());
}

// With no log server left a page server goes on serving what it has, and says why it has no more.
TEST(RemoteFeed, SaysWhyItGetsNoRedo) {
  Cluster cluster(23);
  cluster.Start();
  cluster.world.RunFor(3 * sim::kSecond);
  for (const Cluster::Machine& machine : cluster.log_servers) {
    cluster.Stop(machine, false);
  }
  cluster.world.RunFor(6 * sim::kSecond);
  const proto::VolumeState state = cluster.State(kPageServers[0]);
  EXPECT_EQ(state.ingest_error(), "");
  EXPECT_NE(state.feed_problem().find("log3:7000"), std::string::npos) << state.feed_problem();
  EXPECT_GT(state.applied_lsn(), RedoMaker::kStart.value());
  for (const Cluster::Machine& machine : cluster.log_servers) {
    cluster.world.world.StartNode(machine.node, machine.program);
  }
  const Verdict verdict = cluster.Finish();
  EXPECT_TRUE(verdict.status.ok()) << verdict.status.ToString();
  EXPECT_EQ(cluster.State(kPageServers[0]).feed_problem(), "");
}

// A volume of the same name and number that belongs to somebody else, with a little in its log.
Task<void> MakeForeignVolume(Runtime* runtime, std::string address, bool* done) {
  co_await MakeVolume(runtime, address, 88, 16384);
  LogWriterOptions options;
  options.volume = "v";
  std::vector<std::string> addresses{address};
  LogWriter writer(runtime, std::move(addresses), options);
  const Result<LogPosition> position = co_await writer.Start(Epoch(0), In(runtime, 3000));
  EXPECT_TRUE(position.ok()) << position.status().ToString();
  std::string reason = "first";
  Status status = co_await writer.StartAt(RedoMaker::kStart, std::move(reason), In(runtime, 3000));
  RedoMaker redo;
  RedoAppend append = redo.AppendInit(3);
  status = co_await writer.Append(std::move(append), In(runtime, 3000));
  EXPECT_TRUE(status.ok()) << status.ToString();
  status = co_await writer.WaitAcknowledged(redo.end(), In(runtime, 3000));
  EXPECT_TRUE(status.ok()) << status.ToString();
  co_await writer.Stop();
  *done = true;
}

// A log server that comes back with the disk of another one: neither writer nor page servers touch
// or believe what it holds, although name, number and epoch are the same.
TEST(RemoteFeed, AnotherServersDiskIsRefusedByWriterAndReaders) {
  Cluster cluster(31);
  std::vector<Cluster::Machine> others;
  cluster.Add("other:7000", ServerRole::kLog, &others);
  cluster.Start();
  bool made = false;
  cluster.Do(
      sim::Program([&made](Runtime* r) { return MakeForeignVolume(r, "other:7000", &made); }));
  ASSERT_TRUE(cluster.Until(&made, 30));
  const proto::VolumeState before = cluster.State("other:7000");
  cluster.world.RunFor(5 * sim::kSecond);
  const Cluster::Machine& victim = cluster.log_servers[2];
  const auto swap = [&] {
    cluster.Stop(victim, true);
    cluster.Stop(others[0], true);
    cluster.world.world.SwapDisks(victim.node, others[0].node);
    cluster.world.world.StartNode(victim.node, victim.program);
    cluster.world.world.StartNode(others[0].node, others[0].program);
  };
  swap();
  const Lsn then = cluster.notes.acknowledged;
  cluster.world.RunFor(10 * sim::kSecond);
  EXPECT_GT(cluster.notes.acknowledged, then) << "the two others go on";
  const proto::VolumeState foreign = cluster.State(kLogServers[2]);
  EXPECT_EQ(foreign.volume_uid(), 88U);
  EXPECT_EQ(foreign.commit_lsn(), before.commit_lsn()) << "nothing was written there";
  EXPECT_EQ(foreign.epoch(), before.epoch()) << "nor promised";
  EXPECT_GT(CountOf(foreign, "not found"), 0U) << foreign.ShortDebugString();
  for (const std::string& page_server : kPageServers) {
    EXPECT_GT(cluster.State(page_server).feed_refused(), 0U) << page_server;
  }
  swap();
  const Verdict verdict = cluster.Finish();
  EXPECT_TRUE(verdict.status.ok()) << verdict.status.ToString();
  EXPECT_EQ(cluster.State(kLogServers[2]).volume_uid(), kUid);
}

}  // namespace
}  // namespace redoubt
