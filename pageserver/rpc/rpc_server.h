// SPDX-License-Identifier: MIT
//
// Serves frames: accepts connections, reads requests, runs them side by side, writes the answers.
//
// Per connection one coroutine reads, each request runs as a task of its own, and one coroutine
// writes whatever answers are ready with one gather write; payloads are sent from where they lie.
//
// Bounds: connections; requests in flight per connection (their slot is held until the answer is
// written, so a peer that does not read stops being read from); bytes of requests and answers in
// flight per connection; frame lengths. At the bound of connections a new one takes the place of
// one that has sent nothing valid, or else of the longest idle one, so half-open connections cannot
// lock others out.
//
// A frame that is no frame of ours, is damaged or oversized ends its own connection only, after an
// answer with request id 0 (type: the response bit alone, header: StatusProto) that says why. Each
// is counted; the log gets one line of them in `warning_interval`.
#pragma once

#include <cstddef>
#include <cstdint>
#include <list>
#include <memory>
#include <string>

#include "common/base/result.h"
#include "common/runtime/frame_stream.h"
#include "common/runtime/runtime.h"
#include "common/runtime/sync.h"
#include "common/runtime/task_group.h"
#include "pageserver/rpc/rpc_handler.h"
#include "pageserver/rpc/warning_limit.h"

namespace redoubt {

struct RpcServerOptions {
  std::string listen;  // "host:port", port 0 for any
  FrameLimits limits;
  size_t connections_max = 1024;
  size_t in_flight_max = 256;
  size_t in_flight_bytes_max = 64 << 20;
  // A connection without a request in flight may be closed for a new one after so long.
  Duration idle_min = std::chrono::seconds(10);
  Duration warning_interval = std::chrono::seconds(10);
};

struct RpcServerCounters {
  uint64_t accepted = 0;
  uint64_t refused = 0;  // at the bound of connections
  uint64_t evicted = 0;  // closed to make room
  uint64_t requests = 0;
  uint64_t bad_frames = 0;  // not ours, or damaged
  uint64_t oversized_frames = 0;
  uint64_t bytes_received = 0;
  uint64_t bytes_sent = 0;
  uint64_t writes = 0;
};

class RpcServer {
 public:
  // `handler` outlives the server.
  RpcServer(Runtime* runtime, RpcHandler* handler, RpcServerOptions options);
  RpcServer(const RpcServer&) = delete;
  RpcServer& operator=(const RpcServer&) = delete;
  // Stop must have returned, unless the whole node is being destroyed.
  ~RpcServer();

  // Listens and begins to serve. Errors of Network::Listen.
  Task<Status> Start();
  // Closes every connection and takes no new one. Never suspends. Idempotent.
  void Close();
  // Close, then waits until no request runs any more.
  Task<void> Stop();

  // Where peers connect to; after Start.
  std::string address() const { return listener_->address(); }
  const RpcServerCounters& counters() const { return counters_; }
  size_t connection_count() const { return connections_.size(); }

 private:
  class Peer;

  Task<void> AcceptLoop();
  Task<void> ServePeer(Peer* peer);
  bool MakeRoom();

  Runtime* runtime_;
  RpcHandler* handler_;
  RpcServerOptions options_;
  std::unique_ptr<Listener> listener_;
  RpcServerCounters counters_;
  std::list<std::unique_ptr<Peer>> connections_;  // in order of acceptance
  WarningLimit bad_peers_;
  WarningLimit accept_errors_;
  TaskGroup tasks_;
};

}  // namespace redoubt
