// SPDX-License-Identifier: MIT
//
// A real server on loopback with the in-memory store, and a client of it, for tests.
#pragma once

#include <gtest/gtest.h>

#include <memory>
#include <string>
#include <utility>

#include "client/reconnecting_channel.h"
#include "client/volume_client.h"
#include "common/runtime/asio/asio_world.h"
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
