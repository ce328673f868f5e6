// SPDX-License-Identifier: MIT
//
// The connection of one pagectl command, closed before the command returns.
#pragma once

#include <string>

#include "client/ctl/commands.h"
#include "client/volume_client.h"
#include "common/runtime/rpc/reconnecting_channel.h"

namespace redoubt::ctl {

class Session {
 public:
  Session(Runtime* runtime, const ServerAddress& server)
      : runtime_(runtime),
        address_(server.address),
        timeout_(server.timeout),
        channel_(runtime, server.address, ReconnectingChannelOptions{}),
        client_(&channel_) {}

  Channel* channel() { return &channel_; }
  VolumeClient& client() { return client_; }
  TimePoint Deadline() const { return runtime_->scheduler->Now() + timeout_; }

  // Says what the server, or the way to it, failed with; returns the exit code.
  int Refuse(Console* console, const Status& status) const {
    const bool transport =
        status.code() == StatusCode::kUnavailable || status.code() == StatusCode::kDeadlineExceeded;
    return console->Fail(kExitServer,
                         transport ? status.WithContext("page server " + address_) : status);
  }
  // Closes, then hands `exit_code` back: co_return co_await session.End(code).
  Task<int> End(int exit_code) {
    co_await channel_.Close();
    co_return exit_code;
  }

 private:
  Runtime* runtime_;
  std::string address_;
  Duration timeout_;
  ReconnectingChannel channel_;
  VolumeClient client_;
};

}  // namespace redoubt::ctl
