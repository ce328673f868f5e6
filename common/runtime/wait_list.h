// SPDX-License-Identifier: MIT
//
// The waiting half of every sync primitive: an intrusive FIFO of suspended coroutines, each with an
// optional deadline. Waiters live in the coroutine frames; destroying a frame takes its waiter off
// the list, cancels its timer and takes back a resume that is on its way.
#pragma once

#include <coroutine>
#include <cstdint>

#include "common/base/check.h"
#include "common/runtime/scheduler.h"

namespace redoubt {

class WaitList {
 public:
  explicit WaitList(Scheduler* scheduler) : scheduler_(scheduler) {}
  WaitList(const WaitList&) = delete;
  WaitList& operator=(const WaitList&) = delete;
  // No coroutine may still wait.
  ~WaitList();

  // co_await list.Wait(deadline, tag): true when woken, false when the deadline came first. `tag`
  // is for WakeWhere.
  class Waiter {
   public:
    Waiter(WaitList* list, TimePoint deadline, uint64_t tag)
        : list_(list), scheduler_(list->scheduler_), deadline_(deadline), tag_(tag) {}
    Waiter(const Waiter&) = delete;
    Waiter& operator=(const Waiter&) = delete;
    ~Waiter();
    bool await_ready() const noexcept { return false; }
    void await_suspend(std::coroutine_handle<> handle);
    bool await_resume();

   private:
    friend class WaitList;
    WaitList* list_;
    Scheduler* scheduler_;  // the list may go between the wake and the resume
    TimePoint deadline_;
    uint64_t tag_;
    std::coroutine_handle<> handle_;  // while suspended
    Waiter* previous_ = nullptr;
    Waiter* next_ = nullptr;
    Scheduler::TimerId timer_ = 0;
    bool linked_ = false;
    bool timer_armed_ = false;
    bool woken_ = false;
  };
  Waiter Wait(TimePoint deadline, uint64_t tag = 0) { return {this, deadline, tag}; }

  void WakeOne();
  void WakeAll();
  // Wakes, in order, every waiter whose tag is at most `tag`.
  void WakeUpTo(uint64_t tag);
  bool empty() const { return first_ == nullptr; }
  // The tag of the waiter that WakeOne would wake. Requires !empty().
  uint64_t first_tag() const {
    REDOUBT_CHECK(first_ != nullptr);
    return first_->tag_;
  }

 private:
  void Link(Waiter* waiter);
  void Unlink(Waiter* waiter);
  void Wake(Waiter* waiter);

  Scheduler* scheduler_;
  Waiter* first_ = nullptr;
  Waiter* last_ = nullptr;
};

}  // namespace redoubt
