// SPDX-License-Identifier: MIT
//
// Trace files hold what was recorded, refuse what is damaged, are filtered by node, time and word,
// and two of them are told apart at the first event that differs.
#include "sim/trace/trace_file.h"

#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>
#include <string>

#include "sim/trace/trace_page.h"

namespace redoubt::sim {
namespace {

// A run of `count` events on two nodes; event number `odd_one` says something else.
TraceFile Recorded(uint64_t count, uint64_t odd_one = 0) {
  Trace recorder(Trace::Keep::kEverything);
  for (uint64_t i = 1; i <= count; ++i) {
    TraceEvent event;
    event.time_ns = static_cast<int64_t>(i) * 1'000'000;
    event.cause_seq = i / 2;
    event.node = i % 3 == 0 ? kWorldNode : static_cast<NodeId>(i % 2);
    event.incarnation = 1;
    event.kind = i % 3 == 0 ? TraceKind::kFault : TraceKind::kLog;
    event.a = ~i;
    event.text = i == odd_one ? "something \"else\" </script>\x80" : "Event " + std::to_string(i);
    recorder.Record(std::move(event), i);
  }
  TraceFile trace;
  trace.header.set_scenario("made up");
  trace.header.add_nodes("left");
  trace.header.add_nodes("right");
  trace.header.set_trace_hash(std::to_string(recorder.hash()));
  trace.header.set_event_count(recorder.event_count());
  trace.header.set_checkpoint_events(Trace::kCheckpointEvents);
  for (const uint64_t hash : recorder.checkpoints()) {
    trace.header.add_checkpoints(hash);
  }
  trace.events.assign(recorder.events().begin(), recorder.events().end());
  return trace;
}

std::string Path(const std::string& name) { return ::testing::TempDir() + name; }

TEST(TraceFile, ReadsWhatWasWritten) {
  const TraceFile trace = Recorded(500, 77);
  const std::string path = Path("whole.trace");
  ASSERT_TRUE(WriteTraceFile(path, trace).ok());
  const Result<TraceFile> read = ReadTraceFile(path);
  ASSERT_TRUE(read.ok()) << read.status().message();
  EXPECT_EQ(read->header.SerializeAsString(), trace.header.SerializeAsString());
  ASSERT_EQ(read->events.size(), trace.events.size());
  for (size_t i = 0; i < trace.events.size(); ++i) {
    EXPECT_EQ(read->Line(read->events[i]), trace.Line(trace.events[i]));
    EXPECT_EQ(read->events[i].seq, trace.events[i].seq);
    EXPECT_EQ(read->events[i].cause_seq, trace.events[i].cause_seq);
  }
  EXPECT_EQ(TraceJsonLines(*read), TraceJsonLines(trace));
}

TEST(TraceFile, RefusesWhatIsCutOffOrNoTrace) {
  const std::string path = Path("cut.trace");
  ASSERT_TRUE(WriteTraceFile(path, Recorded(20)).ok());
  const auto size = std::filesystem::file_size(path);
  std::filesystem::resize_file(path, size - 1);
  EXPECT_EQ(ReadTraceFile(path).status().code(), StatusCode::kCorruption);
  std::ofstream(path, std::ios::trunc) << "simulate run";
  EXPECT_EQ(ReadTraceFile(path).status().code(), StatusCode::kCorruption);
  std::ofstream(path, std::ios::trunc) << "";
  EXPECT_EQ(ReadTraceFile(path).status().code(), StatusCode::kCorruption);
  EXPECT_EQ(ReadTraceFile(Path("nowhere.trace")).status().code(), StatusCode::kNotFound);
}

TEST(FilterTrace, KeepsWhatMatchesAll) {
  TraceFile trace = Recorded(300);
  ASSERT_TRUE(FilterTrace({"left", 100'000'000, "EVENT 1"}, &trace).ok());
  ASSERT_FALSE(trace.events.empty());
  for (const TraceEvent& event : trace.events) {
    EXPECT_EQ(trace.NodeName(event.node), "left");
    EXPECT_GE(event.time_ns, 100'000'000);
    EXPECT_EQ(event.text.find("Event 1"), 0U) << event.text;
  }
  TraceFile world = Recorded(300);
  ASSERT_TRUE(FilterTrace({"world", 0, ""}, &world).ok());
  EXPECT_EQ(world.events.size(), 100U);
  EXPECT_EQ(FilterTrace({"middle", 0, ""}, &world).code(), StatusCode::kInvalidArgument);
}

TEST(CompareTraces, FindsTheFirstEventThatDiffers) {
  const uint64_t odd_one = 2 * Trace::kCheckpointEvents + 17;
  const TraceFile a = Recorded(4 * Trace::kCheckpointEvents);
  const TraceFile b = Recorded(4 * Trace::kCheckpointEvents, odd_one);
  const Divergence divergence = CompareTraces(a, b);
  EXPECT_FALSE(divergence.same);
  EXPECT_EQ(divergence.agreed_events, 2 * Trace::kCheckpointEvents);
  EXPECT_EQ(divergence.first_a, a.Line(a.events[odd_one - 1]));
  EXPECT_EQ(divergence.first_b, b.Line(b.events[odd_one - 1]));
  EXPECT_TRUE(CompareTraces(a, a).same);
  // One run goes on where the other has ended.
  const TraceFile longer = Recorded(50);
  const TraceFile shorter = Recorded(49);
  const Divergence end = CompareTraces(longer, shorter);
  EXPECT_FALSE(end.same);
  EXPECT_EQ(end.first_a, longer.Line(longer.events.back()));
  EXPECT_EQ(end.first_b, "");
}

// Files that keep other parts of the runs are compared where they overlap.
TEST(CompareTraces, StartsWhereBothHaveEvents) {
  const TraceFile a = Recorded(200, 150);
  TraceFile b = Recorded(200);
  b.events.erase(b.events.begin(), b.events.begin() + 100);
  const Divergence divergence = CompareTraces(a, b);
  EXPECT_EQ(divergence.first_a, a.Line(a.events[149]));
  EXPECT_EQ(divergence.first_b, b.Line(b.events[49]));
}

// Whatever a text holds, the page's script stays one script, and nothing is fetched.
TEST(TracePage, IsOneFileThatNoTextBreaks) {
  const std::string page = TracePage(Recorded(200, 100));
  size_t ends = 0;
  for (size_t at = page.find("</script"); at != page.npos; at = page.find("</script", at + 1)) {
    ++ends;
  }
  EXPECT_EQ(ends, 1U);
  EXPECT_NE(page.find("\\u003c/script>\\u0080"), page.npos);
  EXPECT_EQ(page.find("src="), page.npos);
  EXPECT_EQ(page.find("<link"), page.npos);
  EXPECT_EQ(page.find("@import"), page.npos);
}

TEST(JsonText, EscapesWhatJsonWants) {
  EXPECT_EQ(JsonText("a\"b\\c\n<"), "\"a\\\"b\\\\c\\u000a\\u003c\"");
}

}  // namespace
}  // namespace redoubt::sim
