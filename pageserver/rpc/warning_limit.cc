// SPDX-License-Identifier: MIT
#include "pageserver/rpc/warning_limit.h"

#include <utility>

namespace redoubt {

WarningLimit::WarningLimit(Runtime* runtime, std::string what, Duration interval)
    : runtime_(runtime),
      what_(std::move(what)),
      interval_(interval),
      changed_(runtime->scheduler) {}

void WarningLimit::Warn(std::string text) {
  const TimePoint now = runtime_->scheduler->Now();
  if (held_back_ == 0 && now >= quiet_until_) {
    quiet_until_ = now + interval_;
    runtime_->log->Warning(text);
    return;
  }
  ++held_back_;
  last_ = std::move(text);
  changed_.NotifyAll();
}

void WarningLimit::Summarise() {
  if (held_back_ == 0) {
    return;
  }
  runtime_->log->Warning(std::to_string(held_back_) + " more " + what_ +
                         ", the last one: " + last_);
  held_back_ = 0;
  quiet_until_ = runtime_->scheduler->Now() + interval_;
}

Task<void> WarningLimit::Run(TaskGroup* group) {
  while (!group->stopping()) {
    if (held_back_ == 0) {
      co_await changed_.Wait();
    } else if (runtime_->scheduler->Now() < quiet_until_) {
      co_await group->stop_event().Wait(quiet_until_);
    } else {
      Summarise();
    }
  }
  Summarise();
}

}  // namespace redoubt
