// SPDX-License-Identifier: MIT
//
// State that threads outside a loop share with it: a mutex and one condition. For the borders of
// the library only; a node needs no locks.
#pragma once

#include <chrono>
#include <condition_variable>
#include <mutex>

#include "common/runtime/scheduler.h"

namespace redoubt {

class Monitor {
 public:
  // Holds the monitor for its lifetime.
  class Lock {
   public:
    explicit Lock(Monitor* monitor) : monitor_(monitor), held_(monitor->mutex_) {}
    Lock(const Lock&) = delete;
    Lock& operator=(const Lock&) = delete;
    ~Lock() = default;

    // Waits until `done()`, looked at with the monitor held, is true or the time is up; kNever
    // waits for as long as it takes. The last value of done().
    template <typename Predicate>
    bool WaitUntil(TimePoint deadline, const Predicate& done) {
      if (deadline == kNever) {
        monitor_->changed_.wait(held_, done);
        return true;
      }
      const std::chrono::steady_clock::time_point when(deadline.time_since_epoch());
      return monitor_->changed_.wait_until(held_, when, done);
    }

   private:
    Monitor* monitor_;
    std::unique_lock<std::mutex> held_;
  };

  Monitor() = default;
  Monitor(const Monitor&) = delete;
  Monitor& operator=(const Monitor&) = delete;
  ~Monitor() = default;

  void NotifyAll() { changed_.notify_all(); }

  // Now, on the time line of the production Scheduler.
  static TimePoint Now() {
    return TimePoint(
        std::chrono::duration_cast<Duration>(std::chrono::steady_clock::now().time_since_epoch()));
  }

 private:
  std::mutex mutex_;
  std::condition_variable changed_;
};

}  // namespace redoubt
