// SPDX-License-Identifier: MIT
//
// The one queue through which every coroutine of a node is resumed, and the node's monotonic time.
// A node is single-threaded: all methods are called on its loop thread, and nothing else runs while
// a coroutine runs, so code between two co_awaits needs no lock.
#pragma once

#include <chrono>
#include <coroutine>
#include <cstdint>

namespace redoubt {

using Duration = std::chrono::nanoseconds;
struct MonotonicTag;  // names the time line; it has no clock of its own
using TimePoint = std::chrono::time_point<MonotonicTag, Duration>;

// A deadline that never comes.
inline constexpr TimePoint kNever = TimePoint::max();

class Scheduler {
 public:
  using TimerId = uint64_t;

  virtual ~Scheduler() = default;

  // Monotonic. Stands still while a coroutine runs in the simulator; never goes back anywhere.
  virtual TimePoint Now() const = 0;
  // Resumes `handle` later, from the loop, never from inside this call.
  virtual void Schedule(std::coroutine_handle<> handle) = 0;
  // Resumes `handle` at `when` or soon after. kNever is allowed and never fires.
  virtual TimerId ScheduleAt(TimePoint when, std::coroutine_handle<> handle) = 0;
  // True: the timer was pending and its handle will not be resumed. False: it has fired, or its
  // resume is already on its way.
  virtual bool CancelTimer(TimerId id) = 0;

  // co_await scheduler.SleepUntil(t). Destroying the waiting coroutine cancels the timer.
  class SleepAwaiter {
   public:
    SleepAwaiter(Scheduler* scheduler, TimePoint when) : scheduler_(scheduler), when_(when) {}
    SleepAwaiter(const SleepAwaiter&) = delete;
    SleepAwaiter& operator=(const SleepAwaiter&) = delete;
    ~SleepAwaiter() {
      if (pending_) {
        scheduler_->CancelTimer(timer_);
      }
    }
    bool await_ready() const noexcept { return false; }
    void await_suspend(std::coroutine_handle<> handle) {
      pending_ = true;
      timer_ = scheduler_->ScheduleAt(when_, handle);
    }
    void await_resume() { pending_ = false; }

   private:
    Scheduler* scheduler_;
    TimePoint when_;
    TimerId timer_ = 0;
    bool pending_ = false;
  };
  SleepAwaiter SleepUntil(TimePoint when) { return {this, when}; }
  SleepAwaiter Sleep(Duration duration) { return {this, Now() + duration}; }

  // co_await scheduler.Yield(): lets everything that is ready run first.
  class YieldAwaiter {
   public:
    explicit YieldAwaiter(Scheduler* scheduler) : scheduler_(scheduler) {}
    bool await_ready() const noexcept { return false; }
    void await_suspend(std::coroutine_handle<> handle) { scheduler_->Schedule(handle); }
    void await_resume() {}

   private:
    Scheduler* scheduler_;
  };
  YieldAwaiter Yield() { return YieldAwaiter(this); }
};

}  // namespace redoubt
