// SPDX-License-Identifier: MIT
//
// Goal: a log volume that is one of several behaves as the writer's start protocol needs it: it is
// cut back to what it shares with the writer's history and no further than to what is committed,
// shows readers only what is committed, and keeps redo for every page role that ever read here.
// Method: LogVolume over the simulated disk with crashes in between; the test is the writer.
#include <gtest/gtest.h>

#include "pageserver/log/durable_files.h"
#include "tests/pageserver/log/log_world.h"

namespace redoubt {
namespace {

class ReplicaWorld : public LogWorld {
 public:
  using LogWorld::LogWorld;

  Status Reopen(sim::CrashPolicy policy) {
    Crash(policy);
    return Open();
  }
  PreparedEpoch Promise(Epoch wanted) {
    const Result<PreparedEpoch> prepared = node.Await(log->Prepare(wanted));
    EXPECT_TRUE(prepared.ok()) << prepared.status().ToString();
    return prepared.ok() ? *prepared : PreparedEpoch{};
  }
  // LOG_EPOCH_START of one of three members.
  Result<Lsn> BeginAt(Lsn start, EpochHistory before) {
    EpochStartIn begin;
    begin.epoch = epoch;
    begin.start = start;
    begin.history = std::move(before);
    begin.history.push_back({epoch, start});
    begin.member_count = 3;
    Result<Lsn> begun = node.Await(log->BeginEpoch(std::move(begin)));
    if (begun.ok()) {
      next = *begun;
    }
    return begun;
  }
  // The log of epoch 1 from kStart on, several members.
  void BeginFresh() {
    ASSERT_TRUE(Open().ok());
    epoch = Promise(Epoch(1)).epoch;
    ASSERT_TRUE(BeginAt(Lsn{}, {}).ok());
    ASSERT_TRUE(node.Await(log->StartAt(epoch, kStart, "test", false)).ok());
    next = kStart;
  }
  Result<FeedBatch> ReadNow(Lsn from) {
    return node.Await(log->Read(from, 1 << 20, node.runtime()->scheduler->Now()));
  }
  Result<FeedBatch> WriterReads(Epoch reader, Lsn from) {
    return node.Await(log->ReadForWriter(reader, from, 1 << 20));
  }
};

TEST(LogReplica, ShowsReadersOnlyWhatTheWriterCallsCommitted) {
  ReplicaWorld world;
  world.BeginFresh();
  ASSERT_TRUE(world.Append(300, 1).status.ok());
  const Lsn first = world.next;
  ASSERT_TRUE(world.Append(300, 2).status.ok());
  EXPECT_EQ(world.log->status().end, world.next);
  EXPECT_EQ(world.log->status().commit, Lsn{}) << "synced here is not committed";
  Result<FeedBatch> batch = world.ReadNow(kStart);
  ASSERT_TRUE(batch.ok());
  EXPECT_TRUE(batch->chunks.empty());
  batch = world.WriterReads(world.epoch, kStart);
  ASSERT_TRUE(batch.ok());
  EXPECT_EQ(batch->chunks.size(), 2U) << "the writer reads what is synced";

  ASSERT_TRUE(world.log->Commit(world.epoch, {first}).ok());
  batch = world.ReadNow(kStart);
  ASSERT_TRUE(batch.ok());
  ASSERT_EQ(batch->chunks.size(), 1U);
  EXPECT_EQ(batch->commit_lsn, first);
  // A chunk is shown as far as it is committed.
  ASSERT_TRUE(world.log->Commit(world.epoch, {Lsn(world.next.value() - 1)}).ok());
  batch = world.ReadNow(first);
  ASSERT_TRUE(batch.ok());
  ASSERT_EQ(batch->chunks.size(), 1U);
  EXPECT_EQ(batch->chunks.front().range, (LsnRange{first, Lsn(world.next.value() - 1)}));
  EXPECT_EQ(batch->chunks.front().payload->size(), 299U);
  // Never back, and never beyond what is here until it is here.
  ASSERT_TRUE(world.log->Commit(world.epoch, {first}).ok());
  EXPECT_EQ(world.log->status().commit, Lsn(world.next.value() - 1));
  const RedoChunk third = world.MakeChunk(200, 3);
  ASSERT_TRUE(world.log->Commit(world.epoch, {third.range.end}).ok());
  EXPECT_EQ(world.log->status().commit, world.next);
  ASSERT_TRUE(world.AppendChunk(third).status.ok());
  EXPECT_EQ(world.log->status().commit, third.range.end);
  world.next = third.range.end;
  // An append brings the commit LSN along.
  const RedoChunk fourth = world.MakeChunk(200, 4);
  const AppendOutcome outcome = world.AppendChunk(fourth, fourth.range.end);
  EXPECT_EQ(outcome.commit, fourth.range.end);
}

TEST(LogReplica, AWaitingReaderIsWokenByTheCommit) {
  ReplicaWorld world;
  world.BeginFresh();
  ASSERT_TRUE(world.Append(300, 1).status.ok());
  const auto commit_later = [](ReplicaWorld* w, Lsn lsn) -> Task<void> {
    co_await w->node.runtime()->scheduler->Sleep(std::chrono::milliseconds(20));
    EXPECT_TRUE(w->log->Commit(w->epoch, {lsn}).ok());
  };
  world.node.Spawn(commit_later(&world, world.next));
  const Result<FeedBatch> batch = world.node.Await(world.log->Read(kStart, 1 << 20, kNever));
  ASSERT_TRUE(batch.ok());
  EXPECT_EQ(batch->chunks.size(), 1U);
}

TEST(LogReplica, KnowsALowerBoundOfTheCommitAfterARestart) {
  ReplicaWorld world;
  world.BeginFresh();
  ASSERT_TRUE(world.Append(300, 1).status.ok());
  const Lsn first = world.next;
  ASSERT_TRUE(world.log->Commit(world.epoch, {first}).ok());
  ASSERT_TRUE(world.Append(300, 2).status.ok());
  const Lsn second = world.next;
  ASSERT_TRUE(world.Reopen(sim::CrashPolicy::kClean).ok());
  EXPECT_EQ(world.log->status().end, second);
  EXPECT_EQ(world.log->status().commit, first) << "the second record says so";
  // Without another record the mark of an idle log keeps it.
  ASSERT_TRUE(world.log->Commit(world.epoch, {second}).ok());
  ASSERT_TRUE(world.Append(300, 3).status.ok());
  world.node.RunFor(std::chrono::seconds(2));
  ASSERT_TRUE(world.log->Commit(world.epoch, {world.next}).ok());
  world.node.RunFor(std::chrono::seconds(2));
  ASSERT_TRUE(world.Reopen(sim::CrashPolicy::kClean).ok());
  EXPECT_EQ(world.log->status().commit, world.next);
}

TEST(LogReplica, IsCutBackToWhatItSharesWithTheNewHistory) {
  for (const sim::CrashPolicy policy :
       {sim::CrashPolicy::kClean, sim::CrashPolicy::kAll, sim::CrashPolicy::kTorn}) {
    ReplicaWorld world;
    world.BeginFresh();
    for (uint64_t i = 0; i < 40; ++i) {
      ASSERT_TRUE(world.Append(400, i).status.ok());
    }
    const Lsn old_end = world.next;
    const Lsn cut = innodb::AdvanceLsn(kStart, 400 * 20 + 123);  // inside of a chunk
    const Result<FeedBatch> whole = world.WriterReads(world.epoch, kStart);
    ASSERT_TRUE(whole.ok());
    // Epoch 2 began elsewhere, with a donor that had less; epoch 3 goes on from there.
    world.epoch = world.Promise(Epoch(3)).epoch;
    const EpochHistory before{{Epoch(1), Lsn{}}, {Epoch(2), cut}};
    const Lsn start = innodb::AdvanceLsn(cut, 5000);
    const Result<Lsn> begun = world.BeginAt(start, before);
    ASSERT_TRUE(begun.ok()) << begun.status().ToString();
    EXPECT_EQ(*begun, cut);
    EXPECT_LT(cut, old_end);
    for (int life = 0; life < 2; ++life) {
      const PreparedEpoch none = world.Promise(Epoch(4 + static_cast<uint64_t>(life)));
      EXPECT_EQ(none.end, cut);
      const EpochHistory wanted{{Epoch(1), Lsn{}}, {Epoch(2), cut}, {Epoch(3), start}};
      EXPECT_EQ(none.history, wanted);
      EXPECT_EQ(LogEpochOf(none.history, none.end), Epoch(2));
      const Result<FeedBatch> left = world.WriterReads(none.epoch, kStart);
      ASSERT_TRUE(left.ok()) << left.status().ToString();
      Bytes bytes;
      for (const RedoChunk& chunk : left->chunks) {
        bytes.insert(bytes.end(), chunk.payload->begin(), chunk.payload->end());
      }
      Bytes sent;
      for (const RedoChunk& chunk : whole->chunks) {
        sent.insert(sent.end(), chunk.payload->begin(), chunk.payload->end());
      }
      ASSERT_EQ(bytes.size(), 400U * 20 + 123);
      EXPECT_TRUE(std::equal(bytes.begin(), bytes.end(), sent.begin()));
      ASSERT_TRUE(world.Reopen(policy).ok());
    }
    // Filled up by the next writer with other bytes than it once had, and stays so.
    world.epoch = world.Promise(Epoch(9)).epoch;
    ASSERT_TRUE(world.BeginAt(cut, before).ok());
    for (uint64_t i = 0; i < 10; ++i) {
      ASSERT_TRUE(world.Append(400, 1000 + i).status.ok());
    }
    const RedoChunk last = world.MakeChunk(10, 7);
    ASSERT_TRUE(world.AppendChunk(last, last.range.end).status.ok());
    ASSERT_TRUE(world.Reopen(policy).ok());
    EXPECT_EQ(world.log->status().end, last.range.end);
    ASSERT_TRUE(world.log->Commit(world.epoch, {last.range.end}).ok());
    const Result<Bytes> read = world.ReadAll(kStart);
    ASSERT_TRUE(read.ok()) << read.status().ToString();
    EXPECT_EQ(read->size(), 400U * 20 + 123 + 4000 + 10);
    EXPECT_EQ((*read)[400 * 20 + 123 + 5], static_cast<uint8_t>(HashMix(1000, 5)));
  }
}

TEST(LogReplica, WhatIsCommittedIsNeverCutOff) {
  ReplicaWorld world;
  world.BeginFresh();
  ASSERT_TRUE(world.Append(300, 1).status.ok());
  const Lsn first = world.next;
  ASSERT_TRUE(world.Append(300, 2).status.ok());
  const Lsn end = world.next;
  ASSERT_TRUE(world.log->Commit(world.epoch, {first}).ok());
  world.epoch = world.Promise(Epoch(2)).epoch;
  const Lsn below = innodb::AdvanceLsn(kStart, 100);
  const Result<Lsn> refused = world.BeginAt(below, {{Epoch(1), Lsn{}}});
  EXPECT_EQ(refused.status().code(), StatusCode::kCorruption);
  EXPECT_NE(refused.status().message().find("committed"), std::string::npos)
      << refused.status().ToString();
  EXPECT_EQ(world.log->status().end, end) << "nothing was cut";
  // A history that shares nothing any more still keeps what is committed.
  const Result<Lsn> kept = world.BeginAt(innodb::AdvanceLsn(end, 900), {{Epoch(1), Lsn(8204)}});
  EXPECT_EQ(kept.status().code(), StatusCode::kCorruption) << "epoch 1 cannot have two starts";
  const Result<Lsn> begun = world.BeginAt(innodb::AdvanceLsn(end, 900), {});
  ASSERT_TRUE(begun.ok()) << begun.status().ToString();
  EXPECT_EQ(*begun, first);
}

TEST(LogReplica, ALogThatSharesNothingBeginsAnew) {
  ReplicaWorld world;
  world.BeginFresh();
  for (uint64_t i = 0; i < 30; ++i) {
    ASSERT_TRUE(world.Append(400, i).status.ok());
  }
  world.epoch = world.Promise(Epoch(2)).epoch;
  const Lsn start(99852);
  const Result<Lsn> begun = world.BeginAt(start, {});
  ASSERT_TRUE(begun.ok()) << begun.status().ToString();
  EXPECT_EQ(*begun, Lsn{});
  ASSERT_TRUE(world.Reopen(sim::CrashPolicy::kClean).ok());
  EXPECT_EQ(world.log->status().end, Lsn{});
  // Older redo was trimmed everywhere: not a hole, and readers from below are told so.
  const Lsn trimmed(50188);
  ASSERT_TRUE(world.node.Await(world.log->StartAt(world.epoch, trimmed, "joins", true)).ok());
  EXPECT_EQ(world.log->status().commit, trimmed);
  EXPECT_EQ(world.ReadNow(kStart).status().code(), StatusCode::kBelowHorizon);
  const Status below = world.node.Await(world.log->StartAt(world.epoch, kStart, "joins", true));
  EXPECT_EQ(below.code(), StatusCode::kInvalidArgument) << below.ToString();
  ASSERT_TRUE(world.Reopen(sim::CrashPolicy::kClean).ok());
  EXPECT_EQ(world.ReadNow(kStart).status().code(), StatusCode::kBelowHorizon);
  EXPECT_EQ(world.log->status().commit, trimmed);
  world.next = trimmed;
  EXPECT_TRUE(world.Append(100).status.ok());
}

// A member that was away for so long that the others have trimmed what it lacks begins anew: what
// it had is gone for good, and readers from below are told so, not given a hole.
TEST(LogReplica, BeginsAnewWhereTheOthersBegin) {
  for (const sim::CrashPolicy policy : {sim::CrashPolicy::kClean, sim::CrashPolicy::kSeeded}) {
    ReplicaWorld world;
    world.BeginFresh();
    for (uint64_t i = 0; i < 60; ++i) {
      ASSERT_TRUE(world.Append(400, i).status.ok());
    }
    EXPECT_GT(world.Files().size(), 3U) << "several segments";
    const Lsn end = world.next;
    ASSERT_TRUE(world.log->Commit(world.epoch, {end, Lsn(1)}).ok());
    const Lsn begin(99852);
    ASSERT_GT(begin, end);
    ASSERT_TRUE(world.node.Await(world.log->StartAt(world.epoch, begin, "anew", true)).ok());
    for (int life = 0; life < 2; ++life) {
      EXPECT_EQ(world.log->status().begin, begin);
      EXPECT_EQ(world.log->status().end, begin);
      EXPECT_EQ(world.log->status().commit, begin);
      EXPECT_EQ(world.log->status().readable_from, begin);
      EXPECT_EQ(world.ReadNow(kStart).status().code(), StatusCode::kBelowHorizon);
      EXPECT_EQ(world.ReadNow(end).status().code(), StatusCode::kBelowHorizon);
      ASSERT_TRUE(world.Reopen(policy).ok());
    }
    world.next = begin;
    ASSERT_TRUE(world.Append(100, 7).status.ok());
    ASSERT_TRUE(world.log->Commit(world.epoch, {world.next}).ok());
    const Result<Bytes> read = world.ReadAll(begin);
    ASSERT_TRUE(read.ok()) << read.status().ToString();
    EXPECT_EQ(read->size(), 100U);
  }
}

// Page roles have all of it, yet a member that is behind wants it: kept, up to a number of bytes.
TEST(LogReplica, KeepsRedoForALogServerThatLagsBehind) {
  ReplicaWorld world;
  LogVolumeOptions options = SmallOptions();
  options.has_page_role = false;
  options.lag_bytes_max = 20'000;
  ASSERT_TRUE(world.Open(options).ok());
  world.epoch = world.Promise(Epoch(1)).epoch;
  ASSERT_TRUE(world.BeginAt(Lsn{}, {}).ok());
  ASSERT_TRUE(world.node.Await(world.log->StartAt(world.epoch, kStart, "test", false)).ok());
  world.next = kStart;
  const auto append = [&world](int count, Lsn keep_from) {
    for (int i = 0; i < count; ++i) {
      const RedoChunk chunk = world.MakeChunk(400, 1);
      auto ticket = world.log->BeginAppend(chunk, {chunk.range.end, keep_from});
      ASSERT_TRUE(world.node.Await(world.log->FinishAppend(ticket)).status.ok());
      world.next = chunk.range.end;
      ASSERT_TRUE(world.node.Await(world.log->NoteReader("page-1", world.next)).ok());
    }
    world.node.RunFor(std::chrono::milliseconds(100));
  };
  append(30, kStart);
  EXPECT_EQ(world.log->status().readable_from, Lsn{}) << "12 KB behind";
  EXPECT_EQ(world.log->status().keep_from, kStart);
  append(60, kStart);
  const Lsn bounded = world.log->status().readable_from;
  EXPECT_GT(bounded, kStart) << "36 KB behind is too much";
  EXPECT_LE(bounded.value(), world.next.value() - 20'000);
  // Nobody has said anything since the restart.
  world.Crash(sim::CrashPolicy::kClean);
  options.lag_bytes_max = 1 << 30;
  ASSERT_TRUE(world.Open(options).ok());
  ASSERT_TRUE(world.node.Await(world.log->NoteReader("page-1", world.next)).ok());
  world.node.RunFor(std::chrono::milliseconds(100));
  EXPECT_EQ(world.log->status().readable_from, bounded);
  const Lsn caught_up = world.next;
  append(5, caught_up);
  EXPECT_GT(world.log->status().readable_from, bounded) << "the member has caught up";
}

// Goal: page roles that only other log servers know count, as far as the writer says; so does who
// says nothing because it is of an older version, or because it has just taken over.
TEST(LogReplica, KeepsRedoForPageRolesThatOnlyOthersKnow) {
  ReplicaWorld world;
  LogVolumeOptions options = SmallOptions();
  options.has_page_role = false;
  ASSERT_TRUE(world.Open(options).ok());
  world.epoch = world.Promise(Epoch(1)).epoch;
  ASSERT_TRUE(world.BeginAt(Lsn{}, {}).ok());
  EXPECT_EQ(world.log->PagesWant(), kMaxLsn) << "it knows none";
  // What the writer brings with the begin of the log.
  const std::map<std::string, Lsn> known{{"page-1", Lsn{}}, {"page-2", Lsn{}}};
  EXPECT_EQ(world.node.Await(world.log->AddReaders(Epoch(2), known)).code(),
            StatusCode::kInvalidArgument);
  EXPECT_TRUE(world.log->readers().empty());
  ASSERT_TRUE(world.node.Await(world.log->NoteReader("page-1", kStart)).ok());
  ASSERT_TRUE(world.node.Await(world.log->AddReaders(world.epoch, known)).ok());
  EXPECT_EQ(world.log->readers().at("page-1"), kStart) << "it said so itself";
  ASSERT_EQ(world.log->readers().at("page-2"), Lsn{});
  EXPECT_EQ(world.log->PagesWant(), Lsn(1)) << "0 would be no answer";
  ASSERT_TRUE(world.node.Await(world.log->StartAt(world.epoch, kStart, "test", false)).ok());
  world.Crash(sim::CrashPolicy::kClean);
  ASSERT_TRUE(world.Open(options).ok());
  ASSERT_EQ(world.log->readers().size(), 2U) << "durable before the log begins";
  ASSERT_TRUE(world.node.Await(world.log->ForgetReader("page-2")).ok());
  world.next = kStart;
  const auto append = [&world](int count, Lsn pages_want) {
    for (int i = 0; i < count; ++i) {
      const RedoChunk chunk = world.MakeChunk(400, 1);
      auto ticket = world.log->BeginAppend(chunk, {chunk.range.end, Lsn{}, Lsn{}, pages_want});
      ASSERT_TRUE(world.node.Await(world.log->FinishAppend(ticket)).status.ok());
      world.next = chunk.range.end;
      ASSERT_TRUE(world.node.Await(world.log->NoteReader("page-1", world.next)).ok());
    }
    world.node.RunFor(std::chrono::milliseconds(100));
  };
  append(60, kStart);
  EXPECT_EQ(world.log->status().readable_from, Lsn{});
  EXPECT_EQ(world.log->status().pages_want, kStart);
  const Lsn middle = innodb::AdvanceLsn(kStart, 12'000);
  append(1, middle);
  const Lsn kept_from = world.log->status().readable_from;
  EXPECT_GT(kept_from, kStart);
  EXPECT_LE(kept_from, middle);
  // The next writer has not said anything yet; then it turns out to be of an older version.
  world.epoch = world.Promise(Epoch(2)).epoch;
  ASSERT_TRUE(world.BeginAt(world.next, {{Epoch(1), Lsn{}}}).ok());
  world.node.RunFor(std::chrono::milliseconds(100));
  EXPECT_EQ(world.log->status().readable_from, kept_from);
  append(1, Lsn{});
  EXPECT_GT(world.log->status().readable_from, middle);
}

TEST(LogReplica, TellsAWriterWhereTheLastMtrBegins) {
  ReplicaWorld world;
  world.BeginFresh();
  EXPECT_EQ(world.Promise(Epoch(2)).last_mtr, kStart);
  world.epoch = Epoch(2);
  ASSERT_TRUE(world.BeginAt(kStart, {{Epoch(1), Lsn{}}}).ok());
  ASSERT_TRUE(world.Append(300, 1).status.ok());
  const Lsn begins = world.next;
  ASSERT_TRUE(world.Append(300, 2).status.ok());
  for (uint64_t i = 0; i < 30; ++i) {  // the rest of a long mtr
    RedoChunk chunk = world.MakeChunk(400, i);
    chunk.first_mtr_lsn = Lsn{};
    ASSERT_TRUE(world.AppendChunk(chunk).status.ok());
    world.next = chunk.range.end;
  }
  ASSERT_TRUE(world.Reopen(sim::CrashPolicy::kClean).ok());
  const PreparedEpoch prepared = world.Promise(Epoch(3));
  EXPECT_EQ(prepared.last_mtr, begins);
  EXPECT_EQ(prepared.end, world.next);
  EXPECT_EQ(prepared.begin, Lsn{});
  // Cut back to before it: the one before counts.
  world.epoch = prepared.epoch;
  ASSERT_TRUE(world.BeginAt(begins, {{Epoch(1), Lsn{}}, {Epoch(2), kStart}}).ok());
  EXPECT_EQ(world.Promise(Epoch(4)).last_mtr, kStart);
}

TEST(LogReplica, OnlyTheWriterOfThePromisedEpochReadsWhatIsNotCommitted) {
  ReplicaWorld world;
  world.BeginFresh();
  ASSERT_TRUE(world.Append(300, 1).status.ok());
  world.Promise(Epoch(5));
  EXPECT_EQ(world.WriterReads(Epoch(1), kStart).status().code(), StatusCode::kStaleEpoch);
  EXPECT_EQ(world.WriterReads(Epoch(6), kStart).status().code(), StatusCode::kInvalidArgument);
  const Result<FeedBatch> batch = world.WriterReads(Epoch(5), kStart);
  ASSERT_TRUE(batch.ok()) << "promised is enough, the writer looks for the last mtr";
  EXPECT_EQ(batch->chunks.size(), 1U);
  EXPECT_EQ(world.log->Commit(Epoch(1), {world.next}).code(), StatusCode::kStaleEpoch);
  EXPECT_EQ(world.log->Commit(Epoch(5), {world.next}).code(), StatusCode::kInvalidArgument)
      << "not begun";
}

// --- Page roles elsewhere ---

LogVolumeOptions LogOnly() {
  LogVolumeOptions options = SmallOptions();
  options.has_page_role = false;
  return options;
}

TEST(LogReplica, TrimsOnlyBelowEveryPageRoleThatEverRead) {
  ReplicaWorld world;
  ASSERT_TRUE(world.Open(LogOnly()).ok());
  world.Take();
  ASSERT_TRUE(world.node.Await(world.log->StartAt(world.epoch, kStart, "test", false)).ok());
  world.next = kStart;
  for (uint64_t i = 0; i < 80; ++i) {
    ASSERT_TRUE(world.Append(400, i).status.ok());
  }
  world.node.RunFor(std::chrono::milliseconds(200));
  EXPECT_EQ(world.log->status().begin, kStart) << "nobody came";
  const Lsn near = innodb::AdvanceLsn(kStart, 12000);
  const Lsn far = innodb::AdvanceLsn(kStart, 24000);
  const auto note = [&](std::string name, Lsn lsn) {
    return world.node.Await(world.log->NoteReader(std::move(name), lsn));
  };
  ASSERT_TRUE(note("slow", Lsn{}).ok());
  ASSERT_TRUE(note("fast", far).ok());
  world.node.RunFor(std::chrono::milliseconds(200));
  EXPECT_EQ(world.log->status().begin, kStart) << "one of them has nothing";
  world.Crash(sim::CrashPolicy::kClean);
  ASSERT_TRUE(world.Open(LogOnly()).ok());
  ASSERT_TRUE(note("fast", far).ok());
  world.node.RunFor(std::chrono::milliseconds(200));
  EXPECT_EQ(world.log->status().begin, kStart) << "it is remembered over a crash";
  ASSERT_TRUE(note("slow", near).ok());
  world.node.RunFor(std::chrono::milliseconds(200));
  const Lsn begin = world.log->status().begin;
  EXPECT_GT(begin, kStart);
  EXPECT_LE(begin, near);
  ASSERT_TRUE(note("slow", kStart).ok()) << "it lost its disk";
  world.Crash(sim::CrashPolicy::kClean);
  ASSERT_TRUE(world.Open(LogOnly()).ok());
  EXPECT_EQ(world.log->readers().at("slow"), kStart);
  world.node.RunFor(std::chrono::milliseconds(200));
  EXPECT_EQ(world.log->status().begin, begin);
}

TEST(LogReplica, ThePageRoleOfTheSameProcessCountsBesideTheOthers) {
  ReplicaWorld world;
  world.Begin();
  for (uint64_t i = 0; i < 80; ++i) {
    ASSERT_TRUE(world.Append(400, i).status.ok());
  }
  ASSERT_TRUE(world.node.Await(world.log->NoteReader("elsewhere", world.next)).ok());
  world.node.RunFor(std::chrono::milliseconds(200));
  EXPECT_EQ(world.log->status().begin, kStart);
  world.log->Persisted(innodb::AdvanceLsn(kStart, 12000));
  world.node.RunFor(std::chrono::milliseconds(200));
  EXPECT_GT(world.log->status().begin, kStart);
}

// It may have read what is committed from another server, while this log ends with other bytes.
TEST(LogReplica, AReaderThatIsAheadCommitsNothingHere) {
  ReplicaWorld world;
  world.BeginFresh();
  ASSERT_TRUE(world.Append(300, 1).status.ok());
  ASSERT_TRUE(world.node.Await(world.log->NoteReader("page-1", world.next)).ok());
  EXPECT_EQ(world.log->status().commit, Lsn{});
  ASSERT_TRUE(world.Reopen(sim::CrashPolicy::kAll).ok());
  EXPECT_EQ(world.log->status().commit, Lsn{});
  world.epoch = world.Promise(Epoch(2)).epoch;
  const Result<Lsn> begun = world.BeginAt(kStart, {{Epoch(1), Lsn{}}});
  ASSERT_TRUE(begun.ok()) << begun.status().ToString();
  EXPECT_EQ(*begun, kStart);
}

TEST(LogReplica, AStopWaitsForACutThatIsUnderWay) {
  for (int64_t us = 0; us < 12'000; us += 400) {
    SCOPED_TRACE("stopped after " + std::to_string(us) + " us");
    ReplicaWorld world;
    world.BeginFresh();
    for (uint64_t i = 0; i < 40; ++i) {
      ASSERT_TRUE(world.Append(400, i).status.ok());
    }
    world.epoch = world.Promise(Epoch(2)).epoch;
    const Lsn cut = innodb::AdvanceLsn(kStart, 1234);
    EpochStartIn begin;
    begin.epoch = world.epoch;
    begin.start = cut;
    begin.history = {{Epoch(1), Lsn{}}, {Epoch(2), cut}};
    begin.member_count = 3;
    const auto run = [](LogVolume* log, EpochStartIn in) -> Task<void> {
      const Result<Lsn> begun = co_await log->BeginEpoch(std::move(in));
      EXPECT_TRUE(begun.ok() || begun.status().code() == StatusCode::kUnavailable)
          << begun.status().ToString();
    };
    world.node.Spawn(run(world.log.get(), begin));
    world.node.RunFor(std::chrono::microseconds(us));
    world.node.Await(world.log->Stop());
    world.node.RunFor(std::chrono::milliseconds(50));
    world.log.reset();
    ASSERT_TRUE(world.Open().ok());
    const Lsn end = world.log->status().end;
    EXPECT_TRUE(end == world.next || end == cut) << end.value();
  }
}

TEST(LogReplica, RefusesReadersWithoutAUsableName) {
  ReplicaWorld world;
  world.Begin();
  const auto note = [&](std::string name) {
    return world.node.Await(world.log->NoteReader(std::move(name), Lsn{})).code();
  };
  EXPECT_EQ(note(""), StatusCode::kInvalidArgument);
  EXPECT_EQ(note("a/b"), StatusCode::kInvalidArgument);
  EXPECT_EQ(note(std::string(65, 'x')), StatusCode::kInvalidArgument);
  for (int i = 0; i < 64; ++i) {
    ASSERT_EQ(note("reader" + std::to_string(i)), StatusCode::kOk);
  }
  EXPECT_EQ(note("one-too-many"), StatusCode::kResourceExhausted);
  EXPECT_EQ(note("reader7"), StatusCode::kOk);
  // A reader that went back must be on disk before it reads.
  ASSERT_TRUE(world.node.Await(world.log->NoteReader("reader8", kStart)).ok());
  world.node.disk().FailNext(sim::FileOp::kSync, "readers", StatusCode::kIoError, 1);
  EXPECT_EQ(note("reader8"), StatusCode::kIoError);
}

// --- Bad files ---

TEST(LogReplica, RefusesItsSmallFilesWhenTheyAreDamagedForeignOrOfAnotherVersion) {
  ReplicaWorld world;
  world.Begin();
  ASSERT_TRUE(world.Append(400).status.ok());
  ASSERT_TRUE(world.node.Await(world.log->NoteReader("page-1", kStart)).ok());
  world.Stop();
  for (const std::string& name : {std::string("epoch"), std::string("readers")}) {
    SCOPED_TRACE(name);
    const std::string path = std::string(kDirectory) + "/" + name;
    const Bytes good = *world.node.Await(ReadWholeFile(world.node.runtime()->files, path, 1 << 20));
    const auto open_with = [&](size_t offset, uint8_t value, bool fix_crc) {
      Bytes bytes = good;
      bytes[offset] = value;
      if (fix_crc) {
        const size_t body = bytes.size() - 4;
        StoreBe32(bytes.data() + body, Crc32c(ByteView(bytes).first(body)));
      }
      EXPECT_TRUE(
          world.node
              .Await(ReplaceFile(world.node.runtime()->files, kDirectory, name, std::move(bytes)))
              .ok());
      const Status opened = world.Open();
      EXPECT_NE(opened.message().find(path), std::string::npos) << opened.ToString();
      return opened.code();
    };
    EXPECT_EQ(open_with(14, 0x55, false), StatusCode::kCorruption) << "checksum";
    EXPECT_EQ(open_with(11, 99, true), StatusCode::kUnsupported) << "version";
    EXPECT_EQ(open_with(13, 0x55, true), StatusCode::kUnsupported) << "another volume's";
    EXPECT_EQ(open_with(0, 0x55, true), StatusCode::kCorruption) << "magic";
    EXPECT_TRUE(
        world.node.Await(ReplaceFile(world.node.runtime()->files, kDirectory, name, Bytes(good)))
            .ok());
  }
  EXPECT_TRUE(world.Open().ok());
}

TEST(LogReplica, RefusesSegmentsOfAnOlderVersion) {
  ReplicaWorld world;
  world.Begin();
  ASSERT_TRUE(world.Append(400).status.ok());
  world.Stop();
  const std::string name = world.Files().front();
  const std::string path = std::string(kDirectory) + "/" + name;
  Bytes bytes = *world.node.Await(ReadWholeFile(world.node.runtime()->files, path, 1 << 20));
  StoreBe32(bytes.data() + 8, kSegmentVersionOldest - 1);
  StoreBe32(bytes.data() + kSegmentHeaderBytes - 4,
            Crc32c(ByteView(bytes).first(kSegmentHeaderBytes - 4)));
  ASSERT_TRUE(
      world.node.Await(ReplaceFile(world.node.runtime()->files, kDirectory, name, std::move(bytes)))
          .ok());
  const Status opened = world.Open();
  EXPECT_EQ(opened.code(), StatusCode::kUnsupported);
  EXPECT_NE(opened.message().find("version 1"), std::string::npos) << opened.ToString();
}

}  // namespace
}  // namespace redoubt
