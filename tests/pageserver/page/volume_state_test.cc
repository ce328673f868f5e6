// SPDX-License-Identifier: MIT
//
// Goal: who reads a page is told what happens to it meanwhile, so that no old image is cached as
// the newest. Method: a state without a volume around it.
#include "pageserver/page/volume_state.h"

#include <gtest/gtest.h>

#include <memory>

#include "tests/pageserver/page/volume_world.h"

namespace redoubt {
namespace {

constexpr PageId kPage{SpaceId(11), PageNo(3)};
constexpr PageId kOther{SpaceId(11), PageNo(4)};

class VolumeStateTest : public testing::Test {
 protected:
  void SetUp() override { world.Open(); }
  void Cache(PageId page) {
    world.cache->Insert(world.options.volume, page,
                        {std::make_shared<const Bytes>(4096), Lsn(100)});
  }
  bool IsCached(PageId page) { return world.cache->Find(world.options.volume, page) != nullptr; }

  VolumeWorld world;
};

TEST_F(VolumeStateTest, AnImageThatIsPutInvalidatesWhatIsCachedAndWhatIsBeingRead) {
  VolumeState state(world.node.runtime(), world.store.get(), world.cache.get(), world.options);
  Cache(kPage);
  Cache(kOther);
  PageWatch first;
  PageWatch second;
  PageWatch other;
  state.Watch(kPage, &first);
  state.Watch(kPage, &second);
  state.Watch(kOther, &other);
  state.Invalidate(kPage);
  EXPECT_TRUE(first.invalidated);
  EXPECT_TRUE(second.invalidated);
  EXPECT_FALSE(other.invalidated);
  EXPECT_FALSE(IsCached(kPage));
  EXPECT_TRUE(IsCached(kOther));
  state.Unwatch(kPage, &first);
  state.Unwatch(kPage, &second);
  state.Unwatch(kOther, &other);
}

TEST_F(VolumeStateTest, NewerRedoSupersedesWhatIsBeingReadFromItsFirstMtrOn) {
  VolumeState state(world.node.runtime(), world.store.get(), world.cache.get(), world.options);
  PageWatch watch;
  PageWatch other;
  PageWatch gone;
  state.Watch(kPage, &watch);
  state.Watch(kOther, &other);
  state.Watch(kPage, &gone);
  state.Unwatch(kPage, &gone);
  state.Superseded(kPage, Lsn(500));
  state.Superseded(kPage, Lsn(700));
  EXPECT_EQ(watch.superseded_at, Lsn(500));
  EXPECT_FALSE(watch.invalidated);
  EXPECT_EQ(other.superseded_at, kMaxLsn);
  EXPECT_EQ(gone.superseded_at, kMaxLsn);
  state.Unwatch(kPage, &watch);
  state.Unwatch(kOther, &other);
}

}  // namespace
}  // namespace redoubt
