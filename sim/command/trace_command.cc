// SPDX-License-Identifier: MIT
//
// `simulate trace` and `simulate diff`.

#include <fstream>
#include <iostream>

#include "sim/command/build_info.h"
#include "sim/command/commands.h"
#include "sim/trace/state_lines.h"
#include "sim/trace/trace_file.h"
#include "sim/trace/trace_page.h"

namespace redoubt::sim {
namespace {

int Fail(const Status& status) {
  std::cerr << status.message() << '\n';
  return CodeOf(Outcome::kHarnessError);
}

}  // namespace

TraceFile MakeTraceFile(const proto::Capsule& capsule, const RunReport& report) {
  TraceFile trace;
  proto::TraceHeader& header = trace.header;
  header.set_scenario(capsule.scenario().name());
  header.set_seed(capsule.seed());
  header.set_plant(capsule.plant());
  header.set_commit(BuildCommit());
  header.set_build(BuildId());
  header.set_outcome(std::string(OutcomeName(report.outcome)));
  header.set_reason(report.reason);
  header.set_trace_hash(HashText(report.trace_hash));
  header.set_event_count(report.event_count);
  header.mutable_nodes()->Assign(report.node_names.begin(), report.node_names.end());
  header.set_checkpoint_events(Trace::kCheckpointEvents);
  header.mutable_checkpoints()->Assign(report.checkpoints.begin(), report.checkpoints.end());
  trace.events.assign(report.events.begin(), report.events.end());
  return trace;
}

int ShowTrace(const TraceCommand& command) {
  Result<TraceFile> trace = ReadTraceFile(command.file);
  if (!trace.ok()) {
    return Fail(trace.status());
  }
  TraceFilter filter{command.node, 0, command.grep};
  if (!command.since.empty()) {
    const Result<uint64_t> since_ms = ParseDurationMs(command.since);
    if (!since_ms.ok()) {
      return Fail(since_ms.status());
    }
    filter.since_ns = static_cast<int64_t>(*since_ms) * 1'000'000;
  }
  const Status filtered = FilterTrace(filter, &*trace);
  if (!filtered.ok()) {
    return Fail(filtered);
  }
  std::string text;
  if (command.format == "jsonl") {
    text = TraceJsonLines(*trace);
  } else if (command.format == "perfetto") {
    text = TracePerfetto(*trace);
  } else if (command.format == "lines") {
    const auto& names = trace->header.nodes();
    StateLines lines(std::vector<std::string>(names.begin(), names.end()));
    text = lines.Head();
    for (const TraceEvent& event : trace->events) {
      text += lines.Line(event);
    }
  } else if (command.format == "html") {
    text = TracePage(*trace);
  } else {
    for (const TraceEvent& event : trace->events) {
      text += trace->Line(event) + '\n';
    }
  }
  if (command.output.empty()) {
    std::cout << text;
    return 0;
  }
  std::ofstream file(command.output, std::ios::trunc);
  file << text;
  file.close();
  return file ? 0 : Fail(IoError("cannot write " + command.output));
}

int DiffTraces(const std::string& path_a, const std::string& path_b) {
  const Result<TraceFile> a = ReadTraceFile(path_a);
  const Result<TraceFile> b = ReadTraceFile(path_b);
  if (!a.ok() || !b.ok()) {
    return Fail(a.ok() ? b.status() : a.status());
  }
  const Divergence divergence = CompareTraces(*a, *b);
  std::cout << DivergenceText(divergence, *a, *b);
  return divergence.same ? 0 : CodeOf(Outcome::kNondeterminism);
}

}  // namespace redoubt::sim
