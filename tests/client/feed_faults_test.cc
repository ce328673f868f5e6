// SPDX-License-Identifier: MIT
//
// Goal: a page server gets its redo, soon and whole, although log servers answer late, send bytes
// that are not what was written, or know less than others; and when none of them sends anything
// sound, it says so, serves what it has, and goes on by itself later. Method: the cluster of
// RemoteFeed's tests, with a proxy in front of each log server that the test makes behave so.
#include <gtest/gtest.h>

#include <algorithm>
#include <array>
#include <string>
#include <vector>

#include "client/volume_client.h"
#include "common/runtime/rpc/reconnecting_channel.h"
#include "tests/client/feed_cluster.h"
#include "tests/client/feed_proxy.h"

namespace redoubt {
namespace {

const std::vector<std::string> kProxies{"proxy1:7000", "proxy2:7000", "proxy3:7000"};

struct ProxiedCluster : Cluster {
  explicit ProxiedCluster(uint64_t seed) : Cluster(seed, kProxies) {
    for (size_t i = 0; i < kProxies.size(); ++i) {
      const sim::NodeId node = world.world.AddNode(kProxies[i].substr(0, kProxies[i].find(':')));
      world.world.StartNode(node, sim::Program([this, i](Runtime* r) {
                              return ProxyForever(r, kProxies[i], kLogServers[i], &moods[i]);
                            }));
    }
  }
  Lsn Applied() { return Lsn(State(kPageServers[0]).applied_lsn()); }
  // How long page server 1 is behind what is acknowledged now, at most `seconds_max`.
  double SecondsUntilApplied(double seconds_max) {
    const Lsn wanted = notes.acknowledged;
    const int64_t began = world.world.now_ns();
    const auto passed = [&] {
      return static_cast<double>(world.world.now_ns() - began) / sim::kSecond;
    };
    while (Applied() < wanted && passed() < seconds_max) {
      world.RunFor(sim::kSecond / 100);
    }
    return passed();
  }
  void EndsWell() {
    const Verdict verdict = Finish();
    EXPECT_TRUE(verdict.status.ok()) << verdict.status.ToString();
    EXPECT_EQ(State(kPageServers[0]).feed_problem(), "");
    EXPECT_EQ(State(kPageServers[0]).ingest_error(), "");
  }
  std::array<ProxyMood, 3> moods;
};

// The one that page server 1 reads from just now.
size_t FeederOf(ProxiedCluster* cluster) {
  for (int i = 0; i < 100; ++i) {
    const std::string feeder = cluster->State(kPageServers[0]).feed_server();
    const auto found = std::find(kProxies.begin(), kProxies.end(), feeder);
    if (found != kProxies.end()) {
      return static_cast<size_t>(found - kProxies.begin());
    }
    cluster->world.RunFor(sim::kSecond / 10);
  }
  ADD_FAILURE() << "nobody feeds the page server";
  return 0;
}

// Late, but within the time after which an answer counts as none: that used to be kept for good.
TEST(RemoteFeedFaults, ALateLogServerIsLeftForOthers) {
  for (const int delay_ms : {1500, 60'000}) {
    SCOPED_TRACE(std::to_string(delay_ms) + " ms");
    ProxiedCluster cluster(41);
    cluster.Start();
    cluster.world.RunFor(3 * sim::kSecond);
    const size_t slow = FeederOf(&cluster);
    cluster.moods[slow].delay = std::chrono::milliseconds(delay_ms);
    // The answer under way, until it is given up, and the change.
    double worst = 0;
    for (int i = 0; i < 15; ++i) {
      cluster.world.RunFor(sim::kSecond / 3);
      worst = std::max(worst, cluster.SecondsUntilApplied(20));
    }
    EXPECT_LT(worst, 2.5);
    const uint64_t reads = cluster.moods[slow].reads;
    worst = 0;
    for (int i = 0; i < 30; ++i) {
      cluster.world.RunFor(sim::kSecond / 3);
      worst = std::max(worst, cluster.SecondsUntilApplied(20));
    }
    EXPECT_LT(worst, 1.0) << "it does not go back to the late one";
    EXPECT_LE(cluster.moods[slow].reads - reads, 2U) << "two page servers, what was under way";
    cluster.moods[slow].delay = Duration{};
    cluster.EndsWell();
  }
}

// Nothing is gained by leaving one for another when all are late: what comes late comes.
TEST(RemoteFeedFaults, WhenAllAreLateRedoStillComes) {
  for (const int delay_ms : {1500, 3000}) {
    SCOPED_TRACE(std::to_string(delay_ms) + " ms");
    ProxiedCluster cluster(42);
    cluster.Start();
    cluster.world.RunFor(3 * sim::kSecond);
    for (ProxyMood& mood : cluster.moods) {
      mood.delay = std::chrono::milliseconds(delay_ms);
    }
    cluster.world.RunFor(20 * sim::kSecond);
    const double seconds = cluster.SecondsUntilApplied(60);
    EXPECT_LT(seconds, 15.0);
    for (ProxyMood& mood : cluster.moods) {
      mood.delay = Duration{};
    }
    cluster.world.RunFor(10 * sim::kSecond);
    EXPECT_LT(cluster.SecondsUntilApplied(20), 1.0) << "and soon again when they are not";
    cluster.EndsWell();
  }
}

TEST(RemoteFeedFaults, DamagedRedoIsNotAppliedAndItsSenderIsLeft) {
  ProxiedCluster cluster(43);
  cluster.Start();
  cluster.world.RunFor(3 * sim::kSecond);
  const size_t bad = FeederOf(&cluster);
  cluster.moods[bad].damages = true;
  EXPECT_LT(cluster.SecondsUntilApplied(20), 2.0);
  double worst = 0;
  for (int i = 0; i < 60; ++i) {
    cluster.world.RunFor(sim::kSecond / 2);
    worst = std::max(worst, cluster.SecondsUntilApplied(20));
  }
  EXPECT_LT(worst, 1.0);
  EXPECT_GE(cluster.moods[bad].damaged, 1U) << "else nothing is shown";
  EXPECT_LE(cluster.moods[bad].damaged, 4U) << "two page servers: not again and again";
  const uint64_t counted =
      cluster.State(kPageServers[0]).feed_refused() + cluster.State(kPageServers[1]).feed_refused();
  EXPECT_EQ(counted, cluster.moods[bad].damaged);
  cluster.EndsWell();  // every page right, with the bad one still there
}

// One that was told less than the others gives nothing above that: no gap, no standstill.
TEST(RemoteFeedFaults, ALowerCommitLsnGivesNothingAndHoldsNothingUp) {
  ProxiedCluster cluster(44);
  cluster.Start();
  cluster.world.RunFor(3 * sim::kSecond);
  const size_t behind = FeederOf(&cluster);
  cluster.moods[behind].commit_max = cluster.Applied();
  double worst = 0;
  for (int i = 0; i < 30; ++i) {
    cluster.world.RunFor(sim::kSecond / 3);
    worst = std::max(worst, cluster.SecondsUntilApplied(20));
  }
  EXPECT_LT(worst, 1.5);
  EXPECT_TRUE(cluster.State(kPageServers[0]).holes().empty());
  cluster.EndsWell();
}

// All of them behind: a quiet log, not an error; and on when one learns more.
TEST(RemoteFeedFaults, WhenAllKnowLessNothingIsAppliedBeyond) {
  ProxiedCluster cluster(45);
  cluster.Start();
  cluster.world.RunFor(3 * sim::kSecond);
  const Lsn most = cluster.Applied();
  for (ProxyMood& mood : cluster.moods) {
    mood.commit_max = most;
  }
  cluster.world.RunFor(sim::kSecond);
  const Lsn stands = cluster.Applied();
  cluster.world.RunFor(3 * sim::kSecond);
  EXPECT_EQ(cluster.Applied(), stands);
  EXPECT_EQ(cluster.State(kPageServers[0]).ingest_error(), "");
  cluster.moods[1].commit_max = Lsn{};
  EXPECT_LT(cluster.SecondsUntilApplied(20), 2.0);
  for (ProxyMood& mood : cluster.moods) {
    mood.commit_max = Lsn{};
  }
  cluster.EndsWell();
}

Task<void> CheckBelow(Runtime* runtime, const Notes* notes, Lsn lsn, Status* status, bool* done) {
  ReconnectingChannel channel(runtime, kPageServers[0], ReconnectingChannelOptions());
  VolumeClient client(&channel);
  *status = co_await CheckAt(&client, notes, lsn, In(runtime, 5000));
  co_await channel.Close();
  *done = true;
}

TEST(RemoteFeedFaults, WhenAllSendDamageItSaysSoServesWhatItHasAndGoesOnLater) {
  ProxiedCluster cluster(46);
  cluster.Start();
  cluster.world.RunFor(3 * sim::kSecond);
  for (ProxyMood& mood : cluster.moods) {
    mood.damages = true;
  }
  cluster.world.RunFor(8 * sim::kSecond);
  const Lsn stands = cluster.Applied();
  uint64_t damaged = 0;
  for (int i = 0; i < 40; ++i) {
    cluster.world.RunFor(sim::kSecond / 2);
    const proto::VolumeState state = cluster.State(kPageServers[0]);
    EXPECT_EQ(state.applied_lsn(), stands.value());
    EXPECT_EQ(state.ingest_error(), "") << "it goes on by itself";
    EXPECT_EQ(state.feed_server(), "") << "while one is tried, too";
    EXPECT_NE(state.feed_problem().find("does not have its checksum"), std::string::npos)
        << state.feed_problem();
    for (const std::string& proxy : kProxies) {
      EXPECT_NE(state.feed_problem().find(proxy), std::string::npos) << state.feed_problem();
    }
  }
  for (const ProxyMood& mood : cluster.moods) {
    damaged += mood.damaged;
    EXPECT_GE(mood.damaged, 3U) << "all are tried";
  }
  EXPECT_LT(damaged, 60U) << "with growing pauses";
  Status below = Unavailable("not asked");
  bool done = false;
  cluster.Do(sim::Program(
      [&](Runtime* r) { return CheckBelow(r, &cluster.notes, stands, &below, &done); }));
  ASSERT_TRUE(cluster.Until(&done, 10));
  EXPECT_TRUE(below.ok()) << below.ToString();
  for (ProxyMood& mood : cluster.moods) {
    mood.damages = false;
  }
  EXPECT_LT(cluster.SecondsUntilApplied(30), 11.0);
  cluster.EndsWell();
}

}  // namespace
}  // namespace redoubt
