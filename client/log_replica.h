// SPDX-License-Identifier: MIT
//
// One log server as a LogWriter sees it: connects, asks where the server's log ends, sends what the
// window holds from there with many appends in flight, reports acknowledgements, and begins again
// after a loss.
//
// Requests of one connection are taken up by the server in the order in which they were sent, so
// appends are contiguous there without waiting for answers here.
#pragma once

#include <cstddef>
#include <deque>
#include <memory>
#include <string>

#include "client/log_window.h"
#include "client/rpc_channel.h"
#include "client/volume_client.h"
#include "common/base/result.h"
#include "common/base/types.h"
#include "common/runtime/runtime.h"
#include "common/runtime/sync.h"
#include "common/runtime/task_group.h"

namespace redoubt {

class LogReplica {
 public:
  // `window` and `options` outlive the replica.
  LogReplica(Runtime* runtime, std::string address, size_t member, LogWindow* window,
             const LogWriterOptions* options);
  LogReplica(const LogReplica&) = delete;
  LogReplica& operator=(const LogReplica&) = delete;
  ~LogReplica();

  // Promise of the server; may be called again after an error. See LogWriter::Start.
  Task<Result<LogPosition>> Prepare(Epoch epoch, TimePoint deadline);
  // The second half of an epoch's start, on the connection of a Prepare that succeeded: the log of
  // position.epoch begins at position.end, behind position.epochs. Answers where the server's log
  // ends then.
  Task<Result<Lsn>> BeginEpoch(const LogPosition* position, TimePoint deadline);
  // Begins to stream under `position`. Once.
  void Run(LogPosition position);
  // Sends what is new in the window, if the connection stands. Never suspends.
  void Pump();
  // Retried over lost connections until the deadline.
  Task<Status> StartAt(Lsn start, std::string reason, TimePoint deadline);
  Task<void> Stop();

 private:
  struct InFlight {
    uint64_t request_id;
    Lsn end;
  };

  Task<Status> Connect(TimePoint deadline);
  Task<void> Disconnect();
  Task<void> MainLoop();
  // One connection's life: agree on the end, then stream until something goes wrong.
  Task<Status> Session();
  Task<Status> AgreeOnEnd();
  Task<Status> ReceiveLoop();
  bool SendChunk(const WindowChunk& chunk);

  Runtime* runtime_;
  std::string address_;
  size_t member_;
  LogWindow* window_;
  const LogWriterOptions* options_;
  LogPosition position_;
  // Closed by the main loop only. Shared with a StartAt that waits on it and may wake after that.
  std::shared_ptr<RpcChannel> channel_;
  bool streaming_ = false;
  Lsn sent_;  // end of the last chunk given to channel_
  std::deque<InFlight> in_flight_;
  Condition changed_;
  TaskGroup tasks_;
};

}  // namespace redoubt
