// SPDX-License-Identifier: MIT
//
// Goal: what a log volume acknowledged survives, in order and unchanged, and nothing else is passed
// off as redo. Method: LogVolume over the simulated disk, with power cuts under every crash policy,
// failing writes and syncs, a full disk and damaged files; a model remembers every byte that was
// sent.
#include "pageserver/log/log_volume.h"

#include <gtest/gtest.h>

#include <string>
#include <utility>
#include <vector>

#include "common/base/crc32c.h"
#include "common/base/hash.h"
#include "common/innodb/log_block.h"
#include "tests/pageserver/log/log_world.h"

namespace redoubt {
namespace {

// --- Crashes ---

// Sends chunks without waiting for each; remembers all bytes sent and how far they were
// acknowledged.
struct Sender {
  LogWorld* world;
  uint64_t seed = 0;
  Bytes sent;  // from kStart on
  Lsn acknowledged = kStart;

  static Task<void> AwaitOne(Sender* sender, LogVolume* log, Lsn end,
                             std::shared_ptr<LogVolume::Ticket> ticket) {
    const AppendOutcome outcome = co_await log->FinishAppend(std::move(ticket));
    if (outcome.status.ok()) {
      sender->acknowledged = std::max(sender->acknowledged, end);
    }
  }
  void SendSome(size_t count) {
    for (size_t i = 0; i < count; ++i) {
      const size_t bytes = 1 + HashMix(seed, ++content) % 900;
      RedoChunk chunk = world->MakeChunk(bytes, HashMix(seed, content));
      const uint64_t base = innodb::ToSn(kStart).value();
      sent.resize(innodb::ToSn(chunk.range.start).value() - base);
      sent.insert(sent.end(), chunk.payload->begin(), chunk.payload->end());
      world->next = chunk.range.end;
      auto ticket = world->log->BeginAppend(chunk, WriterTold{{}, {}, chunk.range.end});
      world->node.Spawn(AwaitOne(this, world->log.get(), chunk.range.end, std::move(ticket)));
    }
  }
  uint64_t content = 0;
};

class LogCrash : public testing::TestWithParam<sim::CrashPolicy> {};

TEST_P(LogCrash, LosesNothingThatWasAcknowledged) {
  for (uint64_t seed = 1; seed <= 60; ++seed) {
    SCOPED_TRACE("seed " + std::to_string(seed));
    LogWorld world(seed);
    world.Begin();
    Sender sender{&world, seed, {}};
    for (int life = 0; life < 6; ++life) {
      for (int burst = 0; burst < 4; ++burst) {
        sender.SendSome(1 + HashMix(seed, static_cast<uint64_t>(life * 10 + burst)) % 12);
        world.node.RunFor(std::chrono::microseconds(HashMix(seed, sender.content) % 4000));
      }
      world.Crash(GetParam());
      const Status opened = world.Open();
      ASSERT_TRUE(opened.ok()) << opened.ToString();
      world.Take();
      ASSERT_GE(world.next, sender.acknowledged);
      const Result<Bytes> read = world.ReadAll(kStart);
      ASSERT_TRUE(read.ok()) << read.status().ToString();
      ASSERT_LE(read->size(), sender.sent.size());
      ASSERT_TRUE(std::equal(read->begin(), read->end(), sender.sent.begin()));
      sender.acknowledged = world.next;
    }
  }
}

// The crash hits the recovery itself, again and again.
TEST_P(LogCrash, SurvivesCrashesDuringRecovery) {
  for (uint64_t seed = 1; seed <= 40; ++seed) {
    SCOPED_TRACE("seed " + std::to_string(seed));
    LogWorld world(seed);
    world.Begin();
    Sender sender{&world, seed, {}};
    sender.SendSome(30);
    world.node.RunFor(std::chrono::milliseconds(1 + HashMix(seed, 5) % 20));
    for (uint64_t attempt = 0; attempt < 6; ++attempt) {
      world.Crash(GetParam());
      world.log = std::make_unique<LogVolume>(world.node.runtime(), SmallOptions());
      const auto start = [](LogVolume* log) -> Task<void> { (void)co_await log->Start(); };
      world.node.Spawn(start(world.log.get()));
      world.node.RunFor(std::chrono::microseconds(HashMix(seed, 100 + attempt) % 6000));
    }
    world.Crash(GetParam());
    const Status opened = world.Open();
    ASSERT_TRUE(opened.ok()) << opened.ToString();
    world.Take();
    ASSERT_GE(world.next, sender.acknowledged);
    const Result<Bytes> read = world.ReadAll(kStart);
    ASSERT_TRUE(read.ok()) << read.status().ToString();
    ASSERT_TRUE(std::equal(read->begin(), read->end(), sender.sent.begin()));
  }
}

INSTANTIATE_TEST_SUITE_P(Policies, LogCrash,
                         testing::Values(sim::CrashPolicy::kClean, sim::CrashPolicy::kAll,
                                         sim::CrashPolicy::kPrefix, sim::CrashPolicy::kBlocks,
                                         sim::CrashPolicy::kTorn, sim::CrashPolicy::kLostNames),
                         [](const auto& policy) {
                           std::string name(sim::CrashPolicyName(policy.param));
                           std::erase_if(name, [](char c) { return !std::isalnum(c); });
                           return name;
                         });

TEST(LogVolume, RandomWriteAndSyncErrorsLoseNothing) {
  for (uint64_t seed = 1; seed <= 60; ++seed) {
    SCOPED_TRACE("seed " + std::to_string(seed));
    LogWorld world(seed);
    world.Begin();
    Sender sender{&world, seed, {}};
    for (int life = 0; life < 5; ++life) {
      world.node.disk().SetErrorRates(0, 50'000, 50'000);
      for (int burst = 0; burst < 6; ++burst) {
        world.next = world.log->status().end;
        sender.SendSome(5);
        world.node.RunFor(std::chrono::milliseconds(30));
      }
      world.node.disk().SetErrorRates(0, 0, 0);
      world.Crash(sim::CrashPolicy::kSeeded);
      const Status opened = world.Open();
      ASSERT_TRUE(opened.ok()) << opened.ToString();
      world.Take();
      ASSERT_GE(world.next, sender.acknowledged);
      const Result<Bytes> read = world.ReadAll(kStart);
      ASSERT_TRUE(read.ok()) << read.status().ToString();
      sender.acknowledged = world.next;
    }
  }
}

// --- Disk trouble ---

TEST(LogVolume, AFailedSyncStopsTheLogUntilRestart) {
  LogWorld world;
  world.Begin();
  ASSERT_TRUE(world.Append(300, 1).status.ok());
  world.node.disk().FailNext(sim::FileOp::kSync, ".redo", StatusCode::kIoError, 1);
  const AppendOutcome failed = world.Append(300, 2);
  EXPECT_EQ(failed.status.code(), StatusCode::kIoError);
  EXPECT_NE(failed.status.message().find("restarted"), std::string::npos)
      << failed.status.ToString();
  const AppendOutcome after = world.Append(300, 3);
  EXPECT_EQ(after.status.code(), StatusCode::kIoError) << "the next sync would succeed, but lie";
  world.Stop();
  ASSERT_TRUE(world.Open().ok());
  world.Take();
  // The page cache may show what never reached the disk; whatever is served now must be there.
  const Lsn end = world.next;
  EXPECT_TRUE(world.Append(300, 4).status.ok());
  world.Crash(sim::CrashPolicy::kClean);
  ASSERT_TRUE(world.Open().ok());
  EXPECT_GT(world.log->status().end, end);
}

TEST(LogVolume, AFullDiskIsReportedAndWritingGoesOnWhenSpaceReturns) {
  LogWorld world;
  LogVolumeOptions options = SmallOptions();
  options.store.space_ahead_bytes = 0;  // which would take in some more (space_ahead_test.cc)
  world.Begin(std::move(options));
  ASSERT_TRUE(world.Append(700, 1).status.ok());
  const uint64_t capacity = world.node.disk().options().capacity_bytes;
  world.node.disk().SetCapacity(world.node.disk().used_bytes() + 100);
  for (int i = 0; i < 3; ++i) {
    const AppendOutcome full = world.Append(700, 2);
    EXPECT_EQ(full.status.code(), StatusCode::kNoSpace) << full.status.ToString();
    EXPECT_EQ(full.end, world.next) << "what was accepted before stands";
  }
  world.node.disk().SetCapacity(capacity);
  for (uint64_t i = 0; i < 30; ++i) {
    ASSERT_TRUE(world.Append(700, 3).status.ok());
  }
  const Lsn end = world.next;
  world.Crash(sim::CrashPolicy::kClean);
  ASSERT_TRUE(world.Open().ok());
  EXPECT_EQ(world.log->status().end, end);
  const Result<Bytes> read = world.ReadAll(kStart);
  ASSERT_TRUE(read.ok()) << read.status().ToString();
  EXPECT_EQ(read->size(), 700U * 31);
}

TEST(LogVolume, DamageInTheMiddleIsRefusedWithFileAndOffset) {
  LogWorld world;
  world.Begin();
  for (uint64_t i = 0; i < 5; ++i) {
    ASSERT_TRUE(world.Append(400, i).status.ok());
  }
  world.Stop();
  const std::string name = world.Files().front();
  const uint64_t third_record = kSegmentHeaderBytes + 2 * (kRecordHeaderBytes + 400);
  world.Damage(name, third_record + kRecordHeaderBytes + 17);
  const Status opened = world.Open();
  EXPECT_EQ(opened.code(), StatusCode::kCorruption);
  EXPECT_NE(opened.message().find(name), std::string::npos) << opened.ToString();
  EXPECT_NE(opened.message().find(std::to_string(third_record)), std::string::npos)
      << opened.ToString();
}

// After a moment of rest the last batch is as well protected as the others, also without a clean
// stop.
TEST(LogVolume, DamageOfTheLastBatchOfAnIdleLogIsRefused) {
  LogWorld world;
  world.Begin();
  ASSERT_TRUE(world.Append(400, 1).status.ok());
  ASSERT_TRUE(world.Append(400, 2).status.ok());
  world.node.RunFor(std::chrono::seconds(2));
  ASSERT_TRUE(world.Append(400, 3).status.ok());
  world.node.RunFor(std::chrono::seconds(2));
  const Result<Bytes> read = world.ReadAll(kStart);
  ASSERT_TRUE(read.ok()) << read.status().ToString();
  EXPECT_EQ(read->size(), 1200U) << "marks are no redo";
  world.Crash(sim::CrashPolicy::kAll);
  const uint64_t last_payload =
      kSegmentHeaderBytes + 3 * (kRecordHeaderBytes + 400) + kRecordHeaderBytes - 5;
  world.Damage(world.Files().front(), last_payload);
  EXPECT_EQ(world.Open().code(), StatusCode::kCorruption);
}

TEST(LogVolume, DamageInAnOlderSegmentIsRefused) {
  LogWorld world;
  world.Begin();
  for (uint64_t i = 0; i < 60; ++i) {
    ASSERT_TRUE(world.Append(400, i).status.ok());
  }
  world.Stop();
  const std::vector<std::string> files = world.Files();
  ASSERT_GE(files.size(), 4U);
  world.Damage(files[1], kSegmentHeaderBytes + 3);
  EXPECT_EQ(world.Open().code(), StatusCode::kCorruption);
  world.Damage(files[1], kSegmentHeaderBytes + 3);
  EXPECT_TRUE(world.Open().ok());
  world.Stop();
  const std::string path = std::string(kDirectory) + "/" + files[1];
  ASSERT_TRUE(world.node.Await(world.node.runtime()->files->Remove(path)).ok());
  EXPECT_EQ(world.Open().code(), StatusCode::kCorruption) << "a segment is missing";
}

// Both records are sound in themselves; only their places are wrong.
TEST(LogVolume, ExchangedRecordsAreRefusedWithFileAndOffset) {
  LogWorld world;
  world.Begin();
  for (uint64_t i = 0; i < 5; ++i) {
    ASSERT_TRUE(world.Append(400, i).status.ok());
  }
  world.Stop();
  const std::string name = world.Files().front();
  constexpr uint64_t kRecordBytes = kRecordHeaderBytes + 400;
  const uint64_t second = kSegmentHeaderBytes + kRecordBytes;
  world.Exchange(name, second, second + kRecordBytes, kRecordBytes);
  const Status opened = world.Open();
  EXPECT_EQ(opened.code(), StatusCode::kCorruption) << opened.ToString();
  EXPECT_NE(opened.message().find(name), std::string::npos) << opened.ToString();
  EXPECT_NE(opened.message().find(std::to_string(second)), std::string::npos) << opened.ToString();
  world.Exchange(name, second, second + kRecordBytes, kRecordBytes);
  EXPECT_TRUE(world.Open().ok()) << "put back, nothing is missing";
}

TEST(LogVolume, AnOlderSegmentThatWasCutIsRefused) {
  LogWorld world;
  world.Begin();
  for (uint64_t i = 0; i < 60; ++i) {
    ASSERT_TRUE(world.Append(400, i).status.ok());
  }
  world.Stop();
  const std::vector<std::string> files = world.Files();
  ASSERT_GE(files.size(), 4U);
  const std::string path = std::string(kDirectory) + "/" + files[1];
  auto file = world.node.Await(world.node.runtime()->files->Open(path, OpenMode::kReadWrite));
  ASSERT_TRUE(file.ok());
  const Result<uint64_t> size = world.node.Await((*file)->Size());
  ASSERT_TRUE(world.node.Await((*file)->Truncate(*size - 10)).ok());
  const Status opened = world.Open();
  EXPECT_EQ(opened.code(), StatusCode::kCorruption) << opened.ToString();
  EXPECT_NE(opened.message().find(files[1]), std::string::npos) << opened.ToString();
}

TEST(LogVolume, TheDiskOfAnotherServerIsRefused) {
  LogWorld world;
  world.Begin();
  ASSERT_TRUE(world.Append(400).status.ok());
  world.Stop();
  LogVolumeOptions other = SmallOptions();
  other.store.volume_uid = 78;
  EXPECT_EQ(world.Open(other).code(), StatusCode::kUnsupported);
  EXPECT_TRUE(world.Open().ok());
}

// --- Epochs ---

TEST(EpochFence, RefusesOlderWriterAfterRestart) {
  LogWorld world;
  world.Begin();
  const Epoch old = world.epoch;
  ASSERT_TRUE(world.Append(100).status.ok());
  world.Take();
  ASSERT_GT(world.epoch, old);
  for (const sim::CrashPolicy policy : {sim::CrashPolicy::kClean, sim::CrashPolicy::kLostNames}) {
    world.Crash(policy);
    ASSERT_TRUE(world.Open().ok());
    RedoChunk stale = world.MakeChunk(100, 5);
    stale.epoch = old;
    EXPECT_EQ(world.AppendChunk(stale).status.code(), StatusCode::kStaleEpoch);
    const Result<PreparedEpoch> again = world.node.Await(world.log->Prepare(world.epoch));
    EXPECT_EQ(again.status().code(), StatusCode::kStaleEpoch) << "promised once already";
  }
  EXPECT_TRUE(world.Append(100).status.ok()) << "the newest writer goes on";
}

TEST(EpochFence, AnUnsyncedPromiseIsNotAnswered) {
  LogWorld world;
  world.Begin();
  world.node.disk().FailNext(sim::FileOp::kSync, "epoch", StatusCode::kIoError, 1);
  const Result<PreparedEpoch> failed = world.node.Await(world.log->Prepare(Epoch(9)));
  EXPECT_EQ(failed.status().code(), StatusCode::kIoError);
  const AppendOutcome old = world.Append(100);
  EXPECT_EQ(old.status.code(), StatusCode::kStaleEpoch) << "nobody older writes any more";
  const Result<PreparedEpoch> next = world.node.Await(world.log->Prepare(Epoch(0)));
  ASSERT_TRUE(next.ok()) << next.status().ToString();
  EXPECT_EQ(next->epoch, Epoch(10));
}

TEST(EpochFence, HistorySaysWhereEachEpochBegan) {
  LogWorld world;
  world.Begin();
  ASSERT_TRUE(world.Append(100).status.ok());
  const Lsn second = world.next;
  world.Take();
  world.Crash(sim::CrashPolicy::kClean);
  ASSERT_TRUE(world.Open().ok());
  const Result<PreparedEpoch> prepared = world.node.Await(world.log->Prepare(Epoch(0)));
  ASSERT_TRUE(prepared.ok());
  const EpochHistory wanted{{Epoch(1), Lsn(0)}, {Epoch(2), second}};
  EXPECT_EQ(prepared->history, wanted) << "epoch 3 is promised, not begun";
}

TEST(EpochFence, APromisedEpochMustBeginBeforeItsAppends) {
  LogWorld world;
  world.Begin();
  ASSERT_TRUE(world.Append(100).status.ok());
  const Result<PreparedEpoch> prepared = world.node.Await(world.log->Prepare(Epoch(0)));
  ASSERT_TRUE(prepared.ok());
  world.epoch = prepared->epoch;
  const AppendOutcome early = world.Append(100);
  EXPECT_EQ(early.status.code(), StatusCode::kInvalidArgument);
  EXPECT_NE(early.status.message().find("not begun here"), std::string::npos);
  const Status early_start =
      world.node.Await(world.log->StartAt(world.epoch, Lsn(99852), "no", false));
  EXPECT_EQ(early_start.code(), StatusCode::kInvalidArgument);
  world.Crash(sim::CrashPolicy::kClean);
  ASSERT_TRUE(world.Open().ok());
  const EpochStartIn begin = LogWorld::Continue(*prepared);
  for (int repeat = 0; repeat < 3; ++repeat) {
    const Result<Lsn> begun = world.node.Await(world.log->BeginEpoch(begin));
    ASSERT_TRUE(begun.ok()) << begun.status().ToString();
    ASSERT_EQ(*begun, world.next);
    ASSERT_TRUE(world.Append(100).status.ok());
    world.Crash(sim::CrashPolicy::kClean);
    ASSERT_TRUE(world.Open().ok());
  }
}

TEST(EpochFence, RefusesABeginThatFitsNoPromiseOrHistory) {
  LogWorld world;
  world.Begin();
  ASSERT_TRUE(world.Append(100).status.ok());
  const Result<PreparedEpoch> prepared = world.node.Await(world.log->Prepare(Epoch(7)));
  ASSERT_TRUE(prepared.ok());
  const EpochStartIn good = LogWorld::Continue(*prepared);
  const auto refused_with = [&](EpochStartIn begin) {
    return world.node.Await(world.log->BeginEpoch(std::move(begin))).status().code();
  };
  EpochStartIn begin = good;
  begin.epoch = Epoch(6);
  begin.history.back().epoch = Epoch(6);
  EXPECT_EQ(refused_with(begin), StatusCode::kStaleEpoch);
  begin.epoch = Epoch(8);
  begin.history.back().epoch = Epoch(8);
  EXPECT_EQ(refused_with(begin), StatusCode::kInvalidArgument) << "never promised";
  begin = good;
  begin.history.pop_back();
  EXPECT_EQ(refused_with(begin), StatusCode::kInvalidArgument) << "does not end with itself";
  begin = good;
  begin.history.insert(begin.history.begin(), {Epoch(9), Lsn(0)});
  EXPECT_EQ(refused_with(begin), StatusCode::kInvalidArgument) << "descends";
  begin = good;
  begin.history.assign(kEpochHistoryMax + 2, good.history.back());
  EXPECT_EQ(refused_with(begin), StatusCode::kInvalidArgument) << "too long";
  begin = good;
  begin.member_count = 2;
  EXPECT_EQ(refused_with(begin), StatusCode::kInvalidArgument) << "no odd number of members";
  begin = good;
  begin.history.front().start = Lsn(8204);
  EXPECT_EQ(refused_with(begin), StatusCode::kCorruption) << "epoch 1 began at 0 here";
  begin = good;
  begin.start = kStart;
  begin.history.back().start = kStart;
  EXPECT_EQ(refused_with(begin), StatusCode::kCorruption) << "would cut committed redo";
  ASSERT_TRUE(world.node.Await(world.log->BeginEpoch(good)).ok());
  begin = good;
  begin.member_count = 3;
  EXPECT_EQ(refused_with(begin), StatusCode::kInvalidArgument) << "begun with one member";
}

TEST(EpochFence, AnUnsyncedBeginIsNotAnswered) {
  LogWorld world;
  world.Begin();
  const Result<PreparedEpoch> prepared = world.node.Await(world.log->Prepare(Epoch(0)));
  ASSERT_TRUE(prepared.ok());
  world.node.disk().FailNext(sim::FileOp::kSync, "epoch", StatusCode::kIoError, 1);
  const EpochStartIn begin = LogWorld::Continue(*prepared);
  const Result<Lsn> failed = world.node.Await(world.log->BeginEpoch(begin));
  EXPECT_EQ(failed.status().code(), StatusCode::kIoError);
  world.epoch = prepared->epoch;
  EXPECT_EQ(world.Append(100).status.code(), StatusCode::kInvalidArgument);
  EXPECT_TRUE(world.node.Await(world.log->BeginEpoch(begin)).ok());
  EXPECT_TRUE(world.Append(100).status.ok());
}

TEST(EpochFence, ALostOrDamagedFileIsNotTakenForNoPromise) {
  LogWorld world;
  world.Begin();
  ASSERT_TRUE(world.Append(100).status.ok());
  world.Stop();
  world.Damage("epoch", 13);
  EXPECT_EQ(world.Open().code(), StatusCode::kCorruption);
  const std::string path = std::string(kDirectory) + "/epoch";
  ASSERT_TRUE(world.node.Await(world.node.runtime()->files->Remove(path)).ok());
  EXPECT_EQ(world.Open().code(), StatusCode::kCorruption);
}

// --- Appending ---

TEST(LogVolume, ManyAppendsShareOneSync) {
  LogWorld world;
  world.Begin();
  const uint64_t syncs_before = world.log->status().sync_count;
  Sender sender{&world, 3, {}};
  sender.SendSome(200);
  world.node.RunFor(std::chrono::seconds(2));
  EXPECT_EQ(sender.acknowledged, world.next);
  EXPECT_LT(world.log->status().sync_count - syncs_before, 60U);
}

TEST(LogVolume, ARetryIsComparedWithWhatIsStored) {
  LogWorld world;
  world.Begin();
  RedoChunk first = world.MakeChunk(300, 1);
  ASSERT_TRUE(world.Append(300, 1).status.ok());
  for (uint64_t i = 0; i < 20; ++i) {
    ASSERT_TRUE(world.Append(500, i).status.ok());  // pushes the first out of memory
  }
  EXPECT_TRUE(world.AppendChunk(first).status.ok());
  world.Crash(sim::CrashPolicy::kClean);
  ASSERT_TRUE(world.Open().ok());
  EXPECT_TRUE(world.AppendChunk(first).status.ok());
  const Lsn end = world.next;
  world.next = kStart;
  const AppendOutcome differs = world.AppendChunk(world.MakeChunk(300, 2));
  EXPECT_EQ(differs.status.code(), StatusCode::kCorruption) << differs.status.ToString();
  // The same LSNs, cut into chunks in another way.
  RedoChunk part = world.MakeChunk(300, 1);
  Bytes half(part.payload->begin(), part.payload->begin() + 150);
  part.range.end = innodb::AdvanceLsn(kStart, 150);
  part.payload_crc32c = Crc32c(half);
  part.payload = std::make_shared<const Bytes>(half);
  EXPECT_TRUE(world.AppendChunk(part).status.ok());
  // Beyond the end it is a gap, and the answer says where to go on.
  world.next = innodb::AdvanceLsn(end, 1);
  const AppendOutcome gap = world.AppendChunk(world.MakeChunk(300, 1));
  EXPECT_EQ(gap.status.code(), StatusCode::kGap);
  EXPECT_EQ(gap.end, end);
}

TEST(LogVolume, RefusesWhatIsNoRedo) {
  LogWorld world;
  world.Begin();
  RedoChunk chunk = world.MakeChunk(300, 1);
  chunk.payload_crc32c ^= 1;
  EXPECT_EQ(world.AppendChunk(chunk).status.code(), StatusCode::kCorruption);
  chunk = world.MakeChunk(300, 1);
  chunk.range.end = Lsn(chunk.range.end.value() + 1);
  EXPECT_EQ(world.AppendChunk(chunk).status.code(), StatusCode::kInvalidArgument);
  chunk = world.MakeChunk(300, 1);
  chunk.range.start = Lsn(8192);  // a block header
  EXPECT_EQ(world.AppendChunk(chunk).status.code(), StatusCode::kInvalidArgument);
  chunk = world.MakeChunk(300, 1);
  chunk.first_mtr_lsn = chunk.range.end;
  EXPECT_EQ(world.AppendChunk(chunk).status.code(), StatusCode::kInvalidArgument);
  chunk = world.MakeChunk(300, 1);
  chunk.epoch = Epoch(99);
  EXPECT_EQ(world.AppendChunk(chunk).status.code(), StatusCode::kInvalidArgument);
  EXPECT_TRUE(world.Append(300, 1).status.ok());
}

// --- The feed ---

TEST(LogVolume, TheFeedPassesOverDeclaredHoles) {
  LogWorld world;
  world.Begin();
  ASSERT_TRUE(world.Append(100, 1).status.ok());
  const Lsn hole_start = world.next;
  const Lsn hole_end(8192 + 512 * 40 + 12);
  const Status below = world.node.Await(world.log->StartAt(world.epoch, kStart, "no", false));
  EXPECT_EQ(below.code(), StatusCode::kInvalidArgument);
  ASSERT_TRUE(world.node.Await(world.log->StartAt(world.epoch, hole_end, "recreated", false)).ok());
  world.next = hole_end;
  ASSERT_TRUE(world.Append(100, 2).status.ok());
  for (int life = 0; life < 2; ++life) {
    const TimePoint now = world.node.runtime()->scheduler->Now();
    const Result<FeedBatch> all = world.node.Await(world.log->Read(Lsn(0), 1 << 20, now));
    ASSERT_TRUE(all.ok());
    ASSERT_EQ(all->chunks.size(), 2U);
    EXPECT_EQ(all->chunks[0].range.end, hole_start);
    EXPECT_EQ(all->chunks[1].range.start, hole_end);
    const Result<FeedBatch> behind = world.node.Await(world.log->Read(hole_start, 1 << 20, now));
    ASSERT_TRUE(behind.ok());
    ASSERT_EQ(behind->chunks.size(), 1U);
    EXPECT_EQ(behind->chunks[0].range.start, hole_end);
    world.Crash(sim::CrashPolicy::kClean);
    ASSERT_TRUE(world.Open().ok());
  }
}

TEST(LogVolume, ReadWaitsForTheNextAppend) {
  LogWorld world;
  world.Begin();
  const TimePoint soon = world.node.runtime()->scheduler->Now() + std::chrono::milliseconds(5);
  const Result<FeedBatch> none = world.node.Await(world.log->Read(kStart, 1 << 20, soon));
  ASSERT_TRUE(none.ok());
  EXPECT_TRUE(none->chunks.empty());
  Sender sender{&world, 1, {}};
  sender.SendSome(1);
  const Result<FeedBatch> one = world.node.Await(world.log->Read(kStart, 1 << 20, kNever));
  ASSERT_TRUE(one.ok());
  EXPECT_EQ(one->chunks.size(), 1U);
}

// --- Chunks that are committed in part ---

// Goal: what is committed of a chunk is given at once, from memory and from disk, and no byte more;
// a reader that goes on inside the chunk gets it again as far as it is committed then. Method: one
// of three log servers, told commit LSNs without any append.
TEST(PartOfAChunk, IsGivenAsFarAsItIsCommitted) {
  for (const size_t tail_bytes : {size_t{0}, size_t{1} << 20}) {
    SCOPED_TRACE("tail of " + std::to_string(tail_bytes));
    LogWorld world;
    LogVolumeOptions options = SmallOptions();
    options.tail_bytes_max = tail_bytes;
    ASSERT_TRUE(world.Open(options).ok());
    const Result<PreparedEpoch> prepared = world.node.Await(world.log->Prepare(Epoch(0)));
    ASSERT_TRUE(prepared.ok());
    world.epoch = prepared->epoch;
    EpochStartIn begin = LogWorld::Continue(*prepared);
    begin.member_count = 3;
    ASSERT_TRUE(world.node.Await(world.log->BeginEpoch(begin)).ok());
    ASSERT_TRUE(world.node.Await(world.log->StartAt(world.epoch, kStart, "test", false)).ok());
    world.next = kStart;
    Bytes sent;
    for (uint64_t i = 0; i < 3; ++i) {
      const RedoChunk chunk = world.MakeChunk(1000, i);
      sent.insert(sent.end(), chunk.payload->begin(), chunk.payload->end());
      ASSERT_TRUE(world.AppendChunk(chunk).status.ok());
      world.next = chunk.range.end;
    }
    Lsn from = kStart;
    for (const size_t committed : {300U, 1700U, 1701U, 2000U, 2999U, 3000U}) {
      SCOPED_TRACE(committed);
      const Lsn commit = innodb::AdvanceLsn(kStart, committed);
      const TimePoint now = world.node.runtime()->scheduler->Now();
      const Result<FeedBatch> early = world.node.Await(world.log->Read(from, 1 << 20, now));
      ASSERT_TRUE(early.ok());
      EXPECT_TRUE(early->chunks.empty());
      ASSERT_TRUE(world.log->Commit(world.epoch, WriterTold{commit}).ok());
      const Result<FeedBatch> batch = world.node.Await(world.log->Read(from, 1 << 20, now));
      ASSERT_TRUE(batch.ok());
      ASSERT_FALSE(batch->chunks.empty());
      Lsn at = batch->chunks.front().range.start;
      EXPECT_LE(at, from);
      for (const RedoChunk& chunk : batch->chunks) {
        EXPECT_EQ(chunk.range.start, at);
        at = chunk.range.end;
        EXPECT_EQ(Crc32c(*chunk.payload), chunk.payload_crc32c);
        const auto offset = static_cast<ptrdiff_t>(innodb::ToSn(chunk.range.start).value() -
                                                   innodb::ToSn(kStart).value());
        EXPECT_TRUE(
            std::equal(chunk.payload->begin(), chunk.payload->end(), sent.begin() + offset));
      }
      EXPECT_EQ(at, commit);
      from = commit;
    }
    EXPECT_EQ(world.log->Commit(world.epoch, WriterTold{Lsn(kStart.value() / 512 * 512)}).code(),
              StatusCode::kInvalidArgument);
  }
}

// --- The commit LSN of an only log server ---

// The appends' ends, and where the last mtr that is whole with each ends.
struct HalfMtrs {
  Lsn whole;
  Lsn half;
  Lsn more;
};

// One whole mtr and a half, then another piece of that half.
HalfMtrs AppendHalfMtrs(LogWorld* world) {
  HalfMtrs at;
  const RedoChunk first = world->MakeChunk(500, 1);
  at.whole = innodb::AdvanceLsn(kStart, 200);
  at.half = first.range.end;
  world->next = at.half;
  const RedoChunk second = world->MakeChunk(100, 2);
  at.more = second.range.end;
  world->next = at.more;
  auto one = world->log->BeginAppend(first, WriterTold{{}, {}, at.whole});
  auto two = world->log->BeginAppend(second, WriterTold{{}, {}, at.whole});
  EXPECT_TRUE(world->node.Await(world->log->FinishAppend(std::move(one))).status.ok());
  EXPECT_TRUE(world->node.Await(world->log->FinishAppend(std::move(two))).status.ok());
  return at;
}

// Goal: it commits what is synced up to the last whole mtr and no further, knows that after a
// crash, and a new epoch may begin there.
TEST(OnlyLogServer, CommitsWholeMtrsAndNoMore) {
  LogWorld world;
  world.Begin();
  const HalfMtrs at = AppendHalfMtrs(&world);
  EXPECT_EQ(world.log->status().end, at.more);
  EXPECT_EQ(world.log->status().commit, at.whole);
  const TimePoint soon = world.node.runtime()->scheduler->Now() + std::chrono::milliseconds(5);
  const Result<FeedBatch> part = world.node.Await(world.log->Read(kStart, 1 << 20, soon));
  ASSERT_TRUE(part.ok());
  ASSERT_EQ(part->chunks.size(), 1U);
  EXPECT_EQ(part->chunks.front().range, (LsnRange{kStart, at.whole}));
  EXPECT_EQ(part->chunks.front().payload->size(), 200U);
  const Result<FeedBatch> none = world.node.Await(world.log->Read(at.whole, 1 << 20, soon));
  ASSERT_TRUE(none.ok());
  EXPECT_TRUE(none->chunks.empty()) << "what follows is not committed";
  world.Crash(sim::CrashPolicy::kClean);
  ASSERT_TRUE(world.Open().ok());
  EXPECT_EQ(world.log->status().commit, at.whole);
  const Result<PreparedEpoch> prepared = world.node.Await(world.log->Prepare(Epoch(0)));
  ASSERT_TRUE(prepared.ok());
  EpochStartIn begin = LogWorld::Continue(*prepared);
  begin.start = at.whole;
  begin.history.back().start = at.whole;
  const Result<Lsn> begun = world.node.Await(world.log->BeginEpoch(begin));
  ASSERT_TRUE(begun.ok()) << begun.status().ToString();
  EXPECT_EQ(*begun, at.whole);
  const Result<Bytes> rest = world.ReadAll(kStart);
  ASSERT_TRUE(rest.ok());
  EXPECT_EQ(rest->size(), 200U);
}

// Goal: what an append in the queue says of its own mtrs does not count before it is synced: the
// one before it may end inside that mtr.
TEST(OnlyLogServer, AnAppendInTheQueueCommitsNothing) {
  LogWorld world;
  world.Begin();
  const RedoChunk first = world.MakeChunk(5000, 1);  // a batch of its own
  world.next = first.range.end;
  const RedoChunk second = world.MakeChunk(100, 2);
  auto one = world.log->BeginAppend(first, {});
  auto two = world.log->BeginAppend(second, WriterTold{{}, {}, second.range.end});
  const AppendOutcome half = world.node.Await(world.log->FinishAppend(std::move(one)));
  ASSERT_TRUE(half.status.ok());
  ASSERT_EQ(half.end, first.range.end);
  EXPECT_EQ(half.commit, kStart);
  const AppendOutcome whole = world.node.Await(world.log->FinishAppend(std::move(two)));
  ASSERT_TRUE(whole.status.ok());
  EXPECT_EQ(whole.commit, second.range.end);
  RedoChunk beyond = world.MakeChunk(100, 3);
  beyond.range = {second.range.end, innodb::AdvanceLsn(second.range.end, 100)};
  auto refused =
      world.log->BeginAppend(beyond, WriterTold{{}, {}, Lsn(beyond.range.end.value() + 1)});
  EXPECT_EQ(world.node.Await(world.log->FinishAppend(std::move(refused))).status.code(),
            StatusCode::kInvalidArgument);
}

// Goal: a log whose records do not tell of the last mtrs, as earlier versions wrote them, opens
// with everything, and commits the rest when a writer tells it.
TEST(OnlyLogServer, OpensALogWhoseLastCommitIsNotKnown) {
  LogWorld world;
  world.Begin();
  for (uint64_t i = 0; i < 3; ++i) {
    const RedoChunk chunk = world.MakeChunk(300, i);
    world.next = chunk.range.end;
    auto ticket = world.log->BeginAppend(chunk, WriterTold{chunk.range.start});
    ASSERT_TRUE(world.node.Await(world.log->FinishAppend(std::move(ticket))).status.ok());
  }
  world.Crash(sim::CrashPolicy::kClean);
  ASSERT_TRUE(world.Open().ok());
  const Lsn end = world.log->status().end;
  EXPECT_EQ(end, innodb::AdvanceLsn(kStart, 900));
  EXPECT_EQ(world.log->status().commit, innodb::AdvanceLsn(kStart, 600));
  world.Take();
  EXPECT_EQ(world.log->status().end, end) << "nothing that was acknowledged is cut";
  ASSERT_TRUE(world.log->Commit(world.epoch, {end}).ok());
  const Result<Bytes> all = world.ReadAll(kStart);
  ASSERT_TRUE(all.ok());
  EXPECT_EQ(all->size(), 900U);
}

// Goal: that the log begins somewhere, or goes on behind a hole, is committed when it is durable,
// and known after a crash although no record tells it.
TEST(OnlyLogServer, KnowsWhereItsLogBeginsAfterACrash) {
  LogWorld world;
  world.Begin();
  EXPECT_EQ(world.log->status().commit, kStart);
  world.Crash(sim::CrashPolicy::kClean);
  ASSERT_TRUE(world.Open().ok());
  EXPECT_EQ(world.log->status().commit, kStart);
  world.Take();
  const Lsn behind = innodb::AdvanceLsn(kStart, 5000);
  ASSERT_TRUE(world.node.Await(world.log->StartAt(world.epoch, behind, "test", false)).ok());
  EXPECT_EQ(world.log->status().commit, behind);
  world.Crash(sim::CrashPolicy::kClean);
  ASSERT_TRUE(world.Open().ok());
  EXPECT_EQ(world.log->status().commit, behind);
}

TEST(LogVolume, TrimsOnlyWholeSegmentsBelowWhatIsPersisted) {
  LogWorld world;
  world.Begin();
  for (uint64_t i = 0; i < 80; ++i) {
    ASSERT_TRUE(world.Append(400, i).status.ok());
  }
  const size_t files_before = world.Files().size();
  const Lsn persisted = innodb::AdvanceLsn(kStart, 16000);
  world.log->Persisted(persisted);
  world.node.RunFor(std::chrono::milliseconds(200));
  EXPECT_LT(world.Files().size(), files_before);
  EXPECT_LE(world.log->status().begin, persisted);
  EXPECT_GT(world.log->status().begin, kStart);
  const TimePoint now = world.node.runtime()->scheduler->Now();
  const Result<FeedBatch> trimmed = world.node.Await(world.log->Read(kStart, 100, now));
  EXPECT_EQ(trimmed.status().code(), StatusCode::kBelowHorizon);
  const Result<Bytes> rest = world.ReadAll(persisted);
  EXPECT_TRUE(rest.ok()) << rest.status().ToString();
  const Lsn begin = world.log->status().begin;
  const Lsn end = world.next;
  world.Crash(sim::CrashPolicy::kPrefix);
  ASSERT_TRUE(world.Open().ok());
  EXPECT_EQ(world.log->status().begin, begin);
  EXPECT_EQ(world.log->status().end, end);
}

}  // namespace
}  // namespace redoubt
