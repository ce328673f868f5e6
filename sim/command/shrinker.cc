// SPDX-License-Identifier: MIT
#include "sim/command/shrinker.h"

#include <algorithm>
#include <array>
#include <set>
#include <utility>

#include "sim/cluster/explicit_scenario.h"
#include "sim/cluster/scenario_check.h"
#include "sim/command/capsule.h"

namespace redoubt::sim {
namespace {

constexpr uint64_t kMs = 1'000'000;
constexpr int kFewFaults = 5;
constexpr uint64_t kSeedsPerTry = 3;

struct Weakening {
  proto::FaultKind kind;
  proto::FaultKind weaker;
};
// What does less of the same: torn becomes lost, lost becomes late, many become one.
constexpr std::array kWeakenings{
    Weakening{proto::SERVER_POWER_AT_OP, proto::SERVER_POWER},
    Weakening{proto::SERVER_POWER_AT_EVENT, proto::SERVER_POWER},
    Weakening{proto::SERVER_POWER_IN_RECOVERY, proto::SERVER_POWER},
    Weakening{proto::DISK_SWAP, proto::SERVER_WIPE},
    Weakening{proto::SERVER_WIPE, proto::SERVER_POWER},
    Weakening{proto::SERVER_POWER, proto::SERVER_KILL},
    Weakening{proto::SERVER_KILL, proto::SERVER_PAUSE},
    Weakening{proto::CONFIG_CHANGE, proto::UPGRADE},
    Weakening{proto::DOWNGRADE, proto::UPGRADE},
    Weakening{proto::WRITER_KILL_IN_RECOVERY, proto::TAILER_KILL},
    Weakening{proto::MISDIRECTED_WRITE, proto::LOST_WRITE},
    Weakening{proto::LOST_WRITE, proto::LATENT_SECTOR},
    Weakening{proto::BIT_ROT, proto::LATENT_SECTOR},
    Weakening{proto::SYNC_ERROR, proto::DISK_STALL},
    Weakening{proto::DISK_FULL, proto::DISK_STALL},
    Weakening{proto::SWIZZLE_CLOG, proto::RANDOM_SPLIT},
    Weakening{proto::RANDOM_SPLIT, proto::ISOLATE_ONE},
    Weakening{proto::UNIFORM_SPLIT, proto::ISOLATE_ONE},
    Weakening{proto::PARTITION, proto::ONE_WAY_PARTITION},
    Weakening{proto::ONE_WAY_PARTITION, proto::SLOW_LINK},
    Weakening{proto::HALF_OPEN, proto::CONNECTION_LOSS},
    Weakening{proto::CONNECT_HANGS, proto::CONNECT_REFUSED},
};

proto::FaultKind Weaker(proto::FaultKind kind) {
  for (const Weakening& known : kWeakenings) {
    if (known.kind == kind) {
      return known.weaker;
    }
  }
  return proto::FAULT_UNKNOWN;
}

bool CutsPower(proto::FaultKind kind) {
  return kind == proto::SERVER_POWER || kind == proto::SERVER_POWER_AT_OP ||
         kind == proto::SERVER_POWER_AT_EVENT || kind == proto::SERVER_POWER_IN_RECOVERY;
}

// Plainest first: everything was written, nothing was, whole operations were; then torn ones.
constexpr std::array kImages{proto::IMAGE_ALL, proto::IMAGE_CLEAN, proto::IMAGE_PREFIX,
                             proto::IMAGE_BLOCKS};

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
  if (!CheckScenario(ScenarioOf(candidate)).ok()) {
    return false;  // nothing is left for a fault to hit, say
  }
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

bool Shrinker::HalveField(int entry, const char* what,
                          uint64_t (proto::ScheduledFault::*get)() const,
                          void (proto::ScheduledFault::*set)(uint64_t)) {
  bool smaller = false;
  bool halved = true;
  while (halved && (best_.schedule(entry).*get)() > 1) {
    proto::Capsule candidate = best_;
    (candidate.mutable_schedule(entry)->*set)((best_.schedule(entry).*get)() / 2);
    halved = Try(std::move(candidate), what);
    smaller = smaller || halved;
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
    const bool drawn = best_.schedule(i).image() == proto::IMAGE_DRAWN;
    bool plainer = false;
    for (size_t k = 0;
         drawn && !plainer && CutsPower(best_.schedule(i).kind()) && k < kImages.size(); ++k) {
      proto::Capsule candidate = best_;
      candidate.mutable_schedule(i)->set_image(kImages[k]);
      plainer = Try(std::move(candidate), "plainer: " + proto::CrashImage_Name(kImages[k]));
    }
    smaller = smaller || plainer;
    smaller = HalveField(i, "half as long", &proto::ScheduledFault::duration_ms,
                         &proto::ScheduledFault::set_duration_ms) ||
              smaller;
    smaller = HalveField(i, "half the size", &proto::ScheduledFault::size,
                         &proto::ScheduledFault::set_size) ||
              smaller;
  }
  return smaller;
}

bool Shrinker::Change(const char* what, const std::function<void(proto::Scenario*)>& change) {
  proto::Capsule candidate = best_;
  change(candidate.mutable_scenario());
  return candidate.scenario().SerializeAsString() != best_.scenario().SerializeAsString() &&
         Try(std::move(candidate), what);
}

bool Shrinker::FewerNodes() {
  bool smaller =
      Change("no readers", [](proto::Scenario* s) { s->mutable_topology()->set_readers(0); });
  smaller = Change("half the readers",
                   [](proto::Scenario* s) {
                     s->mutable_topology()->set_readers(s->topology().readers() / 2);
                   }) ||
            smaller;
  // With TAKE_OVER among the faults this is no scenario.
  smaller = Change("one writer",
                   [](proto::Scenario* s) {
                     proto::Topology* topology = s->mutable_topology();
                     topology->set_tailers(std::min(topology->tailers(), 1U));
                     topology->set_computes(std::min(topology->computes(), 1U));
                   }) ||
            smaller;
  smaller = Change("no page server",
                   [](proto::Scenario* s) { s->mutable_topology()->set_page_servers(0); }) ||
            smaller;
  smaller = Change("one page server",
                   [](proto::Scenario* s) {
                     proto::Topology* topology = s->mutable_topology();
                     topology->set_page_servers(std::min(topology->page_servers(), 1U));
                   }) ||
            smaller;
  return Change("three log servers",
                [](proto::Scenario* s) {
                  proto::Topology* topology = s->mutable_topology();
                  topology->set_log_servers(std::min(topology->log_servers(), 3U));
                }) ||
         smaller;
}

bool Shrinker::LessLoad() {
  struct Halving {
    const char* what;
    const proto::Range& (proto::Workload::*get)() const;
    proto::Range* (proto::Workload::*change)();
    uint64_t least;
  };
  using proto::Workload;
  constexpr Halving kHalvings[] = {
      {"half the spaces", &Workload::spaces, &Workload::mutable_spaces, 1},
      {"half the redo", &Workload::redo_bytes_per_s, &Workload::mutable_redo_bytes_per_s, 1000},
      {"half the pages", &Workload::pages_per_space, &Workload::mutable_pages_per_space, 4},
      {"half the clients", &Workload::compute_clients, &Workload::mutable_compute_clients, 1},
      {"half the accounts", &Workload::accounts, &Workload::mutable_accounts, 2},
  };
  bool smaller = false;
  for (const Halving& halving : kHalvings) {
    bool halved = true;
    while (halved) {
      const uint64_t now = (best_.scenario().workload().*halving.get)().min();
      const uint64_t half = std::max(now / 2, halving.least);
      halved = half < now && !is_over_() &&
               Change(
                   halving.what,
                   [&](proto::Scenario* s) {
                     (s->mutable_workload()->*halving.change)()->set_min(half);
                   });
      smaller = smaller || halved;
    }
  }
  return smaller;
}

bool Shrinker::PlainTimes() {
  const bool plain = Change("plain latencies", [](proto::Scenario* s) {
    s->mutable_network()->Clear();
    s->mutable_network()->mutable_latency_us_mean()->set_min(100);
    s->mutable_disk()->mutable_sync_us_mean()->set_min(500);
  });
  proto::Capsule candidate = best_;
  bool whole = true;
  for (proto::ScheduledFault& fault : *candidate.mutable_schedule()) {
    whole = whole && fault.at_ns() == 0;
    fault.set_at_ns(0);
  }
  return (!whole && Try(std::move(candidate), "faults at whole milliseconds")) || plain;
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
    smaller = Weaken() || smaller;
    smaller = FewerNodes() || smaller;
    smaller = LessLoad() || smaller;
    smaller = PlainTimes() || smaller;
  }
  return best_;
}

}  // namespace redoubt::sim
