// SPDX-License-Identifier: MIT
#include "sim/runtime/sim_network.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <array>
#include <bit>
#include <string>
#include <vector>

#include "common/runtime/frame_stream.h"
#include "common/runtime/task_group.h"
#include "tests/sim/sim_test_util.h"

namespace redoubt::sim {
namespace {

Task<void> DoNothing(Runtime* runtime) { co_await runtime->scheduler->Yield(); }

// What both programs of a test found out.
struct Report {
  std::string received;
  std::string status;  // of the last call that failed
  int64_t failed_at_ns = 0;
  int connects = 0;
  bool ended = false;
  size_t written = 0;
};

Task<void> ReadAll(Runtime* runtime, Report* report) {
  Result<std::unique_ptr<Listener>> listener = co_await runtime->network->Listen("server:7000");
  REDOUBT_CHECK(listener.ok());
  Result<std::unique_ptr<Connection>> connection = co_await (*listener)->Accept();
  REDOUBT_CHECK(connection.ok());
  ++report->connects;
  std::array<uint8_t, 1000> buffer{};
  while (true) {
    const Result<size_t> got = co_await (*connection)->Read(MutableByteView(buffer));
    if (!got.ok()) {
      report->status = got.status().ToString();
      report->failed_at_ns = ToNs(runtime->scheduler->Now());
      break;
    }
    if (*got == 0) {
      report->ended = true;
      break;
    }
    report->received.append(AsText(ByteView(buffer).first(*got)));
  }
}

Task<void> WriteNumbers(Runtime* runtime, Report* report, int count, bool stay) {
  co_await runtime->scheduler->Sleep(Duration(1'000'000));
  Result<std::unique_ptr<Connection>> connection =
      co_await runtime->network->Connect("server:7000", kNever);
  if (!connection.ok()) {
    report->status = connection.status().ToString();
    co_return;
  }
  ++report->connects;
  for (int i = 0; i < count; ++i) {
    const std::string text = std::to_string(i) + ",";
    const std::array<ByteView, 2> parts{AsBytes(text), AsBytes(";")};
    const Status status = co_await (*connection)->Write(parts);
    if (!status.ok()) {
      report->status = status.ToString();
      report->failed_at_ns = ToNs(runtime->scheduler->Now());
      co_return;
    }
    report->written += text.size() + 1;
    if (stay) {
      co_await runtime->scheduler->Sleep(Duration(10'000'000));
    }
  }
}

struct Pair {
  explicit Pair(uint64_t seed, SimOptions options = {}) : test(seed, options) {
    server = test.world.AddNode("server");
    client = test.world.AddNode("client");
  }
  void StartServer() {
    test.world.StartNode(server, Program([this](Runtime* r) { return ReadAll(r, &at_server); }));
  }
  void StartClient(int count, bool stay) {
    test.world.StartNode(client, Program([this, count, stay](Runtime* r) {
                           return WriteNumbers(r, &at_client, count, stay);
                         }));
  }
  TestWorld test;
  NodeId server = 0;
  NodeId client = 0;
  Report at_server;
  Report at_client;
};

std::string Numbers(int count) {
  std::string text;
  for (int i = 0; i < count; ++i) {
    text += std::to_string(i) + ",;";
  }
  return text;
}

// One direction is in order whatever latency each segment draws, and the end comes last.
TEST(SimNetwork, KeepsOrderWithinADirection) {
  for (uint64_t seed = 1; seed < 20; ++seed) {
    SimOptions options;
    options.net.slow_ppm = 200'000;
    Pair pair(seed, options);
    pair.StartServer();
    pair.StartClient(200, false);
    pair.test.RunFor(20 * kSecond);
    EXPECT_EQ(pair.at_server.received, Numbers(200)) << "seed " << seed;
    EXPECT_TRUE(pair.at_server.ended);
    EXPECT_EQ(pair.test.world.net().open_count(), 0U);
  }
}

TEST(SimNetwork, RefusesWhenNobodyListens) {
  Pair pair(1);
  pair.test.world.StartNode(pair.server, Program([](Runtime* r) { return DoNothing(r); }));
  pair.StartClient(1, false);
  pair.test.RunFor(kSecond);
  EXPECT_EQ(pair.at_client.status, "unavailable: connection refused by server:7000");
}

// A killed process: what it had sent arrives, then the end. A client that writes on is reset.
TEST(SimNetwork, ProcessKillEndsTheStreamAfterWhatWasSent) {
  Pair pair(1);
  pair.StartServer();
  pair.StartClient(1000, true);
  pair.test.RunFor(kSecond);
  pair.test.world.KillNode(pair.client, KillKind::kProcess, CrashPolicy::kClean);
  pair.test.RunFor(kSecond);
  EXPECT_TRUE(pair.at_server.ended);
  EXPECT_EQ(pair.at_server.received.size(), pair.at_client.written);
}

// Power loss of the reader: the writer learns nothing at first (half-open), then gives up.
TEST(SimNetwork, PowerLossIsSilenceUntilTheSenderGivesUp) {
  Pair pair(1);
  pair.StartServer();
  pair.StartClient(100'000, true);
  pair.test.RunFor(kSecond);
  pair.test.world.KillNode(pair.server, KillKind::kPower, CrashPolicy::kClean);
  pair.test.RunFor(5 * kSecond);
  EXPECT_EQ(pair.at_client.status, "");
  pair.test.RunFor(30 * kSecond);
  EXPECT_EQ(pair.at_client.status, "unavailable: connection to server:7000 was lost");
  EXPECT_GT(pair.at_client.failed_at_ns, 15 * kSecond);
}

// A restarted machine knows nothing of the old connection and resets it.
TEST(SimNetwork, RestartedMachineResetsOldConnections) {
  Pair pair(1);
  pair.StartServer();
  pair.StartClient(100'000, true);
  pair.test.RunFor(kSecond);
  pair.test.world.KillNode(pair.server, KillKind::kPower, CrashPolicy::kClean);
  pair.test.RunFor(kSecond);
  pair.StartServer();
  pair.test.RunFor(3 * kSecond);
  EXPECT_EQ(pair.at_client.status, "unavailable: connection to server:7000 was lost");
  EXPECT_EQ(pair.at_server.connects, 1);
}

// A blocked link delays; what was written arrives in order once it is healed.
TEST(SimNetwork, PartitionHoldsBytesBackAndHealingDeliversThem) {
  Pair pair(3);
  pair.StartServer();
  pair.StartClient(300, true);
  pair.test.RunFor(kSecond);
  pair.test.world.net().Isolate(pair.server, true);
  const size_t before = pair.at_server.received.size();
  pair.test.RunFor(kSecond);
  EXPECT_LE(pair.at_server.received.size(), before + 20);
  pair.test.world.net().HealAll();
  pair.test.RunFor(10 * kSecond);
  EXPECT_EQ(pair.at_server.received, Numbers(300));
}

Task<void> ConnectUntil(Runtime* runtime, Report* report, int64_t deadline_ns) {
  Result<std::unique_ptr<Connection>> connection =
      co_await runtime->network->Connect("server:7000", ToTimePoint(deadline_ns));
  report->status = connection.status().ToString();
  report->failed_at_ns = ToNs(runtime->scheduler->Now());
}

TEST(SimNetwork, ConnectToAMachineWithoutPowerEndsAtTheDeadline) {
  Pair pair(1);
  pair.test.world.StartNode(pair.client, Program([&](Runtime* r) {
                              return ConnectUntil(r, &pair.at_client, 3 * kSecond);
                            }));
  pair.test.RunFor(10 * kSecond);
  EXPECT_EQ(pair.at_client.status, "deadline exceeded: connecting to server:7000");
  EXPECT_EQ(pair.at_client.failed_at_ns, 3 * kSecond);
}

TEST(SimNetwork, ConnectsAreRefusedOrHangWhileTheFaultLasts) {
  Pair pair(1);
  pair.StartServer();
  pair.test.world.net().SetConnectFault(pair.server, ConnectFault::kRefused);
  pair.StartClient(1, false);
  pair.test.RunFor(kSecond);
  EXPECT_EQ(pair.at_client.status, "unavailable: connection refused by server:7000");
  pair.test.world.net().SetConnectFault(pair.server, ConnectFault::kHangs);
  const NodeId second = pair.test.world.AddNode("second");
  Report hanging;
  pair.test.world.StartNode(
      second, Program([&](Runtime* r) { return ConnectUntil(r, &hanging, 4 * kSecond); }));
  pair.test.RunFor(2 * kSecond);
  EXPECT_EQ(hanging.status, "");
  pair.test.RunFor(2 * kSecond);
  EXPECT_EQ(hanging.status, "deadline exceeded: connecting to server:7000");
  pair.test.world.net().HealAll();
  const NodeId third = pair.test.world.AddNode("third");
  Report healed;
  pair.test.world.StartNode(
      third, Program([&](Runtime* r) { return ConnectUntil(r, &healed, kSecond * 9); }));
  pair.test.RunFor(kSecond);
  EXPECT_EQ(healed.status, "ok");
}

// Only the link and the direction that were meant are late, and order is kept.
TEST(SimNetwork, SlowLinkDelaysOneDirection) {
  Pair usual(3);
  Pair slow(3);
  Pair other_way(3);
  slow.test.world.net().SetLinkSlow(slow.client, slow.server, kSecond / 5);
  other_way.test.world.net().SetLinkSlow(other_way.server, other_way.client, kSecond / 5);
  for (Pair* pair : {&usual, &slow, &other_way}) {
    pair->StartServer();
    pair->StartClient(50, true);
    pair->test.RunFor(kSecond * 3 / 5);
  }
  EXPECT_EQ(usual.at_server.received, Numbers(50));
  EXPECT_LT(slow.at_server.received.size(), Numbers(50).size());
  slow.test.RunFor(10 * kSecond);
  EXPECT_EQ(slow.at_server.received, Numbers(50));
}

// Latency has a second hump, and only when that is asked for.
TEST(SimNetwork, LatencyHasATail) {
  for (const uint32_t tail_ppm : {0U, 300'000U}) {
    SimOptions options;
    options.net.tail_ppm = tail_ppm;
    options.net.tail_ns_mean = kSecond;
    Pair pair(11, options);
    int late = 0;
    for (int i = 0; i < 1000; ++i) {
      late += pair.test.world.net().DrawLatency(pair.client, pair.server) > kSecond / 100 ? 1 : 0;
    }
    EXPECT_EQ(late > 200, tail_ppm != 0) << late;
    EXPECT_LT(late, 400);
  }
}

// Two connections of one node to another; says when the last byte of each arrived.
Task<void> ReadAllOfOne(Runtime* runtime, Listener* listener, std::vector<int64_t>* ends) {
  Result<std::unique_ptr<Connection>> connection = co_await listener->Accept();
  REDOUBT_CHECK(connection.ok());
  std::array<uint8_t, 4096> buffer{};
  Result<size_t> got = co_await (*connection)->Read(MutableByteView(buffer));
  const size_t which = buffer[0];
  while (got.ok() && *got > 0) {
    (*ends)[which] = ToNs(runtime->scheduler->Now());
    got = co_await (*connection)->Read(MutableByteView(buffer));
  }
}

Task<void> ReadTwo(Runtime* runtime, std::vector<int64_t>* ends) {
  Result<std::unique_ptr<Listener>> listener = co_await runtime->network->Listen("server:7000");
  REDOUBT_CHECK(listener.ok());
  TaskGroup readers(runtime->scheduler);
  readers.Spawn(ReadAllOfOne(runtime, listener->get(), ends));
  readers.Spawn(ReadAllOfOne(runtime, listener->get(), ends));
  co_await readers.Join();
}

// Sends `bytes` on each of two connections, the first one first, at one instant.
Task<void> WriteTwo(Runtime* runtime, size_t bytes) {
  co_await runtime->scheduler->Sleep(Duration(1'000'000));
  Result<std::unique_ptr<Connection>> first =
      co_await runtime->network->Connect("server:7000", kNever);
  Result<std::unique_ptr<Connection>> second =
      co_await runtime->network->Connect("server:7000", kNever);
  REDOUBT_CHECK(first.ok() && second.ok());
  const Bytes zeroes(bytes, 0);
  const Bytes ones(bytes, 1);
  const std::array<ByteView, 1> one{ByteView(zeroes)};
  const std::array<ByteView, 1> other{ByteView(ones)};
  const Status sent = co_await (*first)->Write(one);
  const Status sent_too = co_await (*second)->Write(other);
  REDOUBT_CHECK(sent.ok() && sent_too.ok());
  co_await runtime->scheduler->Sleep(Duration(60 * kSecond));
}

std::vector<int64_t> EndsOfTwo(uint64_t seed, const SimOptions& options, size_t bytes) {
  std::vector<int64_t> ends(2, 0);
  Pair pair(seed, options);
  pair.test.world.StartNode(pair.server,
                            Program([&ends](Runtime* r) { return ReadTwo(r, &ends); }));
  pair.test.world.StartNode(pair.client,
                            Program([bytes](Runtime* r) { return WriteTwo(r, bytes); }));
  pair.test.RunFor(50 * kSecond);
  EXPECT_GT(std::min(ends[0], ends[1]), 0);
  return ends;
}

// What was sent first on one connection may arrive after what was sent later on another.
TEST(SimNetwork, ConnectionsOvertakeEachOther) {
  int overtaken = 0;
  for (uint64_t seed = 1; seed <= 40; ++seed) {
    const std::vector<int64_t> ends = EndsOfTwo(seed, SimOptions(), 10);
    overtaken += ends[1] < ends[0] ? 1 : 0;
  }
  EXPECT_GT(overtaken, 5);
  EXPECT_LT(overtaken, 35);
}

// Both connections share their link's capacity.
TEST(SimNetwork, ALinkCarriesSoMuchASecond) {
  SimOptions options;
  options.net.bytes_per_s = 100'000;
  const std::vector<int64_t> ends = EndsOfTwo(1, options, 100'000);
  EXPECT_GE(std::max(ends[0], ends[1]), 2 * kSecond);
  EXPECT_LT(std::max(ends[0], ends[1]), 3 * kSecond);
}

TEST(SimNetwork, ACutMayBeOfOneDirection) {
  Pair pair(3);
  SimNet& net = pair.test.world.net();
  net.Split({pair.server}, true, Cut::kInto);
  EXPECT_TRUE(net.IsBlocked(pair.client, pair.server));
  EXPECT_FALSE(net.IsBlocked(pair.server, pair.client));
  net.Split({pair.server}, false, Cut::kInto);
  net.Isolate(pair.server, true, Cut::kOutOf);
  EXPECT_FALSE(net.IsBlocked(pair.client, pair.server));
  EXPECT_TRUE(net.IsBlocked(pair.server, pair.client));
}

TEST(SimNetwork, BitFlipChangesOneBitOfWhatArrives) {
  Pair pair(5);
  pair.test.world.net().SetBitFlips(100'000);
  pair.StartServer();
  pair.StartClient(100, true);
  pair.test.RunFor(5 * kSecond);
  const std::string sent = Numbers(100);
  ASSERT_EQ(pair.at_server.received.size(), sent.size());
  uint64_t bits = 0;
  for (size_t i = 0; i < sent.size(); ++i) {
    bits += static_cast<uint64_t>(
        std::popcount(static_cast<uint8_t>(sent[i] ^ pair.at_server.received[i])));
  }
  EXPECT_GT(bits, 0U);
  EXPECT_EQ(bits, pair.test.world.net().bit_flip_count());
}

// Blocks nest: the end of one partition does not heal another of the same link.
TEST(SimNetwork, OverlappingPartitionsHealSeparately) {
  Pair pair(3);
  pair.StartServer();
  pair.StartClient(100, true);
  SimNet& net = pair.test.world.net();
  net.Split({pair.server}, true);
  net.SetLinkBlocked(pair.client, pair.server, true);
  pair.test.RunFor(kSecond);
  net.Split({pair.server}, false);
  pair.test.RunFor(kSecond);
  EXPECT_EQ(pair.at_server.received, "") << "one direction is still blocked";
  EXPECT_TRUE(net.IsBlocked(pair.client, pair.server));
  EXPECT_FALSE(net.IsBlocked(pair.server, pair.client));
  net.SetLinkBlocked(pair.client, pair.server, false);
  pair.test.RunFor(5 * kSecond);
  EXPECT_EQ(pair.at_server.received, Numbers(100));
}

// A class that is off draws nothing: all other links and latencies stay as they were.
TEST(SimNetwork, FaultsThatAreOffDrawNothing) {
  uint64_t draws[2] = {0, 0};
  for (const bool armed : {false, true}) {
    Pair pair(7);
    if (armed) {
      pair.test.world.net().SetBitFlips(0);
      pair.test.world.net().SetLinkSlow(pair.server, pair.client, 0);
    }
    pair.StartServer();
    pair.StartClient(20, false);
    pair.test.RunFor(kSecond);
    draws[armed ? 1 : 0] = pair.test.world.random().draw_count();
  }
  EXPECT_EQ(draws[0], draws[1]);
}

Task<void> AcceptAndIgnore(Runtime* runtime) {
  Result<std::unique_ptr<Listener>> listener = co_await runtime->network->Listen("server:7000");
  Result<std::unique_ptr<Connection>> connection = co_await (*listener)->Accept();
  co_await runtime->scheduler->SleepUntil(kNever);
}

// A reader that does not read stops the writer: sent bytes are bounded.
TEST(SimNetwork, WindowBoundsWhatIsSentToASlowReader) {
  SimOptions options;
  options.net.window_bytes = 4096;
  Pair pair(1, options);
  pair.test.world.StartNode(pair.server, Program([](Runtime* r) { return AcceptAndIgnore(r); }));
  pair.StartClient(100'000, false);
  pair.test.RunFor(10 * kSecond);
  EXPECT_GE(pair.at_client.written, 4096U);
  EXPECT_LT(pair.at_client.written, 4200U);
}

Task<void> EchoFrames(Runtime* runtime) {
  Result<std::unique_ptr<Listener>> listener = co_await runtime->network->Listen("server:7000");
  Result<std::unique_ptr<Connection>> connection = co_await (*listener)->Accept();
  FrameReader reader(connection->get(), FrameLimits());
  while (true) {
    Result<Frame> frame = co_await reader.Next();
    if (!frame.ok()) {
      break;
    }
    const FrameView view{frame->type, frame->request_id, frame->header, frame->payload};
    const Status status = co_await WriteFrame(connection->get(), view);
    REDOUBT_CHECK(status.ok());
  }
}

Task<void> SendFrames(Runtime* runtime, Report* report) {
  co_await runtime->scheduler->Sleep(Duration(1'000'000));
  Result<std::unique_ptr<Connection>> connection =
      co_await runtime->network->Connect("server:7000", kNever);
  FrameReader reader(connection->get(), FrameLimits());
  for (uint64_t i = 0; i < 20; ++i) {
    const Bytes payload(i * 40'000, static_cast<uint8_t>(i));
    const FrameView view{7, i, AsBytes("header"), payload};
    const Status status = co_await WriteFrame(connection->get(), view);
    REDOUBT_CHECK(status.ok());
    const Result<Frame> echo = co_await reader.Next();
    REDOUBT_CHECK(echo.ok());
    if (echo->request_id == i && echo->payload == payload) {
      ++report->connects;
    }
  }
}

// The frame layer of common/runtime works on simulated streams, with frames larger than a segment.
TEST(SimNetwork, CarriesFrames) {
  Pair pair(1);
  pair.test.world.StartNode(pair.server, Program([](Runtime* r) { return EchoFrames(r); }));
  pair.test.world.StartNode(pair.client,
                            Program([&](Runtime* r) { return SendFrames(r, &pair.at_client); }));
  pair.test.RunFor(10 * kSecond);
  EXPECT_EQ(pair.at_client.connects, 20);
}

uint64_t HashOfRun(uint64_t seed) {
  Pair pair(seed);
  pair.StartServer();
  pair.StartClient(200, true);
  pair.test.RunFor(kSecond);
  pair.test.world.KillNode(pair.server, KillKind::kPower, CrashPolicy::kSeeded);
  pair.test.RunFor(kSecond);
  return pair.test.trace.hash();
}

TEST(SimNetwork, SameSeedGivesTheSameTraceHash) {
  EXPECT_EQ(HashOfRun(5), HashOfRun(5));
  EXPECT_NE(HashOfRun(5), HashOfRun(6));
}

}  // namespace
}  // namespace redoubt::sim
