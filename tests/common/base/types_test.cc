// SPDX-License-Identifier: MIT
//
// Goal: the strong types order like their numbers and do not mix; ranges are half-open.
#include "common/base/types.h"

#include <gtest/gtest.h>

#include <type_traits>
#include <unordered_set>

namespace redoubt {
namespace {

static_assert(!std::is_convertible_v<Lsn, Sn>);
static_assert(!std::is_constructible_v<Lsn, Sn>);
static_assert(!std::is_convertible_v<uint64_t, Lsn>);
static_assert(sizeof(Lsn) == 8 && sizeof(PageId) == 8);

TEST(Types, OrderLikeTheirNumbers) {
  EXPECT_LT(Lsn{1}, Lsn{2});
  EXPECT_EQ(Lsn{}, Lsn{0});
  EXPECT_LT(Lsn{1}, kMaxLsn);
  // A page id orders by space first.
  EXPECT_LT((PageId{SpaceId{1}, PageNo{9}}), (PageId{SpaceId{2}, PageNo{0}}));
  EXPECT_LT((PageId{SpaceId{2}, PageNo{0}}), (PageId{SpaceId{2}, PageNo{1}}));
}

TEST(Types, RangesAreHalfOpen) {
  const LsnRange range{Lsn{10}, Lsn{20}};
  EXPECT_FALSE(range.Contains(Lsn{9}));
  EXPECT_TRUE(range.Contains(Lsn{10}));
  EXPECT_TRUE(range.Contains(Lsn{19}));
  EXPECT_FALSE(range.Contains(Lsn{20}));
  EXPECT_FALSE(range.empty());
  EXPECT_TRUE((LsnRange{Lsn{10}, Lsn{10}}).empty());
}

TEST(Types, PageIdsPrintAsSpaceColonPage) {
  EXPECT_EQ(ToString(PageId{SpaceId{5}, PageNo{17}}), "5:17");
}

TEST(Types, HashesOfNeighbouringPagesDiffer) {
  std::unordered_set<size_t> seen;
  for (uint32_t space = 0; space < 50; ++space) {
    for (uint32_t page_no = 0; page_no < 200; ++page_no) {
      seen.insert(std::hash<PageId>()(PageId{SpaceId{space}, PageNo{page_no}}));
    }
  }
  EXPECT_EQ(seen.size(), 50U * 200U);
}

}  // namespace
}  // namespace redoubt
