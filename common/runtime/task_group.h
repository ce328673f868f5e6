// SPDX-License-Identifier: MIT
//
// Owns concurrent tasks. Every spawned task belongs to a group; there is no detached work.
//
// Stop() asks: it sets the stop event, which loops check and waits take as a reason to end; Join()
// waits until every task has returned. Destroying a group with running tasks destroys their frames
// wherever they wait: so ends a coroutine that returns early, and so the simulator kills a node.
#pragma once

#include <coroutine>
#include <cstddef>

#include "common/runtime/sync.h"
#include "common/runtime/task.h"

namespace redoubt {

class TaskGroup {
 public:
  explicit TaskGroup(Scheduler* scheduler);
  TaskGroup(const TaskGroup&) = delete;
  TaskGroup& operator=(const TaskGroup&) = delete;
  ~TaskGroup();

  // Starts `task` from the scheduler, not from inside this call. Parameters of the coroutine must
  // be values, or pointers to something that outlives the group.
  void Spawn(Task<void> task);

  void Stop() { stop_.Set(); }
  bool stopping() const { return stop_.is_set(); }
  // Set once Stop was called; usable as co_await group.stop_event().Wait(deadline), which is a
  // sleep that ends early on stop.
  Event& stop_event() { return stop_; }
  // Waits until no task runs. New tasks may be spawned while it waits.
  Task<void> Join();
  size_t running_count() const { return running_count_; }

 private:
  struct Running;
  Running Run(Task<void> task);

  Scheduler* scheduler_;
  Event stop_;
  Condition finished_;
  size_t running_count_ = 0;
  // Intrusive list of live wrapper frames, so that the destructor can destroy them.
  struct Node {
    Node* previous = nullptr;
    Node* next = nullptr;
    std::coroutine_handle<> handle;
  };
  Node head_;
};

}  // namespace redoubt
