// SPDX-License-Identifier: MIT
//
// Model computes over storage in memory: lives that end anywhere, also in recovery, and older ones
// that go on beside newer ones. With right storage nothing is found; with wrong storage it is.
#include "sim/workload/model_compute.h"

#include <gtest/gtest.h>

#include <string>
#include <utility>

#include "tests/sim/memory_storage.h"
#include "tests/sim/sim_test_util.h"

namespace redoubt::sim {
namespace {

constexpr Lsn kBegin{8204};
constexpr int64_t kMs = 1'000'000;

struct Universe {
  explicit Universe(uint64_t seed)
      : test(seed),
        options(Small()),
        storage(&test.world.random(), options.bank.page_size, kBegin),
        timeline(&findings, options.bank.page_size, kBegin),
        content(&findings, &timeline),
        ledger(&findings, options.bank.account_count, options.bank.opening_balance),
        reference(&findings, &timeline, options.bank.page_size) {
    for (int i = 0; i < 2; ++i) {
      nodes[i] = test.world.AddNode("compute" + std::to_string(i));
    }
  }
  ~Universe() {
    for (const NodeId node : nodes) {
      test.world.KillNode(node, KillKind::kProcess, CrashPolicy::kAll);
    }
  }
  Universe(const Universe&) = delete;
  Universe& operator=(const Universe&) = delete;
  static ModelComputeOptions Small() {
    ModelComputeOptions options;
    options.bank.page_size = 4096;
    options.pool_page_count = 60;
    options.think_ns = 5 * kMs;
    options.chunk_bytes_max = 700;
    return options;
  }

  TestWorld test;
  ModelComputeOptions options;
  Findings findings;
  MemoryStorage storage;
  Timeline timeline;
  PageContent content;
  Ledger ledger;
  ReferenceRecovery reference;
  NodeId nodes[2] = {};
  uint64_t lives = 0;
  uint64_t recoveries = 0;
  uint64_t rolled_back = 0;
  uint64_t dropped = 0;
  uint64_t fenced = 0;
  bool drain = false;
};

class StoragePages : public PageSource {
 public:
  StoragePages(Runtime* runtime, Universe* universe, uint64_t entity)
      : runtime_(runtime),
        universe_(universe),
        random_(&universe->test.world.random(), "fetch", entity) {}
  Task<Result<SourcePage>> Fetch(PageId page, Lsn read_lsn, Lsn not_modified_since) override {
    EXPECT_LE(not_modified_since, read_lsn);
    const auto delay = static_cast<int64_t>(random_.Exponential(300'000));
    co_await runtime_->scheduler->Sleep(Duration(delay));
    PageVersion version = universe_->storage.Read(page, read_lsn);
    co_return SourcePage{version.page_lsn, std::move(version.image), read_lsn};
  }

 private:
  Runtime* runtime_;
  Universe* universe_;
  SeededStream random_;
};

class StorageLog : public RedoSink {
 public:
  StorageLog(Runtime* runtime, Universe* universe, Epoch epoch, Lsn start)
      : runtime_(runtime), universe_(universe), epoch_(epoch), acknowledged_(start) {}
  Task<Status> Append(LogChunk chunk) override {
    co_await runtime_->scheduler->Sleep(Duration(200'000));
    co_return universe_->storage.Append(epoch_, chunk);
  }
  Task<Status> WaitAcknowledged(Lsn lsn) override {
    while (acknowledged_ < lsn) {
      co_await runtime_->scheduler->Sleep(Duration(kMs));
      if (universe_->storage.IsOld(epoch_)) {
        acknowledged_ = std::max(acknowledged_, lsn);
        co_return universe_->storage.fence ? Status(StatusCode::kStaleEpoch, "fenced")
                                           : Status::Ok();
      }
      universe_->storage.Sync();
      acknowledged_ = universe_->storage.acknowledged();
    }
    co_return Status::Ok();
  }
  Lsn acknowledged() const override { return acknowledged_; }

 private:
  Runtime* runtime_;
  Universe* universe_;
  Epoch epoch_;
  Lsn acknowledged_;
};

Task<void> Live(Runtime* runtime, Universe* universe) {
  const std::vector<EpochMark> history = universe->storage.TakeOver();
  const EpochMark own = history.back();
  universe->timeline.EpochBegun(history);
  const uint64_t entity = ++universe->lives;
  StoragePages pages(runtime, universe, entity);
  StorageLog log(runtime, universe, own.epoch, own.start);
  const ComputeSurroundings around{runtime,
                                   &pages,
                                   &log,
                                   &universe->timeline,
                                   &universe->content,
                                   &universe->ledger,
                                   &universe->reference,
                                   &universe->findings};
  ModelCompute compute(around, universe->options, &universe->test.world.random(), entity, own.epoch,
                       {own.start, own.start});
  Status status = co_await compute.Recover();
  universe->recoveries += status.ok() ? 1 : 0;
  universe->rolled_back += compute.rolled_back_at_start();
  if (status.ok() && universe->drain) {
    compute.Drain();
  }
  if (status.ok()) {
    status = co_await compute.Serve();
  }
  if (status.ok()) {
    status = co_await compute.Verify();
  }
  universe->fenced += status.code() == StatusCode::kStaleEpoch ? 1 : 0;
  universe->dropped += compute.pages_dropped();
  co_await compute.Stop();
}

// Lives of seeded length on two nodes. The one before is killed, or goes on until it is fenced.
void RunLives(Universe* universe, int life_count) {
  SimWorld& world = universe->test.world;
  SeededStream random(&world.random(), "lives", 0);
  for (int life = 0; life < life_count && universe->findings.empty(); ++life) {
    const NodeId node = universe->nodes[life % 2];
    if (world.IsUp(node)) {
      world.KillNode(node, KillKind::kProcess, CrashPolicy::kAll);
    }
    if (random.Below(2) == 0) {
      world.KillNode(universe->nodes[(life + 1) % 2], KillKind::kProcess, CrashPolicy::kAll);
    }
    universe->drain = life + 1 == life_count;
    world.StartNode(node,
                    Program([universe](Runtime* runtime) { return Live(runtime, universe); }));
    const uint64_t most_ms = random.Below(3) == 0 ? 20 : 400;
    universe->test.RunFor(static_cast<int64_t>(random.Between(1, most_ms)) * kMs);
  }
  universe->test.RunFor(2 * kSecond);
}

TEST(ModelCompute, LosesNothingOverManyLives) {
  uint64_t rolled_back = 0;
  uint64_t fenced = 0;
  uint64_t dropped = 0;
  for (uint64_t seed = 1; seed <= 20; ++seed) {
    Universe universe(seed);
    RunLives(&universe, 20);
    EXPECT_TRUE(universe.findings.empty())
        << "seed " << seed << ": " << universe.findings.all().front().what;
    EXPECT_GT(universe.ledger.acknowledged_count(), 50U) << "seed " << seed;
    EXPECT_GT(universe.ledger.check_count(), 5U) << "seed " << seed;
    EXPECT_GT(universe.reference.checked_count(), 100U) << "seed " << seed;
    rolled_back += universe.rolled_back;
    fenced += universe.fenced;
    dropped += universe.dropped;
  }
  EXPECT_GT(rolled_back, 20U);
  EXPECT_GT(fenced, 20U);
  EXPECT_GT(dropped, 100U);
}

// The checkers that wrong storage wakes, over some seeds.
std::map<std::string, int> Found(void (*spoil)(MemoryStorage*)) {
  std::map<std::string, int> found;
  for (uint64_t seed = 1; seed <= 10; ++seed) {
    Universe universe(seed);
    spoil(&universe.storage);
    RunLives(&universe, 20);
    ++found[universe.findings.empty() ? "" : universe.findings.all().front().checker];
  }
  return found;
}

TEST(ModelCompute, SeesStorageThatForgetsWhatItAcknowledged) {
  std::map<std::string, int> found =
      Found([](MemoryStorage* storage) { storage->forget_acknowledged = true; });
  EXPECT_EQ(found["C1"], 10);
}

TEST(ModelCompute, SeesStorageThatHandsOutStalePages) {
  std::map<std::string, int> found =
      Found([](MemoryStorage* storage) { storage->stale_pages = true; });
  EXPECT_EQ(found["C2"], 10);
}

TEST(ModelCompute, SeesStorageThatDoesNotFence) {
  std::map<std::string, int> found = Found([](MemoryStorage* storage) { storage->fence = false; });
  EXPECT_GE(found["C5"], 5);
}

}  // namespace
}  // namespace redoubt::sim
