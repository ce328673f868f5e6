// SPDX-License-Identifier: MIT
//
// Each checker is shown what it has to see, and what it must not take for it.
#include <gtest/gtest.h>

#include <string>

#include "common/innodb/page_format.h"
#include "sim/oracle/acknowledged_redo.h"
#include "sim/oracle/epoch_fence.h"
#include "sim/oracle/kept_redo.h"
#include "sim/oracle/leak_check.h"
#include "sim/oracle/lsn_order.h"
#include "sim/oracle/majority_copy.h"
#include "sim/oracle/page_content.h"
#include "sim/oracle/page_history.h"
#include "sim/oracle/persisted_position.h"
#include "sim/oracle/useful_work.h"

namespace redoubt::sim {
namespace {

std::string First(const Findings& findings) {
  return findings.empty() ? "" : findings.all().front().checker;
}

TEST(AcknowledgedRedo, SeesALogThatEndsBelowWhatWasAcknowledged) {
  Findings findings;
  AcknowledgedRedo redo(&findings);
  redo.Acknowledged(Lsn(100));
  redo.Acknowledged(Lsn(90));
  EXPECT_EQ(redo.acknowledged(), Lsn(100));
  redo.ServerEnd(Lsn(100), Lsn(100), "test");
  // Asked before the last acknowledgement came.
  redo.ServerEnd(Lsn(95), Lsn(90), "test");
  EXPECT_TRUE(findings.empty());
  redo.ServerEnd(Lsn(99), Lsn(100), "test");
  EXPECT_EQ(First(findings), "C1");
}

TEST(AcknowledgedRedo, SeesChangedBytes) {
  Findings findings;
  AcknowledgedRedo redo(&findings);
  const LsnRange range{Lsn(8204), Lsn(8208)};
  redo.ReadBack(range, AsBytes("abcd"), AsBytes("abcd"));
  EXPECT_TRUE(findings.empty());
  redo.ReadBack(range, AsBytes("abxd"), AsBytes("abcd"));
  redo.ReadBack(range, AsBytes("abc"), AsBytes("abcd"));
  EXPECT_EQ(findings.all().size(), 2U);
  EXPECT_EQ(First(findings), "C1");
}

// Of three log servers two must have it; one that is down may.
TEST(MajorityCopy, SeesWhatWasAcknowledgedTooEarly) {
  Findings findings;
  MajorityCopy majority(&findings);
  const Epoch epoch(3);
  const MajorityCopy::Copy has{Lsn(100), Lsn(100), epoch};
  const MajorityCopy::Copy lacks{Lsn(90), Lsn(80), epoch};
  majority.Acknowledged(epoch, Lsn(100), {3, {has, has, lacks}});
  majority.Acknowledged(epoch, Lsn(100), {3, {has, lacks}});
  majority.Acknowledged(epoch, Lsn(90), {3, {lacks, lacks, lacks}});
  // A newer writer may have cut off what this one was told.
  majority.Acknowledged(epoch, Lsn(100), {3, {{Lsn(90), Lsn(80), Epoch(4)}, lacks, has}});
  EXPECT_TRUE(findings.empty());
  majority.Acknowledged(epoch, Lsn(100), {3, {has, lacks, lacks}});
  EXPECT_EQ(First(findings), "C1");
}

// Of three, the third one lost its disk; of the others one lacks something, or cannot be looked at.
TEST(MajorityCopy, SeesADiskFilledUpThatTheOthersCannotDoWithout) {
  Findings findings;
  MajorityCopy majority(&findings);
  const MajorityCopy::Copy has{Lsn(100), Lsn(100), Epoch(3)};
  const MajorityCopy::Copy lacks{Lsn(99), Lsn(80), Epoch(3)};
  majority.MadeAnew(Lsn(100), {3, {has, has}});
  majority.MadeAnew(Lsn(100), {3, {has}});
  majority.MadeAnew(Lsn(100), {5, {has, has, has, lacks}});
  EXPECT_TRUE(findings.empty());
  majority.MadeAnew(Lsn(100), {3, {has, lacks}});
  EXPECT_EQ(First(findings), "C1");
}

KeptRedo::Log Seen(const char* server, uint64_t readable_from, uint64_t end, bool whole = true) {
  return {server, Lsn(readable_from), Lsn(end), whole};
}

// The third log server is away after the first look; then it loses its disk.
TEST(KeptRedo, SeesRedoTrimmedThatAServerWhichIsAwayLacks) {
  Findings findings;
  KeptRedo kept(&findings);
  kept.Observe({Seen("a", 0, 60), Seen("b", 0, 60), Seen("c", 0, 60)});
  kept.Observe({Seen("a", 60, 200), Seen("b", 50, 200)});
  EXPECT_TRUE(findings.empty());
  kept.Observe({Seen("a", 60, 200), Seen("b", 61, 200)});
  EXPECT_EQ(First(findings), "C1");
  Findings none;
  KeptRedo without(&none);
  without.Observe({Seen("a", 0, 60), Seen("c", 0, 60)});
  without.Forget("c");
  without.Observe({Seen("a", 90, 200)});
  EXPECT_TRUE(none.empty());
}

// It was seen at 60, synced up to 80, and died: the others trimmed up to there.
TEST(KeptRedo, KnowsWhatAServerHadWhenItDied) {
  Findings findings;
  KeptRedo kept(&findings);
  kept.Observe({Seen("a", 0, 60), Seen("c", 0, 60)});
  kept.Died("c", Lsn(80));
  kept.Died("c", Lsn());      // before it had found its log again
  kept.Died("new", Lsn(10));  // has never been seen
  kept.Observe({Seen("a", 80, 200)});
  EXPECT_TRUE(findings.empty());
  kept.Observe({Seen("a", 81, 200)});
  EXPECT_EQ(First(findings), "C1");
}

TEST(KeptRedo, WaitsForALogThatIsMadeAnewOnceItWasWhole) {
  Findings findings;
  KeptRedo kept(&findings);
  kept.Observe({Seen("a", 0, 200), Seen("b", 0, 0, /*whole=*/false)});
  kept.Observe({Seen("a", 50, 200), Seen("b", 0, 20, /*whole=*/false)});
  kept.Observe({Seen("a", 60, 200), Seen("b", 0, 200)});
  kept.Observe({Seen("a", 200, 300), Seen("b", 0, 210, /*whole=*/false)});
  EXPECT_TRUE(findings.empty());
  kept.Observe({Seen("a", 220, 300), Seen("b", 0, 210, /*whole=*/false)});
  EXPECT_EQ(First(findings), "C1");
}

TEST(PersistedPosition, SeesAPositionThatNoFlushCovers) {
  Findings findings;
  PersistedPosition position(&findings, "store");
  const VolumeId volume(1);
  position.Opened();
  position.Told(volume, Lsn(0));
  position.Durable(volume, Lsn(100));
  position.Told(volume, Lsn(100));
  position.Told(volume, Lsn(90));
  // A flush that began before the last one ended covers less.
  position.Durable(volume, Lsn(80));
  position.Told(volume, Lsn(100));
  EXPECT_TRUE(findings.empty());
  position.Told(volume, Lsn(101));
  position.Told(VolumeId(2), Lsn(1));
  EXPECT_EQ(findings.all().size(), 2U);
  EXPECT_EQ(First(findings), "C4");
  Findings again;
  PersistedPosition anew(&again, "store");
  anew.Durable(volume, Lsn(100));
  anew.Opened();  // an empty disk
  anew.Told(volume, Lsn(100));
  EXPECT_EQ(First(again), "C4");
}

TEST(MajorityCopy, SeesACommitThatFewHaveOrInsideAnMtr) {
  Findings few;
  const MajorityCopy::Copy ahead{Lsn(100), Lsn(100), Epoch(3)};
  const MajorityCopy::Copy told{Lsn(95), Lsn(90), Epoch(3)};
  const MajorityCopy::Copy behind{Lsn(90), Lsn(80), Epoch(4)};
  MajorityCopy(&few).Committed(told, Lsn(90), {3, {ahead, told, behind}});
  EXPECT_TRUE(few.empty());
  MajorityCopy(&few).Committed(ahead, Lsn(100), {3, {ahead, told, behind}});
  EXPECT_EQ(First(few), "C1");
  Findings inside;
  MajorityCopy majority(&inside);
  majority.Acknowledged(Epoch(3), Lsn(85), {3, {ahead, told, told}});
  majority.Acknowledged(Epoch(3), Lsn(95), {3, {ahead, told, told}});
  // It has no more than that: nobody told it so.
  majority.Committed({Lsn(90), Lsn(90), Epoch(3)}, Lsn(88), {3, {ahead, told, told}});
  EXPECT_TRUE(inside.empty());
  majority.Committed(told, Lsn(88), {3, {ahead, told, told}});
  EXPECT_EQ(First(inside), "C1");
}

struct Pages {
  Pages() : history(4096), content(&findings, &history) {
    Bytes image(4096);
    innodb::SetPageLsn(MutableByteView(image), Lsn(0));
    image[100] = 1;
    history.Record(id, Lsn(1000), image);
    image[100] = 2;
    history.Record(id, Lsn(2000), image);
  }
  // The answer that a right server gives.
  PageAnswer Right(uint64_t lsn) {
    truth = history.At(id, Lsn(lsn));
    return PageAnswer{id, Lsn(lsn), Status::Ok(), truth.page_lsn, truth.image};
  }
  PageId id{SpaceId(5), PageNo(3)};
  Findings findings;
  PageHistory history;
  PageContent content;
  PageHistory::Version truth;
};

TEST(PageContent, AcceptsTheRightPageAtEveryLsn) {
  Pages pages;
  for (const uint64_t lsn : {999U, 1000U, 1500U, 1999U, 2000U, 3000U}) {
    pages.content.Check(pages.Right(lsn));
  }
  EXPECT_TRUE(pages.findings.empty());
  EXPECT_EQ(pages.content.checked_count(), 6U);
}

TEST(PageContent, SeesAnOlderANewerAndAMissingVersion) {
  Pages pages;
  PageAnswer older = pages.Right(1500);
  older.read_lsn = Lsn(2500);
  pages.content.Check(older);
  EXPECT_EQ(pages.findings.all().size(), 1U);
  PageAnswer newer = pages.Right(2500);
  newer.read_lsn = Lsn(1500);
  pages.content.Check(newer);
  EXPECT_EQ(pages.findings.all().size(), 2U);
  PageAnswer missing = pages.Right(1500);
  missing.status = NotFound("no such page");
  pages.content.Check(missing);
  EXPECT_EQ(pages.findings.all().size(), 3U);
  EXPECT_EQ(First(pages.findings), "C2");
}

TEST(PageContent, SeesOneWrongByteAndABadChecksum) {
  Pages pages;
  PageAnswer answer = pages.Right(1500);
  Bytes wrong(answer.image.begin(), answer.image.end());
  wrong[100] ^= 1;
  answer.image = wrong;
  pages.content.Check(answer);
  EXPECT_EQ(First(pages.findings), "C3");
  // With a checksum that fits the wrong byte.
  innodb::StampPage(MutableByteView(wrong), answer.page_lsn);
  pages.content.Check(answer);
  EXPECT_EQ(pages.findings.all().back().checker, "C2");
}

TEST(LsnOrder, SeesPositionsThatGoBack) {
  Findings findings;
  LsnOrder order(&findings, /*learns_commit=*/false);
  uint64_t ticket = order.TakeTicket();
  order.Observe(ticket, 1, ServerPositions{Lsn(10), Lsn(20), Lsn(30), Lsn(40)});
  ticket = order.TakeTicket();
  // Applied may go back over a restart: it lives in memory.
  order.Observe(ticket, 1, ServerPositions{Lsn(10), Lsn(20), Lsn(25), Lsn(40)});
  EXPECT_TRUE(findings.empty());
  ticket = order.TakeTicket();
  order.Observe(ticket, 1, ServerPositions{Lsn(10), Lsn(20), Lsn(25), Lsn(39)});
  EXPECT_EQ(First(findings), "C4");
}

// An answer that was asked for before another one came may be older than that one.
TEST(LsnOrder, DoesNotBlameOvertakenAnswers) {
  Findings findings;
  LsnOrder order(&findings, /*learns_commit=*/false);
  const uint64_t slow = order.TakeTicket();
  const uint64_t fast = order.TakeTicket();
  order.Observe(fast, 1, ServerPositions{Lsn(10), Lsn(20), Lsn(30), Lsn(40)});
  order.Observe(slow, 1, ServerPositions{Lsn(10), Lsn(15), Lsn(30), Lsn(35)});
  EXPECT_TRUE(findings.empty());
}

TEST(LsnOrder, SeesAppliedBeyondCommit) {
  Findings findings;
  LsnOrder order(&findings, /*learns_commit=*/false);
  order.Observe(order.TakeTicket(), 1, ServerPositions{Lsn(10), Lsn(20), Lsn(50), Lsn(40)});
  EXPECT_EQ(First(findings), "C4");
}

TEST(EpochFence, SeesAnOlderWriterAcknowledgedBehindANewer) {
  Findings findings;
  EpochFence fence(&findings);
  fence.Promised(Epoch(1), Lsn(100));
  fence.Acknowledged(Epoch(1), Lsn(150));
  fence.Promised(Epoch(2), Lsn(160));
  // On its way when the newer one took over.
  fence.Acknowledged(Epoch(1), Lsn(160));
  EXPECT_TRUE(findings.empty());
  fence.Acknowledged(Epoch(1), Lsn(170));
  EXPECT_EQ(First(findings), "C5");
}

TEST(EpochFence, SeesANewEpochThatStartsBelowWhatAnOlderWasTold) {
  Findings findings;
  EpochFence fence(&findings);
  fence.Promised(Epoch(1), Lsn(100));
  fence.Acknowledged(Epoch(1), Lsn(150));
  fence.Promised(Epoch(2), Lsn(140));
  EXPECT_EQ(First(findings), "C5");
}

TEST(EpochFence, SeesAForgottenPromise) {
  Findings findings;
  EpochFence fence(&findings);
  fence.PromisedBy("log1", Epoch(5));
  fence.PromisedBy("log1", Epoch(4));
  EXPECT_EQ(fence.HighestPromise("log1"), Epoch(5));
  fence.ServerEpoch("log1", Epoch(5), Epoch(5));
  fence.ServerEpoch("log1", Epoch(4), Epoch(4));  // asked before epoch 5 was promised
  fence.ServerEpoch("log2", Epoch(1), fence.HighestPromise("log2"));
  EXPECT_TRUE(findings.empty());
  fence.ServerEpoch("log1", Epoch(4), Epoch(5));
  EXPECT_EQ(First(findings), "C5");
  fence.Forget("log1");  // another disk
  fence.ServerEpoch("log1", Epoch(1), fence.HighestPromise("log1"));
  EXPECT_EQ(findings.all().size(), 1U);
}

TEST(EpochFence, SeesAnEpochGivenTwice) {
  Findings findings;
  EpochFence fence(&findings);
  fence.Promised(Epoch(1), Lsn(100));
  fence.Promised(Epoch(1), Lsn(100));
  EXPECT_EQ(First(findings), "C5");
}

TEST(UsefulWork, NamesWhatIsMissing) {
  const WorkDone floor{100, 10, 1};
  EXPECT_EQ(MissingWork(WorkDone{100, 10, 1}, floor), "");
  EXPECT_EQ(MissingWork(WorkDone{100, 9, 1}, floor), "pages checked 9 of at least 10; ");
}

// A read at LSN 0 is answered as of the end of an mtr, and no earlier than what was known before.
TEST(LsnOrder, HoldsAReadOfTheNewestAgainstWhatWasSaidBefore) {
  const auto finds = [](LsnOrder::NewestRead read, bool asked_later) {
    Findings findings;
    LsnOrder order(&findings, /*learns_commit=*/true);
    const uint64_t early = order.TakeTicket();
    order.Observe(order.TakeTicket(), 1, ServerPositions{Lsn(10), Lsn(20), Lsn(30), Lsn(40)});
    order.Newest({order.TakeTicket(), 1, 1, Lsn(30), Lsn(30)});
    EXPECT_TRUE(findings.empty());
    read.asked_after = asked_later ? order.TakeTicket() : early;
    order.Newest(read);
    return First(findings);
  };
  EXPECT_EQ(finds({0, 1, 1, Lsn(30), Lsn(30)}, true), "");
  EXPECT_EQ(finds({0, 1, 1, Lsn(31), Lsn(30)}, true), "C2");  // inside an mtr
  EXPECT_EQ(finds({0, 1, 1, Lsn(29), Lsn(29)}, true), "C2");  // went back
  EXPECT_EQ(finds({0, 1, 1, Lsn(29), Lsn(29)}, false), "");   // was overtaken
  EXPECT_EQ(finds({0, 1, 2, Lsn(20), Lsn(20)}, true), "");    // persisted: all that a start keeps
  EXPECT_EQ(finds({0, 2, 2, Lsn(19), Lsn(19)}, true), "C2");
}

TEST(LsnOrder, LetsAServerThatIsToldTheCommitForgetItWhenItRestarts) {
  Findings findings;
  LsnOrder order(&findings, /*learns_commit=*/true);
  order.Observe(order.TakeTicket(), 1, ServerPositions{Lsn(10), Lsn(20), Lsn(30), Lsn(40)});
  order.Observe(order.TakeTicket(), 2, ServerPositions{Lsn(10), Lsn(20), Lsn(20), Lsn(30)});
  EXPECT_TRUE(findings.empty());
  order.Observe(order.TakeTicket(), 2, ServerPositions{Lsn(10), Lsn(20), Lsn(20), Lsn(29)});
  EXPECT_FALSE(findings.empty()) << "in one life it may not";
}

TEST(LeakCheck, NamesWhatIsStillHeld) {
  Findings findings;
  LeakCheck leaks(&findings);
  leaks.ClientsGone("log1", Holdings{0, 1, 3, 2, 1});
  leaks.Stopped("log1", Holdings{});
  EXPECT_TRUE(findings.empty()) << "a server that runs may have files and timers";
  leaks.ClientsGone("log1", Holdings{1, 1, 3, 2, 1});
  EXPECT_EQ(findings.all().size(), 1U);
  leaks.Stopped("log1", Holdings{0, 0, 2, 0, 0});
  ASSERT_EQ(findings.all().size(), 2U);
  EXPECT_NE(findings.all()[1].what.find("2 open files"), std::string::npos);
  leaks.Cached("page1", 4096, 4096);
  EXPECT_EQ(findings.all().size(), 2U);
  leaks.Cached("page1", 4097, 4096);
  EXPECT_EQ(findings.all().size(), 3U);
}

}  // namespace
}  // namespace redoubt::sim
