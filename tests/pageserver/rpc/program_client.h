// SPDX-License-Identifier: MIT
//
// A client of the real pageserver binary, for tests.
#pragma once

#include <memory>
#include <string>
#include <utility>

#include "tests/pageserver/rpc/server_fixture.h"

namespace redoubt {

// Connects to a program and runs `body(&world, state)`, a coroutine; the world has no server.
template <typename State, typename Body>
void Talk(const std::string& address, State* state, Body body) {
  SilentLog log;
  AsioWorldOptions options;
  options.log = &log;
  options.handle_signals = false;
  AsioWorld world(options);
  ServerWorld parts;
  parts.runtime = &world.runtime();
  struct Runner {
    static Task<int> Run(ServerWorld* parts, std::string address, State* state, Body body) {
      parts->channel = std::make_unique<ReconnectingChannel>(parts->runtime, std::move(address),
                                                             ReconnectingChannelOptions());
      parts->client = std::make_unique<VolumeClient>(parts->channel.get());
      co_await body(parts, state);
      co_await parts->channel->Close();
      co_return 0;
    }
  };
  EXPECT_EQ(world.Run(Runner::Run(&parts, address, state, body)), 0);
}

}  // namespace redoubt
