// SPDX-License-Identifier: MIT
//
// Goal: every KvStore keeps the contract of kv_store.h. Method: the same cases on the in-memory
// store over a simulated disk (crash = power cut), on RocksDB over a real directory (crash = the
// files as they are at that moment, copied away from under the open database), and on RocksDB over
// a simulated disk (crash = power cut).
#include <gtest/gtest.h>

#include <filesystem>
#include <functional>
#include <map>
#include <string>

#include "pageserver/storage/memory_kv_store.h"
#include "pageserver/storage/rocksdb_kv_store.h"
#include "sim/runtime/sim_rocksdb.h"
#include "tests/contract/node_harness.h"
#include "tests/support/temporary_directory.h"

namespace redoubt {
namespace {

// How a store is opened, and what a crash of its machine is.
class StoreWorld {
 public:
  explicit StoreWorld(uint64_t seed) : node(seed) {}
  virtual ~StoreWorld() { store.reset(); }
  void Open() {
    Result<std::unique_ptr<KvStore>> opened = node.Await(OpenTask());
    ASSERT_TRUE(opened.ok()) << opened.status().ToString();
    store = std::move(opened).value();
  }
  virtual void CrashAndOpen(sim::CrashPolicy policy) = 0;

  Status Write(KvBatch batch) { return node.Await(store->Write(std::move(batch))); }
  Status Put(KvFamily family, std::string key, std::string value) {
    KvBatch batch;
    batch.Put(family, std::move(key), std::move(value));
    return Write(std::move(batch));
  }
  std::optional<std::string> Get(KvFamily family, std::string_view key) {
    const Result<std::optional<std::string>> got = store->Get(family, key);
    EXPECT_TRUE(got.ok()) << got.status().ToString();
    return got.ok() ? *got : std::nullopt;
  }

  NodeHarness node;
  std::unique_ptr<KvStore> store;

 protected:
  virtual Task<Result<std::unique_ptr<KvStore>>> OpenTask() = 0;
};

class MemoryWorld final : public StoreWorld {
 public:
  using StoreWorld::StoreWorld;
  void CrashAndOpen(sim::CrashPolicy policy) override {
    store.reset();
    node.Kill(policy);
    node.Start();
    Open();
  }

 protected:
  Task<Result<std::unique_ptr<KvStore>>> OpenTask() override {
    return MemoryKvStore::Open(node.runtime(), "/data/pages");
  }
};

class RocksdbWorld final : public StoreWorld {
 public:
  using StoreWorld::StoreWorld;
  ~RocksdbWorld() override { store.reset(); }
  void CrashAndOpen(sim::CrashPolicy) override {
    const int next = life_ + 1;
    std::filesystem::copy(Path(life_), Path(next), std::filesystem::copy_options::recursive);
    store.reset();
    life_ = next;
    Open();
  }

 protected:
  Task<Result<std::unique_ptr<KvStore>>> OpenTask() override {
    return RocksdbKvStore::Open(node.runtime(), Path(life_).string(), RocksdbKvStoreOptions());
  }

 private:
  std::filesystem::path Path(int life) const {
    return std::filesystem::path(directory_.path()) / ("life" + std::to_string(life));
  }
  TemporaryDirectory directory_;
  int life_ = 0;
};

class SimRocksdbWorld final : public StoreWorld {
 public:
  using StoreWorld::StoreWorld;
  ~SimRocksdbWorld() override { node.Kill(sim::CrashPolicy::kAll); }
  void CrashAndOpen(sim::CrashPolicy policy) override {
    node.Kill(policy);
    node.Start();
    Open();
  }

 protected:
  Task<Result<std::unique_ptr<KvStore>>> OpenTask() override {
    rocksdb_ = std::make_unique<sim::SimRocksdb>(node.identity(), *node.runtime());
    node.SetOnDeath([this] {
      store.reset();
      rocksdb_.reset();
    });
    RocksdbKvStoreOptions options;
    options.env = rocksdb_->env();
    options.table_open_thread_count = 1;
    options.background_job_count = 1;
    return RocksdbKvStore::Open(rocksdb_->runtime(), "/data/pages", options);
  }

 private:
  std::unique_ptr<sim::SimRocksdb> rocksdb_;
};

using WorldFactory = std::function<std::unique_ptr<StoreWorld>(uint64_t seed)>;
struct Kind {
  const char* name;
  WorldFactory make;
};

class KvStoreContract : public testing::TestWithParam<Kind> {
 protected:
  void SetUp() override {
    world = GetParam().make(1);
    world->Open();
  }
  std::unique_ptr<StoreWorld> world;
};

std::string Numbered(int number) {
  std::string key = "key00000";
  for (size_t at = key.size(); number > 0; number /= 10) {
    key[--at] = static_cast<char>('0' + number % 10);
  }
  return key;
}

TEST_P(KvStoreContract, ReadsWhatWasWrittenFamilyByFamily) {
  KvBatch batch;
  batch.Put(KvFamily::kDelta, "a", "delta");
  batch.Put(KvFamily::kMeta, "a", "meta");
  batch.Put(KvFamily::kMeta, "empty", "");
  ASSERT_TRUE(world->Write(std::move(batch)).ok());
  EXPECT_EQ(world->Get(KvFamily::kDelta, "a"), "delta");
  EXPECT_EQ(world->Get(KvFamily::kMeta, "a"), "meta");
  EXPECT_EQ(world->Get(KvFamily::kMeta, "empty"), "");
  EXPECT_EQ(world->Get(KvFamily::kImage, "a"), std::nullopt);
}

TEST_P(KvStoreContract, AppliesTheOperationsOfABatchInOrder) {
  KvBatch batch;
  batch.Put(KvFamily::kDelta, "a", "1");
  batch.Delete(KvFamily::kDelta, "a");
  batch.Put(KvFamily::kDelta, "b", "1");
  batch.Put(KvFamily::kDelta, "b", "2");
  batch.Put(KvFamily::kDelta, "c", "1");
  batch.DeleteRange(KvFamily::kDelta, "c", "d");
  ASSERT_TRUE(world->Write(std::move(batch)).ok());
  EXPECT_EQ(world->Get(KvFamily::kDelta, "a"), std::nullopt);
  EXPECT_EQ(world->Get(KvFamily::kDelta, "b"), "2");
  EXPECT_EQ(world->Get(KvFamily::kDelta, "c"), std::nullopt);
}

TEST_P(KvStoreContract, DeletesHalfOpenRangesOfOneFamily) {
  KvBatch batch;
  for (const char* key : {"a", "b", "c", "d"}) {
    batch.Put(KvFamily::kImage, key, "x");
    batch.Put(KvFamily::kSpace, key, "x");
  }
  ASSERT_TRUE(world->Write(std::move(batch)).ok());
  KvBatch remove;
  remove.DeleteRange(KvFamily::kImage, "b", "d");
  ASSERT_TRUE(world->Write(std::move(remove)).ok());
  EXPECT_EQ(world->Get(KvFamily::kImage, "a"), "x");
  EXPECT_EQ(world->Get(KvFamily::kImage, "b"), std::nullopt);
  EXPECT_EQ(world->Get(KvFamily::kImage, "c"), std::nullopt);
  EXPECT_EQ(world->Get(KvFamily::kImage, "d"), "x");
  EXPECT_EQ(world->Get(KvFamily::kSpace, "c"), "x");
}

TEST_P(KvStoreContract, IteratesInKeyOrderBothWays) {
  KvBatch batch;
  for (const char* key : {"c", "a", "e"}) {
    batch.Put(KvFamily::kDelta, key, std::string("v") + key);
  }
  ASSERT_TRUE(world->Write(std::move(batch)).ok());
  const std::unique_ptr<KvIterator> at = world->store->NewIterator(KvFamily::kDelta);
  at->Seek("b");
  ASSERT_TRUE(at->Valid());
  EXPECT_EQ(at->key(), "c");
  EXPECT_EQ(at->value(), "vc");
  at->Next();
  ASSERT_TRUE(at->Valid());
  EXPECT_EQ(at->key(), "e");
  at->Next();
  EXPECT_FALSE(at->Valid());
  at->SeekForPrev("d");
  ASSERT_TRUE(at->Valid());
  EXPECT_EQ(at->key(), "c");
  at->Prev();
  ASSERT_TRUE(at->Valid());
  EXPECT_EQ(at->key(), "a");
  at->Prev();
  EXPECT_FALSE(at->Valid());
  at->SeekForPrev("c");
  ASSERT_TRUE(at->Valid());
  EXPECT_EQ(at->key(), "c");
  at->Seek("f");
  EXPECT_FALSE(at->Valid());
  EXPECT_TRUE(at->status().ok());
}

TEST_P(KvStoreContract, AnIteratorSeesTheMomentItWasMade) {
  ASSERT_TRUE(world->Put(KvFamily::kDelta, "a", "old").ok());
  ASSERT_TRUE(world->Put(KvFamily::kDelta, "b", "old").ok());
  const std::unique_ptr<KvIterator> at = world->store->NewIterator(KvFamily::kDelta);
  KvBatch batch;
  batch.Put(KvFamily::kDelta, "a", "new");
  batch.Delete(KvFamily::kDelta, "b");
  batch.Put(KvFamily::kDelta, "c", "new");
  ASSERT_TRUE(world->Write(std::move(batch)).ok());
  at->Seek("a");
  ASSERT_TRUE(at->Valid());
  EXPECT_EQ(at->value(), "old");
  at->Next();
  ASSERT_TRUE(at->Valid());
  EXPECT_EQ(at->key(), "b");
  at->Next();
  EXPECT_FALSE(at->Valid());
  EXPECT_EQ(world->Get(KvFamily::kDelta, "a"), "new");
}

Task<void> WriteNumber(KvStore* store, int number) {
  KvBatch batch;
  batch.Put(KvFamily::kMeta, "last", std::to_string(number));
  batch.Put(KvFamily::kDelta, Numbered(number), "x");
  const Status status = co_await store->Write(std::move(batch));
  EXPECT_TRUE(status.ok()) << status.ToString();
}

TEST_P(KvStoreContract, AppliesConcurrentWritesInCallOrder) {
  // The tasks start in the order in which they were spawned: same time, first come first served.
  TaskGroup group(world->node.runtime()->scheduler);
  for (int i = 0; i < 20; ++i) {
    group.Spawn(WriteNumber(world->store.get(), i));
    world->node.RunFor(std::chrono::nanoseconds(0));
  }
  world->node.Await(group.Join());
  EXPECT_EQ(world->Get(KvFamily::kMeta, "last"), "19");
}

TEST_P(KvStoreContract, KeepsEverythingOverAClose) {
  ASSERT_TRUE(world->Put(KvFamily::kDelta, "a", "1").ok());
  ASSERT_TRUE(world->node.Await(world->store->Close()).ok());
  world->store.reset();
  world->Open();
  EXPECT_EQ(world->Get(KvFamily::kDelta, "a"), "1");
}

// The heart: what survives is a prefix of the writes, with everything before the last OK Flush, and
// no batch survives in part.
class KvStoreCrash : public testing::TestWithParam<Kind> {};

TEST_P(KvStoreCrash, APrefixOfTheWritesSurvives) {
  for (uint64_t seed = 1; seed <= 12; ++seed) {
    SCOPED_TRACE("seed " + std::to_string(seed));
    const std::unique_ptr<StoreWorld> world = GetParam().make(seed);
    world->Open();
    int next = 0;
    int floor = 0;  // so many must be there
    for (int life = 0; life < 4; ++life) {
      for (int i = 0; i < 10; ++i) {
        KvBatch batch;
        batch.Put(KvFamily::kDelta, Numbered(next), std::string(3000, 'd'));
        batch.Put(KvFamily::kImage, Numbered(next), std::string(100, 'i'));
        ASSERT_TRUE(world->Write(std::move(batch)).ok());
        ++next;
        if (world->node.runtime()->random->Below(4) == 0) {
          ASSERT_TRUE(world->node.Await(world->store->Flush()).ok());
          floor = next;
        }
      }
      world->CrashAndOpen(sim::CrashPolicy::kSeeded);
      int survived = 0;
      while (world->Get(KvFamily::kDelta, Numbered(survived)).has_value()) {
        EXPECT_TRUE(world->Get(KvFamily::kImage, Numbered(survived)).has_value());
        ++survived;
      }
      EXPECT_GE(survived, floor);
      EXPECT_LE(survived, next);
      for (int i = survived; i < next; ++i) {
        EXPECT_FALSE(world->Get(KvFamily::kDelta, Numbered(i)).has_value());
        EXPECT_FALSE(world->Get(KvFamily::kImage, Numbered(i)).has_value());
      }
      next = survived;
      floor = survived;
    }
  }
}

TEST_P(KvStoreCrash, AgreesWithAModelOverRandomOperations) {
  const std::unique_ptr<StoreWorld> world = GetParam().make(7);
  world->Open();
  Random* random = world->node.runtime()->random;
  std::map<std::string, std::string> model;
  for (int step = 0; step < 400; ++step) {
    KvBatch batch;
    for (uint64_t n = 1 + random->Below(4); n > 0; --n) {
      const std::string key = Numbered(static_cast<int>(random->Below(60)));
      switch (random->Below(6)) {
        case 0:
          batch.Delete(KvFamily::kSpace, key);
          model.erase(key);
          break;
        case 1: {
          const std::string end = Numbered(static_cast<int>(random->Below(60)));
          if (key < end) {
            batch.DeleteRange(KvFamily::kSpace, key, end);
            model.erase(model.lower_bound(key), model.lower_bound(end));
          }
          break;
        }
        default: {
          const std::string value = std::to_string(random->Next());
          batch.Put(KvFamily::kSpace, key, value);
          model[key] = value;
        }
      }
    }
    ASSERT_TRUE(world->Write(std::move(batch)).ok());
    if (random->Below(20) == 0) {
      ASSERT_TRUE(world->node.Await(world->store->Flush()).ok());
    }
  }
  ASSERT_TRUE(world->node.Await(world->store->Flush()).ok());
  world->CrashAndOpen(sim::CrashPolicy::kClean);
  const std::unique_ptr<KvIterator> at = world->store->NewIterator(KvFamily::kSpace);
  at->Seek("");
  for (const auto& [key, value] : model) {
    ASSERT_TRUE(at->Valid());
    EXPECT_EQ(at->key(), key);
    EXPECT_EQ(at->value(), value);
    at->Next();
  }
  EXPECT_FALSE(at->Valid());
}

const Kind kKinds[] = {
    {"Memory", [](uint64_t seed) { return std::make_unique<MemoryWorld>(seed); }},
    {"Rocksdb", [](uint64_t seed) { return std::make_unique<RocksdbWorld>(seed); }},
    {"SimRocksdb", [](uint64_t seed) { return std::make_unique<SimRocksdbWorld>(seed); }},
};
std::string NameOf(const testing::TestParamInfo<Kind>& info) { return info.param.name; }

INSTANTIATE_TEST_SUITE_P(Stores, KvStoreContract, testing::ValuesIn(kKinds), NameOf);
INSTANTIATE_TEST_SUITE_P(Stores, KvStoreCrash, testing::ValuesIn(kKinds), NameOf);

TEST(MemoryKvStore, RefusesWritesAfterAnErrorAndKeepsWhatWasFlushed) {
  MemoryWorld world(3);
  world.Open();
  ASSERT_TRUE(world.Put(KvFamily::kMeta, "a", "1").ok());
  ASSERT_TRUE(world.node.Await(world.store->Flush()).ok());
  world.node.disk().FailNext(sim::FileOp::kWrite, "journal", StatusCode::kIoError, 1);
  const Status failed = world.Put(KvFamily::kMeta, "b", "2");
  EXPECT_EQ(failed.code(), StatusCode::kIoError) << failed.ToString();
  EXPECT_FALSE(world.Put(KvFamily::kMeta, "c", "3").ok());
  EXPECT_EQ(world.Get(KvFamily::kMeta, "a"), "1");
  world.CrashAndOpen(sim::CrashPolicy::kAll);
  EXPECT_EQ(world.Get(KvFamily::kMeta, "a"), "1");
  EXPECT_EQ(world.Get(KvFamily::kMeta, "c"), std::nullopt);
}

TEST(MemoryKvStore, TakesNothingOfAWriteOnAFullDiskAndGoesOn) {
  MemoryWorld world(3);
  world.Open();
  ASSERT_TRUE(world.Put(KvFamily::kMeta, "a", "1").ok());
  const uint64_t capacity = world.node.disk().options().capacity_bytes;
  world.node.disk().SetCapacity(world.node.disk().used_bytes() + 10);
  const Status full = world.Put(KvFamily::kMeta, "b", std::string(1000, 'b'));
  EXPECT_EQ(full.code(), StatusCode::kNoSpace) << full.ToString();
  EXPECT_EQ(world.Get(KvFamily::kMeta, "b"), std::nullopt);
  EXPECT_TRUE(world.node.Await(world.store->Flush()).ok()) << "what was written before stands";
  world.node.disk().SetCapacity(capacity);
  ASSERT_TRUE(world.Put(KvFamily::kMeta, "c", "3").ok());
  ASSERT_TRUE(world.node.Await(world.store->Flush()).ok());
  world.CrashAndOpen(sim::CrashPolicy::kClean);
  EXPECT_EQ(world.Get(KvFamily::kMeta, "a"), "1");
  EXPECT_EQ(world.Get(KvFamily::kMeta, "b"), std::nullopt);
  EXPECT_EQ(world.Get(KvFamily::kMeta, "c"), "3");
}

// A failed sync leaves records in the page cache that no later sync writes. A restart of the
// process reads them; from then on they are kept.
TEST(MemoryKvStore, KeepsWhatItFoundAfterAFailedSync) {
  MemoryWorld world(3);
  world.Open();
  ASSERT_TRUE(world.Put(KvFamily::kMeta, "a", "1").ok());
  ASSERT_TRUE(world.node.Await(world.store->Flush()).ok());
  ASSERT_TRUE(world.Put(KvFamily::kMeta, "b", "2").ok());
  world.node.disk().FailNext(sim::FileOp::kSync, "journal", StatusCode::kIoError, 1);
  EXPECT_FALSE(world.node.Await(world.store->Flush()).ok());
  world.store.reset();
  world.Open();
  ASSERT_EQ(world.Get(KvFamily::kMeta, "b"), "2");
  world.CrashAndOpen(sim::CrashPolicy::kClean);
  EXPECT_EQ(world.Get(KvFamily::kMeta, "a"), "1");
  EXPECT_EQ(world.Get(KvFamily::kMeta, "b"), "2");
}

// What a failed sync dropped stays lost although the next sync succeeds: nothing may follow it.
TEST(MemoryKvStore, TakesNothingAfterAFailedSync) {
  MemoryWorld world(3);
  world.Open();
  ASSERT_TRUE(world.Put(KvFamily::kMeta, "a", "1").ok());
  world.node.disk().FailNext(sim::FileOp::kSync, "journal", StatusCode::kIoError, 1);
  EXPECT_FALSE(world.node.Await(world.store->Flush()).ok());
  EXPECT_EQ(world.Put(KvFamily::kMeta, "b", "2").code(), StatusCode::kIoError);
  EXPECT_EQ(world.node.Await(world.store->Flush()).code(), StatusCode::kIoError);
}

// A power cut lets only parts of a write through: a hole in a value shows in nothing but the
// checksum.
TEST(MemoryKvStore, ARecordWithAHoleInAValueIsNotTaken) {
  bool torn = false;
  for (uint64_t seed = 1; seed <= 40; ++seed) {
    SCOPED_TRACE("seed " + std::to_string(seed));
    MemoryWorld world(seed);
    world.Open();
    ASSERT_TRUE(world.Put(KvFamily::kMeta, "a", "1").ok());
    ASSERT_TRUE(world.node.Await(world.store->Flush()).ok());
    const std::string value(6000, 'v');
    ASSERT_TRUE(world.Put(KvFamily::kImage, "b", value).ok());
    world.CrashAndOpen(sim::CrashPolicy::kBlocks);
    EXPECT_EQ(world.Get(KvFamily::kMeta, "a"), "1");
    const std::optional<std::string> found = world.Get(KvFamily::kImage, "b");
    EXPECT_TRUE(!found.has_value() || *found == value);
    torn |= !found.has_value();
  }
  EXPECT_TRUE(torn);
}

// The same when all that it had written was the head of its journal.
TEST(MemoryKvStore, IsNoEmptyStoreAfterItsFirstSyncFailed) {
  MemoryWorld world(3);
  world.node.disk().FailNext(sim::FileOp::kSync, "journal", StatusCode::kIoError, 1);
  const auto failed = world.node.Await(MemoryKvStore::Open(world.node.runtime(), "/data/pages"));
  EXPECT_EQ(failed.status().code(), StatusCode::kIoError);
  world.Open();
  ASSERT_TRUE(world.Put(KvFamily::kMeta, "a", "1").ok());
  ASSERT_TRUE(world.node.Await(world.store->Flush()).ok());
  world.CrashAndOpen(sim::CrashPolicy::kClean);
  EXPECT_EQ(world.Get(KvFamily::kMeta, "a"), "1");
}

// Writes, and marks when the flush that it asked for then was answered.
Task<void> WriteAndFlush(KvStore* store, int number, bool* flushed) {
  KvBatch batch;
  batch.Put(KvFamily::kDelta, Numbered(number), std::string(2000, 'd'));
  const Status written = co_await store->Write(std::move(batch));
  EXPECT_TRUE(written.ok()) << written.ToString();
  const Status status = co_await store->Flush();
  EXPECT_TRUE(status.ok()) << status.ToString();
  *flushed = true;
}

// Several volumes flush one store. Each is told when its own writes are durable, not when a flush
// ends that began before: the power goes at the moment of the first answer to a later one.
TEST(RocksdbKvStore, AFlushUnderWayCoversNobodyWhoAsksLater) {
  for (uint64_t seed = 1; seed <= 8; ++seed) {
    SCOPED_TRACE("seed " + std::to_string(seed));
    SimRocksdbWorld world(seed);
    world.Open();
    bool first = false;
    bool later = false;
    {
      TaskGroup group(world.node.runtime()->scheduler);
      group.Spawn(WriteAndFlush(world.store.get(), 1, &first));
      world.node.RunFor(std::chrono::microseconds(100 + 100 * seed));
      group.Spawn(WriteAndFlush(world.store.get(), 2, &later));
      while (!later) {
        world.node.RunFor(std::chrono::microseconds(20));
      }
    }
    EXPECT_TRUE(first);
    world.CrashAndOpen(sim::CrashPolicy::kClean);
    EXPECT_TRUE(world.Get(KvFamily::kDelta, Numbered(1)).has_value());
    EXPECT_TRUE(world.Get(KvFamily::kDelta, Numbered(2)).has_value());
  }
}

TEST(RocksdbKvStore, NamesAnUnusableDirectory) {
  NodeHarness node;
  TemporaryDirectory directory;
  const std::string path = directory.path() + "/file";
  std::filesystem::create_directory(path);
  RocksdbKvStoreOptions options;
  Result<std::unique_ptr<KvStore>> first =
      node.Await(RocksdbKvStore::Open(node.runtime(), path, options));
  ASSERT_TRUE(first.ok());
  // The same directory twice: RocksDB's lock.
  const Result<std::unique_ptr<KvStore>> second =
      node.Await(RocksdbKvStore::Open(node.runtime(), path, options));
  ASSERT_FALSE(second.ok());
  EXPECT_NE(second.status().message().find(path), std::string::npos);
  EXPECT_NE(second.status().message().find("another process"), std::string::npos)
      << second.status().ToString();
  first->reset();
}

}  // namespace
}  // namespace redoubt
