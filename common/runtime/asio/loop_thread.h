// SPDX-License-Identifier: MIT
//
// A production world with its loop on a thread of its own, inside a process that has threads, and
// signal handlers, of its own. Threads of the library block all signals.
//
// Invariants:
//   - what is posted or called before the destructor begins runs to its end
#pragma once

#include <functional>
#include <memory>

#include "common/base/event_log.h"
#include "common/runtime/runtime.h"
#include "common/runtime/task.h"

namespace redoubt {

class LoopThread {
 public:
  using Body = std::function<Task<void>(Runtime*)>;

  // Returns once the loop runs. `log` is thread-safe and outlives the thread.
  explicit LoopThread(EventLog* log);
  LoopThread(const LoopThread&) = delete;
  LoopThread& operator=(const LoopThread&) = delete;
  // Waits until every task has ended, then ends the thread. Not from the loop.
  ~LoopThread();

  // Runs `body`, a plain function that returns a coroutine, and waits until it has ended. Any
  // thread but the loop's. The coroutine may use what the caller owns.
  void Call(const Body& body);
  // Starts `body` and returns. Any thread.
  void Spawn(Body body);
  // Runs plain code on the loop, later. Any thread.
  void Post(std::function<void()> function);
  // For use on the loop.
  Runtime* runtime() { return runtime_; }

 private:
  struct Parts;
  static Task<int> Main(LoopThread* self);
  static Task<void> RunBody(LoopThread* self, Body body, std::function<void()> ended);
  void ThreadMain(EventLog* log);

  std::unique_ptr<Parts> parts_;
  Runtime* runtime_ = nullptr;
};

}  // namespace redoubt
