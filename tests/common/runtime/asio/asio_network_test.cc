// SPDX-License-Identifier: MIT
//
// Goal: connections carry every byte in order, tell the ways in which they end apart, and may be
// closed or destroyed at any moment. Method: real sockets on loopback; sizes from one byte to far
// beyond the socket buffers; operations are closed and destroyed while they wait.
#include <arpa/inet.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <string>
#include <utility>
#include <vector>

#include "common/base/hash.h"
#include "common/runtime/asio/socket_address.h"
#include "common/runtime/frame_stream.h"
#include "common/runtime/task_group.h"
#include "tests/common/runtime/asio/world_test_support.h"

namespace redoubt {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;
using ::testing::HasSubstr;

TEST(SocketAddress, ReadsWhatPeopleWrite) {
  EXPECT_EQ(ParseSocketAddress("localhost:80")->host, "localhost");
  EXPECT_EQ(ParseSocketAddress("127.0.0.1:65535")->port, 65535);
  EXPECT_EQ(ParseSocketAddress("[::1]:3306")->host, "::1");
  EXPECT_EQ(FormatSocketAddress(*ParseSocketAddress("[::1]:3306")), "[::1]:3306");
  EXPECT_EQ(FormatSocketAddress(*ParseSocketAddress("h:0")), "h:0");
  for (const char* text : {"", ":", "host", "host:", ":1", "host:65536", "host:-1", "host:1x",
                           "::1:80", "[]:1", "host: 1"}) {
    const Result<SocketAddress> parsed = ParseSocketAddress(text);
    EXPECT_EQ(parsed.status().code(), StatusCode::kInvalidArgument) << text;
  }
}

Bytes Pattern(uint64_t seed, size_t length) {
  Bytes bytes(length);
  for (size_t i = 0; i < length; ++i) {
    bytes[i] = static_cast<uint8_t>(HashMix(seed, i / 8) >> (i % 8 * 8));
  }
  return bytes;
}

Task<void> Echo(std::unique_ptr<Connection> connection) {
  Bytes buffer(100'000);
  for (;;) {
    const Result<size_t> got = co_await connection->Read(buffer);
    if (!got.ok() || *got == 0) {
      co_return;
    }
    const std::array<ByteView, 1> parts{ByteView(buffer).first(*got)};
    const Status sent = co_await connection->Write(parts);
    if (!sent.ok()) {
      co_return;
    }
  }
}

Task<void> EchoServer(Listener* listener, TaskGroup* connections) {
  for (;;) {
    Result<std::unique_ptr<Connection>> accepted = co_await listener->Accept();
    if (!accepted.ok()) {
      EXPECT_EQ(accepted.status().code(), StatusCode::kCancelled);
      co_return;
    }
    connections->Spawn(Echo(std::move(*accepted)));
  }
}

// A listening echo server with its own task group; Stop() ends it.
class EchoFixture {
 public:
  explicit EchoFixture(Runtime* runtime)
      : runtime_(runtime), server_(runtime->scheduler), connections_(runtime->scheduler) {}
  Task<void> Start() {
    Result<std::unique_ptr<Listener>> listener = co_await runtime_->network->Listen("127.0.0.1:0");
    REDOUBT_CHECK(listener.ok());
    listener_ = std::move(*listener);
    server_.Spawn(EchoServer(listener_.get(), &connections_));
  }
  // All clients must have closed.
  Task<void> Stop() {
    listener_->Close();
    co_await server_.Join();
    co_await connections_.Join();
  }
  Task<std::unique_ptr<Connection>> Connect() {
    const TimePoint deadline = runtime_->scheduler->Now() + seconds(10);
    Result<std::unique_ptr<Connection>> connection =
        co_await runtime_->network->Connect(listener_->address(), deadline);
    REDOUBT_CHECK(connection.ok());
    co_return std::move(*connection);
  }
  std::string address() const { return listener_->address(); }

 private:
  Runtime* runtime_;
  std::unique_ptr<Listener> listener_;
  TaskGroup server_;
  TaskGroup connections_;
};

Task<void> WriteParts(Connection* connection, const Bytes* bytes, size_t part_size) {
  std::vector<ByteView> parts;
  for (size_t at = 0; at < bytes->size(); at += part_size) {
    parts.push_back(ByteView(*bytes).subspan(at, std::min(part_size, bytes->size() - at)));
    parts.emplace_back();  // empty parts are legal
  }
  const Status sent = co_await connection->Write(parts);
  EXPECT_TRUE(sent.ok()) << sent.ToString();
}

Task<void> ReadBack(Connection* connection, const Bytes* expected) {
  Bytes got(expected->size());
  size_t filled = 0;
  while (filled < got.size()) {
    const Result<size_t> count = co_await connection->Read(MutableByteView(got).subspan(filled));
    REDOUBT_CHECK(count.ok());
    REDOUBT_CHECK(*count > 0);
    filled += *count;
  }
  EXPECT_TRUE(got == *expected);
}

Task<void> RoundTrip(Runtime* runtime, EchoFixture* echo, uint64_t seed, size_t bytes,
                     size_t part_size) {
  const Bytes pattern = Pattern(seed, bytes);
  const std::unique_ptr<Connection> connection = co_await echo->Connect();
  TaskGroup both(runtime->scheduler);
  both.Spawn(WriteParts(connection.get(), &pattern, part_size));
  both.Spawn(ReadBack(connection.get(), &pattern));
  co_await both.Join();
}

Task<void> EchoAllSizes(Runtime* runtime) {
  EchoFixture echo(runtime);
  co_await echo.Start();
  co_await RoundTrip(runtime, &echo, 1, 1, 1);
  co_await RoundTrip(runtime, &echo, 2, 16384, 100);
  co_await RoundTrip(runtime, &echo, 3, 100'000, 1);
  co_await RoundTrip(runtime, &echo, 4, 20'000'000, 3'000'000);
  co_await echo.Stop();
}

TEST(AsioNetwork, EchoesEverySizeInAnyParts) {
  AsioWorld world(QuietOptions());
  RunIn(&world, EchoAllSizes(&world.runtime()));
}

Task<void> ManyConnections(Runtime* runtime) {
  EchoFixture echo(runtime);
  co_await echo.Start();
  TaskGroup clients(runtime->scheduler);
  for (uint64_t i = 0; i < 300; ++i) {
    clients.Spawn(RoundTrip(runtime, &echo, i, 1 + i * 997, 5000));
  }
  co_await clients.Join();
  co_await echo.Stop();
}

TEST(AsioNetwork, ServesManyConnectionsAtOnce) {
  AsioWorld world(QuietOptions());
  RunIn(&world, ManyConnections(&world.runtime()));
}

Task<StatusCode> ConnectCode(Runtime* runtime, std::string address, TimePoint deadline) {
  const Result<std::unique_ptr<Connection>> connection =
      co_await runtime->network->Connect(address, deadline);
  co_return connection.status().code();
}

Task<void> RefusedAndMalformed(Runtime* runtime) {
  Result<std::unique_ptr<Listener>> listener = co_await runtime->network->Listen("127.0.0.1:0");
  const std::string address = (*listener)->address();
  listener = NotFound("closed");
  const TimePoint deadline = runtime->scheduler->Now() + seconds(10);
  const StatusCode refused = co_await ConnectCode(runtime, address, deadline);
  EXPECT_EQ(refused, StatusCode::kUnavailable);
  const StatusCode malformed = co_await ConnectCode(runtime, "nowhere", deadline);
  EXPECT_EQ(malformed, StatusCode::kInvalidArgument);
  const StatusCode unknown = co_await ConnectCode(runtime, "no-such-host.invalid:1", deadline);
  EXPECT_EQ(unknown, StatusCode::kUnavailable);
}

TEST(AsioNetwork, TellsRefusedFromMalformed) {
  AsioWorld world(QuietOptions());
  RunIn(&world, RefusedAndMalformed(&world.runtime()));
}

Task<void> ByName(Runtime* runtime) {
  Result<std::unique_ptr<Listener>> listener = co_await runtime->network->Listen("localhost:0");
  EXPECT_THAT((*listener)->address(), HasSubstr("localhost:"));
  const TimePoint deadline = runtime->scheduler->Now() + seconds(10);
  const StatusCode code = co_await ConnectCode(runtime, (*listener)->address(), deadline);
  EXPECT_EQ(code, StatusCode::kOk);
}

TEST(AsioNetwork, ResolvesNames) {
  AsioWorld world(QuietOptions());
  RunIn(&world, ByName(&world.runtime()));
}

Task<void> ListenTwice(Runtime* runtime) {
  const Result<std::unique_ptr<Listener>> first = co_await runtime->network->Listen("127.0.0.1:0");
  const std::string address = (*first)->address();
  const Result<std::unique_ptr<Listener>> second = co_await runtime->network->Listen(address);
  EXPECT_EQ(second.status().code(), StatusCode::kIoError);
  EXPECT_THAT(second.status().message(), HasSubstr(address));
  EXPECT_THAT(second.status().message(), HasSubstr("in use"));
  const Result<std::unique_ptr<Listener>> malformed = co_await runtime->network->Listen("7000");
  EXPECT_EQ(malformed.status().code(), StatusCode::kInvalidArgument);
}

TEST(AsioNetwork, AnAddressInUseIsNamed) {
  AsioWorld world(QuietOptions());
  RunIn(&world, ListenTwice(&world.runtime()));
}

Task<void> ConnectWhereNobodyAccepts(Runtime* runtime, std::string address) {
  // A full backlog drops further attempts; a few connections are needed to fill it.
  std::vector<std::unique_ptr<Connection>> queued;
  StatusCode last = StatusCode::kOk;
  for (int i = 0; i < 20 && last == StatusCode::kOk; ++i) {
    const TimePoint deadline = runtime->scheduler->Now() + milliseconds(100);
    Result<std::unique_ptr<Connection>> connection =
        co_await runtime->network->Connect(address, deadline);
    last = connection.status().code();
    if (connection.ok()) {
      queued.push_back(std::move(*connection));
    }
  }
  EXPECT_EQ(last, StatusCode::kDeadlineExceeded);
}

TEST(AsioNetwork, ConnectEndsAtItsDeadline) {
  const int fd = socket(AF_INET, SOCK_STREAM, 0);
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  socklen_t length = sizeof(address);
  ASSERT_EQ(bind(fd, reinterpret_cast<sockaddr*>(&address), length), 0);
  ASSERT_EQ(listen(fd, 0), 0);
  ASSERT_EQ(getsockname(fd, reinterpret_cast<sockaddr*>(&address), &length), 0);
  AsioWorld world(QuietOptions());
  RunIn(&world, ConnectWhereNobodyAccepts(&world.runtime(),
                                          "127.0.0.1:" + std::to_string(ntohs(address.sin_port))));
  close(fd);
}

struct EndOfRead {
  bool ended = false;
  Status status;
  size_t count = 0;
};

Task<void> ReadOnce(Connection* connection, EndOfRead* end) {
  std::array<uint8_t, 100> buffer{};
  const Result<size_t> got = co_await connection->Read(buffer);
  end->ended = true;
  end->status = got.status();
  end->count = got.ok() ? *got : 0;
}

struct Pair {
  std::unique_ptr<Connection> client;
  std::unique_ptr<Connection> server;
};

Task<Pair> MakePair(Runtime* runtime) {
  Result<std::unique_ptr<Listener>> listener = co_await runtime->network->Listen("127.0.0.1:0");
  const TimePoint deadline = runtime->scheduler->Now() + seconds(10);
  Result<std::unique_ptr<Connection>> client =
      co_await runtime->network->Connect((*listener)->address(), deadline);
  Result<std::unique_ptr<Connection>> server = co_await (*listener)->Accept();
  Pair pair;
  pair.client = std::move(*client);
  pair.server = std::move(*server);
  co_return std::move(pair);
}

Task<void> CloseWhileReading(Runtime* runtime) {
  const Pair pair = co_await MakePair(runtime);
  TaskGroup group(runtime->scheduler);
  EndOfRead end;
  group.Spawn(ReadOnce(pair.client.get(), &end));
  co_await runtime->scheduler->Sleep(milliseconds(5));
  EXPECT_FALSE(end.ended);
  pair.client->Close();
  pair.client->Close();
  co_await group.Join();
  EXPECT_EQ(end.status.code(), StatusCode::kUnavailable);
  EndOfRead after;
  co_await ReadOnce(pair.client.get(), &after);
  EXPECT_EQ(after.status.code(), StatusCode::kUnavailable);
  const std::array<ByteView, 1> parts{AsBytes("x")};
  const Status write = co_await pair.client->Write(parts);
  EXPECT_EQ(write.code(), StatusCode::kUnavailable);
}

TEST(AsioNetwork, CloseWakesAReader) {
  AsioWorld world(QuietOptions());
  RunIn(&world, CloseWhileReading(&world.runtime()));
}

Task<void> WriteMuch(Connection* connection, Status* end) {
  const Bytes much(64 << 20);
  const std::array<ByteView, 1> parts{ByteView(much)};
  *end = co_await connection->Write(parts);
}

Task<void> CloseWhileWriting(Runtime* runtime) {
  const Pair pair = co_await MakePair(runtime);
  TaskGroup group(runtime->scheduler);
  Status end;
  group.Spawn(WriteMuch(pair.client.get(), &end));  // nobody reads
  co_await runtime->scheduler->Sleep(milliseconds(20));
  EXPECT_EQ(group.running_count(), 1U);
  pair.client->Close();
  co_await group.Join();
  EXPECT_EQ(end.code(), StatusCode::kUnavailable);
}

TEST(AsioNetwork, CloseWakesAWriter) {
  AsioWorld world(QuietOptions());
  RunIn(&world, CloseWhileWriting(&world.runtime()));
}

Task<void> PeerEnds(Runtime* runtime) {
  Pair pair = co_await MakePair(runtime);
  const std::array<ByteView, 1> parts{AsBytes("last words")};
  const Status sent = co_await pair.server->Write(parts);
  EXPECT_TRUE(sent.ok());
  pair.server.reset();
  EndOfRead words;
  co_await ReadOnce(pair.client.get(), &words);
  EXPECT_EQ(words.count, 10U);
  for (int i = 0; i < 2; ++i) {  // the end stays the end
    EndOfRead end;
    co_await ReadOnce(pair.client.get(), &end);
    EXPECT_TRUE(end.status.ok());
    EXPECT_EQ(end.count, 0U);
  }
}

TEST(AsioNetwork, PeersCloseIsSeenAfterItsLastBytes) {
  AsioWorld world(QuietOptions());
  RunIn(&world, PeerEnds(&world.runtime()));
}

Task<void> PeerEndsWhileReading(Runtime* runtime) {
  Pair pair = co_await MakePair(runtime);
  TaskGroup group(runtime->scheduler);
  EndOfRead end;
  group.Spawn(ReadOnce(pair.client.get(), &end));
  co_await runtime->scheduler->Sleep(milliseconds(5));
  pair.server.reset();
  co_await group.Join();
  EXPECT_TRUE(end.status.ok());
  EXPECT_EQ(end.count, 0U);
}

TEST(AsioNetwork, PeersCloseWakesAReader) {
  AsioWorld world(QuietOptions());
  RunIn(&world, PeerEndsWhileReading(&world.runtime()));
}

Task<void> WriteToLostPeer(Runtime* runtime) {
  Pair pair = co_await MakePair(runtime);
  pair.server.reset();
  Status status;
  const std::array<ByteView, 1> parts{AsBytes("anybody?")};
  for (int i = 0; i < 100 && status.ok(); ++i) {
    status = co_await pair.client->Write(parts);
    co_await runtime->scheduler->Sleep(milliseconds(1));
  }
  EXPECT_EQ(status.code(), StatusCode::kUnavailable);
  EXPECT_THAT(status.message(), HasSubstr(pair.client->peer()));
}

// Without the signal being ignored, too: SIGPIPE must never be raised.
TEST(AsioNetwork, WritingToALostPeerIsUnavailable) {
  AsioWorld world(QuietOptions());
  RunIn(&world, WriteToLostPeer(&world.runtime()));
}

Task<void> AcceptOnce(Listener* listener, StatusCode* code) {
  const Result<std::unique_ptr<Connection>> connection = co_await listener->Accept();
  *code = connection.status().code();
}

Task<void> CloseWhileAccepting(Runtime* runtime) {
  Result<std::unique_ptr<Listener>> listener = co_await runtime->network->Listen("127.0.0.1:0");
  TaskGroup group(runtime->scheduler);
  StatusCode code = StatusCode::kOk;
  group.Spawn(AcceptOnce(listener->get(), &code));
  co_await runtime->scheduler->Sleep(milliseconds(5));
  (*listener)->Close();
  co_await group.Join();
  EXPECT_EQ(code, StatusCode::kCancelled);
}

TEST(AsioNetwork, CloseWakesAccept) {
  AsioWorld world(QuietOptions());
  RunIn(&world, CloseWhileAccepting(&world.runtime()));
}

Task<void> RunOutOfDescriptors(Runtime* runtime) {
  Result<std::unique_ptr<Listener>> listener = co_await runtime->network->Listen("127.0.0.1:0");
  std::vector<std::unique_ptr<Connection>> clients;
  Status last;
  while (last.ok()) {
    const TimePoint deadline = runtime->scheduler->Now() + seconds(10);
    Result<std::unique_ptr<Connection>> client =
        co_await runtime->network->Connect((*listener)->address(), deadline);
    last = client.status();
    if (client.ok()) {
      clients.push_back(std::move(*client));
    }
  }
  TaskGroup group(runtime->scheduler);
  StatusCode code = StatusCode::kCancelled;
  group.Spawn(AcceptOnce(listener->get(), &code));
  co_await runtime->scheduler->Sleep(milliseconds(20));
  const bool still_waits = group.running_count() == 1;
  const size_t client_count = clients.size();
  clients.clear();
  co_await group.Join();
  EXPECT_TRUE(still_waits);
  EXPECT_GT(client_count, 5U);
  EXPECT_EQ(last.code(), StatusCode::kUnavailable);
  EXPECT_THAT(last.message(), HasSubstr("Too many open files"));
  EXPECT_EQ(code, StatusCode::kOk);
}

int ServeWithFewDescriptors() {
  rlimit limit{};
  REDOUBT_CHECK(getrlimit(RLIMIT_NOFILE, &limit) == 0);
  limit.rlim_cur = 40;
  REDOUBT_CHECK(setrlimit(RLIMIT_NOFILE, &limit) == 0);
  AsioWorld world(QuietOptions());
  RunIn(&world, RunOutOfDescriptors(&world.runtime()));
  return ::testing::Test::HasFailure() ? 1 : 0;
}

constexpr bool WithAddressSanitizer() {
#if defined(__has_feature)
  return __has_feature(address_sanitizer);
#elif defined(__SANITIZE_ADDRESS__)
  return true;
#else
  return false;
#endif
}

// The accept loop waits until descriptors are free instead of ending or spinning.
TEST(AsioNetworkDeathTest, AcceptOutlivesAShortageOfDescriptors) {
  if (WithAddressSanitizer()) {
    GTEST_SKIP() << "UndefinedBehaviorSanitizer, in the same preset, needs descriptors itself";
  }
  ::testing::FLAGS_gtest_death_test_style = "threadsafe";
  EXPECT_EXIT(_exit(ServeWithFewDescriptors()), ::testing::ExitedWithCode(0), "");
}

// Destroys readers, writers, an accept and a connect while they wait, then lets the loop go on:
// nothing may touch their frames or buffers.
Task<void> DestroyWhileWaiting(Runtime* runtime, std::string nobody_accepts) {
  for (int round = 0; round < 20; ++round) {
    Pair pair = co_await MakePair(runtime);
    Result<std::unique_ptr<Listener>> listener = co_await runtime->network->Listen("127.0.0.1:0");
    EndOfRead end;
    Status written;
    StatusCode accepted = StatusCode::kOk;
    {
      TaskGroup group(runtime->scheduler);
      group.Spawn(ReadOnce(pair.client.get(), &end));
      group.Spawn(WriteMuch(pair.server.get(), &written));
      group.Spawn(AcceptOnce(listener->get(), &accepted));
      if (round % 2 == 0) {
        co_await runtime->scheduler->Sleep(milliseconds(1));
      } else {
        co_await runtime->scheduler->Yield();
      }
    }
    EndOfRead later;
    co_await ReadOnce(pair.client.get(), &later);
    co_await runtime->scheduler->Sleep(milliseconds(1));
  }
  const Task<StatusCode> never_started = ConnectCode(runtime, nobody_accepts, kNever);
}

TEST(AsioNetwork, DestroyedOperationsTouchNothing) {
  AsioWorld world(QuietOptions());
  RunIn(&world, DestroyWhileWaiting(&world.runtime(), "127.0.0.1:1"));
}

Task<void> LeaveThingsOpen(Runtime* runtime, std::vector<std::unique_ptr<Connection>>* kept,
                           TaskGroup* readers, std::vector<EndOfRead>* ends) {
  for (EndOfRead& end : *ends) {
    Pair pair = co_await MakePair(runtime);
    readers->Spawn(ReadOnce(pair.client.get(), &end));
    kept->push_back(std::move(pair.client));
    kept->push_back(std::move(pair.server));
  }
  co_await runtime->scheduler->Sleep(milliseconds(2));
}

// A program may end in a hurry: readers still wait when main returns and are destroyed after.
TEST(AsioNetwork, ReadersMayOutliveRunAndDieBeforeTheWorld) {
  AsioWorld world(QuietOptions());
  std::vector<std::unique_ptr<Connection>> kept;
  std::vector<EndOfRead> ends(5);
  TaskGroup readers(world.runtime().scheduler);
  RunIn(&world, LeaveThingsOpen(&world.runtime(), &kept, &readers, &ends));
  EXPECT_EQ(readers.running_count(), 5U);
}

Task<void> ServeFrames(Connection* connection) {
  FrameReader reader(connection, FrameLimits{});
  for (;;) {
    const Result<Frame> frame = co_await reader.Next();
    if (!frame.ok()) {
      co_return;
    }
    FrameView view{frame->type, frame->request_id, ByteView(frame->header),
                   ByteView(frame->payload)};
    const Status sent = co_await WriteFrame(connection, view);
    EXPECT_TRUE(sent.ok());
  }
}

Task<void> SendFrames(Connection* connection, const Bytes* payload, uint64_t count) {
  for (uint64_t id = 0; id < count; ++id) {
    FrameView view{1, id, AsBytes("head"), ByteView(*payload).first(id * 7919 % payload->size())};
    const Status sent = co_await WriteFrame(connection, view);
    EXPECT_TRUE(sent.ok());
  }
}

Task<void> FramesThereAndBack(Runtime* runtime) {
  Pair pair = co_await MakePair(runtime);
  const Bytes payload = Pattern(9, 300'000);
  const uint64_t count = 200;
  TaskGroup group(runtime->scheduler);
  group.Spawn(ServeFrames(pair.server.get()));
  group.Spawn(SendFrames(pair.client.get(), &payload, count));
  FrameReader reader(pair.client.get(), FrameLimits{});
  for (uint64_t id = 0; id < count; ++id) {
    const Result<Frame> frame = co_await reader.Next();
    REDOUBT_CHECK(frame.ok());
    EXPECT_EQ(frame->request_id, id);
    EXPECT_EQ(frame->payload.size(), id * 7919 % payload.size());
  }
  pair.client->Close();
  co_await group.Join();
}

TEST(AsioNetwork, CarriesManyFramesInFlight) {
  AsioWorld world(QuietOptions());
  RunIn(&world, FramesThereAndBack(&world.runtime()));
}

}  // namespace
}  // namespace redoubt
