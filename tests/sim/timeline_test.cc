// SPDX-License-Identifier: MIT
#include "sim/oracle/timeline.h"

#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "common/innodb/log_block.h"
#include "sim/oracle/page_content.h"

namespace redoubt::sim {
namespace {

constexpr Lsn kBegin{8204};
constexpr uint32_t kPageSize = 4096;
constexpr PageId kPage{SpaceId(5), PageNo(3)};

// A timeline and writers whose mtrs are ten bytes, each with its own filling.
struct Writers {
  Writers() : timeline(&findings, kPageSize, kBegin), content(&findings, &timeline) {}

  static Lsn At(uint64_t mtr_count) { return innodb::AdvanceLsn(kBegin, 10 * mtr_count); }
  void Begin(std::vector<std::pair<uint64_t, uint64_t>> history) {
    std::vector<EpochMark> marks;
    for (const auto& [epoch, mtrs] : history) {
      marks.push_back({Epoch(epoch), At(mtrs)});
    }
    timeline.EpochBegun(marks);
  }
  // The writer ends its mtr number `mtr`, which puts `value` on the page.
  void Write(uint64_t epoch, uint64_t mtr, uint8_t value) {
    const Bytes redo(10, value);
    Bytes image(kPageSize);
    image[100] = value;
    const std::vector<Timeline::ChangedPage> pages{{kPage, image}};
    timeline.Produced(Epoch(epoch), At(mtr), redo, pages);
  }
  void Acknowledge(uint64_t epoch, uint64_t mtrs) { timeline.Acknowledged(Epoch(epoch), At(mtrs)); }
  uint8_t Value(uint64_t mtrs) { return timeline.At(kPage, At(mtrs)).image[100]; }
  std::string First() { return findings.empty() ? "" : findings.all().front().checker; }

  Findings findings;
  Timeline timeline;
  PageContent content;
};

// The old writer has two mtrs that nobody else ever had; the new one goes on below them, on the
// same LSNs.
TEST(Timeline, FollowsTheNewestWriterWhereLsnsAreUsedAgain) {
  Writers w;
  w.Begin({{1, 0}});
  for (uint8_t mtr = 1; mtr <= 4; ++mtr) {
    w.Write(1, mtr, mtr);
  }
  w.Acknowledge(1, 2);
  EXPECT_EQ(w.Value(4), 4);
  w.Begin({{1, 0}, {2, 2}});
  EXPECT_EQ(w.Value(4), 2);
  w.Write(2, 3, 33);
  // The old one still lives, and goes on by itself.
  w.Write(1, 5, 5);
  EXPECT_EQ(w.Value(2), 2);
  EXPECT_EQ(w.Value(3), 33);
  EXPECT_EQ(w.Value(5), 33);
  EXPECT_EQ(w.timeline.end(), Writers::At(3));
  EXPECT_FALSE(w.timeline.Superseded(Epoch(1), Writers::At(2)));
  EXPECT_TRUE(w.timeline.Superseded(Epoch(1), Writers::At(3)));
  EXPECT_TRUE(w.findings.empty());
}

// What the old one may see: its own redo, also beyond the start of the new one.
TEST(Timeline, TellsAReplacedWritersOwnPages) {
  Writers w;
  const auto value = [&w](uint64_t epoch, uint64_t mtrs) {
    return w.timeline.AtUnder(Epoch(epoch), kPage, Writers::At(mtrs)).image[100];
  };
  w.Begin({{1, 0}});
  for (uint8_t mtr = 1; mtr <= 3; ++mtr) {
    w.Write(1, mtr, mtr);
  }
  w.Begin({{1, 0}, {2, 2}});
  w.Write(2, 3, 33);
  EXPECT_EQ(value(1, 2), 2);
  EXPECT_EQ(value(1, 3), 3);
  EXPECT_EQ(value(2, 2), 2);
  EXPECT_EQ(value(2, 3), 33);
}

// Epoch 2 begins on a minority only, so nobody is told; epoch 3 goes on from the longer tail of
// epoch 1, which must still be known.
TEST(Timeline, KeepsATailThatANewerWriterDidNotHave) {
  Writers w;
  w.Begin({{1, 0}});
  for (uint8_t mtr = 1; mtr <= 4; ++mtr) {
    w.Write(1, mtr, mtr);
  }
  w.Begin({{1, 0}, {3, 4}});
  w.Write(3, 5, 55);
  EXPECT_EQ(w.Value(4), 4);
  EXPECT_EQ(w.Value(5), 55);
  EXPECT_TRUE(w.findings.empty());
  // The log as a server gives it back.
  Bytes log;
  for (const int value : {1, 2, 3, 4, 55}) {
    log.insert(log.end(), 10, static_cast<uint8_t>(value));
  }
  w.timeline.ReadBack(LsnRange{kBegin, Writers::At(5)}, log);
  EXPECT_TRUE(w.findings.empty());
  log[45] = 4;
  w.timeline.ReadBack(LsnRange{kBegin, Writers::At(5)}, log);
  EXPECT_EQ(w.First(), "C1");
}

TEST(Timeline, SeesAcknowledgedRedoThatANewWriterDoesNotHave) {
  Writers w;
  w.Begin({{1, 0}});
  w.Write(1, 1, 1);
  w.Write(1, 2, 2);
  w.Acknowledge(1, 2);
  w.Begin({{1, 0}, {2, 1}});
  EXPECT_EQ(w.First(), "C1");
}

TEST(Timeline, SeesAcknowledgedRedoThatAThirdWriterReplaces) {
  Writers w;
  w.Begin({{1, 0}});
  w.Write(1, 1, 1);
  w.Begin({{1, 0}, {2, 1}});
  w.Write(2, 2, 22);
  w.Acknowledge(2, 2);
  w.Write(1, 2, 2);
  // As long as what was acknowledged, but it is the first writer's.
  w.Begin({{1, 0}, {3, 2}});
  EXPECT_FALSE(w.findings.empty());
}

TEST(Timeline, SeesAnOldWriterThatGoesOnAcknowledging) {
  Writers w;
  w.Begin({{1, 0}});
  w.Write(1, 1, 1);
  w.Write(1, 2, 2);
  w.Begin({{1, 0}, {2, 1}});
  // Late news of what the new writer has, too; then of what it has not.
  w.Acknowledge(1, 1);
  EXPECT_TRUE(w.findings.empty());
  w.Acknowledge(1, 2);
  EXPECT_EQ(w.First(), "C5");
}

// Half an mtr that was acknowledged means nothing.
TEST(Timeline, AcceptsThatHalfAnMtrIsCutAway) {
  Writers w;
  w.Begin({{1, 0}});
  w.Write(1, 1, 1);
  w.Write(1, 2, 2);
  w.timeline.Acknowledged(Epoch(1), innodb::AdvanceLsn(kBegin, 15));
  EXPECT_EQ(w.timeline.acknowledged(), Writers::At(1));
  w.Begin({{1, 0}, {2, 1}});
  EXPECT_TRUE(w.findings.empty());
  EXPECT_FALSE(w.timeline.CutsAcknowledged(Epoch(1)));
  EXPECT_TRUE(w.timeline.CutsAcknowledged(Epoch(2)));
}

TEST(Timeline, SeesEpochsThatBeginWhereTheyMust) {
  const auto finds = [](uint64_t epoch, Lsn start, std::vector<EpochMark> before) {
    Writers w;
    w.Begin({{1, 0}});
    w.Write(1, 1, 1);
    w.Begin({{1, 0}, {4, 1}});
    before.push_back({Epoch(epoch), start});
    w.timeline.EpochBegun(before);
    return w.First();
  };
  const EpochMark one{Epoch(1), kBegin};
  const EpochMark four{Epoch(4), Writers::At(1)};
  EXPECT_EQ(finds(5, Writers::At(1), {one, four}), "");
  EXPECT_EQ(finds(4, Writers::At(1), {one}), "C5");                      // twice
  EXPECT_EQ(finds(5, Writers::At(2), {one, four}), "C5");                // behind the log's end
  EXPECT_EQ(finds(5, Lsn(8209), {one, four}), "C5");                     // inside an mtr
  EXPECT_EQ(finds(5, Writers::At(1), {one}), "C5");                      // does not know of 4
  EXPECT_EQ(finds(5, Writers::At(2), {one, {Epoch(3), kBegin}}), "C5");  // redo of nobody
}

// What a server that was not told of the takeover hands out.
TEST(Timeline, ShowsAStalePageAfterFailover) {
  Writers w;
  w.Begin({{1, 0}});
  w.Write(1, 1, 1);
  w.Write(1, 2, 2);
  w.Acknowledge(1, 1);
  const PageVersion old = w.timeline.At(kPage, Writers::At(2));
  w.Begin({{1, 0}, {2, 1}});
  w.Write(2, 2, 22);
  w.Acknowledge(2, 2);
  const PageVersion right = w.timeline.At(kPage, Writers::At(2));
  w.content.Check({kPage, Writers::At(2), Status::Ok(), right.page_lsn, right.image});
  EXPECT_TRUE(w.findings.empty());
  w.content.Check({kPage, Writers::At(2), Status::Ok(), old.page_lsn, old.image});
  EXPECT_EQ(w.First(), "C2");
}

}  // namespace
}  // namespace redoubt::sim
