// SPDX-License-Identifier: MIT
//
// C11: a run that did nothing proves nothing: it counts as idle, not as passed.
#pragma once

#include <cstdint>
#include <string>

namespace redoubt::sim {

struct WorkDone {
  uint64_t acknowledged_bytes = 0;
  uint64_t pages_checked = 0;
  uint64_t faults_fired = 0;
  uint64_t commits = 0;
};

// What is below its floor, or "" when nothing is.
inline std::string MissingWork(const WorkDone& done, const WorkDone& floor) {
  const auto below = [](const char* name, uint64_t value, uint64_t least) {
    return value < least ? std::string(name) + " " + std::to_string(value) + " of at least " +
                               std::to_string(least) + "; "
                         : std::string();
  };
  return below("acknowledged bytes", done.acknowledged_bytes, floor.acknowledged_bytes) +
         below("pages checked", done.pages_checked, floor.pages_checked) +
         below("faults fired", done.faults_fired, floor.faults_fired) +
         below("commits", done.commits, floor.commits);
}

}  // namespace redoubt::sim
