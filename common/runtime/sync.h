// SPDX-License-Identifier: MIT
//
// Sync primitives between the coroutines of one node (one thread; see scheduler.h). Every wait
// takes a deadline; kNever waits for ever. Waits may suspend: re-check state after each.
#pragma once

#include <cstddef>
#include <deque>
#include <optional>
#include <utility>

#include "common/base/check.h"
#include "common/base/types.h"
#include "common/runtime/task.h"
#include "common/runtime/wait_list.h"

namespace redoubt {

// Set once and stays set until Reset.
class Event {
 public:
  explicit Event(Scheduler* scheduler) : waiters_(scheduler) {}
  void Set() {
    set_ = true;
    waiters_.WakeAll();
  }
  void Reset() { set_ = false; }
  bool is_set() const { return set_; }
  // True when set, false when the deadline came first.
  Task<bool> Wait(TimePoint deadline = kNever) {
    while (!set_) {
      const bool woken = co_await waiters_.Wait(deadline);
      if (!woken) {
        co_return set_;
      }
    }
    co_return true;
  }

 private:
  bool set_ = false;
  WaitList waiters_;
};

// Wakes everyone who waits now; keeps nothing. The caller loops over its own condition.
class Condition {
 public:
  explicit Condition(Scheduler* scheduler) : waiters_(scheduler) {}
  void NotifyAll() { waiters_.WakeAll(); }
  // co_await condition.Wait(deadline) -> false when the deadline came first.
  WaitList::Waiter Wait(TimePoint deadline = kNever) { return waiters_.Wait(deadline); }

 private:
  WaitList waiters_;
};

// Counts `units` of something. First come, first served: a large request is not overtaken by small
// ones.
class Semaphore {
 public:
  Semaphore(Scheduler* scheduler, size_t units)
      : unit_count_max_(units), available_(units), waiters_(scheduler) {}
  // False when the deadline came first. `units` must not exceed what the semaphore was made with.
  Task<bool> Acquire(size_t units, TimePoint deadline = kNever) {
    REDOUBT_CHECK(units <= unit_count_max_);
    if (waiters_.empty() && units <= available_) {
      available_ -= units;
      co_return true;
    }
    // Grant takes the units on behalf of the waiter that it wakes.
    const bool granted = co_await waiters_.Wait(deadline, units);
    if (!granted) {
      Grant();  // those behind this waiter may fit
    }
    co_return granted;
  }
  void Release(size_t units) {
    available_ += units;
    Grant();
  }
  size_t available() const { return available_; }

 private:
  void Grant() {
    while (!waiters_.empty() && waiters_.first_tag() <= available_) {
      available_ -= static_cast<size_t>(waiters_.first_tag());
      waiters_.WakeOne();
    }
  }
  size_t unit_count_max_;
  size_t available_;
  WaitList waiters_;
};

// A FIFO of at most `capacity` items. Close() lets consumers drain what is there and then see
// nullopt.
template <typename T>
class BoundedQueue {
 public:
  BoundedQueue(Scheduler* scheduler, size_t capacity)
      : capacity_(capacity), producers_(scheduler), consumers_(scheduler) {
    REDOUBT_CHECK(capacity > 0);
  }
  // Waits for room. False when the queue was closed; the item is dropped then.
  Task<bool> Push(T item) {
    while (!closed_ && items_.size() >= capacity_) {
      co_await producers_.Wait(kNever);
    }
    if (closed_) {
      co_return false;
    }
    items_.push_back(std::move(item));
    consumers_.WakeOne();
    co_return true;
  }
  // Waits for an item. nullopt when closed and drained, or when the deadline came first.
  Task<std::optional<T>> Pop(TimePoint deadline = kNever) {
    while (items_.empty() && !closed_) {
      const bool woken = co_await consumers_.Wait(deadline);
      if (!woken) {
        break;
      }
    }
    if (items_.empty()) {
      co_return std::nullopt;
    }
    std::optional<T> item(std::move(items_.front()));
    items_.pop_front();
    producers_.WakeOne();
    co_return item;
  }
  void Close() {
    closed_ = true;
    producers_.WakeAll();
    consumers_.WakeAll();
  }
  bool closed() const { return closed_; }
  size_t size() const { return items_.size(); }

 private:
  size_t capacity_;
  bool closed_ = false;
  std::deque<T> items_;
  WaitList producers_;
  WaitList consumers_;
};

// An LSN that only moves forward, and those who wait for it.
class LsnWatermark {
 public:
  explicit LsnWatermark(Scheduler* scheduler, Lsn start = Lsn{})
      : value_(start), waiters_(scheduler) {}
  Lsn value() const { return value_; }
  // `to` may equal the present value, never lie below it.
  void Advance(Lsn to) {
    REDOUBT_CHECK(to >= value_);
    value_ = to;
    waiters_.WakeUpTo(to.value());
  }
  // True when the value has reached `lsn`; false when the deadline came first or CancelWaits was
  // called.
  Task<bool> WaitFor(Lsn lsn, TimePoint deadline) {
    const uint64_t generation = generation_;
    while (value_ < lsn && generation == generation_) {
      const bool woken = co_await waiters_.Wait(deadline, lsn.value());
      if (!woken) {
        break;
      }
    }
    co_return value_ >= lsn;
  }
  // Ends every present wait (shutdown, volume deleted).
  void CancelWaits() {
    ++generation_;
    waiters_.WakeAll();
  }

 private:
  Lsn value_;
  uint64_t generation_ = 0;
  WaitList waiters_;
};

}  // namespace redoubt
