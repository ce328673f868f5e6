// SPDX-License-Identifier: MIT
//
// Keeps the server from recycling redo that was not read yet, and never at the server's expense.
//
// A registered consumer that stands still makes the server refuse to write once its redo capacity
// is used up. So the registration is let go, in this order of trust:
//   - by us, when the bytes that are held back or the time without progress exceed their limit
//   - by the server, which ends our session when it hears nothing for the same time (a stopped
//   process, a
//     hung loop), because the session's idle timeout is set so
//   - by the kernel, when the process dies
// After that the stream is followed as long as the files are there; redo that was recycled unread
// shows as a gap to the reader. Protection is taken up again when things move and the backlog is
// small.
//
// The registration has a session and a loop of its own: nothing else ever runs on them.
#pragma once

#include <cstdint>
#include <memory>
#include <string>

#include "client/tail/server_watch.h"
#include "client/tail/source_server.h"
#include "client/tail/sql_session.h"
#include "common/runtime/runtime.h"
#include "common/runtime/sync.h"
#include "common/runtime/task_group.h"

namespace redoubt::tail {

struct RedoRegistrationOptions {
  // Most bytes of redo to hold back. 0: half of the server's redo capacity.
  uint64_t bytes_max = 0;
  // Longest time without progress while there is redo to read; 5 or more.
  uint32_t seconds_max = 60;
  Duration interval = std::chrono::milliseconds(250);
  Duration retry_interval = std::chrono::seconds(5);
};

class RedoRegistration {
 public:
  // All borrowed pointers outlive the registration.
  RedoRegistration(Runtime* runtime, SqlConnector* connector, ServerWatch* watch,
                   RedoRegistrationOptions options);

  // Runs until `group` is stopped; gives the registration back before it returns.
  Task<void> Run(TaskGroup* group);

  // Redo below `lsn` is not needed any more. Only grows, except after Restart.
  void Release(Lsn lsn);
  // Forgets what was released: a new import begins, and the registration is taken anew (at the
  // server's present checkpoint).
  void Restart();

  bool registered() const { return server_ != nullptr; }
  // True once the registration stands; false when the deadline came first. kUnauthenticated: never
  // will.
  Task<bool> WaitRegistered(TimePoint deadline);
  const Status& failure() const { return failure_; }
  uint64_t let_go_count() const { return let_go_count_; }

 private:
  Task<void> Step();
  Task<void> Register();
  Task<void> Advance();
  void LetGo(const std::string& why);
  void Drop();
  uint64_t BytesMax() const;
  uint64_t Backlog() const;

  Runtime* runtime_;
  SqlConnector* connector_;
  ServerWatch* watch_;
  RedoRegistrationOptions options_;
  std::shared_ptr<SourceServer> server_;  // while registered
  bool refusal_reported_ = false;
  bool stuck_ = false;  // let go, and nothing was released since
  Lsn released_;
  TimePoint progress_at_{};
  TimePoint retry_at_{};
  uint64_t let_go_count_ = 0;
  Status failure_;
  Condition changed_;
};

}  // namespace redoubt::tail
