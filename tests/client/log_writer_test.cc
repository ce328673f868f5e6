// SPDX-License-Identifier: MIT
//
// Goal: a log writer gets its redo to a server that dies and comes back, in order, without loss and
// under one epoch; that server knows again what is committed; and a page client gathers reads.
// Method: a page server and a client as two simulated machines.
#include "client/log_writer.h"

#include <gtest/gtest.h>

#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "client/page_client.h"
#include "client/volume_client.h"
#include "common/base/hash.h"
#include "common/runtime/rpc/reconnecting_channel.h"
#include "pageserver/server.h"
#include "tests/pageserver/rpc/redo_maker.h"
#include "tests/sim/sim_test_util.h"
#include "tests/support/page_server_program.h"

namespace redoubt {
namespace {

constexpr char kAddress[] = "server:7000";
constexpr int kWrites = 1500;

Task<void> ServeForever(Runtime* runtime) {
  PageServerOptions options = InMemoryPageServer(kAddress);
  options.volumes.log_segment_bytes = 16 << 10;
  options.volumes.log_tail_bytes = 8 << 10;
  return RunPageServer(runtime, std::move(options));
}

struct ClientState {
  Duration pause{1};
  bool done = false;
  Status failure;
  Lsn acknowledged;
  uint64_t connections = 0;
  std::vector<uint64_t> values;
  uint64_t requests = 0;
};

TimePoint In(Runtime* runtime, int seconds) {
  return runtime->scheduler->Now() + std::chrono::seconds(seconds);
}

Task<uint32_t> MakeVolume(Runtime* runtime, VolumeClient* client) {
  for (int attempt = 0; attempt < 200; ++attempt) {
    proto::VolumeCreateRequest create;
    create.set_name("v");
    create.set_page_size(16384);
    const auto created = co_await client->VolumeCreate(std::move(create), In(runtime, 5));
    if (created.ok() || created.status().code() == StatusCode::kAlreadyExists) {
      proto::VolumeStatusRequest status;
      status.set_name("v");
      const auto state = co_await client->VolumeStatus(std::move(status), In(runtime, 5));
      if (state.ok()) {
        co_return state->volume().volume_id();
      }
    }
    co_await runtime->scheduler->Sleep(std::chrono::milliseconds(20));
  }
  ADD_FAILURE() << "no volume";
  co_return 0;
}

Task<Status> SetHorizon(Runtime* runtime, VolumeClient* client, const LogWriter* writer) {
  Status status = Unavailable("not tried");
  for (int attempt = 0; attempt < 200 && status.code() == StatusCode::kUnavailable; ++attempt) {
    proto::SetHorizonRequest horizon;
    horizon.set_volume_id(writer->volume().value());
    horizon.set_epoch(writer->epoch().value());
    horizon.set_horizon_lsn(RedoMaker::kStart.value());
    const auto answer = co_await client->SetHorizon(std::move(horizon), In(runtime, 5));
    status = answer.status();
    co_await runtime->scheduler->Sleep(std::chrono::milliseconds(20));
  }
  co_return status;
}

// Formats pages 0..9, writes value i to page i % 10, and reads all pages at the end.
Task<Status> WriteAndRead(Runtime* runtime, ClientState* state, VolumeClient* client,
                          Channel* channel, LogWriter* writer) {
  std::string reason = "test";
  Status status = co_await writer->StartAt(RedoMaker::kStart, std::move(reason), In(runtime, 60));
  RedoMaker redo;
  for (int i = 0; i < kWrites && status.ok(); ++i) {
    const auto page_no = static_cast<uint32_t>(i % 10);
    RedoAppend append =
        i < 10 ? redo.AppendInit(page_no) : redo.AppendWrite(page_no, static_cast<uint64_t>(i));
    status = co_await writer->Append(std::move(append), In(runtime, 60));
    state->acknowledged = writer->acknowledged();
    if (i % 5 == 0) {
      co_await runtime->scheduler->Sleep(state->pause);
    }
  }
  if (status.ok()) {
    status = co_await writer->WaitAcknowledged(redo.end(), In(runtime, 60));
  }
  if (status.ok()) {
    status = co_await SetHorizon(runtime, client, writer);
  }
  if (!status.ok()) {
    co_return status;
  }
  PageClient pages(runtime, channel, writer->volume());
  TaskGroup group(runtime->scheduler);
  struct Reader {
    static Task<void> Run(PageClient* from, uint32_t page_no, Lsn lsn, TimePoint deadline,
                          uint64_t* value) {
      const Result<FetchedPage> page =
          co_await from->GetPage({SpaceId(5), PageNo(page_no)}, lsn, Lsn(0), deadline);
      EXPECT_TRUE(page.ok()) << page.status().ToString();
      *value = page.ok() ? LoadBe64(page->image.data() + 100) : UINT64_MAX;
    }
  };
  state->values.resize(10 * 20);
  for (uint32_t i = 0; i < state->values.size(); ++i) {
    group.Spawn(Reader::Run(&pages, i % 10, redo.end(), In(runtime, 60), &state->values[i]));
  }
  co_await group.Join();
  state->requests = pages.counters().requests;
  co_await pages.Stop();
  co_return Status::Ok();
}

Task<void> RunClient(Runtime* runtime, ClientState* state) {
  ReconnectingChannel channel(runtime, kAddress, ReconnectingChannelOptions());
  VolumeClient client(&channel);
  const uint32_t id = co_await MakeVolume(runtime, &client);
  std::unique_ptr<LogWriter> writer;
  Result<LogPosition> position = Unavailable("not tried");
  while (!position.ok()) {
    if (writer != nullptr) {
      co_await writer->Stop();
      co_await runtime->scheduler->Sleep(std::chrono::milliseconds(20));
    }
    LogWriterOptions options;
    options.volume = "v";
    options.window_bytes = 2000;
    options.append_timeout = std::chrono::seconds(2);
    std::vector<std::string> addresses{kAddress};
    writer = std::make_unique<LogWriter>(runtime, std::move(addresses), std::move(options));
    position = co_await writer->Start(Epoch(0), In(runtime, 5));
  }
  EXPECT_EQ(position->volume, VolumeId(id));
  state->failure = co_await WriteAndRead(runtime, state, &client, &channel, writer.get());
  state->connections = channel.connection_count();
  co_await writer->Stop();
  co_await channel.Close();
  state->done = true;
}

void CheckValues(const ClientState& state) {
  EXPECT_TRUE(state.failure.ok()) << state.failure.ToString();
  for (size_t i = 0; i < state.values.size(); ++i) {
    EXPECT_EQ(state.values[i], kWrites - 10 + i % 10) << i;
  }
}

// What a test of a server that comes back shares with its machines.
struct Restarts {
  bool acknowledged = false;
  Lsn end;
  Lsn commit_at_begin;
  Lsn commit_at_end;
};

// Begins the log, waits until told to go on, appends one mtr, and leaves.
Task<void> BeginAndAppend(Runtime* runtime, Restarts* seen, const bool* go_on) {
  ReconnectingChannel channel(runtime, kAddress, ReconnectingChannelOptions());
  VolumeClient client(&channel);
  co_await MakeVolume(runtime, &client);
  LogWriterOptions options;
  options.volume = "v";
  std::vector<std::string> addresses{kAddress};
  LogWriter writer(runtime, std::move(addresses), std::move(options));
  const Result<LogPosition> position = co_await writer.Start(Epoch(0), In(runtime, 60));
  EXPECT_TRUE(position.ok()) << position.status().ToString();
  std::string reason = "test";
  Status status = co_await writer.StartAt(RedoMaker::kStart, std::move(reason), In(runtime, 60));
  EXPECT_TRUE(status.ok()) << status.ToString();
  // Where the log ends already there is no hole to declare.
  reason = "again";
  status = co_await writer.StartAt(RedoMaker::kStart, std::move(reason), In(runtime, 60));
  EXPECT_TRUE(status.ok()) << status.ToString();
  while (!*go_on) {
    co_await runtime->scheduler->Sleep(std::chrono::milliseconds(1));
  }
  RedoMaker redo;
  RedoAppend append = redo.AppendInit(3);
  status = co_await writer.Append(std::move(append), In(runtime, 60));
  EXPECT_TRUE(status.ok()) << status.ToString();
  status = co_await writer.WaitAcknowledged(redo.end(), In(runtime, 60));
  EXPECT_TRUE(status.ok()) << status.ToString();
  seen->end = redo.end();
  co_await writer.Stop();
  co_await channel.Close();
  seen->acknowledged = true;
}

Task<void> AskCommit(Runtime* runtime, Lsn* commit, bool* done) {
  ReconnectingChannel channel(runtime, kAddress, ReconnectingChannelOptions());
  VolumeClient client(&channel);
  proto::VolumeStatusRequest request;
  request.set_name("v");
  const auto state = co_await client.VolumeStatus(std::move(request), In(runtime, 10));
  EXPECT_TRUE(state.ok()) << state.status().ToString();
  *commit = state.ok() ? Lsn(state->volume().commit_lsn()) : Lsn{};
  co_await channel.Close();
  *done = true;
}

// Goal: a server that comes back is told soon, without an append, what is committed; and what was
// acknowledged is still committed there when no writer ever comes again.
TEST(LogWriter, AServerThatComesBackKnowsWhatIsCommitted) {
  sim::TestWorld world(1);
  Restarts seen;
  bool go_on = false;
  const sim::NodeId server = world.world.AddNode("server");
  const sim::NodeId client = world.world.AddNode("client");
  const auto serve = sim::Program([](Runtime* r) { return ServeForever(r); });
  const auto ask = [&world, client](Lsn* commit) {
    bool done = false;
    world.world.KillNode(client, sim::KillKind::kProcess, sim::CrashPolicy::kAll);
    world.world.StartNode(
        client, sim::Program([commit, &done](Runtime* r) { return AskCommit(r, commit, &done); }));
    world.world.RunUntil(
        world.world.now_ns() + 20 * sim::kSecond, [&done] { return done; }, sim::kEventLimit);
    ASSERT_TRUE(done);
  };
  const auto restart = [&] {
    world.world.KillNode(server, sim::KillKind::kProcess, sim::CrashPolicy::kClean);
    world.world.StartNode(server, serve);
    world.RunFor(sim::kSecond / 10);
  };
  const sim::NodeId writer = world.world.AddNode("writer");
  world.world.StartNode(server, serve);
  world.world.StartNode(writer, sim::Program([&seen, &go_on](Runtime* r) {
                          return BeginAndAppend(r, &seen, &go_on);
                        }));
  world.RunFor(3 * sim::kSecond);
  restart();
  world.RunFor(3 * sim::kSecond);
  ask(&seen.commit_at_begin);
  EXPECT_EQ(seen.commit_at_begin, RedoMaker::kStart) << "the idle writer has told it again";
  go_on = true;
  world.world.RunUntil(
      world.world.now_ns() + 20 * sim::kSecond, [&seen] { return seen.acknowledged; },
      sim::kEventLimit);
  ASSERT_TRUE(seen.acknowledged);
  restart();
  ask(&seen.commit_at_end);
  EXPECT_EQ(seen.commit_at_end, seen.end) << "nobody has told it anything since";
}

TEST(LogWriter, StreamsToAServerThatStaysUp) {
  sim::TestWorld world(1);
  ClientState state;
  const sim::NodeId server = world.world.AddNode("server");
  const sim::NodeId client = world.world.AddNode("client");
  world.world.StartNode(server, sim::Program([](Runtime* r) { return ServeForever(r); }));
  world.world.StartNode(client,
                        sim::Program([&state](Runtime* r) { return RunClient(r, &state); }));
  world.world.RunUntil(600 * sim::kSecond, [&state] { return state.done; }, sim::kEventLimit);
  ASSERT_TRUE(state.done);
  CheckValues(state);
  EXPECT_LE(state.requests, 20U) << "200 reads that wait together leave in a few requests";
}

class LogWriterCrash : public testing::TestWithParam<sim::KillKind> {};

TEST_P(LogWriterCrash, ResumesUnderOneEpochAndLosesNothing) {
  for (uint64_t seed = 1; seed <= 15; ++seed) {
    SCOPED_TRACE("seed " + std::to_string(seed));
    sim::SimOptions options;
    options.resume_jitter_ppm = 100'000;
    sim::TestWorld world(seed, options);
    ClientState state;
    state.pause = GetParam() == sim::KillKind::kPower ? std::chrono::milliseconds(50)
                                                      : std::chrono::milliseconds(5);
    const sim::NodeId server = world.world.AddNode("server");
    const sim::NodeId client = world.world.AddNode("client");
    const auto serve = sim::Program([](Runtime* r) { return ServeForever(r); });
    world.world.StartNode(server, serve);
    world.world.StartNode(client,
                          sim::Program([&state](Runtime* r) { return RunClient(r, &state); }));
    int kills = 0;
    while (!state.done && kills < 200) {
      // A lost machine is noticed only after a timeout, so it has to stay up for longer.
      const uint64_t least = GetParam() == sim::KillKind::kPower ? 3'000'000'000 : 150'000'000;
      const auto up_ns =
          static_cast<int64_t>(least + HashMix(seed, static_cast<uint64_t>(kills)) % least);
      world.world.RunUntil(
          world.world.now_ns() + up_ns, [&state] { return state.done; }, sim::kEventLimit);
      if (!state.done) {
        ++kills;
        world.world.KillNode(server, GetParam(), sim::CrashPolicy::kSeeded);
        world.world.RunUntil(world.world.now_ns() + 5'000'000, nullptr, sim::kEventLimit);
        world.world.StartNode(server, serve);
      }
    }
    ASSERT_TRUE(state.done) << state.acknowledged.value();
    EXPECT_GT(kills, 0);
    CheckValues(state);
  }
}

INSTANTIATE_TEST_SUITE_P(Kinds, LogWriterCrash,
                         testing::Values(sim::KillKind::kProcess, sim::KillKind::kPower),
                         [](const auto& kind) {
                           return kind.param == sim::KillKind::kPower ? "Power" : "Process";
                         });

}  // namespace
}  // namespace redoubt
