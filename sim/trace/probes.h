// SPDX-License-Identifier: MIT
//
// Probes: branches that runs ought to reach, told by what the system says of itself. A probe is a
// word in the lines of one kind of trace event; production code knows nothing of it but that it
// logs what happens. The catalogue is static, so that what no run ever reached can be listed.
//
//   always      every run
//   sometimes   some run of a large swarm; never hit there means that the scenarios miss it
//   never       no run: a finding of its own when it is hit
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "sim/runtime/trace.h"

namespace redoubt::sim {

enum class ProbeKind : uint8_t { kAlways, kSometimes, kNever };
std::string_view ProbeKindName(ProbeKind kind);

struct Probe {
  std::string_view name;
  ProbeKind kind;
  TraceKind event;
  std::string_view word;  // in the event's text
};
// The order is that of ProbeCounter::Hits.
std::span<const Probe> ProbeCatalogue();

// Which probes one run hits.
class ProbeCounter {
 public:
  ProbeCounter() : hit_(ProbeCatalogue().size(), false) {}
  void Observe(const TraceEvent& event);
  // A character a probe: '1' hit, '0' not.
  std::string Hits() const;

 private:
  std::vector<bool> hit_;
};

// Sums the hits of many runs.
class ProbeTable {
 public:
  ProbeTable() : counts_(ProbeCatalogue().size(), 0) {}
  // False, and nothing happens, when `hits` is not of this catalogue.
  bool Add(std::string_view hits);
  uint64_t run_count() const { return run_count_; }
  uint64_t count(size_t probe) const { return counts_[probe]; }
  // Always, but not in every run; sometimes, but in none; never, but in some.
  bool Broken(size_t probe) const;
  // A line a probe, the broken ones marked.
  std::string Text() const;

 private:
  std::vector<uint64_t> counts_;
  uint64_t run_count_ = 0;
};

}  // namespace redoubt::sim
