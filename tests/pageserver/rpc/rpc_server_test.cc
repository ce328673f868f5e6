// SPDX-License-Identifier: MIT
//
// Goal: what one connection does wrong concerns no other. Method: raw connections that send
// garbage, damaged and oversized frames, nothing at all, or never read, beside a client that must
// go on working.
#include "common/base/crc32c.h"
#include "tests/pageserver/rpc/server_fixture.h"

namespace redoubt {
namespace {

Task<bool> StillServes(ServerWorld* world) {
  const auto listed = co_await world->client->VolumeList(world->In(10));
  co_return listed.ok();
}

Task<std::unique_ptr<Connection>> Dial(ServerWorld* world) {
  std::string address = world->server->address();
  Result<std::unique_ptr<Connection>> connection =
      co_await world->runtime->network->Connect(std::move(address), world->In(10));
  EXPECT_TRUE(connection.ok()) << connection.status().ToString();
  co_return connection.ok() ? std::move(*connection) : nullptr;
}

// Sends bytes; returns the status in the last frame that came back before the server closed.
Task<proto::StatusProto> SendAndSeeClosed(ServerWorld* world, Bytes bytes) {
  proto::StatusProto status;
  std::unique_ptr<Connection> connection = co_await Dial(world);
  const std::vector<ByteView> parts{bytes};
  const Status sent = co_await connection->Write(parts);
  EXPECT_TRUE(sent.ok());
  FrameReader reader(connection.get(), FrameLimits());
  const Result<Frame> answer = co_await reader.Next();
  EXPECT_TRUE(answer.ok()) << "the server says why: " << answer.status().ToString();
  if (answer.ok()) {
    EXPECT_EQ(answer->type, 0x8000);
    EXPECT_EQ(answer->request_id, 0U);
    EXPECT_TRUE(
        status.ParseFromArray(answer->header.data(), static_cast<int>(answer->header.size())));
    const Result<Frame> end = co_await reader.Next();
    EXPECT_EQ(end.status().code(), StatusCode::kUnavailable) << "and closes";
  }
  co_return status;
}

Bytes FrameBytes(uint16_t type, uint64_t request_id, const Bytes& header, const Bytes& payload) {
  const FrameView view{type, request_id, header, payload};
  Bytes bytes(kFrameFixedBytes);
  EncodeFrameFixed(view, MutableByteView(bytes));
  bytes.insert(bytes.end(), header.begin(), header.end());
  bytes.insert(bytes.end(), payload.begin(), payload.end());
  return bytes;
}

Task<void> BadFramesBody(ServerWorld* world) {
  const RpcServerCounters& counters = world->server->rpc().counters();
  const std::string http = "GET / HTTP/1.1\r\nHost: example.org\r\nAccept: */*\r\n\r\n";
  Bytes garbage(http.begin(), http.end());
  proto::StatusProto status = co_await SendAndSeeClosed(world, std::move(garbage));
  EXPECT_EQ(status.code(), static_cast<uint32_t>(StatusCode::kCorruption));
  EXPECT_EQ(counters.bad_frames, 1U);

  Bytes damaged = FrameBytes(proto::VOLUME_LIST, 1, {}, Bytes(100, 1));
  damaged.back() ^= 1;
  status = co_await SendAndSeeClosed(world, std::move(damaged));
  EXPECT_EQ(status.code(), static_cast<uint32_t>(StatusCode::kCorruption));
  EXPECT_EQ(counters.bad_frames, 2U);

  // Only the head of it: the length alone must be refused.
  Bytes oversized = FrameBytes(proto::LOG_APPEND, 1, {}, {});
  StoreBe32(oversized.data() + 8, 0xFFFFFFFF);
  status = co_await SendAndSeeClosed(world, std::move(oversized));
  EXPECT_EQ(status.code(), static_cast<uint32_t>(StatusCode::kResourceExhausted));
  EXPECT_EQ(counters.oversized_frames, 1U);
  const bool serves = co_await StillServes(world);
  EXPECT_TRUE(serves);
}
TEST_F(ServerTest, BadFramesEndOnlyTheirConnection) { RunWith(&BadFramesBody); }

Task<void> BadRequestsBody(ServerWorld* world) {
  RpcRequest unknown;
  unknown.type = 31000;
  const Result<Frame> refused = co_await world->channel->Call(std::move(unknown), world->In(10));
  EXPECT_TRUE(refused.ok());
  proto::SetHorizonResponse response;
  EXPECT_TRUE(
      response.ParseFromArray(refused->header.data(), static_cast<int>(refused->header.size())));
  EXPECT_EQ(response.status().code(), static_cast<uint32_t>(StatusCode::kUnsupported));
  for (const proto::MessageType type : {proto::PAGE_GET, proto::LOG_APPEND, proto::LOG_PREPARE,
                                        proto::VOLUME_CREATE, proto::SPACE_PUT}) {
    RpcRequest malformed;
    malformed.type = static_cast<uint16_t>(type);
    malformed.header = Bytes(40, 0xFF);
    const Result<Frame> answer = co_await world->channel->Call(std::move(malformed), world->In(10));
    EXPECT_TRUE(answer.ok());
    EXPECT_TRUE(
        response.ParseFromArray(answer->header.data(), static_cast<int>(answer->header.size())));
    EXPECT_EQ(response.status().code(), static_cast<uint32_t>(StatusCode::kInvalidArgument));
  }
  proto::GetPagesRequest many;
  many.set_volume_id(co_await world->CreateVolume("v"));
  for (uint32_t i = 0; i < 5000; ++i) {
    many.add_pages()->set_page_no(i);
  }
  const auto too_many = co_await world->client->GetPages(std::move(many), world->In(10));
  EXPECT_EQ(too_many.status().code(), StatusCode::kResourceExhausted);
}
TEST_F(ServerTest, BadRequestsAreAnsweredAndTheConnectionGoesOn) { RunWith(&BadRequestsBody); }

Task<void> HalfOpenBody(ServerWorld* world) {
  const bool before = co_await StillServes(world);
  EXPECT_TRUE(before);
  std::vector<std::unique_ptr<Connection>> half_open;
  for (int i = 0; i < 1000; ++i) {
    half_open.push_back(co_await Dial(world));
    if (i % 2 == 0) {
      // A frame that never ends.
      Bytes head = FrameBytes(proto::LOG_APPEND, 1, {}, Bytes(1000, 7));
      head.resize(40);
      const std::vector<ByteView> parts{head};
      (void)co_await half_open.back()->Write(parts);
    }
    if (i % 100 == 0) {
      const bool serves = co_await StillServes(world);
      EXPECT_TRUE(serves) << i;
    }
  }
  const bool after = co_await StillServes(world);
  EXPECT_TRUE(after);
  EXPECT_EQ(world->channel->connection_count(), 1U) << "the working client was never cut off";
  EXPECT_LE(world->server->rpc().connection_count(), 210U);
  EXPECT_GE(world->server->rpc().counters().evicted, 700U);
}
TEST_F(ServerTest, AThousandHalfOpenConnectionsLockNobodyOut) {
  PageServerOptions options = TestServerOptions({});
  options.rpc.connections_max = 200;
  RunWith(std::move(options), &HalfOpenBody);
}

Task<void> NeverReadsBody(ServerWorld* world) {
  // Asks for far more than the socket buffers hold and reads nothing; its own requests pile up,
  // bounded.
  std::unique_ptr<Connection> deaf = co_await Dial(world);
  const uint32_t id = co_await world->CreateVolume("v");
  proto::WaitLsnRequest wait;
  wait.set_volume_id(id);
  wait.set_lsn(999999);
  wait.set_deadline_ms(200);
  Bytes header(wait.ByteSizeLong());
  wait.SerializeWithCachedSizesToArray(header.data());
  Bytes stream;
  for (uint64_t request = 1; request <= 500; ++request) {
    const Bytes frame = FrameBytes(proto::WAIT_LSN, request, header, {});
    stream.insert(stream.end(), frame.begin(), frame.end());
  }
  const std::vector<ByteView> parts{stream};
  (void)co_await deaf->Write(parts);
  for (int i = 0; i < 20; ++i) {
    const bool serves = co_await StillServes(world);
    EXPECT_TRUE(serves);
    co_await world->runtime->scheduler->Sleep(std::chrono::milliseconds(20));
  }
  EXPECT_LE(world->server->rpc().counters().requests, 40U + 500U);
  deaf->Close();
  const bool serves = co_await StillServes(world);
  EXPECT_TRUE(serves);
}
TEST_F(ServerTest, APeerThatNeverReadsHoldsUpOnlyItself) {
  PageServerOptions options = TestServerOptions({});
  options.rpc.in_flight_max = 16;
  RunWith(std::move(options), &NeverReadsBody);
}

Task<void> StopBody(ServerWorld* world) {
  // A request that would wait for minutes must not keep the server from stopping.
  const uint32_t id = co_await world->CreateVolume("v");
  TaskGroup group(world->runtime->scheduler);
  struct Waiter {
    static Task<void> Run(ServerWorld* w, uint32_t volume) {
      proto::WaitLsnRequest wait;
      wait.set_volume_id(volume);
      wait.set_lsn(999999);
      wait.set_deadline_ms(600000);
      const auto answer = co_await w->client->WaitLsn(std::move(wait), kNever);
      EXPECT_FALSE(answer.ok());
    }
  };
  group.Spawn(Waiter::Run(world, id));
  co_await world->runtime->scheduler->Sleep(std::chrono::milliseconds(50));
  const TimePoint began = world->runtime->scheduler->Now();
  co_await world->server->Stop();
  EXPECT_LT(world->runtime->scheduler->Now() - began, std::chrono::seconds(10));
  co_await group.Join();
  co_await world->Start();
}
TEST_F(ServerTest, StopsWhileRequestsWait) { RunWith(&StopBody); }

}  // namespace
}  // namespace redoubt
