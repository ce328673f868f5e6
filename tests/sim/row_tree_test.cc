// SPDX-License-Identifier: MIT
#include "sim/workload/row_tree.h"

#include <gtest/gtest.h>

#include <map>

namespace redoubt::sim {
namespace {

// A tree of any shape that inserts, changes and removals give holds what a map holds.
TEST(RowTree, HoldsWhatAMapHolds) {
  for (uint64_t seed = 1; seed <= 20; ++seed) {
    RandomRoot root(seed);
    SeededStream random(&root, "tree", 0);
    BufferPool pool(10'000, 4096, Lsn());
    const RowTree tree(SpaceId(7), 4096, static_cast<uint16_t>(random.Between(4, 20)));
    std::map<uint32_t, uint64_t> truth;
    {
      MiniTransaction mtr(&pool);
      tree.Create(&random, &mtr);
    }
    const bool ascending = random.Below(2) == 0;
    for (uint32_t i = 0; i < 1500; ++i) {
      MiniTransaction mtr(&pool);
      const auto key =
          static_cast<uint32_t>(ascending && random.Below(4) > 0 ? i + 1000 : random.Below(2000));
      const uint64_t value = random.Next();
      const bool there = truth.contains(key);
      const uint64_t form = random.Below(4);
      uint64_t found = 0;
      if (form < 2) {
        EXPECT_EQ(tree.Insert(key, value, &random, &mtr), there ? Access::kNoRow : Access::kDone);
        truth.emplace(key, value);
      } else if (form == 2) {
        EXPECT_EQ(tree.Erase(key, &mtr), there ? Access::kDone : Access::kNoRow);
        truth.erase(key);
      } else if (there) {
        EXPECT_EQ(tree.Set(key, value, &mtr), Access::kDone);
        truth[key] = value;
      } else {
        EXPECT_EQ(tree.Get(key, &mtr, &found), Access::kNoRow);
      }
    }
    std::vector<std::pair<uint32_t, uint64_t>> rows;
    PageNo leaf(0);
    do {
      MiniTransaction mtr(&pool);
      ASSERT_EQ(tree.ScanLeaf(&leaf, &mtr, &rows), Access::kDone);
    } while (leaf != PageNo(0));
    const std::vector<std::pair<uint32_t, uint64_t>> expected(truth.begin(), truth.end());
    EXPECT_EQ(rows, expected) << "seed " << seed;
    EXPECT_GT(pool.page_count(), 20U);
  }
}

// A pool drops what is durable and free, and remembers when it was last written.
TEST(BufferPool, DropsOnlyWhatIsDurableAndFree) {
  BufferPool pool(3, 4096, Lsn(100));
  const auto id = [](uint32_t page) { return PageId{SpaceId(1), PageNo(page)}; };
  const Bytes image(4096);
  pool.AddRead(id(1), image)->newest_lsn = Lsn(150);
  pool.AddRead(id(2), image)->newest_lsn = Lsn(250);
  pool.AddRead(id(3), image)->pin_count = 1;
  EXPECT_FALSE(pool.MakeRoom(1, Lsn(149)));
  EXPECT_TRUE(pool.MakeRoom(1, Lsn(150)));
  EXPECT_EQ(pool.Find(id(1)), nullptr);
  EXPECT_EQ(pool.LastWritten(id(1)), Lsn(150));
  EXPECT_EQ(pool.LastWritten(id(9)), Lsn(100));
  EXPECT_FALSE(pool.MakeRoom(2, Lsn(249)));
  EXPECT_TRUE(pool.MakeRoom(2, Lsn(250)));
  EXPECT_NE(pool.Find(id(3)), nullptr);
}

}  // namespace
}  // namespace redoubt::sim
