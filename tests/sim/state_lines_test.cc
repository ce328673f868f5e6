// SPDX-License-Identifier: MIT
//
// Goal: a line for each change of state, in fixed columns, that fits 120 columns and says what the
// event said; nothing for what is no change. Method: made-up events with known states.
#include "sim/trace/state_lines.h"

#include <gtest/gtest.h>

#include <string>

namespace redoubt::sim {
namespace {

TraceEvent Event(TraceKind kind, NodeId node, std::string text = {}) {
  TraceEvent event;
  event.time_ns = 1'500'000'000;
  event.node = node;
  event.kind = kind;
  event.text = std::move(text);
  return event;
}

StateLines TwoNodes() { return StateLines({"log1", "page1"}); }

TEST(StateLines, ShowWhereItHappenedAndWhoIsUp) {
  StateLines lines = TwoNodes();
  EXPECT_NE(lines.Head().find("run log1 page1\n"), std::string::npos);
  EXPECT_EQ(lines.Line(Event(TraceKind::kNodeStart, 0)).substr(0, 24), "   1.500000  S- log1    ");
  EXPECT_EQ(lines.Line(Event(TraceKind::kNodeStart, 1)).substr(0, 24), "   1.500000  .S page1   ");
  EXPECT_EQ(lines.Line(Event(TraceKind::kPhase, kWorldNode, "calm")).substr(0, 24),
            "   1.500000 =.. run     ");
  TraceEvent kill = Event(TraceKind::kNodeKill, 0);
  EXPECT_NE(lines.Line(kill).find(" K. log1 "), std::string::npos);
  kill.a = 1;
  EXPECT_NE(lines.Line(kill).find(" X. log1 "), std::string::npos);
  EXPECT_NE(lines.Line(Event(TraceKind::kLog, 1, "info: ready at page1:1")).find(" -R page1 "),
            std::string::npos);
}

TEST(StateLines, NameLinesOfTheLogByWhatTheySay) {
  StateLines lines = TwoNodes();
  const auto letter_of = [&lines](std::string text) {
    return lines.Line(Event(TraceKind::kLog, 0, std::move(text)))[13];
  };
  EXPECT_EQ(letter_of("info: volume 1: epoch 2 promised, the log ends at LSN 3"), 'P');
  EXPECT_EQ(letter_of("info: volume 1: epoch 2 begins at LSN 3"), 'E');
  EXPECT_EQ(letter_of("info: writer of epoch 2, log ends at 3"), 'W');
  EXPECT_EQ(letter_of("warning: something"), 'w');
  EXPECT_EQ(letter_of("error: something"), 'e');
  EXPECT_EQ(letter_of("info: something"), 'i');
}

TEST(StateLines, SayHowFarEachPositionIsBehind) {
  StateLines lines = TwoNodes();
  TraceEvent event = Event(TraceKind::kLog, 0, "info: text");
  event.state = NodeState{'A', 7, 1000, 1000, 900, 0, 4};
  const std::string line = lines.Line(event);
  EXPECT_NE(line.find(" A    7        1000       =    -100       .     4 text\n"),
            std::string::npos)
      << line;
}

TEST(StateLines, FitTheScreenAndStayOneLine) {
  StateLines lines = TwoNodes();
  const std::string line =
      lines.Line(Event(TraceKind::kViolation, kWorldNode, "C1: a\n" + std::string(500, 'x')));
  EXPECT_EQ(line.size(), 121U);
  EXPECT_EQ(line.find('\n'), 120U);
  EXPECT_EQ(line[119], '>');
}

TEST(StateLines, AreNotThereForWhatIsNoChangeOrHappensAllTheTime) {
  StateLines lines = TwoNodes();
  EXPECT_EQ(lines.Line(Event(TraceKind::kResume, 0)), "");
  EXPECT_EQ(lines.Line(Event(TraceKind::kSend, 0)), "");
  TraceEvent progress = Event(TraceKind::kOperation, kWorldNode, "acknowledged LSN");
  EXPECT_NE(lines.Line(progress), "");
  progress.time_ns += 499'999'999;
  EXPECT_EQ(lines.Line(progress), "");
  progress.time_ns += 1;
  EXPECT_NE(lines.Line(progress), "");
}

}  // namespace
}  // namespace redoubt::sim
