// SPDX-License-Identifier: MIT
//
// Goal: redo that a page server has not persisted is kept, whichever log servers know that page
// server: one that lost its disk and is filled up again, one that was out of its reach; and no
// longer than until somebody says that it will not come back. Method: the cluster of RemoteFeed's
// tests; one page server is taken away while the log servers lose their disks one after the other.
#include <gtest/gtest.h>

#include <string>
#include <utility>

#include "client/volume_client.h"
#include "common/runtime/rpc/reconnecting_channel.h"
#include "tests/client/feed_cluster.h"

namespace redoubt {
namespace {

Task<void> AskLog(Runtime* runtime, std::string address, std::string leaving,
                  Result<proto::LogStatusResponse>* into, bool* done) {
  ReconnectingChannel channel(runtime, std::move(address), ReconnectingChannelOptions());
  VolumeClient client(&channel);
  proto::LogStatusRequest request;
  request.set_volume_id(1);
  request.set_reader_leaves(!leaving.empty());
  request.set_reader(std::move(leaving));
  *into = co_await client.LogStatus(std::move(request), In(runtime, 1000));
  co_await channel.Close();
  *done = true;
}

// A log server's answer; with `leaving` that reader is forgotten there.
proto::LogStatusResponse LogOf(Cluster* cluster, const std::string& address,
                               const std::string& leaving = "") {
  bool done = false;
  Result<proto::LogStatusResponse> log = Unavailable("not asked");
  cluster->Do(sim::Program([&](Runtime* r) { return AskLog(r, address, leaving, &log, &done); }));
  EXPECT_TRUE(cluster->Until(&done, 10));
  EXPECT_TRUE(log.ok()) << log.status().ToString();
  return log.ok() ? *log : proto::LogStatusResponse();
}

Lsn BeginOf(Cluster* cluster, const std::string& address) {
  return Lsn(cluster->State(address).log_begin_lsn());
}

// Long enough for the other page server to persist more, and for it to be trimmed.
constexpr int64_t kLong = 40 * sim::kSecond;

void SetParted(Cluster* cluster, sim::NodeId a, sim::NodeId b, bool parted) {
  cluster->world.world.net().SetLinkBlocked(a, b, parted);
  cluster->world.world.net().SetLinkBlocked(b, a, parted);
}

// Takes the second page server away, once it has persisted something, and says how far.
Lsn TakeAway(Cluster* cluster) {
  Lsn persisted;
  for (int i = 0; i < 60 && persisted == Lsn{}; ++i) {
    cluster->world.RunFor(sim::kSecond);
    persisted = Lsn(cluster->State(kPageServers[1]).persisted_lsn());
  }
  EXPECT_GT(persisted, RedoMaker::kStart);
  cluster->Stop(cluster->page_servers[1], false);
  return persisted;
}

// Redo is trimmed again once nobody wants it.
void EndsWell(Cluster* cluster, Lsn wanted) {
  const Cluster::Machine& machine = cluster->page_servers[1];
  cluster->world.world.StartNode(machine.node, machine.program);
  cluster->world.RunFor(kLong);
  for (const std::string& address : kLogServers) {
    EXPECT_GT(BeginOf(cluster, address), wanted) << address;
  }
  const Verdict verdict = cluster->Finish();
  EXPECT_TRUE(verdict.status.ok()) << verdict.status.ToString();
}

TEST(FeedReaders, RedoStaysForAnAbsentPageServerWhileAllLogServersLoseTheirDisks) {
  Cluster cluster(31);
  cluster.Start();
  const Lsn wanted = TakeAway(&cluster);
  for (size_t i = 0; i < kLogServers.size(); ++i) {
    cluster.Wipe(cluster.log_servers[i]);
    cluster.world.RunFor(kLong);
    EXPECT_EQ(LogOf(&cluster, kLogServers[i]).readers_size(), 2) << kLogServers[i];
  }
  for (const std::string& address : kLogServers) {
    EXPECT_LE(BeginOf(&cluster, address), wanted) << address;
  }
  EndsWell(&cluster, wanted);
}

// The third log server never hears of it, and keeps redo for it all the same.
TEST(FeedReaders, ALogServerKeepsRedoForAPageServerThatOnlyOthersKnow) {
  Cluster cluster(32);
  SetParted(&cluster, cluster.page_servers[1].node, cluster.log_servers[2].node, true);
  cluster.Start();
  const Lsn wanted = TakeAway(&cluster);
  cluster.world.RunFor(kLong);
  EXPECT_EQ(LogOf(&cluster, kLogServers[2]).readers_size(), 1);
  for (const std::string& address : kLogServers) {
    EXPECT_LE(BeginOf(&cluster, address), wanted) << address;
    EXPECT_LE(LogOf(&cluster, address).pages_want_lsn(), wanted.value()) << address;
  }
  // One of the two that know it is away, the other one is enough.
  cluster.Stop(cluster.log_servers[0], true);
  cluster.world.RunFor(kLong);
  EXPECT_LE(BeginOf(&cluster, kLogServers[1]), wanted);
  EXPECT_LE(BeginOf(&cluster, kLogServers[2]), wanted);
  const Cluster::Machine& back = cluster.log_servers[0];
  cluster.world.world.StartNode(back.node, back.program);
  SetParted(&cluster, cluster.page_servers[1].node, cluster.log_servers[2].node, false);
  EndsWell(&cluster, wanted);
}

TEST(FeedReaders, AForgottenPageServerHoldsNothingBack) {
  Cluster cluster(33);
  cluster.Start();
  const Lsn wanted = TakeAway(&cluster);
  cluster.world.RunFor(kLong);
  const proto::LogStatusResponse log = LogOf(&cluster, kLogServers[0]);
  ASSERT_EQ(log.readers_size(), 2);
  const bool first = log.readers(0).persisted_lsn() < log.readers(1).persisted_lsn();
  const std::string name = log.readers(first ? 0 : 1).name();
  for (size_t i = 0; i < 2; ++i) {
    EXPECT_EQ(LogOf(&cluster, kLogServers[i], name).readers_size(), 1);
  }
  cluster.world.RunFor(kLong);
  for (const std::string& address : kLogServers) {
    EXPECT_LE(BeginOf(&cluster, address), wanted) << address << ": the third one was not told";
  }
  EXPECT_EQ(LogOf(&cluster, kLogServers[2], name).readers_size(), 1);
  cluster.world.RunFor(5 * sim::kSecond);
  for (const std::string& address : kLogServers) {
    EXPECT_GT(BeginOf(&cluster, address), wanted) << address;
  }
}

// Before two of three know its name the next lost disk might be that of the only one.
TEST(FeedReaders, APageServerReadsNothingBeforeAMajorityKeepsRedoForIt) {
  Cluster cluster(34);
  const sim::NodeId page = cluster.page_servers[1].node;
  cluster.Start();
  cluster.world.RunFor(sim::kSecond);
  cluster.Wipe(cluster.page_servers[1]);
  bool made = false;
  cluster.Do(sim::Program([&made](Runtime* r) { return MakeVolumes(r, &made); }));
  ASSERT_TRUE(cluster.Until(&made, 30));
  // As if it had been so from the first: it has persisted nothing, and starts.
  cluster.Stop(cluster.page_servers[1], false);
  for (const size_t i : {1U, 2U}) {
    SetParted(&cluster, page, cluster.log_servers[i].node, true);
  }
  cluster.world.world.StartNode(page, cluster.page_servers[1].program);
  cluster.world.RunFor(5 * sim::kSecond);
  const proto::VolumeState state = cluster.State(kPageServers[1]);
  EXPECT_EQ(state.applied_lsn(), 0U);
  EXPECT_NE(state.feed_problem().find("before a majority of them keeps it"), std::string::npos)
      << state.feed_problem();
  SetParted(&cluster, page, cluster.log_servers[2].node, false);
  cluster.world.RunFor(10 * sim::kSecond);
  EXPECT_GT(Lsn(cluster.State(kPageServers[1]).applied_lsn()), RedoMaker::kStart);
}

}  // namespace
}  // namespace redoubt
