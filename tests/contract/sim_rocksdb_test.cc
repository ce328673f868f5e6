// SPDX-License-Identifier: MIT
//
// Goal: a RocksDB store on a simulated disk loses, at whichever of its own file operations the
// power goes, nothing that was flushed and never a part of a flush; its runs are the same each
// time; its work takes virtual time. Method: a program that opens, checks, writes and flushes, with
// the power cut at one operation after the other.
#include "sim/runtime/sim_rocksdb.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <functional>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "common/base/hash.h"
#include "pageserver/storage/rocksdb_kv_store.h"
#include "sim/runtime/sim_world.h"

namespace redoubt::sim {
namespace {

constexpr int64_t kSecond = 1'000'000'000;
constexpr uint64_t kEvents = 10'000'000;

std::string KeyOf(int round) { return "round" + std::to_string(1000 + round); }

// Does not become smaller when it is compressed.
std::string Noise(size_t count) {
  std::string text(count, ' ');
  uint64_t state = 1;
  for (char& letter : text) {
    state = HashMix(state, 1);
    letter = static_cast<char>(state);
  }
  return text;
}

// What the world outside knows, over all lives.
struct Outside {
  int rounds_begun = 0;
  int rounds_flushed = 0;
  int opened = 0;
  int64_t flush_ns = 0;
  int rounds_per_life = 1;
  bool damaged = false;  // a life only reads what can be read
  int read_errors = 0;
  int refused = 0;
  bool done = false;
};

class StoreProgram : public NodeProgram {
 public:
  StoreProgram(NodeIdentity self, Runtime* runtime, Outside* outside)
      : rocksdb_(self, *runtime), outside_(outside) {}

  Task<void> Run() override {
    RocksdbKvStoreOptions options;
    options.env = rocksdb_.env();
    options.table_open_thread_count = 1;
    options.background_job_count = 1;
    Result<std::unique_ptr<KvStore>> opened =
        co_await RocksdbKvStore::Open(rocksdb_.runtime(), "/data/pages", options);
    if (outside_->damaged) {
      outside_->done = true;
      if (opened.ok()) {
        store_ = std::move(*opened);
        ReadRounds();
      } else {
        ++outside_->refused;
      }
      co_return;
    }
    EXPECT_TRUE(opened.ok()) << opened.status().ToString();
    store_ = std::move(*opened);
    ++outside_->opened;
    CheckRounds();
    for (int i = 0; i < outside_->rounds_per_life; ++i) {
      co_await WriteRound();
    }
    outside_->done = true;
  }

 private:
  bool Has(KvFamily family, int round) const {
    const Result<std::optional<std::string>> got = store_->Get(family, KeyOf(round));
    EXPECT_TRUE(got.ok()) << got.status().ToString();
    return got.ok() && got->has_value();
  }
  // A prefix of the rounds, whole, with everything that was flushed.
  void CheckRounds() {
    int survived = 0;
    while (Has(KvFamily::kDelta, survived)) {
      ++survived;
    }
    EXPECT_GE(survived, outside_->rounds_flushed);
    for (int round = 0; round < outside_->rounds_begun; ++round) {
      EXPECT_EQ(Has(KvFamily::kDelta, round), round < survived) << round;
      EXPECT_EQ(Has(KvFamily::kMeta, round), round < survived) << round;
    }
    outside_->rounds_begun = survived;
    outside_->rounds_flushed = survived;
  }
  // Each round is sought by itself; one that cannot be read makes the iterator useless for good.
  void ReadRounds() {
    const std::unique_ptr<KvIterator> at = store_->NewIterator(KvFamily::kDelta);
    Status error;
    for (int round = 0; round < outside_->rounds_flushed; ++round) {
      at->Seek(KeyOf(round));
      error = error.ok() ? at->status() : error;
      EXPECT_EQ(at->Valid(), error.ok()) << round;
      EXPECT_EQ(at->status().ToString(), error.ToString()) << round;
      EXPECT_TRUE(!at->Valid() || at->key() == KeyOf(round)) << round;
    }
    outside_->read_errors += error.ok() ? 0 : 1;
  }
  Task<void> WriteRound() {
    const std::string key = KeyOf(outside_->rounds_begun++);
    KvBatch batch;
    batch.Put(KvFamily::kDelta, key, Noise(20'000));
    batch.Put(KvFamily::kMeta, key, "m");
    const Status written = co_await store_->Write(std::move(batch));
    EXPECT_TRUE(written.ok()) << written.ToString();
    const TimePoint before = rocksdb_.runtime()->scheduler->Now();
    const Status flushed = co_await store_->Flush();
    EXPECT_TRUE(flushed.ok()) << flushed.ToString();
    outside_->flush_ns = (rocksdb_.runtime()->scheduler->Now() - before).count();
    outside_->rounds_flushed = outside_->rounds_begun;
  }

  SimRocksdb rocksdb_;
  Outside* outside_;
  std::unique_ptr<KvStore> store_;
};

class StoreMachine {
 public:
  explicit StoreMachine(uint64_t seed)
      : trace_(Trace::Keep::kNothing), world_(With(seed), &trace_) {
    node_ = world_.AddNode("node");
  }
  ~StoreMachine() { world_.KillNode(node_, KillKind::kProcess, CrashPolicy::kAll); }

  // False when the node died on the way.
  bool RunLife() {
    outside.done = false;
    world_.StartNode(node_, [this](Runtime* runtime) {
      const NodeIdentity self{&world_, node_, world_.IncarnationOf(node_)};
      return std::make_unique<StoreProgram>(self, runtime, &outside);
    });
    const auto over = [this] { return outside.done || !world_.IsUp(node_); };
    EXPECT_EQ(world_.RunUntil(world_.now_ns() + 60 * kSecond, over, kEvents),
              SimWorld::StopReason::kDone);
    return outside.done;
  }
  void CutPowerAtOperation(uint64_t operation) {
    const uint64_t target = world_.DiskOf(node_).op_count() + operation;
    world_.DiskOf(node_).SetObserver([this, target](FileOp, std::string_view, uint64_t op_no) {
      if (op_no == target) {
        world_.KillNode(node_, KillKind::kPower, CrashPolicy::kSeeded);
      }
    });
  }
  void Damage(DamageKind kind, const char* files, uint64_t seed) {
    SeededStream draw(&world_.random(), "damage", seed);
    EXPECT_TRUE(world_.DiskOf(node_).DamageSector(kind, files, &draw).has_value());
  }
  // The longest list of tables that is there.
  uint64_t ListBytes() {
    SimDisk& disk = world_.DiskOf(node_);
    const Result<std::vector<DirectoryEntry>> files = disk.List("/data/pages");
    uint64_t bytes = 0;
    for (const DirectoryEntry& file : files.ok() ? *files : std::vector<DirectoryEntry>()) {
      const auto inode = file.name.starts_with("MANIFEST")
                             ? disk.Open("/data/pages/" + file.name, OpenMode::kRead)
                             : Result<InodeId>(NotFound(file.name));
      if (inode.ok()) {
        bytes = std::max(bytes, disk.Size(*inode));
        disk.Close(*inode);
      }
    }
    return bytes;
  }
  void CutPower() { world_.KillNode(node_, KillKind::kPower, CrashPolicy::kSeeded); }
  uint64_t operations() { return world_.DiskOf(node_).op_count(); }
  uint64_t hash() const { return trace_.hash(); }

  Outside outside;

 private:
  static SimOptions With(uint64_t seed) {
    SimOptions options;
    options.seed = seed;
    return options;
  }
  Trace trace_;
  SimWorld world_;
  NodeId node_ = 0;
};

TEST(SimRocksdb, SurvivesAPowerCutAtEachOfItsOwnFileOperations) {
  uint64_t operation = 1;
  bool cut = true;
  while (cut) {
    SCOPED_TRACE("operation " + std::to_string(operation));
    StoreMachine machine(operation);
    ASSERT_TRUE(machine.RunLife());
    machine.CutPower();
    machine.CutPowerAtOperation(operation);
    cut = !machine.RunLife();
    if (cut) {
      ASSERT_TRUE(machine.RunLife());
    }
    ++operation;
  }
  // Opening, recovering and flushing takes more operations than this.
  EXPECT_GT(operation, 30);
}

TEST(SimRocksdb, SurvivesPowerCutsWithManySeedsWhileItCompacts) {
  for (uint64_t seed = 1; seed <= 30; ++seed) {
    SCOPED_TRACE("seed " + std::to_string(seed));
    StoreMachine machine(seed);
    machine.outside.rounds_per_life = 9;  // more tables than trigger a compaction
    for (uint64_t life = 1; life <= 6; ++life) {
      machine.CutPowerAtOperation(40 + seed * life * 7);
      if (machine.RunLife()) {
        machine.CutPower();
      }
    }
    EXPECT_GT(machine.outside.opened, 1);
  }
}

// RocksDB's own iterator forgets an error when it is moved.
TEST(SimRocksdb, AnIteratorThatMetAnErrorStaysInvalid) {
  int read_errors = 0;
  for (uint64_t seed = 1; seed <= 20; ++seed) {
    SCOPED_TRACE("seed " + std::to_string(seed));
    StoreMachine machine(seed);
    machine.outside.rounds_per_life = 5;
    ASSERT_TRUE(machine.RunLife());
    machine.CutPower();
    machine.Damage(DamageKind::kUnreadable, ".sst", seed);
    machine.outside.damaged = true;
    machine.RunLife();
    read_errors += machine.outside.read_errors;
  }
  EXPECT_GT(read_errors, 3);
}

// A bit of its list of tables is another one: it refuses, or has everything that was flushed.
TEST(SimRocksdb, NoticesADamagedListOfTables) {
  int refused = 0;
  for (uint64_t seed = 1; seed <= 200; ++seed) {
    SCOPED_TRACE("seed " + std::to_string(seed));
    StoreMachine machine(seed);
    machine.outside.rounds_per_life = 5;
    ASSERT_TRUE(machine.RunLife());
    machine.CutPower();
    machine.Damage(DamageKind::kBitFlip, "MANIFEST", seed);
    machine.outside.damaged = true;
    machine.RunLife();
    refused += machine.outside.refused;
  }
  EXPECT_GT(refused, 100);
}

// Entries cross the borders of the list's blocks.
TEST(SimRocksdb, OpensWithAListOfManyBlocks) {
  StoreMachine machine(1);
  machine.outside.rounds_per_life = 400;
  ASSERT_TRUE(machine.RunLife());
  EXPECT_GT(machine.ListBytes(), 4U * 32 * 1024);
  machine.CutPower();
  machine.outside.rounds_per_life = 1;
  EXPECT_TRUE(machine.RunLife());
}

TEST(SimRocksdb, RunsTheSameWayTwice) {
  const auto run = [](uint64_t seed) {
    StoreMachine machine(seed);
    machine.outside.rounds_per_life = 9;
    machine.CutPowerAtOperation(100);
    machine.RunLife();
    machine.RunLife();
    machine.CutPower();
    machine.RunLife();
    return std::pair(machine.hash(), machine.operations());
  };
  EXPECT_EQ(run(5), run(5));
  EXPECT_NE(run(5).first, run(6).first);
}

TEST(SimRocksdb, AFlushTakesTheTimeOfItsSyncs) {
  StoreMachine machine(1);
  ASSERT_TRUE(machine.RunLife());
  // At least the table of each family written to, and the manifest.
  EXPECT_GE(machine.outside.flush_ns, 3 * DiskOptions().sync_ns_min);
}

}  // namespace
}  // namespace redoubt::sim
