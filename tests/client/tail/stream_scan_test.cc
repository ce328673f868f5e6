// SPDX-License-Identifier: MIT
//
// Goal: everything that redo alone cannot tell becomes a barrier at the right mtr, and nothing else
// does. Method: small streams of hand-made mtrs through a real assembler.
#include "client/tail/stream_scan.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tests/client/tail/fake_source.h"

namespace redoubt::tail {
namespace {

constexpr uint32_t kSpace = 5;
constexpr SpaceId kSpaceId{kSpace};

class StreamScanTest : public testing::Test {
 protected:
  StreamScanTest() { scan_.Know(kSpaceId, "./db/t.ibd"); }

  // Feeds one mtr as a batch of its own; returns its range.
  LsnRange Feed(const Bytes& mtr) {
    const Lsn start = assembler_.end_lsn();
    scan_.BeginBatch();
    barriers_.clear();
    const Status status = assembler_.Feed(
        mtr, [this](const innodb::MtrView& view) { return scan_.Take(view, &barriers_); });
    EXPECT_TRUE(status.ok()) << status.ToString();
    return {start, assembler_.end_lsn()};
  }

  innodb::MtrAssembler assembler_{innodb::kFirstDataLsn};
  StreamScan scan_;
  std::vector<Barrier> barriers_;
};

TEST_F(StreamScanTest, OrdinaryChangesAreNoBarriers) {
  Feed(WriteMtr(kSpace, 3, 1));
  EXPECT_TRUE(barriers_.empty());
  Feed(InsertMtr(kSpace, 4));
  EXPECT_TRUE(barriers_.empty());
  EXPECT_EQ(scan_.mtr_count(), 2U);
}

TEST_F(StreamScanTest, IndexLoadNamesWhereItsRootWasMade) {
  const LsnRange root = Feed(RootCreateMtr(kSpace, 9, 77));
  EXPECT_TRUE(barriers_.empty());
  const LsnRange load = Feed(IndexLoadMtr(kSpace, 9, 77));
  ASSERT_EQ(barriers_.size(), 1U);
  EXPECT_EQ(barriers_[0].kind, BarrierKind::kIndexLoad);
  EXPECT_EQ(barriers_[0].mtr, load);
  EXPECT_EQ(barriers_[0].index_id, 77U);
  EXPECT_EQ(barriers_[0].hole_start, root.start);
  EXPECT_TRUE(scan_.builds().empty());
}

TEST_F(StreamScanTest, FullTextLoadHasNoRoot) {
  Feed(IndexLoadMtr(kSpace, 0xFFFFFFFF, 77));
  ASSERT_EQ(barriers_.size(), 1U);
  EXPECT_EQ(barriers_[0].kind, BarrierKind::kFullTextLoad);
}

TEST_F(StreamScanTest, ABuildThatSaysNothingIsSuspectedAtTheNextRowChange) {
  // An index added under LOCK=SHARED logs no INDEX_LOAD (MySQL 9.7.4).
  const LsnRange root = Feed(RootCreateMtr(kSpace, 9, 77));
  EXPECT_EQ(scan_.builds().count(77), 1U);
  Feed(WriteMtr(kSpace, 0, 1));  // page allocation is no row change
  EXPECT_TRUE(barriers_.empty());
  Feed(InsertMtr(kSpace, 4));
  ASSERT_EQ(barriers_.size(), 1U);
  EXPECT_EQ(barriers_[0].kind, BarrierKind::kBuildSuspected);
  EXPECT_EQ(barriers_[0].hole_start, root.start);
  // Until somebody says that it has ended; once a batch.
  Feed(InsertMtr(kSpace, 4));
  EXPECT_EQ(barriers_.size(), 1U);
  scan_.EndBuild(77);
  Feed(InsertMtr(kSpace, 4));
  EXPECT_TRUE(barriers_.empty());
}

TEST_F(StreamScanTest, TreesOfANewTableAreNoBuilds) {
  Feed(FileCreateMtr(8, 0x4021, "./db/n.ibd"));
  Feed(RootCreateMtr(8, 4, 78));
  Feed(RootCreateMtr(8, 5, 79));
  EXPECT_TRUE(scan_.builds().empty());
  Feed(InsertMtr(8, 4));
  EXPECT_TRUE(barriers_.empty());
  Feed(RootCreateMtr(8, 6, 80));  // an index added to it later
  EXPECT_EQ(scan_.builds().count(80), 1U);
  Feed(FileDeleteMtr(8, "./db/n.ibd"));
  EXPECT_TRUE(scan_.builds().empty());
}

TEST_F(StreamScanTest, TheChangeBuffersRootIsNoBuild) {
  // The redo of a young server still holds how it was initialised.
  scan_.Know(SpaceId(0), "ibdata1");
  Feed(InsertMtr(0, 4));
  Feed(RootCreateMtr(0, 4, 0xFFFFFFFF00000000));
  EXPECT_TRUE(scan_.builds().empty());
  Feed(RootCreateMtr(0, 5, 0xFFFFFFFEFFFFFFFF));
  EXPECT_EQ(scan_.builds().size(), 1U);
}

TEST_F(StreamScanTest, ADeletedSpaceThatChangesWasImported) {
  const LsnRange gone = Feed(FileDeleteMtr(kSpace, "./db/t.ibd"));
  EXPECT_EQ(scan_.recently_deleted().count(kSpaceId), 1U);
  const LsnRange change = Feed(WriteMtr(kSpace, 3, 1));
  ASSERT_EQ(barriers_.size(), 1U);
  EXPECT_EQ(barriers_[0].kind, BarrierKind::kSpaceAppeared);
  EXPECT_EQ(barriers_[0].mtr, change);
  EXPECT_EQ(barriers_[0].hole_start, gone.end);
  Feed(WriteMtr(kSpace, 3, 2));
  EXPECT_TRUE(barriers_.empty());
  EXPECT_TRUE(scan_.recently_deleted().empty());
}

TEST_F(StreamScanTest, AnUnknownUndoSpaceAppears) {
  Feed(WriteMtr(0xFFFFFFED, 0, 1));
  ASSERT_EQ(barriers_.size(), 1U);
  EXPECT_EQ(barriers_[0].kind, BarrierKind::kSpaceAppeared);
  scan_.Ignore(SpaceId(0xFFFFFFED));
  Feed(WriteMtr(kSpace, 3, 1));
  Feed(WriteMtr(0xFFFFFFED, 0, 1));
  EXPECT_TRUE(barriers_.empty());
}

TEST_F(StreamScanTest, FilesThatCannotBeFollowedAreNamed) {
  constexpr uint32_t kEncrypted = 1U << 13;
  constexpr uint32_t kZip8K = 4U << 1 | 1;
  Feed(FileCreateMtr(8, kEncrypted, "./db/secret.ibd"));
  ASSERT_EQ(barriers_.size(), 1U);
  EXPECT_EQ(barriers_[0].kind, BarrierKind::kUnsupported);
  EXPECT_THAT(barriers_[0].reason, testing::HasSubstr("encrypted"));
  Feed(FileCreateMtr(9, kZip8K, "./db/zip.ibd"));
  ASSERT_EQ(barriers_.size(), 1U);
  EXPECT_THAT(barriers_[0].reason, testing::HasSubstr("COMPRESSED"));
}

TEST_F(StreamScanTest, FindsSpacesByPath) {
  scan_.Know(SpaceId(30), "./db/fts_0000000000000432_00000000000000ae_index_1.ibd");
  scan_.Know(SpaceId(29), "./db/fts_0000000000000432_00000000000000ae_index_2.ibd");
  scan_.Know(SpaceId(31), "./db/fts_0000000000000432_00000000000000af_index_1.ibd");
  EXPECT_THAT(scan_.SpacesWithPath("_00000000000000ae_index_"),
              testing::ElementsAre(SpaceId(29), SpaceId(30)));
}

}  // namespace
}  // namespace redoubt::tail
