// SPDX-License-Identifier: MIT
//
// Lets coroutines of one node through one at a time, strictly in the order in which they came: what
// makes "writes are applied in call order" true when each write waits for something.
#pragma once

#include <cstdint>

#include "common/base/check.h"
#include "common/runtime/sync.h"
#include "common/runtime/task.h"

namespace redoubt {

class Turnstile {
 public:
  explicit Turnstile(Scheduler* scheduler) : turn_(scheduler) {}

  // Holds the turn until it is destroyed.
  class Turn {
   public:
    explicit Turn(Turnstile* turnstile) : turnstile_(turnstile) {}
    Turn(const Turn&) = delete;
    Turn& operator=(const Turn&) = delete;
    ~Turn() { turnstile_->Leave(); }

   private:
    Turnstile* turnstile_;
  };

  // The place in the queue is taken when the task starts. After it: Turn turn(&turnstile).
  Task<void> Enter() {
    const uint64_t ticket = next_++;
    while (serving_ != ticket) {
      co_await turn_.Wait();
    }
  }

 private:
  void Leave() {
    REDOUBT_CHECK(serving_ < next_);
    ++serving_;
    turn_.NotifyAll();
  }

  uint64_t next_ = 0;
  uint64_t serving_ = 0;
  Condition turn_;
};

}  // namespace redoubt
