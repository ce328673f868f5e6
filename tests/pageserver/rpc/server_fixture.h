// SPDX-License-Identifier: MIT
//
// A real server on loopback with the in-memory store, and a client of it, for tests.
#pragma once

#include <gtest/gtest.h>

#include <memory>
#include <string>
#include <utility>

#include "client/volume_client.h"
#include "common/runtime/asio/asio_world.h"
#include "common/runtime/rpc/reconnecting_channel.h"
#include "pageserver/server.h"
#include "pageserver/storage/memory_kv_store.h"
#include "tests/pageserver/rpc/redo_maker.h"
#include "tests/support/temporary_directory.h"

namespace redoubt {

class SilentLog final : public EventLog {
 public:
  void Write(LogLevel /*level*/, std::string_view /*message*/) override {}
};

inline PageServerOptions TestServerOptions(std::string data_dir) {
  PageServerOptions options;
  options.data_dir = std::move(data_dir);
  options.listen = "127.0.0.1:0";
  options.open_store = [](Runtime* runtime, std::string path) {
    return MemoryKvStore::Open(runtime, std::move(path));
  };
  return options;
}

// What the body of a test works with: a running server and a channel to it.
struct ServerWorld {
  Runtime* runtime = nullptr;
  std::string data_dir;
  std::unique_ptr<PageServer> server;
  std::unique_ptr<ReconnectingChannel> channel;
  std::unique_ptr<VolumeClient> client;
  PageServerOptions options;

  TimePoint In(int seconds) const {
    return runtime->scheduler->Now() + std::chrono::seconds(seconds);
  }
  Task<void> Start() {
    server = std::make_unique<PageServer>(runtime, options);
    const Status started = co_await server->Start();
    EXPECT_TRUE(started.ok()) << started.ToString();
    ReconnectingChannelOptions channel_options;
    channel = std::make_unique<ReconnectingChannel>(runtime, server->address(), channel_options);
    client = std::make_unique<VolumeClient>(channel.get());
  }
  Task<void> Stop() {
    co_await channel->Close();
    co_await server->Stop();
    client = nullptr;
    channel = nullptr;
    server = nullptr;
  }
  Task<void> Restart() {
    co_await Stop();
    co_await Start();
  }
  Task<uint32_t> CreateVolume(std::string name) {
    proto::VolumeCreateRequest request;
    request.set_name(name);
    request.set_page_size(16384);
    const Result<proto::VolumeCreateResponse> answer =
        co_await client->VolumeCreate(std::move(request), In(10));
    EXPECT_TRUE(answer.ok()) << answer.status().ToString();
    co_return answer.ok() ? answer->volume_id() : 0;
  }
};

// Begins a new epoch where the log of the only log server ends.
inline Task<Result<proto::PrepareResponse>> TakeOver(ServerWorld* world, std::string volume) {
  proto::PrepareRequest prepare;
  prepare.set_volume(volume);
  const Result<proto::PrepareResponse> prepared =
      co_await world->client->Prepare(std::move(prepare), world->In(10));
  EXPECT_TRUE(prepared.ok()) << prepared.status().ToString();
  proto::LogEpochStartRequest begin;
  begin.set_volume_id(prepared->volume_id());
  begin.set_epoch(prepared->epoch());
  begin.set_start_lsn(prepared->end_lsn());
  begin.set_member_count(1);
  begin.mutable_epochs()->CopyFrom(prepared->epochs());
  proto::EpochStart* entry = begin.add_epochs();
  entry->set_epoch(prepared->epoch());
  entry->set_start_lsn(prepared->end_lsn());
  const Result<proto::LogEpochStartResponse> begun =
      co_await world->client->LogEpochStart(std::move(begin), world->In(10));
  EXPECT_TRUE(begun.ok()) << begun.status().ToString();
  EXPECT_EQ(begun->end_lsn(), prepared->end_lsn());
  co_return prepared;
}

// Starts the log at RedoMaker::kStart under a new epoch.
inline Task<Epoch> BeginLog(ServerWorld* world, std::string volume, uint32_t volume_id) {
  const Result<proto::PrepareResponse> prepared = co_await TakeOver(world, std::move(volume));
  proto::StartAtRequest start;
  start.set_volume_id(volume_id);
  start.set_epoch(prepared->epoch());
  start.set_start_lsn(RedoMaker::kStart.value());
  start.set_reason("test");
  const Result<proto::StartAtResponse> started =
      co_await world->client->StartAt(std::move(start), world->In(10));
  EXPECT_TRUE(started.ok()) << started.status().ToString();
  proto::SetHorizonRequest horizon;
  horizon.set_volume_id(volume_id);
  horizon.set_epoch(prepared->epoch());
  horizon.set_horizon_lsn(RedoMaker::kStart.value());
  const Result<proto::SetHorizonResponse> set =
      co_await world->client->SetHorizon(std::move(horizon), world->In(10));
  EXPECT_TRUE(set.ok()) << set.status().ToString();
  co_return Epoch(prepared->epoch());
}

inline proto::AppendRequest AppendOf(uint32_t volume_id, Epoch epoch, Lsn start, Lsn end) {
  proto::AppendRequest request;
  request.set_volume_id(volume_id);
  request.set_epoch(epoch.value());
  request.set_start_lsn(start.value());
  request.set_end_lsn(end.value());
  request.set_first_mtr_lsn(start.value());
  request.set_mtr_end_lsn(end.value());
  return request;
}

inline Task<Status> Append(ServerWorld* world, proto::AppendRequest request, Bytes bytes) {
  auto payload = std::make_shared<const Bytes>(std::move(bytes));
  const Result<proto::AppendResponse> answer =
      co_await world->client->Append(std::move(request), std::move(payload), world->In(10));
  co_return answer.status();
}

inline Task<uint64_t> ReadValue(ServerWorld* world, uint32_t volume_id, uint32_t page_no,
                                Lsn read_lsn) {
  proto::GetPagesRequest request;
  request.set_volume_id(volume_id);
  request.set_read_lsn(read_lsn.value());
  request.set_deadline_ms(5000);
  proto::PageRef* ref = request.add_pages();
  ref->set_space(5);
  ref->set_page_no(page_no);
  const Result<WithPayload<proto::GetPagesResponse>> answer =
      co_await world->client->GetPages(std::move(request), world->In(10));
  EXPECT_TRUE(answer.ok()) << answer.status().ToString();
  if (!answer.ok() || answer->payload.size() != 16384) {
    ADD_FAILURE() << "no page: "
                  << (answer.ok() ? answer->message.ShortDebugString() : std::string());
    co_return UINT64_MAX;
  }
  co_return LoadBe64(answer->payload.data() + 100);
}

// What the server says of a volume; a test failure and nothing when it does not.
inline Task<proto::VolumeState> StateOf(ServerWorld* world, std::string name) {
  proto::VolumeStatusRequest request;
  request.set_name(name);
  const auto answer = co_await world->client->VolumeStatus(std::move(request), world->In(10));
  EXPECT_TRUE(answer.ok()) << answer.status().ToString();
  co_return answer.ok() ? answer->volume() : proto::VolumeState();
}

// Runs `body(&world)`, a coroutine, in a server world of its own.
class ServerTest : public testing::Test {
 protected:
  using Body = Task<void> (*)(ServerWorld*);

  void RunWith(PageServerOptions options, Body body) {
    AsioWorldOptions world_options;
    world_options.log = &log_;
    world_options.handle_signals = false;
    AsioWorld world(world_options);
    ServerWorld parts;
    parts.runtime = &world.runtime();
    parts.data_dir = directory_.path();
    options.data_dir = directory_.path() + "/data";
    parts.options = std::move(options);
    EXPECT_EQ(world.Run(Main(&parts, body)), 0);
  }
  void RunWith(Body body) { RunWith(TestServerOptions({}), body); }

 private:
  static Task<int> Main(ServerWorld* parts, Body body) {
    co_await parts->Start();
    co_await body(parts);
    co_await parts->Stop();
    co_return 0;
  }

  TemporaryDirectory directory_;
  SilentLog log_;
};

}  // namespace redoubt
