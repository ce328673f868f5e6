// SPDX-License-Identifier: MIT
//
// Goal: redo that is committed can be read at once, also when the append that brought it ends
// inside an mtr and no other follows: from the pages it is in, after a restart of the page server,
// and from another log server or one that was restarted; and nothing beyond it is read. Method: one
// and three simulated log servers and a page server; one append with a whole mtr and half of the
// next, and much later the rest.
#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "client/log_writer.h"
#include "common/runtime/rpc/reconnecting_channel.h"
#include "tests/client/feed_cluster.h"

namespace redoubt {
namespace {

struct HalfWritten {
  std::vector<std::string> log_servers;
  Notes notes;  // of the whole mtrs; the last one's end is not sent before `go_on`
  Lsn whole;    // the last mtr that is committed ends here, inside the last append
  bool half_sent = false;
  bool go_on = false;
  bool all_sent = false;
};

Task<Status> AppendAll(Runtime* runtime, LogWriter* writer, RedoAppend append) {
  const Lsn end = append.range.end;
  Status status = co_await writer->Append(std::move(append), In(runtime, 3000));
  if (status.ok()) {
    status = co_await writer->WaitAcknowledged(end, In(runtime, 3000));
  }
  co_return status;
}

Task<void> WriteHalf(Runtime* runtime, HalfWritten* world) {
  LogWriterOptions options;
  options.volume = "v";
  LogWriter writer(runtime, world->log_servers, options);
  const Result<LogPosition> position = co_await writer.Start(Epoch(0), In(runtime, 3000));
  EXPECT_TRUE(position.ok()) << position.status().ToString();
  std::string reason = "first";
  Status status = co_await writer.StartAt(RedoMaker::kStart, std::move(reason), In(runtime, 3000));
  std::string page_server = kPageServers[0];
  const Status horizon = co_await SetHorizon(runtime, page_server, writer.epoch());
  EXPECT_TRUE(horizon.ok()) << horizon.ToString();
  RedoMaker redo;
  RedoAppend first = redo.AppendInit(0);
  const Lsn formatted = redo.end();
  status = co_await AppendAll(runtime, &writer, std::move(first));
  EXPECT_TRUE(status.ok()) << status.ToString();
  co_await runtime->scheduler->Sleep(std::chrono::seconds(2));  // until it is read from here
  world->notes.writes[RedoMaker::kStart] = {formatted, 0, 0};
  Bytes mtrs = redo.Write(0, 7);
  world->whole = redo.end();
  world->notes.writes[formatted] = {world->whole, 0, 7};
  const Bytes last = redo.Write(0, 8);
  world->notes.writes[world->whole] = {redo.end(), 0, 8};
  mtrs.insert(mtrs.end(), last.begin(), last.begin() + 3);
  RedoAppend append;
  append.range = {formatted, innodb::AdvanceLsn(world->whole, 3)};
  append.first_mtr_lsn = formatted;
  append.payload = std::make_shared<const Bytes>(std::move(mtrs));
  RedoAppend rest;
  rest.range = {append.range.end, redo.end()};
  rest.payload = std::make_shared<const Bytes>(last.begin() + 3, last.end());
  status = co_await AppendAll(runtime, &writer, std::move(append));
  EXPECT_TRUE(status.ok()) << status.ToString();
  world->half_sent = true;
  while (!world->go_on) {
    co_await runtime->scheduler->Sleep(std::chrono::milliseconds(10));
  }
  status = co_await AppendAll(runtime, &writer, std::move(rest));
  EXPECT_TRUE(status.ok()) << status.ToString();
  world->notes.acknowledged = redo.end();
  world->all_sent = true;
  Event never(runtime->scheduler);
  co_await never.Wait();
}

struct CheckOne {
  static Task<void> Run(Runtime* runtime, const Notes* notes, Lsn lsn, bool* done) {
    ReconnectingChannel channel(runtime, kPageServers[0], ReconnectingChannelOptions());
    VolumeClient client(&channel);
    const Status status = co_await CheckAt(&client, notes, lsn, In(runtime, 1000));
    EXPECT_TRUE(status.ok()) << status.ToString();
    co_await channel.Close();
    *done = true;
  }
};

class HalfCommittedChunk : public testing::TestWithParam<size_t> {
 protected:
  HalfCommittedChunk() : cluster_(5, FirstServers()) { world_.log_servers = FirstServers(); }
  static std::vector<std::string> FirstServers() {
    return {kLogServers.begin(), kLogServers.begin() + static_cast<ptrdiff_t>(GetParam())};
  }
  Lsn Applied() { return Lsn(cluster_.State(kPageServers[0]).applied_lsn()); }
  void ExpectReadableAt(Lsn lsn) {
    bool done = false;
    cluster_.Do(
        sim::Program([&](Runtime* r) { return CheckOne::Run(r, &world_.notes, lsn, &done); }));
    EXPECT_TRUE(cluster_.Until(&done, 5));
  }
  void Restart(const Cluster::Machine& machine, bool power) {
    cluster_.Stop(machine, power);
    cluster_.world.RunFor(3 * sim::kSecond);
    cluster_.world.world.StartNode(machine.node, machine.program);
    cluster_.world.RunFor(3 * sim::kSecond);
  }
  HalfWritten world_;
  Cluster cluster_;
};

TEST_P(HalfCommittedChunk, CanBeReadAsFarAsItIsCommitted) {
  bool made = false;
  cluster_.Do(sim::Program([&made](Runtime* r) { return MakeVolumes(r, &made); }));
  ASSERT_TRUE(cluster_.Until(&made, 60));
  cluster_.world.world.StartNode(
      cluster_.writer, sim::Program([this](Runtime* r) { return WriteHalf(r, &world_); }));
  ASSERT_TRUE(cluster_.Until(&world_.half_sent, 30));
  cluster_.world.RunFor(sim::kSecond / 50);
  EXPECT_EQ(Applied(), world_.whole);
  ExpectReadableAt(world_.whole);
  // What is in memory only, and what is persisted: it goes on inside the chunk.
  for (const bool wait : {false, true}) {
    cluster_.world.RunFor(wait ? 30 * sim::kSecond : 0);
    Restart(cluster_.page_servers[0], /*power=*/true);
    EXPECT_EQ(Applied(), world_.whole) << "after a restart";
  }
  // Another log server, or the same one, which reads its disk now.
  const std::string feeder = cluster_.State(kPageServers[0]).feed_server();
  for (size_t i = 0; i < GetParam(); ++i) {
    if (kLogServers[i] == feeder) {
      Restart(cluster_.log_servers[i], /*power=*/true);
    }
  }
  Restart(cluster_.page_servers[0], /*power=*/true);
  EXPECT_EQ(Applied(), world_.whole);
  ExpectReadableAt(world_.whole);
  world_.go_on = true;
  ASSERT_TRUE(cluster_.Until(&world_.all_sent, 30));
  cluster_.world.RunFor(3 * sim::kSecond);
  EXPECT_EQ(Applied(), world_.notes.acknowledged);
  ExpectReadableAt(world_.notes.acknowledged);
  ExpectReadableAt(world_.whole);
}

INSTANTIATE_TEST_SUITE_P(Servers, HalfCommittedChunk, testing::Values(1, 3));

}  // namespace
}  // namespace redoubt
