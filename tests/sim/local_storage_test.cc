// SPDX-License-Identifier: MIT
//
// The model of local storage is fair: through power cuts of every kind it loses no redo that was
// synced, with a doublewrite file it loses no page, and without one it loses pages when writes are
// torn and only then.
#include "sim/workload/local_storage.h"

#include <gtest/gtest.h>

#include <string>

#include "common/innodb/page_format.h"
#include "sim/runtime/sim_world.h"
#include "sim/workload/model_server.h"

namespace redoubt::sim {
namespace {

struct Tally {
  uint64_t recoveries = 0;
  uint64_t torn = 0;
  uint64_t lost = 0;
  Lsn committed;
};

struct Setup {
  const FollowedServer* server = nullptr;
  const PageHistory* history = nullptr;
  bool doublewrite = false;
  Tally* tally = nullptr;
};

class Program : public NodeProgram {
 public:
  Program(Runtime* runtime, Setup setup)
      : runtime_(runtime),
        setup_(setup),
        storage_(runtime, setup.server, setup.history,
                 LocalStorageOptions{"/data", setup.doublewrite}) {}
  Task<void> Run() override {
    const Result<LocalRecovery> recovery = co_await storage_.Recover();
    EXPECT_TRUE(recovery.ok()) << recovery.status().ToString();
    Tally* tally = setup_.tally;
    ++tally->recoveries;
    tally->torn += recovery->torn_count;
    EXPECT_GE(recovery->end, tally->committed);
    for (const PageId id : setup_.history->Pages()) {
      const PageHistory::Version truth = setup_.history->At(id, recovery->end);
      const auto have = recovery->pages.find(id);
      if (truth.page_lsn != Lsn()) {
        const bool same = have != recovery->pages.end() &&
                          innodb::ComparePages(have->second, truth.image, id).equal();
        tally->lost += same ? 0 : 1;
      }
    }
    while (true) {
      const Status committed = co_await storage_.Commit();
      EXPECT_TRUE(committed.ok()) << committed.ToString();
      tally->committed = storage_.committed();
      const Status flushed = co_await storage_.Flush();
      EXPECT_TRUE(flushed.ok()) << flushed.ToString();
      co_await runtime_->scheduler->Sleep(Duration(5'000'000));
    }
  }

 private:
  Runtime* runtime_;
  Setup setup_;
  LocalStorage storage_;
};

Tally CutAgainAndAgain(uint64_t seed, bool doublewrite, CrashPolicy policy) {
  SimOptions options;
  options.seed = seed;
  options.disk.torn_crashes_only = true;
  Trace trace(Trace::Keep::kNothing);
  SimWorld world(options, &trace);
  PageHistory history(32768);
  ModelServer server(ModelServerOptions{32768, 2, 12, 0, Lsn(8204)}, &world.random(), &history);
  const NodeId node = world.AddNode("local");
  const Status made = world.DiskOf(node).CreateDirectories("/data");
  REDOUBT_CHECK(made.ok());
  world.DiskOf(node).PromoteAll();
  Tally tally;
  tally.committed = server.begin_lsn();
  const Setup setup{&server, &history, doublewrite, &tally};
  SeededStream random(&world.random(), "test", 0);
  for (int round = 0; round < 15; ++round) {
    world.StartNode(node, [=](Runtime* runtime) -> std::unique_ptr<NodeProgram> {
      return std::make_unique<Program>(runtime, setup);
    });
    const int64_t end_ns =
        world.now_ns() + static_cast<int64_t>(random.Between(20, 300)) * 1'000'000;
    while (world.now_ns() < end_ns) {
      server.Produce(2000);
      world.RunUntil(std::min(end_ns, world.now_ns() + 10'000'000), nullptr, 10'000'000);
    }
    world.KillNode(node, KillKind::kPower, policy);
  }
  return tally;
}

TEST(LocalStorage, LosesPagesToTornWritesOnlyWithoutDoublewrite) {
  uint64_t lossy_seeds = 0;
  for (uint64_t seed = 1; seed <= 10; ++seed) {
    const Tally without = CutAgainAndAgain(seed, false, CrashPolicy::kSeeded);
    const Tally with = CutAgainAndAgain(seed, true, CrashPolicy::kSeeded);
    EXPECT_EQ(without.recoveries, 15U);
    lossy_seeds += without.lost > 0 ? 1 : 0;
    EXPECT_EQ(with.lost, 0U) << "seed " << seed;
    EXPECT_GT(with.torn, 0U) << "seed " << seed;
  }
  EXPECT_GE(lossy_seeds, 8U);
}

// Nothing torn, nothing lost: what it loses is lost to torn pages.
TEST(LocalStorage, LosesNothingWhenWritesAreWholeOrAbsent) {
  for (const CrashPolicy policy :
       {CrashPolicy::kClean, CrashPolicy::kAll, CrashPolicy::kPrefix, CrashPolicy::kLostNames}) {
    for (uint64_t seed = 1; seed <= 3; ++seed) {
      const Tally tally = CutAgainAndAgain(seed, false, policy);
      EXPECT_EQ(tally.torn, 0U) << CrashPolicyName(policy);
      EXPECT_EQ(tally.lost, 0U) << CrashPolicyName(policy);
    }
  }
}

}  // namespace
}  // namespace redoubt::sim
