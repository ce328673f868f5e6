// SPDX-License-Identifier: MIT
//
// Goal: a log that is cut back ends where it was told to, keeps every byte below, and never shows
// again what was cut off, wherever a crash hits. Method: RedoStore over the simulated disk; the
// same cut is crashed at its first file operation, its second, and so on, under every crash policy,
// and a model of bytes says what may be there.
#include "pageserver/log/redo_store.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <map>
#include <memory>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "common/base/crc32c.h"
#include "common/base/hash.h"
#include "common/innodb/log_block.h"
#include "tests/contract/node_harness.h"

namespace redoubt {
namespace {

constexpr Lsn kStart{8204};
constexpr char kDirectory[] = "/data/log/1";

RedoStoreOptions SmallOptions() {
  RedoStoreOptions options;
  options.directory = kDirectory;
  options.volume = VolumeId(1);
  options.volume_uid = 77;
  options.segment_bytes_max = 3 << 10;
  return options;
}

uint64_t SnOf(Lsn lsn) { return innodb::ToSn(lsn).value(); }

class StoreWorld {
 public:
  explicit StoreWorld(uint64_t seed) : node(seed), seed_(seed) {}
  ~StoreWorld() { store.reset(); }

  void Open() {
    RedoStoreOptions options = SmallOptions();
    options.space_ahead_bytes = seed_ % 4 * 700;
    store = std::make_unique<RedoStore>(node.runtime(), std::move(options));
    const Status opened = node.Await(store->Open());
    ASSERT_TRUE(opened.ok()) << opened.ToString();
  }
  void Crash(sim::CrashPolicy policy) {
    store.reset();
    node.Kill(policy);
    node.Start();
    Open();
  }
  uint64_t Draw(uint64_t bound) { return HashMix(seed_, ++drawn_) % bound; }

  // Chunks with bytes that nothing else has; the model has them if the store takes them.
  Status TryAppend(size_t count) {
    std::map<uint64_t, uint8_t> new_cells;
    std::set<Lsn> new_mtrs;
    std::vector<RedoChunk> chunks;
    Lsn at = store->end();
    for (size_t i = 0; i < count; ++i) {
      RedoChunk chunk;
      chunk.epoch = Epoch(++epoch_);
      Bytes payload(1 + Draw(700));
      for (uint8_t& byte : payload) {
        byte = static_cast<uint8_t>(Draw(256));
        new_cells[SnOf(at) + static_cast<uint64_t>(&byte - payload.data())] = byte;
      }
      chunk.range = {at, innodb::AdvanceLsn(at, payload.size())};
      if (mtrs_begin && Draw(4) > 0) {
        chunk.first_mtr_lsn = innodb::AdvanceLsn(at, Draw(payload.size()));
        new_mtrs.insert(chunk.first_mtr_lsn);
      }
      chunk.payload_crc32c = Crc32c(payload);
      chunk.payload = std::make_shared<const Bytes>(std::move(payload));
      at = chunk.range.end;
      chunks.push_back(std::move(chunk));
    }
    Status appended = node.Await(store->Append(&chunks, Lsn{}));
    if (appended.ok()) {
      cells.merge(new_cells);
      mtrs.merge(new_mtrs);
    }
    return appended;
  }
  void Append(size_t count) {
    const Status appended = TryAppend(count);
    ASSERT_TRUE(appended.ok()) << appended.ToString();
  }
  void AppendSome() {
    const size_t batches = 2 + Draw(8);
    for (size_t i = 0; i < batches; ++i) {
      Append(1 + Draw(4));
    }
  }
  void StartAt(Lsn start) {
    const Status begun = node.Await(store->StartAt(start, "test", false));
    ASSERT_TRUE(begun.ok()) << begun.ToString();
    mtrs.insert(start);
    declared.insert(start);
  }
  // What the model loses with a cut that leaves `end` (0: nothing).
  void Forget(Lsn end) {
    cells.erase(end < kStart ? cells.begin() : cells.lower_bound(SnOf(end)), cells.end());
    std::erase_if(declared, [end](Lsn start) { return start > end; });
    std::erase_if(mtrs,
                  [&](Lsn mtr) { return mtr > end || (mtr == end && !declared.contains(mtr)); });
  }
  Lsn LastMtr() const { return mtrs.empty() ? Lsn{} : *mtrs.rbegin(); }
  // The store holds exactly the model's bytes below its end.
  void ExpectContent() {
    const Lsn end = store->end();
    std::map<uint64_t, uint8_t> got;
    if (!store->empty()) {
      const Result<std::vector<RedoChunk>> chunks =
          node.Await(store->Read(store->readable_from(), 1 << 30, end));
      ASSERT_TRUE(chunks.ok()) << chunks.status().ToString();
      Lsn at = store->begin();
      for (const RedoChunk& chunk : *chunks) {
        ASSERT_GE(chunk.range.start, at);
        ASSERT_EQ(Crc32c(*chunk.payload), chunk.payload_crc32c);
        at = chunk.range.end;
        for (size_t i = 0; i < chunk.payload->size(); ++i) {
          got[SnOf(chunk.range.start) + i] = (*chunk.payload)[i];
        }
      }
    }
    const auto model_end = cells.lower_bound(SnOf(end == Lsn{} ? kStart : end));
    const std::map<uint64_t, uint8_t> wanted(cells.begin(), model_end);
    ASSERT_EQ(got.size(), wanted.size()) << "up to LSN " << end.value();
    ASSERT_TRUE(got == wanted);
  }

  NodeHarness node;
  std::unique_ptr<RedoStore> store;
  std::map<uint64_t, uint8_t> cells;  // by SN
  std::set<Lsn> mtrs;                 // where one is known to begin
  std::set<Lsn> declared;             // begins of the log and ends of holes
  bool mtrs_begin = true;             // in what is appended

 private:
  uint64_t seed_;
  uint64_t drawn_ = 0;
  uint64_t epoch_ = 0;
};

// A log with a hole in some runs, cut and gone on before, so that void bytes lie in its files.
void BuildLog(StoreWorld* world) {
  world->Open();
  world->StartAt(kStart);
  world->AppendSome();
  if (world->Draw(2) == 0) {
    world->StartAt(innodb::AdvanceLsn(world->store->end(), 1 + world->Draw(3000)));
  }
  world->AppendSome();
  const uint64_t length = SnOf(world->store->end()) - SnOf(kStart);
  for (int cut = 0; cut < 2; ++cut) {
    const Lsn keep = innodb::AdvanceLsn(kStart, length / 2 + world->Draw(length / 2));
    const Status status = world->node.Await(world->store->TruncateTo(keep));
    ASSERT_TRUE(status.ok()) << status.ToString();
    world->Forget(world->store->end());
    world->AppendSome();
  }
  world->ExpectContent();
}

// Cuts anywhere: to record borders, into records, into the hole, to nothing.
Lsn DrawCut(StoreWorld* world) {
  const uint64_t length = SnOf(world->store->end()) - SnOf(kStart);
  switch (world->Draw(6)) {
    case 0:
      return Lsn{};
    case 1:
      return kStart;
    default:
      return innodb::AdvanceLsn(kStart, world->Draw(length));
  }
}

// Where a log that is cut at `lsn` ends.
Lsn EndAfterCut(const StoreWorld& world, Lsn lsn) {
  if (lsn < kStart) {
    return Lsn{};
  }
  const auto above = world.cells.lower_bound(SnOf(lsn));
  if (lsn == kStart || above == world.cells.begin()) {
    return kStart;
  }
  const Lsn data_end = innodb::ToLsn(Sn(std::prev(above)->first + 1));
  return data_end < lsn && world.declared.contains(lsn) ? lsn : data_end;
}

std::string PolicyName(const testing::TestParamInfo<sim::CrashPolicy>& policy) {
  std::string name(sim::CrashPolicyName(policy.param));
  std::erase_if(name, [](char c) { return !std::isalnum(c); });
  return name;
}

class RedoStoreCut : public testing::TestWithParam<sim::CrashPolicy> {};

TEST_P(RedoStoreCut, ACrashAtAnyFileOperationLeavesASoundLog) {
  size_t crashes = 0;
  for (uint64_t seed = 1; seed <= 4; ++seed) {
    for (uint64_t crash_at = 0;; ++crash_at) {
      SCOPED_TRACE("seed " + std::to_string(seed) + ", operation " + std::to_string(crash_at));
      StoreWorld world(seed);
      BuildLog(&world);
      ASSERT_FALSE(testing::Test::HasFatalFailure());
      const Lsn before = world.store->end();
      const Lsn cut = DrawCut(&world);
      const Lsn wanted = EndAfterCut(world, cut);
      bool hit = false;
      uint64_t operations = 0;
      world.node.disk().SetObserver([&](sim::FileOp, std::string_view, uint64_t) {
        hit = hit || operations == crash_at;
        ++operations;
      });
      bool done = false;
      const auto run = [](RedoStore* store, Lsn lsn, bool* ended) -> Task<void> {
        const Status status = co_await store->TruncateTo(lsn);
        EXPECT_TRUE(status.ok()) << status.ToString();
        *ended = true;
      };
      world.node.Spawn(run(world.store.get(), cut, &done));
      world.node.TurnUntil([&]() { return hit || done; });
      world.node.disk().SetObserver(nullptr);
      const bool finished = done;
      if (finished) {
        ASSERT_EQ(world.store->end(), wanted);
      }
      world.Crash(GetParam());
      ASSERT_FALSE(testing::Test::HasFatalFailure());
      ASSERT_GE(world.store->end(), wanted);
      ASSERT_LE(world.store->end(), finished ? wanted : before);
      world.ExpectContent();
      ASSERT_FALSE(testing::Test::HasFatalFailure());
      // Told again, the cut is finished, the log goes on, and the next life agrees.
      const Status again = world.node.Await(world.store->TruncateTo(cut));
      ASSERT_TRUE(again.ok()) << again.ToString();
      ASSERT_EQ(world.store->end(), wanted);
      world.Forget(wanted);
      if (world.store->empty()) {
        world.StartAt(kStart);
      }
      world.AppendSome();
      world.Crash(GetParam());
      world.ExpectContent();
      ASSERT_FALSE(testing::Test::HasFatalFailure());
      if (finished) {
        break;
      }
      ++crashes;
    }
  }
  EXPECT_GT(crashes, 40U);
}

INSTANTIATE_TEST_SUITE_P(Policies, RedoStoreCut,
                         testing::Values(sim::CrashPolicy::kClean, sim::CrashPolicy::kAll,
                                         sim::CrashPolicy::kPrefix, sim::CrashPolicy::kBlocks,
                                         sim::CrashPolicy::kTorn, sim::CrashPolicy::kLostNames),
                         PolicyName);

TEST(RedoStore, CutsAgainAndAgainAndKnowsTheLastMtr) {
  for (uint64_t seed = 1; seed <= 40; ++seed) {
    SCOPED_TRACE("seed " + std::to_string(seed));
    StoreWorld world(seed);
    BuildLog(&world);
    for (int round = 0; round < 5; ++round) {
      const Lsn cut = DrawCut(&world);
      const Lsn wanted = EndAfterCut(world, cut);
      ASSERT_TRUE(world.node.Await(world.store->TruncateTo(cut)).ok());
      ASSERT_EQ(world.store->end(), wanted);
      world.Forget(wanted);
      ASSERT_EQ(world.store->last_mtr_lsn(), world.LastMtr());
      world.ExpectContent();
      if (world.store->empty()) {
        world.StartAt(kStart);
      }
      world.AppendSome();
      if (round % 2 == 0) {
        world.Crash(sim::CrashPolicy::kClean);
      }
      ASSERT_EQ(world.store->last_mtr_lsn(), world.LastMtr());
      ASSERT_FALSE(testing::Test::HasFatalFailure());
    }
  }
}

// The last segment holds the end of an mtr that began before it.
TEST(RedoStore, TrimmingLeavesTheBeginOfTheLastMtr) {
  for (uint64_t seed = 0; seed < 20; ++seed) {
    SCOPED_TRACE("seed " + std::to_string(seed));
    StoreWorld world(seed);
    world.Open();
    world.StartAt(kStart);
    world.Append(10);
    world.mtrs_begin = false;
    for (int i = 0; i < 20; ++i) {
      world.Append(1);
    }
    const Status trimmed = world.node.Await(world.store->TrimBelow(world.store->end()));
    ASSERT_TRUE(trimmed.ok()) << trimmed.ToString();
    EXPECT_EQ(world.store->last_mtr_lsn(), world.LastMtr());
    EXPECT_LE(world.store->begin(), world.LastMtr());
    world.Crash(sim::CrashPolicy::kClean);
    EXPECT_EQ(world.store->last_mtr_lsn(), world.LastMtr());
    world.mtrs_begin = true;
    world.AppendSome();
    const Status more = world.node.Await(world.store->TrimBelow(world.store->end()));
    ASSERT_TRUE(more.ok()) << more.ToString();
    EXPECT_EQ(world.store->last_mtr_lsn(), world.LastMtr());
  }
}

TEST(RedoStore, AFullDiskDuringACutCanBeTriedAgain) {
  StoreWorld world(5);
  world.Open();
  world.StartAt(kStart);
  for (int i = 0; i < 10; ++i) {
    world.Append(1);
  }
  const Lsn before = world.store->end();
  const Lsn inside = innodb::ToLsn(Sn(SnOf(before) - 1));
  world.node.disk().FailNext(sim::FileOp::kWrite, ".tmp", StatusCode::kNoSpace, 1);
  const Status full = world.node.Await(world.store->TruncateTo(inside));
  EXPECT_EQ(full.code(), StatusCode::kNoSpace) << full.ToString();
  EXPECT_EQ(world.store->end(), before);
  EXPECT_TRUE(world.store->stopped().ok());
  ASSERT_TRUE(world.node.Await(world.store->TruncateTo(inside)).ok());
  EXPECT_EQ(world.store->end(), inside);
  world.Forget(inside);
  world.Append(2);
  world.Crash(sim::CrashPolicy::kClean);
  world.ExpectContent();
}

// Where a full disk refuses an append, the part of it that was written is cut off, or is a file
// that is removed. Once the log was told to end there, as the next epoch tells it, no power cut
// brings that part back: it would be read as redo of the new epoch.
class RefusedAppend : public testing::TestWithParam<sim::CrashPolicy> {
 protected:
  struct Case {
    bool new_segment;
    bool cut_fails;
    bool restart;  // of the process, in between
  };
  static void Run(sim::CrashPolicy policy, uint64_t seed, Case what) {
    StoreWorld world(seed);
    world.Open();
    world.StartAt(kStart);
    world.AppendSome();
    if (what.new_segment) {
      world.store.reset();
      world.Open();
    }
    if (what.cut_fails) {
      world.node.disk().FailNext(sim::FileOp::kTruncate, ".redo", StatusCode::kIoError, 1);
    }
    world.node.disk().SetCapacity(world.node.disk().used_bytes() + 100 + world.Draw(2500));
    Status refused;
    while (refused.ok()) {
      refused = world.TryAppend(6);
    }
    ASSERT_EQ(refused.code(), StatusCode::kNoSpace) << refused.ToString();
    const Lsn end = world.store->end();
    world.node.disk().ClearFaults();
    world.node.disk().SetCapacity(uint64_t{1} << 30);
    if (what.restart) {
      world.store.reset();
      world.Open();
      ASSERT_GE(world.store->end(), end);
    }
    const Status told = world.node.Await(world.store->TruncateTo(end));
    ASSERT_TRUE(told.ok()) << told.ToString();
    ASSERT_EQ(world.store->end(), end);
    world.Crash(policy);
    ASSERT_FALSE(testing::Test::HasFatalFailure());
    ASSERT_EQ(world.store->end(), end) << "refused redo came back, or accepted redo is gone";
    world.ExpectContent();
    world.AppendSome();
    world.Crash(policy);
    world.ExpectContent();
  }
};

TEST_P(RefusedAppend, NeverComesBackBehindAnEndThatWasTold) {
  for (uint64_t seed = 1; seed <= 12; ++seed) {
    for (int bits = 0; bits < 8; ++bits) {
      const Case what{(bits & 1) != 0, (bits & 2) != 0, (bits & 4) != 0};
      SCOPED_TRACE("seed " + std::to_string(seed) + ", case " + std::to_string(bits));
      Run(GetParam(), seed, what);
      ASSERT_FALSE(testing::Test::HasFatalFailure());
    }
  }
}

INSTANTIATE_TEST_SUITE_P(Policies, RefusedAppend,
                         testing::Values(sim::CrashPolicy::kClean, sim::CrashPolicy::kAll,
                                         sim::CrashPolicy::kPrefix, sim::CrashPolicy::kBlocks,
                                         sim::CrashPolicy::kTorn, sim::CrashPolicy::kLostNames),
                         PolicyName);

TEST(RedoStore, AFailedSyncDuringACutStopsTheLog) {
  for (const sim::FileOp op : {sim::FileOp::kSync, sim::FileOp::kTruncate, sim::FileOp::kRemove}) {
    StoreWorld world(6);
    world.Open();
    world.StartAt(kStart);
    for (int i = 0; i < 30; ++i) {
      world.Append(1);
    }
    const Lsn cut = innodb::AdvanceLsn(kStart, 2000);
    world.node.disk().FailNext(op, ".redo", StatusCode::kIoError, 1);
    const Status failed = world.node.Await(world.store->TruncateTo(cut));
    EXPECT_EQ(failed.code(), StatusCode::kIoError) << sim::FileOpName(op);
    EXPECT_FALSE(world.store->stopped().ok());
    world.Crash(sim::CrashPolicy::kClean);
    ASSERT_TRUE(world.node.Await(world.store->TruncateTo(cut)).ok());
    EXPECT_EQ(world.store->end(), cut);
    world.ExpectContent();
  }
}

}  // namespace
}  // namespace redoubt
