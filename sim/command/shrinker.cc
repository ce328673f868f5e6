// SPDX-License-Identifier: MIT
#include "sim/command/shrinker.h"

#include <algorithm>
#include <set>
#include <utility>

#include "sim/cluster/settings.h"

namespace redoubt::sim {
namespace {

constexpr uint64_t kMs = 1'000'000;
constexpr int kFewFaults = 5;
constexpr uint64_t kSeedsPerTry = 3;

// A kind that does less, or FAULT_UNKNOWN.
proto::FaultKind Weaker(proto::FaultKind kind) {
  switch (kind) {
    case proto::SERVER_POWER_AT_OP:
      return proto::SERVER_POWER;
    case proto::SERVER_POWER:
      return proto::SERVER_KILL;
    case proto::PARTITION:
      return proto::ONE_WAY_PARTITION;
    case proto::HALF_OPEN:
      return proto::CONNECTION_LOSS;
    default:
      return proto::FAULT_UNKNOWN;
  }
}

proto::Capsule Without(const proto::Capsule& capsule, int begin, int end) {
  proto::Capsule candidate = capsule;
  candidate.mutable_schedule()->DeleteSubrange(begin, end - begin);
  return candidate;
}

// What a whole run must have done is too much for a small one: once the bug is gone, it would count
// as idle for ever. Something of each kind is still demanded.
void LowerFloors(proto::Expect* expect) {
  expect->set_acknowledged_bytes_min(std::min<uint64_t>(expect->acknowledged_bytes_min(), 1));
  expect->set_faults_min(std::min<uint64_t>(expect->faults_min(), 1));
  expect->set_commits_min(std::min<uint64_t>(expect->commits_min(), 1));
  expect->set_reads_min(std::min<uint64_t>(expect->reads_min(), 1));  // of the verifier at least
}

}  // namespace

bool Shrinker::Try(proto::Capsule candidate, const std::string& what) {
  // Leaving something out shifts what follows by nanoseconds, and a failure that needs a narrow
  // moment is missed: another seed may hit it. Few faults are not worth that time.
  const bool with_seeds =
      best_.schedule_size() > kFewFaults && candidate.schedule_size() < best_.schedule_size();
  const uint64_t tries = with_seeds ? kSeedsPerTry : 1;
  for (uint64_t i = 0; i < tries && !is_over_(); ++i) {
    ++run_count_;
    const proto::RunVerdict verdict = run_(candidate);
    if (verdict.fingerprint() == best_.verdict().fingerprint() &&
        verdict.outcome() == best_.verdict().outcome()) {
      *candidate.mutable_verdict() = verdict;
      best_ = std::move(candidate);
      progress_("run " + std::to_string(run_count_) + ": " + std::to_string(best_.schedule_size()) +
                " faults, " + std::to_string(verdict.virtual_ns() / kMs) + " ms virtual: " + what);
      return true;
    }
    candidate.set_seed(candidate.seed() + 1);
  }
  return false;
}

bool Shrinker::CutTime() {
  const uint64_t end_ns = best_.verdict().virtual_ns();
  proto::Capsule candidate = best_;
  while (end_ns != 0 && candidate.schedule_size() > 0 &&
         FireTimeNs(candidate.schedule(candidate.schedule_size() - 1)) > end_ns) {
    candidate.mutable_schedule()->RemoveLast();
  }
  bool smaller = candidate.schedule_size() < best_.schedule_size() &&
                 Try(candidate, "nothing after the failure");
  // The calm phase looks at everything: what was lost earlier may be found as soon as it begins.
  proto::Phases* phases = candidate.mutable_scenario()->mutable_phases();
  uint64_t step_ms = phases->chaos_ms() / 2;
  while (step_ms >= 10 && !is_over_()) {
    candidate = best_;
    phases = candidate.mutable_scenario()->mutable_phases();
    if (phases->chaos_ms() > step_ms) {
      phases->set_chaos_ms(phases->chaos_ms() - step_ms);
      const std::string what = "chaos of " + std::to_string(phases->chaos_ms()) + " ms";
      const uint64_t chaos_ns = phases->chaos_ms() * kMs;
      while (candidate.schedule_size() > 0 &&
             FireTimeNs(candidate.schedule(candidate.schedule_size() - 1)) > chaos_ns) {
        candidate.mutable_schedule()->RemoveLast();
      }
      if (Try(std::move(candidate), what)) {
        smaller = true;
        continue;
      }
    }
    step_ms /= 2;
  }
  return smaller;
}

bool Shrinker::DropClasses() {
  std::set<proto::FaultKind> kinds;
  for (const proto::ScheduledFault& fault : best_.schedule()) {
    kinds.insert(fault.kind());
  }
  bool smaller = false;
  for (const proto::FaultKind kind : kinds) {
    proto::Capsule candidate = best_;
    candidate.clear_schedule();
    for (const proto::ScheduledFault& fault : best_.schedule()) {
      if (fault.kind() != kind) {
        *candidate.add_schedule() = fault;
      }
    }
    smaller = Try(std::move(candidate), "no " + proto::FaultKind_Name(kind)) || smaller;
  }
  return smaller;
}

bool Shrinker::DropEntries() {
  bool smaller = false;
  int size = std::max(best_.schedule_size() / 2, 1);
  while (best_.schedule_size() > 0 && !is_over_()) {
    bool dropped = false;
    // From the end: later faults are needed less often.
    for (int end = best_.schedule_size(); end > 0; end -= size) {
      const int begin = std::max(end - size, 0);
      dropped =
          Try(Without(best_, begin, end), "without " + std::to_string(end - begin)) || dropped;
    }
    smaller = smaller || dropped;
    if (size == 1 && !dropped) {
      break;
    }
    size = std::max(size / 2, 1);
  }
  return smaller;
}

bool Shrinker::Weaken() {
  bool smaller = false;
  for (int i = 0; i < best_.schedule_size(); ++i) {
    const proto::FaultKind weaker = Weaker(best_.schedule(i).kind());
    if (weaker != proto::FAULT_UNKNOWN) {
      proto::Capsule candidate = best_;
      candidate.mutable_schedule(i)->set_kind(weaker);
      smaller = Try(std::move(candidate), "weaker: " + proto::FaultKind_Name(weaker)) || smaller;
    }
    bool halved = true;
    while (halved && best_.schedule(i).duration_ms() > 1) {
      proto::Capsule candidate = best_;
      candidate.mutable_schedule(i)->set_duration_ms(best_.schedule(i).duration_ms() / 2);
      halved = Try(std::move(candidate), "half as long");
      smaller = smaller || halved;
    }
    halved = true;
    while (halved && best_.schedule(i).size() > 1) {
      proto::Capsule candidate = best_;
      candidate.mutable_schedule(i)->set_size(best_.schedule(i).size() / 2);
      halved = Try(std::move(candidate), "half the size");
      smaller = smaller || halved;
    }
  }
  return smaller;
}

bool Shrinker::ShrinkLoad() {
  bool smaller = false;
  const auto attempt = [&](const char* what, const std::function<void(proto::Scenario*)>& change) {
    proto::Capsule candidate = best_;
    change(candidate.mutable_scenario());
    if (candidate.scenario().SerializeAsString() != best_.scenario().SerializeAsString()) {
      smaller = Try(std::move(candidate), what) || smaller;
    }
  };
  attempt("no readers", [](proto::Scenario* s) { s->mutable_topology()->set_readers(0); });
  attempt("half the readers", [](proto::Scenario* s) {
    s->mutable_topology()->set_readers(s->topology().readers() / 2);
  });
  const bool take_over = std::any_of(
      best_.schedule().begin(), best_.schedule().end(),
      [](const proto::ScheduledFault& fault) { return fault.kind() == proto::TAKE_OVER; });
  if (!take_over) {
    attempt("one tailer", [](proto::Scenario* s) { s->mutable_topology()->set_tailers(1); });
  }
  attempt("one space",
          [](proto::Scenario* s) { s->mutable_workload()->mutable_spaces()->set_min(1); });
  const auto halve = [](proto::Range* range, uint64_t least) {
    range->set_min(std::max(range->min() / 2, std::min(range->min(), least)));
  };
  attempt("half the redo", [&](proto::Scenario* s) {
    halve(s->mutable_workload()->mutable_redo_bytes_per_s(), 1000);
  });
  attempt("half the pages",
          [&](proto::Scenario* s) { halve(s->mutable_workload()->mutable_pages_per_space(), 4); });
  attempt("plain latencies", [](proto::Scenario* s) {
    s->mutable_network()->mutable_latency_us_mean()->set_min(100);
    s->mutable_disk()->mutable_sync_us_mean()->set_min(500);
  });
  return smaller;
}

proto::Capsule Shrinker::Shrink(proto::Capsule capsule) {
  best_ = std::move(capsule);
  best_.clear_fired();
  LowerFloors(best_.mutable_scenario()->mutable_expect());
  bool smaller = true;
  while (smaller && !is_over_()) {
    smaller = CutTime();
    smaller = DropClasses() || smaller;
    smaller = DropEntries() || smaller;
    smaller = ShrinkLoad() || smaller;
    smaller = Weaken() || smaller;
  }
  return best_;
}

}  // namespace redoubt::sim
