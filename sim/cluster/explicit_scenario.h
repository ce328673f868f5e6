// SPDX-License-Identifier: MIT
//
// From a scenario and a seed to one run: every range one value, every fault an entry of the
// schedule.
#pragma once

#include "proto/scenario.pb.h"
#include "sim/runtime/seeded_stream.h"

namespace redoubt::sim {

// The same run without anything left to draw before it begins: every range is one value, and the
// swarm's faults have become entries of the schedule, which is in order of time. Making it explicit
// again changes nothing, so a stored one replays the run that it came from.
proto::Scenario Explicit(const proto::Scenario& scenario, uint64_t seed);

// A value of the range, from `stream`; draws nothing when it has only one.
uint64_t DrawRange(const proto::Range& range, SeededStream* stream);

// When a scheduled fault fires, in nanoseconds from the run's beginning.
uint64_t FireTimeNs(const proto::ScheduledFault& fault);

}  // namespace redoubt::sim
