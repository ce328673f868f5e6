// SPDX-License-Identifier: MIT
//
// A deterministic scheduler for unit tests of what sits on the seam: virtual time that moves only
// when nothing is ready, ready coroutines in the order in which they were scheduled.
#pragma once

#include <algorithm>
#include <coroutine>
#include <deque>
#include <map>
#include <utility>

#include "common/base/check.h"
#include "common/runtime/scheduler.h"

namespace redoubt {

class TestScheduler final : public Scheduler {
 public:
  TimePoint Now() const override { return now_; }
  void Schedule(std::coroutine_handle<> handle) override { ready_.push_back(handle); }
  TimerId ScheduleAt(TimePoint when, std::coroutine_handle<> handle) override {
    timers_.emplace(std::pair(when, ++last_timer_), handle);
    when_[last_timer_] = when;
    return last_timer_;
  }
  bool CancelTimer(TimerId id) override {
    const auto found = when_.find(id);
    if (found == when_.end()) {
      return false;
    }
    timers_.erase(std::pair(found->second, id));
    when_.erase(found);
    return true;
  }

  void Unschedule(std::coroutine_handle<> handle) override { std::erase(ready_, handle); }

  // Resumes what is ready, and what that makes ready; time stands still.
  void RunReady() {
    while (!ready_.empty()) {
      const std::coroutine_handle<> handle = ready_.front();
      ready_.pop_front();
      handle.resume();
    }
  }
  // The same, and moves on to the next timer until none is left but those that never fire.
  void RunAll() {
    RunReady();
    while (!timers_.empty() && timers_.begin()->first.first != kNever) {
      AdvanceTo(std::max(now_, timers_.begin()->first.first));
      RunReady();
    }
  }
  // Moves time and makes the timers that are due ready, without resuming anybody.
  void AdvanceTo(TimePoint when) {
    REDOUBT_CHECK(when >= now_);
    now_ = when;
    while (!timers_.empty() && timers_.begin()->first.first <= now_) {
      const auto first = timers_.begin();
      when_.erase(first->first.second);
      ready_.push_back(first->second);
      timers_.erase(first);
    }
  }
  size_t pending_timer_count() const { return timers_.size(); }

 private:
  TimePoint now_{};
  std::deque<std::coroutine_handle<>> ready_;
  std::map<std::pair<TimePoint, TimerId>, std::coroutine_handle<>> timers_;
  std::map<TimerId, TimePoint> when_;
  TimerId last_timer_ = 0;
};

inline TimePoint AtMs(int64_t ms) { return TimePoint(std::chrono::milliseconds(ms)); }

}  // namespace redoubt
