// SPDX-License-Identifier: MIT
//
// Keeps warnings that anybody can cause from filling the log: the first one is logged, those of
// the next interval are only counted, and at its end one line says how many there were and what
// the last one was. A quiet interval, and the next one is logged at once again.
//
// Suspends: Run.
#pragma once

#include <cstdint>
#include <string>

#include "common/runtime/runtime.h"
#include "common/runtime/sync.h"
#include "common/runtime/task_group.h"

namespace redoubt {

class WarningLimit {
 public:
  // `what`: of what there were more, in the plural, for the summary.
  WarningLimit(Runtime* runtime, std::string what, Duration interval);

  // Logs or counts it. Never suspends.
  void Warn(std::string text);
  // Writes the summaries until `group` stops, then the last one. Spawn once, into `group`; who
  // stops that calls Wake.
  Task<void> Run(TaskGroup* group);
  void Wake() { changed_.NotifyAll(); }

 private:
  void Summarise();

  Runtime* runtime_;
  std::string what_;
  Duration interval_;
  TimePoint quiet_until_{};  // nothing is logged before
  uint64_t held_back_ = 0;   // since the last line
  std::string last_;
  Condition changed_;
};

}  // namespace redoubt
