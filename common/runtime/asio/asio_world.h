// SPDX-License-Identifier: MIT
//
// The production world: Asio for sockets and time, POSIX files, threads for blocking work, the
// system's clocks and entropy, stderr for events. A program makes one, runs one main task in it,
// and ends:
//
//   redoubt::AsioWorld world;
//   return world.Run(Main(&world.runtime(), &world.stop_requested(), flags));
//
// Nothing of Asio shows here.
#pragma once

#include <cstddef>
#include <functional>
#include <memory>

#include "common/base/event_log.h"
#include "common/runtime/runtime.h"
#include "common/runtime/sync.h"
#include "common/runtime/task.h"

namespace redoubt {

struct AsioWorldOptions {
  // Most threads for blocking work; they start when needed. 0: twice the processors, at least 4.
  size_t blocking_thread_count_max = 0;
  // Events below this level are dropped. Not used with `log`.
  LogLevel log_level_min = LogLevel::kInfo;
  // Borrowed; nullptr writes to stderr. Must be thread-safe.
  EventLog* log = nullptr;
  // SIGTERM and SIGINT set stop_requested(), a second one ends the process at once with status 128
  // + signal; SIGPIPE is ignored. Off inside a process that handles its own signals.
  bool handle_signals = true;
};

class AsioWorld {
 public:
  // To be made on the thread that calls Run, before other threads start (their signal masks).
  explicit AsioWorld(AsioWorldOptions options = {});
  AsioWorld(const AsioWorld&) = delete;
  AsioWorld& operator=(const AsioWorld&) = delete;
  // Everything that ran in this world must be gone.
  ~AsioWorld();

  // Valid as long as the world.
  Runtime& runtime();
  // Runs the loop on the calling thread until `main` returns, then waits for blocking work that is
  // still under way, and returns main's value. Once or several times, one after another; tasks that
  // still wait when main returns stand still until destroyed or the next Run.
  int Run(Task<int> main);
  // Set by the first SIGTERM or SIGINT, or by RequestStop.
  Event& stop_requested();
  // Any thread.
  void RequestStop();
  // Any thread: calls `function` on the loop's thread; dropped when Run has ended and is not called
  // again.
  void Post(std::function<void()> function);

 private:
  struct Parts;
  std::unique_ptr<Parts> parts_;
};

}  // namespace redoubt
