// SPDX-License-Identifier: MIT
//
// Makes a failing run smaller while it keeps failing in the same way: checker and place (the
// fingerprint) must stay. In this order, again and again until nothing helps any more or the budget
// is used up (while there are many faults, with a few seeds a try):
//
//   1. nothing is scheduled after the failure, and the calm phase begins there
//   2. whole fault classes are left out
//   3. delta debugging over the schedule's entries (Zeller: halves, then quarters, ...)
//   4. faults become weaker: what is torn is only lost, what is lost is only late; shorter, smaller
//   5. fewer nodes, clients, keys, and less load
//   6. plain latencies, faults at whole milliseconds
#pragma once

#include <cstdint>
#include <functional>
#include <string>
#include <vector>

#include "proto/capsule.pb.h"

namespace redoubt::sim {

class Shrinker {
 public:
  // `run` gives the verdict on a candidate; `is_over` says that the budget is used up (asked before
  // each run); `progress` gets a line each time that the capsule became smaller.
  using Run = std::function<proto::RunVerdict(const proto::Capsule&)>;
  Shrinker(Run run, std::function<bool()> is_over, std::function<void(const std::string&)> progress)
      : run_(std::move(run)), is_over_(std::move(is_over)), progress_(std::move(progress)) {}

  // `capsule`'s verdict is that of its own run, and a failure. The result's verdict is that of its
  // last run.
  proto::Capsule Shrink(proto::Capsule capsule);
  uint64_t run_count() const { return run_count_; }

 private:
  // Takes the candidate over when it fails in the same way.
  bool Try(proto::Capsule candidate, const std::string& what);
  bool CutTime();
  bool DropClasses();
  bool DropEntries();
  bool Weaken();
  bool HalveField(int entry, const char* what, uint64_t (proto::ScheduledFault::*get)() const,
                  void (proto::ScheduledFault::*set)(uint64_t));
  // Tries one change of the scenario, if it is one.
  bool Change(const char* what, const std::function<void(proto::Scenario*)>& change);
  bool FewerNodes();
  bool LessLoad();
  bool PlainTimes();

  Run run_;
  std::function<bool()> is_over_;
  std::function<void(const std::string&)> progress_;
  proto::Capsule best_;
  uint64_t run_count_ = 0;
};

}  // namespace redoubt::sim
