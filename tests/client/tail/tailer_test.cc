// SPDX-License-Identifier: MIT
//
// Goal: the volume gets the server's history, whole and nothing else, through everything that
// happens to a server; and never a gap unnoticed. Method: the whole tailer against a fake server
// and a volume in memory.
#include "client/tail/tailer.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tests/client/tail/fake_source.h"

namespace redoubt::tail {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;
using testing::ElementsAre;
using testing::HasSubstr;

constexpr uint32_t kSpace = 5;

class TailerTest : public testing::Test {
 protected:
  void SetUp() override {
    source_.Create();
    source_.PutSpace("db/t.ibd", {MakePage0(kSpace, 3, 0, Lsn(8050)),
                                  MakePage(kSpace, 1, Lsn(8060)), MakePage(kSpace, 2, Lsn(8070))});
    source_.Log(WriteMtr(kSpace, 2, 1));
  }
  void TearDown() override {
    if (tailer_ != nullptr) {
      static_cast<void>(Stop());
    }
  }

  void Begin() {
    stop_ = std::make_unique<Event>(node_.runtime()->scheduler);
    TailerOptions options;
    options.datadir = FakeSource::kDatadir;
    options.quiet = true;
    options.stop_patience = seconds(5);
    done_ = false;
    tailer_ = std::make_unique<Tailer>(node_.runtime(), &source_, &source_, &sink_, options);
    node_.Spawn(Run(tailer_.get(), stop_.get(), &status_, &done_));
    node_.RunFor(seconds(3));
  }
  static Task<void> Run(Tailer* tailer, Event* stop, Status* status, bool* done) {
    *status = co_await tailer->Run(stop);
    *done = true;
  }
  Status Stop() {
    stop_->Set();
    node_.TurnUntil([this] { return done_; });
    EXPECT_TRUE(done_);
    tailer_ = nullptr;
    return status_;
  }
  // What the volume holds is what the server has logged from the volume's begin on, up to `end`.
  void ExpectHistory(Lsn end) {
    EXPECT_EQ(sink_.end, end);
    const uint64_t skip =
        innodb::ToSn(sink_.begin).value() - innodb::ToSn(source_.first_lsn()).value();
    ASSERT_LE(skip + sink_.stream.size(), source_.history().size());
    EXPECT_TRUE(std::equal(sink_.stream.begin(), sink_.stream.end(),
                           source_.history().begin() + static_cast<ptrdiff_t>(skip)));
  }
  size_t PositionOf(const std::string& text) const {
    for (size_t i = 0; i < sink_.order.size(); ++i) {
      if (sink_.order[i].starts_with(text)) {
        return i;
      }
    }
    return sink_.order.size();
  }

  NodeHarness node_;
  FakeSource source_{&node_};
  FakeSink sink_{node_.runtime()};
  std::unique_ptr<Event> stop_;
  std::unique_ptr<Tailer> tailer_;
  Status status_;
  bool done_ = false;
};

TEST_F(TailerTest, ImportsAndFollows) {
  Begin();
  EXPECT_NE(sink_.horizon, Lsn{});
  EXPECT_EQ(sink_.images.size(), 4U);  // ibdata1 and three pages
  for (int i = 0; i < 3; ++i) {
    source_.LogUntilSwitch();
    node_.RunFor(seconds(1));
  }
  ExpectHistory(source_.current());
  EXPECT_EQ(source_.consumer_lsn, source_.current());
  const Status status = Stop();
  EXPECT_TRUE(status.ok()) << status.ToString();
}

TEST_F(TailerTest, SendsOnlyWholeMtrsThatAreFlushed) {
  Begin();
  const Lsn before = source_.current();
  const Bytes mtr = LongMtr(kSpace, 3000);
  source_.Log(Bytes(mtr.begin(), mtr.begin() + 1500));  // flushed, but not whole
  node_.RunFor(seconds(1));
  ExpectHistory(before);
  source_.Log(Bytes(mtr.begin() + 1500, mtr.end()), /*flush=*/false);  // whole, but not flushed
  node_.RunFor(seconds(1));
  ExpectHistory(before);
  source_.flushed = source_.current();
  node_.RunFor(seconds(1));
  ExpectHistory(source_.current());
}

TEST_F(TailerTest, BytesBehindTheLastWholeMtrDoNotSurviveACrash) {
  Begin();
  const Lsn valid = source_.current();
  const Bytes mtr = LongMtr(kSpace, 3000);
  source_.Log(Bytes(mtr.begin(), mtr.begin() + 1500));
  node_.RunFor(seconds(1));
  source_.Crash(valid);
  node_.RunFor(seconds(2));
  ExpectHistory(valid);
  source_.StartAgain();
  source_.Log(LongMtr(kSpace, 700));  // the same LSNs, other bytes
  source_.Log(WriteMtr(kSpace, 1, 9));
  node_.RunFor(seconds(2));
  ExpectHistory(source_.current());
  EXPECT_EQ(sink_.start_reasons.size(), 1U);
}

TEST_F(TailerTest, ReadsADeadServersRedoToItsEnd) {
  Begin();
  source_.Log(LongMtr(kSpace, 3000), /*flush=*/false);  // written, never reported as flushed
  source_.up = false;
  const Lsn end = source_.current();
  node_.RunFor(seconds(2));
  ExpectHistory(end);
  const Status status = Stop();  // with the server down
  EXPECT_TRUE(status.ok()) << status.ToString();
}

TEST_F(TailerTest, ReadsWhatAShutdownRecyclesUnread) {
  Begin();
  // Redo that is not known as flushed yet; then a shutdown ends the registration, goes on writing,
  // and recycles what its last checkpoint has left behind.
  for (int i = 0; i < 2; ++i) {
    source_.LogUntilSwitch(/*flush=*/false);
  }
  node_.RunFor(seconds(2));
  source_.BeginShutdown();
  source_.LogUntilSwitch(/*flush=*/false);
  node_.RunFor(seconds(2));
  for (int i = 0; i < 3; ++i) {
    source_.DropOldest();
  }
  source_.StopCleanly();
  node_.RunFor(seconds(2));
  ExpectHistory(source_.current());
  source_.StartAgain();
  source_.Log(WriteMtr(kSpace, 1, 1));
  node_.RunFor(seconds(2));
  EXPECT_EQ(sink_.start_reasons.size(), 1U);
  ExpectHistory(source_.current());
}

TEST_F(TailerTest, AStopCatchesUpFirst) {
  Begin();
  source_.Log(LongMtr(kSpace, 30'000));
  const Status status = Stop();
  EXPECT_TRUE(status.ok()) << status.ToString();
  ExpectHistory(source_.current());
}

TEST_F(TailerTest, TheNextRunGoesOnAtTheVolumesEnd) {
  Begin();
  EXPECT_TRUE(Stop().ok());
  source_.LogUntilSwitch();
  Begin();
  ExpectHistory(source_.current());
  EXPECT_EQ(sink_.start_reasons.size(), 1U);
}

TEST_F(TailerTest, AnUnfinishedImportIsDoneAgain) {
  Begin();
  EXPECT_TRUE(Stop().ok());
  sink_.horizon = Lsn{};  // as if it had been stopped in between
  sink_.images.clear();
  Begin();
  EXPECT_EQ(sink_.images.size(), 4U);
  EXPECT_NE(sink_.horizon, Lsn{});
  EXPECT_EQ(sink_.start_reasons.size(), 1U);
}

TEST_F(TailerTest, RedoRecycledUnreadIsAHoleAndANewImport) {
  Begin();
  EXPECT_TRUE(Stop().ok());
  for (int i = 0; i < 3; ++i) {
    source_.LogUntilSwitch();
  }
  source_.DropOldest();
  source_.DropOldest();
  source_.checkpoint = Lsn(source_.current().value() / 512 * 512 - 20 * 512);
  sink_.images.clear();
  Begin();
  ASSERT_EQ(sink_.start_reasons.size(), 2U);
  EXPECT_THAT(sink_.start_reasons[1], HasSubstr("recycled before it was read"));
  EXPECT_EQ(sink_.images.size(), 4U);
  EXPECT_GE(sink_.horizon, sink_.begin);
  ExpectHistory(source_.current());
}

TEST_F(TailerTest, RecreatedRedoIsFollowedWithoutAHole) {
  Begin();
  const Lsn end = source_.current();
  source_.StopCleanly();
  node_.RunFor(seconds(2));
  const Lsn block(end.value() / 512 * 512 + 512);
  source_.RecreateRedo(block);
  source_.StartAgain();
  source_.Log(WriteMtr(kSpace, 1, 1));
  node_.RunFor(seconds(3));
  EXPECT_EQ(sink_.start_reasons.size(), 1U);
  EXPECT_EQ(sink_.end, source_.current());
  // Between the two logs: dummy records.
  const uint64_t filler = innodb::ToSn(source_.first_lsn()).value() - innodb::ToSn(end).value();
  const size_t tail = filler + source_.history().size();
  ASSERT_GE(sink_.stream.size(), tail);
  EXPECT_EQ(sink_.stream[sink_.stream.size() - tail], 32);
}

TEST_F(TailerTest, RecreatedRedoSomewhereElseIsANewImport) {
  Begin();
  const Lsn end = source_.current();
  source_.StopCleanly();
  node_.RunFor(seconds(2));
  source_.RecreateRedo(Lsn(end.value() / 512 * 512 + 512 * 100));
  source_.StartAgain();
  source_.Log(WriteMtr(kSpace, 1, 1));
  node_.RunFor(seconds(10));
  ASSERT_EQ(sink_.start_reasons.size(), 2U);
  EXPECT_THAT(sink_.start_reasons[1], HasSubstr("made anew"));
  EXPECT_EQ(sink_.end, source_.current());
}

TEST_F(TailerTest, AnOlderStateOfTheServerIsRefused) {
  source_.Log(LongMtr(kSpace, 9000));
  Begin();
  const Lsn old(8192 + 512 * 4 + 12);
  source_.Crash(old);
  source_.StartAgain();
  node_.TurnUntil([this] { return done_; });
  EXPECT_EQ(status_.code(), StatusCode::kInvalidArgument);
  EXPECT_THAT(status_.message(), HasSubstr("older state"));
  tailer_ = nullptr;
}

TEST_F(TailerTest, OtherBytesAtTheVolumesEndAreNoticed) {
  Begin();
  const Lsn end = source_.current();
  source_.Log(LongMtr(kSpace, 2000));
  node_.RunFor(seconds(1));
  EXPECT_TRUE(Stop().ok());
  // The data directory was restored from before and went another way, past the volume's end.
  source_.Crash(end);
  source_.StartAgain();
  source_.Log(RootCreateMtr(kSpace, 9, 3));
  source_.Log(LongMtr(kSpace, 5000));
  source_.checkpoint = source_.current();
  source_.Log(LongMtr(kSpace, 2000));
  Begin();
  ASSERT_EQ(sink_.start_reasons.size(), 2U);
  EXPECT_THAT(sink_.start_reasons[1], HasSubstr("replaced by another state"));
  ExpectHistory(source_.current());
}

TEST_F(TailerTest, AnotherServersVolumeIsRefused) {
  sink_.source_id = "somebody else";
  Begin();
  EXPECT_TRUE(done_);
  EXPECT_EQ(status_.code(), StatusCode::kInvalidArgument);
  tailer_ = nullptr;
}

TEST_F(TailerTest, AWrongPasswordEndsIt) {
  source_.refuse = Status(StatusCode::kUnauthenticated, "Access denied for user");
  Begin();
  EXPECT_TRUE(done_);
  EXPECT_EQ(status_.code(), StatusCode::kUnauthenticated);
  tailer_ = nullptr;
}

TEST_F(TailerTest, SwitchedOffRedoIsANewImport) {
  Begin();
  source_.redo_enabled = false;
  source_.alter_instance_count = 1;
  node_.RunFor(seconds(2));
  EXPECT_EQ(sink_.start_reasons.size(), 1U);
  source_.redo_enabled = true;
  source_.alter_instance_count = 2;
  source_.Log(WriteMtr(kSpace, 1, 1));
  source_.checkpoint = source_.current();
  source_.Log(WriteMtr(kSpace, 1, 2));
  node_.RunFor(seconds(10));
  ASSERT_EQ(sink_.start_reasons.size(), 2U);
  EXPECT_THAT(sink_.start_reasons[1], HasSubstr("switched off"));
  EXPECT_EQ(sink_.end, source_.current());
}

// What was lost at one LSN shows as a hole only once the server has a later one; until then the
// volume ends with the last state that is known.
TEST_F(TailerTest, SwitchedOffRedoWithoutAChangeSinceIsImportedWithTheNextOne) {
  source_.checkpoint = source_.current();
  Begin();
  const Lsn end = source_.current();
  source_.redo_enabled = false;
  source_.alter_instance_count = 1;
  node_.RunFor(seconds(2));
  source_.redo_enabled = true;
  source_.alter_instance_count = 2;
  node_.RunFor(seconds(20));
  EXPECT_EQ(sink_.start_reasons.size(), 1U);
  source_.Log(WriteMtr(kSpace, 1, 1));
  node_.RunFor(seconds(2));
  EXPECT_EQ(sink_.start_reasons.size(), 1U);  // the change may be in no data file yet
  source_.checkpoint = source_.current();
  node_.RunFor(seconds(10));
  ASSERT_EQ(sink_.start_reasons.size(), 2U);
  EXPECT_GT(sink_.begin, end);
  EXPECT_EQ(sink_.end, source_.current());
  EXPECT_GE(sink_.horizon, sink_.begin);
}

TEST_F(TailerTest, SwitchedOffBetweenTwoLooksIsNoticed) {
  Begin();
  source_.alter_instance_count = 2;
  source_.redo_enabled_again_s = node_.runtime()->wall_clock->NowUnixNs() / 1'000'000'000 + 1;
  source_.Log(WriteMtr(kSpace, 1, 1));
  source_.checkpoint = source_.current();
  source_.Log(WriteMtr(kSpace, 1, 2));
  node_.RunFor(seconds(10));
  EXPECT_EQ(sink_.start_reasons.size(), 2U);
}

TEST_F(TailerTest, PagesOfAnIndexBuildComeBeforeItsRecord) {
  Begin();
  source_.Log(RootCreateMtr(kSpace, 9, 77));
  node_.RunFor(seconds(1));
  sink_.order.clear();
  // Built pages reach the file, then the record is logged, then rows change.
  source_.WriteAt("db/t.ibd", 3 * 16384, MakePage(kSpace, 3, source_.current()));
  const Lsn before = source_.current();
  source_.Log(IndexLoadMtr(kSpace, 9, 77));
  source_.Log(InsertMtr(kSpace, 3));
  node_.RunFor(seconds(2));
  const size_t image = PositionOf("image 5:3");
  const size_t complete = PositionOf("event IMAGES_COMPLETE 5");
  const size_t append = PositionOf("append " + std::to_string(before.value()));
  EXPECT_LT(image, complete);
  EXPECT_LT(complete, append);
  EXPECT_LT(append, sink_.order.size());
  ExpectHistory(source_.current());
}

TEST_F(TailerTest, ABuildWithoutARecordIsFetchedWhenItIsCommitted) {
  Begin();
  source_.Log(InsertMtr(kSpace, 2));
  source_.Log(RootCreateMtr(kSpace, 9, 77));
  node_.RunFor(seconds(1));
  sink_.order.clear();
  source_.Log(InsertMtr(kSpace, 2));
  node_.RunFor(seconds(2));
  EXPECT_EQ(PositionOf("image"), sink_.order.size());  // not committed yet
  source_.committed_indexes = {77};
  const Lsn before = source_.current();
  source_.Log(InsertMtr(kSpace, 9));
  node_.RunFor(seconds(2));
  EXPECT_LT(PositionOf("event IMAGES_COMPLETE 5"), sink_.order.size());
  EXPECT_LT(PositionOf("image 5:2"), sink_.order.size());
  EXPECT_LT(PositionOf("append " + std::to_string(before.value())), sink_.order.size());
}

// A server that is busy with DDL answers a question about its dictionary late, once.
TEST_F(TailerTest, ALateAnswerDoesNotPutOffTheNextBuildsPages) {
  Begin();
  source_.Log(InsertMtr(kSpace, 2));
  source_.Log(RootCreateMtr(kSpace, 9, 77));
  node_.RunFor(seconds(1));
  source_.dictionary_after = seconds(4);
  source_.Log(InsertMtr(kSpace, 2));
  node_.RunFor(seconds(5));
  source_.dictionary_after = {};
  sink_.order.clear();
  // Another build, seen at the first row change behind it.
  source_.Log(RootCreateMtr(kSpace, 10, 78));
  source_.committed_indexes = {78};
  const Lsn before = source_.current();
  source_.Log(InsertMtr(kSpace, 10));
  node_.RunFor(seconds(1));
  const size_t append = PositionOf("append " + std::to_string(before.value()));
  EXPECT_LT(PositionOf("event IMAGES_COMPLETE 5"), append);
  EXPECT_LT(append, sink_.order.size());
  // The older one, no later than a second and a tenth of its age.
  sink_.order.clear();
  source_.dictionary_after = seconds(4);
  source_.Log(InsertMtr(kSpace, 2));
  node_.RunFor(seconds(5));
  source_.dictionary_after = {};
  source_.committed_indexes = {77, 78};
  node_.RunFor(seconds(3));
  source_.Log(InsertMtr(kSpace, 9));
  node_.RunFor(seconds(1));
  EXPECT_LT(PositionOf("event IMAGES_COMPLETE 5"), sink_.order.size());
}

// A question fails where it would wait too long for a lock: that does not say that the build ended.
TEST_F(TailerTest, ARefusedAnswerIsNoCommit) {
  Begin();
  source_.Log(InsertMtr(kSpace, 2));
  source_.Log(RootCreateMtr(kSpace, 9, 77));
  node_.RunFor(seconds(1));
  sink_.order.clear();
  source_.dictionary_refuses = InvalidArgument("Lock wait timeout exceeded");
  source_.Log(InsertMtr(kSpace, 2));
  node_.RunFor(seconds(2));
  EXPECT_EQ(PositionOf("image"), sink_.order.size());
  source_.dictionary_refuses = Status::Ok();
  source_.committed_indexes = {77};
  source_.Log(InsertMtr(kSpace, 9));
  node_.RunFor(seconds(3));
  EXPECT_LT(PositionOf("event IMAGES_COMPLETE 5"), sink_.order.size());
}

TEST_F(TailerTest, TreesFromWhenTheServerWasMadeAreNoBuilds) {
  constexpr uint32_t kDictionary = 0xFFFFFFFE;
  const auto completed = [this] {
    return std::count_if(sink_.order.begin(), sink_.order.end(), [](const std::string& entry) {
      return entry.starts_with("event IMAGES_COMPLETE 4294967294");
    });
  };
  source_.PutSpace("mysql.ibd",
                   {MakePage0(kDictionary, 3, 0, Lsn(8050)), MakePage(kDictionary, 1, Lsn(8060))});
  source_.Log(RootCreateMtr(kDictionary, 2, 103));
  source_.Log(InsertMtr(kDictionary, 2));
  source_.checkpoint = source_.current();
  Begin();
  source_.Log(InsertMtr(kDictionary, 2));
  node_.RunFor(seconds(1));
  EXPECT_TRUE(Stop().ok());
  Begin();  // reads back to what was before, too
  source_.Log(InsertMtr(kDictionary, 2), /*flush=*/false);
  source_.up = false;  // nobody to ask what is committed
  node_.RunFor(seconds(2));
  ExpectHistory(source_.current());
  EXPECT_EQ(completed(), 0);
  // An index that is built later is no such tree.
  source_.StartAgain();
  source_.Log(RootCreateMtr(kDictionary, 1, 200));
  node_.RunFor(seconds(1));
  source_.Log(InsertMtr(kDictionary, 2), /*flush=*/false);
  source_.up = false;
  node_.RunFor(seconds(2));
  EXPECT_EQ(completed(), 1);
}

TEST_F(TailerTest, AnImportedTableIsReadAgain) {
  Begin();
  source_.Log(FileDeleteMtr(kSpace, "./db/t.ibd"));
  source_.RemoveFile("db/t.ibd");
  node_.RunFor(seconds(1));
  sink_.order.clear();
  source_.PutSpace("db/t.ibd", {MakePage0(kSpace, 2, 0, source_.current()),
                                MakePage(kSpace, 1, source_.current())});
  source_.Log(WriteMtr(kSpace, 1, 1));
  node_.RunFor(seconds(2));
  const size_t present = PositionOf("event PRESENT 5");
  EXPECT_LT(PositionOf("image 5:1"), present);
  EXPECT_LT(present, PositionOf("append"));
}

TEST_F(TailerTest, AnImportedTableThatNobodyChangesIsFound) {
  Begin();
  source_.Log(FileDeleteMtr(kSpace, "./db/t.ibd"));
  source_.RemoveFile("db/t.ibd");
  node_.RunFor(seconds(1));
  sink_.order.clear();
  source_.PutSpace("db/t.ibd", {MakePage0(kSpace, 1, 0, source_.current())});
  node_.RunFor(seconds(10));
  EXPECT_LT(PositionOf("event PRESENT 5"), sink_.order.size());
}

TEST_F(TailerTest, ASpaceWithoutABaseIsReadAgain) {
  Begin();
  sink_.order.clear();
  sink_.wanting = {kSpace};
  source_.checkpoint = source_.current();
  node_.RunFor(seconds(3));
  EXPECT_LT(PositionOf("image 5:1"), sink_.order.size());
  EXPECT_LT(PositionOf("event IMAGES_COMPLETE 5"), sink_.order.size());
  sink_.wanting.clear();
}

TEST_F(TailerTest, AHungPageServerDoesNotHoldTheServerUp) {
  Begin();
  EXPECT_NE(source_.consumer_session, 0U);
  sink_.hold_acks = true;
  sink_.held_at = sink_.end;
  source_.Log(WriteMtr(kSpace, 1, 1));
  node_.RunFor(seconds(70));
  EXPECT_EQ(source_.consumer_session, 0U);
  sink_.hold_acks = false;
  node_.RunFor(seconds(10));
  EXPECT_NE(source_.consumer_session, 0U);
  ExpectHistory(source_.current());
}

TEST_F(TailerTest, ANewerWriterEndsIt) {
  Begin();
  sink_.fail = Status(StatusCode::kStaleEpoch, "epoch 2 is newer");
  node_.RunFor(seconds(2));
  EXPECT_TRUE(done_);
  EXPECT_EQ(status_.code(), StatusCode::kStaleEpoch);
  tailer_ = nullptr;
}

TEST_F(TailerTest, UnreadableRedoEndsItWithTypeAndLsn) {
  Begin();
  const Lsn at = source_.current();
  source_.Log(Bytes{0x80 | 99, 1, 2, 3});
  node_.RunFor(seconds(2));
  EXPECT_TRUE(done_);
  EXPECT_EQ(status_.code(), StatusCode::kCorruption);
  EXPECT_THAT(status_.message(), HasSubstr("99"));
  EXPECT_THAT(status_.message(), HasSubstr(std::to_string(at.value())));
  ExpectHistory(at);
  tailer_ = nullptr;
}

}  // namespace
}  // namespace redoubt::tail
