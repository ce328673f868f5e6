// SPDX-License-Identifier: MIT
#include "sim/trace/trace_page.h"

#include <algorithm>
#include <string_view>
#include <vector>

#include "common/base/check.h"
#include "sim/trace/page_html.h"

namespace redoubt::sim {
namespace {

// Where the data goes in page.html.
constexpr std::string_view kDataMark = "/*DATA*/null";

std::string Data(const TraceFile& trace) {
  std::vector<const TraceEvent*> events;
  for (const TraceEvent& event : trace.events) {
    if (IsReadable(event.kind)) {
      events.push_back(&event);
    }
  }
  const size_t left_out = events.size() - std::min(events.size(), kPageEventsMax);
  const proto::TraceHeader& header = trace.header;
  std::string text =
      "{\"scenario\":" + JsonText(header.scenario()) +
      ",\"seed\":" + std::to_string(header.seed()) + ",\"plant\":" + JsonText(header.plant()) +
      ",\"commit\":" + JsonText(header.commit()) + ",\"outcome\":" + JsonText(header.outcome()) +
      ",\"reason\":" + JsonText(header.reason()) + ",\"hash\":" + JsonText(header.trace_hash()) +
      ",\"left_out\":" + std::to_string(left_out) + ",\"nodes\":[";
  for (const std::string& node : header.nodes()) {
    text += JsonText(node) + ',';
  }
  text += "\"world\"],\"events\":[\n";
  for (size_t i = left_out; i < events.size(); ++i) {
    const TraceEvent& event = *events[i];
    // Numbers as text: they may be larger than what a script's numbers hold.
    text += "{\"t\":" + std::to_string(event.time_ns) +
            ",\"node\":" + JsonText(trace.NodeName(event.node)) +
            ",\"kind\":" + JsonText(TraceKindName(event.kind)) + ",\"a\":\"" +
            std::to_string(event.a) + "\",\"b\":\"" + std::to_string(event.b) +
            "\",\"text\":" + JsonText(event.text) + ",\"line\":" + JsonText(trace.Line(event)) +
            '}';
    text += i + 1 < events.size() ? ",\n" : "\n";
  }
  return text + "]}";
}

}  // namespace

std::string TracePage(const TraceFile& trace) {
  std::string page(kPageHtml);
  const size_t mark = page.find(kDataMark);
  REDOUBT_CHECK(mark != page.npos);
  return page.replace(mark, kDataMark.size(), Data(trace));
}

}  // namespace redoubt::sim
