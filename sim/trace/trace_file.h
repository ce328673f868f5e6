// SPDX-License-Identifier: MIT
//
// Traces as files (proto/trace.proto): writing them, reading them, choosing events, finding where
// two runs part.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "common/base/result.h"
#include "proto/trace.pb.h"
#include "sim/runtime/trace.h"

namespace redoubt::sim {

struct TraceFile {
  proto::TraceHeader header;
  std::vector<TraceEvent> events;

  // "world" for what is no node.
  std::string_view NodeName(NodeId node) const;
  std::string Line(const TraceEvent& event) const;
};

// kIoError.
Status WriteTraceFile(const std::string& path, const TraceFile& trace);
// kNotFound; kCorruption for a file that is cut off or no trace.
Result<TraceFile> ReadTraceFile(const std::string& path);

struct TraceFilter {
  std::string node;      // its name; empty: all
  int64_t since_ns = 0;  // events before this are left out
  std::string grep;      // part of the event's line, in any case; empty: all
};
// Keeps what matches all three. kInvalidArgument: no node of this name.
Status FilterTrace(const TraceFilter& filter, TraceFile* trace);

// One JSON object a line.
std::string TraceJsonLines(const TraceFile& trace);
// The "Trace Event Format" that ui.perfetto.dev opens.
std::string TracePerfetto(const TraceFile& trace);
// What a JSON string needs.
std::string JsonText(std::string_view text);

// Where two runs part: the number of events before which they certainly agree (from the
// checkpoints), and the first two lines that differ, among the events that both files hold.
struct Divergence {
  bool same = false;
  uint64_t agreed_events = 0;
  std::string first_a;  // empty: not among the events that are there
  std::string first_b;
};
Divergence CompareTraces(const TraceFile& a, const TraceFile& b);
// For people, several lines.
std::string DivergenceText(const Divergence& divergence, const TraceFile& a, const TraceFile& b);

}  // namespace redoubt::sim
