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

  // For the destructor of an awaiter whose resume is on its way (scheduled, or its timer has
  // fired): `handle` will not be resumed, its frame is going.
  virtual void Unschedule(std::coroutine_handle<> handle) = 0;

  // co_await scheduler.SleepUntil(t). Destroying the waiting coroutine cancels the timer.
  class SleepAwaiter {
   public:
    SleepAwaiter(Scheduler* scheduler, TimePoint when) : scheduler_(scheduler), when_(when) {}
    SleepAwaiter(const SleepAwaiter&) = delete;
    SleepAwaiter& operator=(const SleepAwaiter&) = delete;
    ~SleepAwaiter() {
      if (handle_ != nullptr && !scheduler_->CancelTimer(timer_)) {
        scheduler_->Unschedule(handle_);
      }
    }
    bool await_ready() const noexcept { return false; }
    void await_suspend(std::coroutine_handle<> handle) {
      handle_ = handle;
      timer_ = scheduler_->ScheduleAt(when_, handle);
    }
    void await_resume() { handle_ = nullptr; }

   private:
    Scheduler* scheduler_;
    TimePoint when_;
    TimerId timer_ = 0;
    std::coroutine_handle<> handle_;  // while suspended
  };
  SleepAwaiter SleepUntil(TimePoint when) { return {this, when}; }
  SleepAwaiter Sleep(Duration duration) { return {this, Now() + duration}; }

  // co_await scheduler.Yield(): lets everything that is ready run first.
  class YieldAwaiter {
   public:
    explicit YieldAwaiter(Scheduler* scheduler) : scheduler_(scheduler) {}
    YieldAwaiter(const YieldAwaiter&) = delete;
    YieldAwaiter& operator=(const YieldAwaiter&) = delete;
    ~YieldAwaiter() {
      if (handle_ != nullptr) {
        scheduler_->Unschedule(handle_);
      }
    }
    bool await_ready() const noexcept { return false; }
    void await_suspend(std::coroutine_handle<> handle) {
      handle_ = handle;
      scheduler_->Schedule(handle);
    }
    void await_resume() { handle_ = nullptr; }

   private:
    Scheduler* scheduler_;
    std::coroutine_handle<> handle_;  // while suspended
  };
  YieldAwaiter Yield() { return YieldAwaiter(this); }
};

}  // namespace redoubt
