// SPDX-License-Identifier: MIT
//
// One run of one scenario under one seed: builds the world, lets the faults loose, calms down,
// verifies, cuts the power once more and verifies again.
#pragma once

#include <cstdint>
#include <deque>
#include <functional>
#include <string>
#include <string_view>
#include <vector>

#include "proto/scenario.pb.h"
#include "sim/oracle/findings.h"
#include "sim/oracle/useful_work.h"
#include "sim/runtime/trace.h"

namespace redoubt::sim {

// The command's exit codes.
enum class Outcome : int {
  kPass = 0,
  kSafety = 10,
  kLiveness = 11,
  kCrash = 12,
  kNondeterminism = 13,
  kIdle = 14,
  kHarnessError = 20,
  kTimeLimit = 124,
};
std::string_view OutcomeName(Outcome outcome);

struct RunOptions {
  uint64_t seed = 1;
  Trace::Keep keep = Trace::Keep::kNothing;
  std::string plant;                               // a known one (plants.h); "": the scenario's own
  std::function<void(const TraceEvent&)> observe;  // sees every event of the trace
  // Before the first event that happens: the names of the nodes, by number.
  std::function<void(const std::vector<std::string>&)> begun;
};

struct RunReport {
  Outcome outcome = Outcome::kPass;
  std::string reason;  // one line; empty for a pass
  std::vector<Finding> findings;
  uint64_t trace_hash = 0;
  uint64_t event_count = 0;
  uint64_t draw_count = 0;
  int64_t virtual_ns = 0;
  WorkDone work;
  uint64_t mtr_count = 0;
  uint64_t server_starts = 0;
  uint64_t writer_count = 0;
  uint64_t reads_failed = 0;
  // Of computes.
  uint64_t recoveries = 0;
  std::string history;         // JSON lines: what every client asked for and was told
  uint64_t plant_reached = 0;  // so often the run came to a place of its planted bug
  std::string settings;
  std::string local_storage;  // what servers with pages in place lost meanwhile; often empty
  std::vector<std::string> node_names;
  std::deque<TraceEvent> events;
  std::deque<TraceEvent> faults;  // the last ones, always kept
  std::vector<uint64_t> checkpoints;
};

RunReport RunScenario(const proto::Scenario& scenario, const RunOptions& options);

}  // namespace redoubt::sim
