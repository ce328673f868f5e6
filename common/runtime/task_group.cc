// SPDX-License-Identifier: MIT
#include "common/runtime/task_group.h"

#include <exception>
#include <utility>

namespace redoubt {

// The wrapper coroutine of one spawned task: it links itself into the group, and destroys its own
// frame when the task has returned.
struct TaskGroup::Running {
  struct promise_type {
    promise_type(TaskGroup& owner, Task<void>& /*task*/) : group(&owner) {
      node.handle = std::coroutine_handle<promise_type>::from_promise(*this);
      node.previous = &group->head_;
      node.next = group->head_.next;
      if (node.next != nullptr) {
        node.next->previous = &node;
      }
      group->head_.next = &node;
      ++group->running_count_;
    }
    ~promise_type() {
      if (!started) {
        group->scheduler_->Unschedule(node.handle);
      }
      node.previous->next = node.next;
      if (node.next != nullptr) {
        node.next->previous = node.previous;
      }
      --group->running_count_;
      if (group->running_count_ == 0) {
        group->finished_.NotifyAll();
      }
    }
    promise_type(const promise_type&) = delete;
    promise_type& operator=(const promise_type&) = delete;

    Running get_return_object() {
      return {std::coroutine_handle<promise_type>::from_promise(*this)};
    }
    struct StartAwaiter {
      bool await_ready() noexcept { return false; }
      void await_suspend(std::coroutine_handle<> /*handle*/) noexcept {}
      void await_resume() noexcept { promise->started = true; }
      promise_type* promise;
    };
    StartAwaiter initial_suspend() noexcept { return {this}; }
    std::suspend_never final_suspend() noexcept { return {}; }
    void return_void() {}
    void unhandled_exception() noexcept { std::terminate(); }

    TaskGroup* group;
    Node node;
    bool started = false;
  };
  std::coroutine_handle<promise_type> handle;
};

TaskGroup::TaskGroup(Scheduler* scheduler)
    : scheduler_(scheduler), stop_(scheduler), finished_(scheduler) {}

TaskGroup::~TaskGroup() {
  while (head_.next != nullptr) {
    head_.next->handle.destroy();
  }
}

TaskGroup::Running TaskGroup::Run(Task<void> task) { co_await task; }

void TaskGroup::Spawn(Task<void> task) { scheduler_->Schedule(Run(std::move(task)).handle); }

Task<void> TaskGroup::Join() {
  while (running_count_ > 0) {
    co_await finished_.Wait();
  }
}

}  // namespace redoubt
