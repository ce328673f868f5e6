// SPDX-License-Identifier: MIT
#include "sim/trace/trace_file.h"

#include <google/protobuf/io/zero_copy_stream_impl.h>
#include <google/protobuf/util/delimited_message_util.h>

#include <algorithm>
#include <fstream>
#include <utility>

namespace redoubt::sim {
namespace {

using google::protobuf::util::ParseDelimitedFromZeroCopyStream;
using google::protobuf::util::SerializeDelimitedToOstream;

char Lower(char c) { return c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c; }

std::string Lower(std::string text) {
  std::transform(text.begin(), text.end(), text.begin(), [](char c) { return Lower(c); });
  return text;
}

TraceEvent FromRecord(const proto::TraceRecord& record) {
  TraceEvent event;
  event.time_ns = record.time_ns();
  event.seq = record.seq();
  event.cause_seq = record.cause_seq();
  event.node = record.node();
  event.incarnation = record.incarnation();
  event.kind = static_cast<TraceKind>(record.kind());
  event.a = record.a();
  event.b = record.b();
  event.text = record.text();
  if (record.has_state()) {
    const proto::TraceNodeState& state = record.state();
    event.state = NodeState{static_cast<char>(state.role()),
                            state.epoch(),
                            state.end_lsn(),
                            state.commit_lsn(),
                            state.applied_lsn(),
                            state.persisted_lsn(),
                            state.pending_count()};
  }
  return event;
}

proto::TraceRecord ToRecord(const TraceEvent& event) {
  proto::TraceRecord record;
  record.set_time_ns(event.time_ns);
  record.set_seq(event.seq);
  record.set_cause_seq(event.cause_seq);
  record.set_node(event.node);
  record.set_incarnation(event.incarnation);
  record.set_kind(static_cast<uint32_t>(event.kind));
  record.set_a(event.a);
  record.set_b(event.b);
  record.set_text(event.text);
  if (event.state.has_value()) {
    proto::TraceNodeState* state = record.mutable_state();
    state->set_role(static_cast<unsigned char>(event.state->role));
    state->set_epoch(event.state->epoch);
    state->set_end_lsn(event.state->end_lsn);
    state->set_commit_lsn(event.state->commit_lsn);
    state->set_applied_lsn(event.state->applied_lsn);
    state->set_persisted_lsn(event.state->persisted_lsn);
    state->set_pending_count(event.state->pending_count);
  }
  return record;
}

}  // namespace

std::string_view TraceFile::NodeName(NodeId node) const {
  const int index = static_cast<int>(node);
  return node < static_cast<NodeId>(header.nodes_size()) ? std::string_view(header.nodes(index))
                                                         : std::string_view("world");
}

std::string TraceFile::Line(const TraceEvent& event) const {
  return FormatTraceEvent(event, NodeName(event.node));
}

Status WriteTraceFile(const std::string& path, const TraceFile& trace) {
  std::ofstream file(path, std::ios::binary | std::ios::trunc);
  bool written = SerializeDelimitedToOstream(trace.header, &file);
  for (const TraceEvent& event : trace.events) {
    written = written && SerializeDelimitedToOstream(ToRecord(event), &file);
  }
  file.close();
  return written && file ? Status::Ok() : IoError("cannot write trace " + path);
}

Result<TraceFile> ReadTraceFile(const std::string& path) {
  std::ifstream file(path, std::ios::binary);
  if (!file) {
    return NotFound("cannot read trace " + path);
  }
  google::protobuf::io::IstreamInputStream stream(&file);
  TraceFile trace;
  bool clean_end = false;
  if (!ParseDelimitedFromZeroCopyStream(&trace.header, &stream, &clean_end) ||
      trace.header.checkpoint_events() == 0) {
    return Corruption(path + " is no trace; run with --trace FILE writes one");
  }
  proto::TraceRecord record;
  while (ParseDelimitedFromZeroCopyStream(&record, &stream, &clean_end)) {
    trace.events.push_back(FromRecord(record));
    record.Clear();
  }
  if (!clean_end) {
    return Corruption(path + " is cut off or damaged behind event " +
                      std::to_string(trace.events.size()));
  }
  return trace;
}

Status FilterTrace(const TraceFilter& filter, TraceFile* trace) {
  const auto& nodes = trace->header.nodes();
  if (!filter.node.empty() && filter.node != "world" &&
      std::find(nodes.begin(), nodes.end(), filter.node) == nodes.end()) {
    return InvalidArgument("no node is called " + filter.node);
  }
  const std::string word = Lower(filter.grep);
  std::erase_if(trace->events, [&](const TraceEvent& event) {
    return event.time_ns < filter.since_ns ||
           (!filter.node.empty() && trace->NodeName(event.node) != filter.node) ||
           (!word.empty() && Lower(trace->Line(event)).find(word) == std::string::npos);
  });
  return Status::Ok();
}

std::string JsonText(std::string_view text) {
  std::string out = "\"";
  for (const char c : text) {
    const auto byte = static_cast<unsigned char>(c);
    if (c == '"' || c == '\\') {
      out += '\\';
      out += c;
    } else if (byte < 0x20 || byte >= 0x7F || c == '<') {
      // Also what could end a script element, and bytes that are no UTF-8.
      constexpr char kHex[] = "0123456789abcdef";
      out += "\\u00";
      out += kHex[byte >> 4];
      out += kHex[byte & 15];
    } else {
      out += c;
    }
  }
  return out + '"';
}

std::string TraceJsonLines(const TraceFile& trace) {
  std::string text;
  for (const TraceEvent& event : trace.events) {
    text +=
        "{\"time_ns\":" + std::to_string(event.time_ns) + ",\"seq\":" + std::to_string(event.seq) +
        ",\"cause_seq\":" + std::to_string(event.cause_seq) +
        ",\"node\":" + JsonText(trace.NodeName(event.node)) +
        ",\"incarnation\":" + std::to_string(event.incarnation) +
        ",\"kind\":" + JsonText(TraceKindName(event.kind)) + ",\"a\":" + std::to_string(event.a) +
        ",\"b\":" + std::to_string(event.b) + ",\"text\":" + JsonText(event.text) + "}\n";
  }
  return text;
}

std::string TracePerfetto(const TraceFile& trace) {
  std::string text = "{\"traceEvents\":[\n";
  for (int i = 0; i < trace.header.nodes_size(); ++i) {
    text += "{\"ph\":\"M\",\"name\":\"process_name\",\"pid\":" + std::to_string(i + 1) +
            ",\"args\":{\"name\":" + JsonText(trace.header.nodes(i)) + "}},\n";
  }
  for (const TraceEvent& event : trace.events) {
    const uint32_t process = event.node == kWorldNode ? 0 : event.node + 1;
    const int64_t nanoseconds = event.time_ns % 1000;
    text += "{\"ph\":\"i\",\"s\":\"p\",\"ts\":" + std::to_string(event.time_ns / 1000) + '.' +
            std::to_string(1000 + nanoseconds).substr(1) + ",\"pid\":" + std::to_string(process) +
            ",\"tid\":" + std::to_string(event.incarnation) +
            ",\"name\":" + JsonText(TraceKindName(event.kind)) +
            ",\"args\":{\"line\":" + JsonText(trace.Line(event)) + "}},\n";
  }
  return text +
         "{\"ph\":\"M\",\"name\":\"process_name\",\"pid\":0,\"args\":{\"name\":\"world\"}}]}\n";
}

Divergence CompareTraces(const TraceFile& a, const TraceFile& b) {
  Divergence result;
  result.same = a.header.trace_hash() == b.header.trace_hash() &&
                a.header.event_count() == b.header.event_count();
  const auto& left = a.header.checkpoints();
  const auto& right = b.header.checkpoints();
  const auto parted = std::mismatch(left.begin(), left.end(), right.begin(), right.end());
  result.agreed_events = static_cast<uint64_t>(parted.first - left.begin()) *
                         std::max<uint64_t>(a.header.checkpoint_events(), 1);
  if (result.same) {
    result.agreed_events = a.header.event_count();
    return result;
  }
  // The files may keep other parts of the runs: compare from the first number that both have.
  auto at = a.events.begin();
  auto bt = b.events.begin();
  const auto skip = [&](const TraceEvent& event) { return event.seq <= result.agreed_events; };
  at = std::find_if_not(at, a.events.end(), skip);
  bt = std::find_if_not(bt, b.events.end(), skip);
  if (at != a.events.end() && bt != b.events.end()) {
    const uint64_t first = std::max(at->seq, bt->seq);
    const auto before = [&](const TraceEvent& event) { return event.seq < first; };
    at = std::find_if_not(at, a.events.end(), before);
    bt = std::find_if_not(bt, b.events.end(), before);
  }
  while (at != a.events.end() && bt != b.events.end() && at->seq == bt->seq &&
         a.Line(*at) == b.Line(*bt)) {
    ++at;
    ++bt;
  }
  result.first_a = at == a.events.end() ? "" : a.Line(*at);
  result.first_b = bt == b.events.end() ? "" : b.Line(*bt);
  return result;
}

std::string DivergenceText(const Divergence& divergence, const TraceFile& a, const TraceFile& b) {
  const std::string counts = std::to_string(a.header.event_count()) + " and " +
                             std::to_string(b.header.event_count()) + " events";
  if (divergence.same) {
    return "the same: " + counts + ", hash " + a.header.trace_hash() + '\n';
  }
  const bool whole =
      a.events.size() == a.header.event_count() && b.events.size() == b.header.event_count();
  const auto shown = [](const std::string& line) {
    return line.empty() ? std::string("(nothing more is kept)") : line;
  };
  return "the runs agree for the first " + std::to_string(divergence.agreed_events) + " of " +
         counts + "\nfirst:  " + shown(divergence.first_a) +
         "\nsecond: " + shown(divergence.first_b) + '\n' +
         (whole ? "" : "not every event was kept: run with --trace-full to see the very first\n");
}

}  // namespace redoubt::sim
