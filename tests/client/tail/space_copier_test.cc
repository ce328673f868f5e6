// SPDX-License-Identifier: MIT
//
// Goal: every page of a tablespace is sent once, whole, with its own LSN; what cannot be read is
// named. Method: files on the simulated disk, torn, compressed, encrypted, foreign.
#include "client/tail/space_copier.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <zlib.h>

#include "client/tail/side_files.h"
#include "common/innodb/page_format.h"
#include "tests/client/tail/fake_source.h"

namespace redoubt::tail {
namespace {

constexpr uint32_t kSpace = 5;

// The page as transparent page compression leaves it in the file.
Bytes Compress(Bytes page) {
  Bytes body(compressBound(page.size()));
  uLongf length = body.size();
  EXPECT_EQ(compress(body.data(), &length, page.data() + 38, page.size() - 38), Z_OK);
  StoreBe16(page.data() + 28, innodb::PageTypeOf(page));
  StoreBe16(page.data() + 24, innodb::kPageTypeCompressed);
  page[26] = 2;
  page[27] = 1;
  StoreBe16(page.data() + 30, static_cast<uint16_t>(page.size() - 38));
  StoreBe16(page.data() + 32, static_cast<uint16_t>(length));
  std::fill(page.begin() + 38, page.end(), uint8_t{0});
  std::copy(body.begin(), body.begin() + static_cast<ptrdiff_t>(length), page.begin() + 38);
  return page;
}

class SpaceCopierTest : public testing::Test {
 protected:
  void SetUp() override {
    source_.Create();
    pages_ = {MakePage0(kSpace, 4, 0, Lsn(100)), MakePage(kSpace, 1, Lsn(200)), Bytes(16384),
              MakePage(kSpace, 3, Lsn(300))};
    source_.PutSpace("db/t.ibd", pages_);
  }
  Result<SpaceCopy> Copy() {
    return node_.Await(copier_.Copy({SpaceId(kSpace), "/data/db/t.ibd", 0, 4}));
  }

  NodeHarness node_;
  FakeSource source_{&node_};
  FakeSink sink_{node_.runtime()};
  Event stop_{node_.runtime()->scheduler};
  SpaceCopier copier_{node_.runtime(), &sink_, &stop_, SpaceCopierOptions()};
  std::vector<Bytes> pages_;
};

TEST_F(SpaceCopierTest, SendsEachWrittenPageWithItsOwnLsn) {
  const Result<SpaceCopy> copy = Copy();
  ASSERT_TRUE(copy.ok());
  EXPECT_EQ(copy->image_count, 3U);
  EXPECT_EQ(copy->page_lsn_max, Lsn(300));
  ASSERT_EQ(sink_.images.size(), 3U);
  EXPECT_EQ(sink_.images[2].page_no(), 3U);
  EXPECT_EQ(sink_.images[2].lsn(), 300U);
}

TEST_F(SpaceCopierTest, ATornPageIsReadUntilItIsWhole) {
  Bytes torn = MakePage(kSpace, 1, Lsn(400));
  std::copy(pages_[1].begin() + 8192, pages_[1].end(), torn.begin() + 8192);
  source_.WriteAt("db/t.ibd", 16384, torn);
  struct Copying {
    static Task<void> Run(SpaceCopier* copier, Result<SpaceCopy>* out, bool* done) {
      SpaceFile file{SpaceId(kSpace), "/data/db/t.ibd", 0, 4};
      *out = co_await copier->Copy(std::move(file));
      *done = true;
    }
  };
  Result<SpaceCopy> copy = SpaceCopy();
  bool done = false;
  node_.Spawn(Copying::Run(&copier_, &copy, &done));
  node_.RunFor(std::chrono::milliseconds(20));
  EXPECT_FALSE(done);
  source_.WriteAt("db/t.ibd", 16384, MakePage(kSpace, 1, Lsn(400)));
  node_.TurnUntil([&done] { return done; });
  ASSERT_TRUE(copy.ok());
  EXPECT_GT(copy->torn_read_count, 0U);
  EXPECT_EQ(copy->page_lsn_max, Lsn(400));
}

TEST_F(SpaceCopierTest, APageThatStaysTornIsNamed) {
  source_.WriteAt("db/t.ibd", 16384 + 5000, Bytes{1, 2, 3});
  const Result<SpaceCopy> copy = Copy();
  ASSERT_TRUE(copy.ok());
  EXPECT_THAT(copy->unsupported_reason, testing::HasSubstr("page 1 of /data/db/t.ibd"));
}

TEST_F(SpaceCopierTest, CompressedPagesBecomeLogicalPages) {
  source_.WriteAt("db/t.ibd", 16384, Compress(pages_[1]));
  const Result<SpaceCopy> copy = Copy();
  ASSERT_TRUE(copy.ok());
  EXPECT_EQ(copy->unsupported_reason, "");
  EXPECT_EQ(copy->image_count, 3U);
}

TEST_F(SpaceCopierTest, EncryptedPagesAreRefused) {
  StoreBe16(pages_[1].data() + 24, innodb::kPageTypeEncrypted);
  source_.WriteAt("db/t.ibd", 16384, pages_[1]);
  const Result<SpaceCopy> copy = Copy();
  ASSERT_TRUE(copy.ok());
  EXPECT_THAT(copy->unsupported_reason, testing::HasSubstr("encrypted"));
}

TEST_F(SpaceCopierTest, PagesOfAnotherSpaceAreLeftOut) {
  source_.WriteAt("db/t.ibd", 16384, MakePage(77, 1, Lsn(200)));
  const Result<SpaceCopy> copy = Copy();
  ASSERT_TRUE(copy.ok());
  EXPECT_EQ(copy->foreign_page_count, 1U);
  EXPECT_EQ(copy->image_count, 2U);
}

TEST_F(SpaceCopierTest, AFileThatIsGoneIsNoError) {
  source_.RemoveFile("db/t.ibd");
  const Result<SpaceCopy> copy = Copy();
  ASSERT_TRUE(copy.ok());
  EXPECT_TRUE(copy->vanished);
}

TEST_F(SpaceCopierTest, ScanFindsSpacesByTheirPages) {
  source_.PutSpace("undo_001", {MakePage0(0xFFFFFFEF, 1, 0, Lsn(1))});
  source_.PutSpace("db/not_written_yet.ibd", {Bytes(16384)});
  source_.PutSpace("#innodb_temp/temp_1.ibt", {MakePage0(0xFCF8DA6F, 1, 0, Lsn(1))});
  SourceFacts facts;
  facts.datadir = FakeSource::kDatadir;
  facts.system_file = "/data/ibdata1";
  facts.page_size = 16384;
  const Result<std::vector<SpaceFile>> files =
      node_.Await(ScanSpaceFiles(node_.runtime(), facts, {"/data/db/t.ibd"}));
  ASSERT_TRUE(files.ok()) << files.status().ToString();
  std::vector<uint32_t> spaces;
  for (const SpaceFile& file : *files) {
    spaces.push_back(file.space.value());
  }
  EXPECT_THAT(spaces, testing::ElementsAre(0U, kSpace, 0xFFFFFFEFU));
}

TEST_F(SpaceCopierTest, SideFilesAreSentWhenTheyChange) {
  SideFiles side_files(node_.runtime(), &sink_);
  source_.WriteAt("auto.cnf", 0, {1, 2, 3});
  source_.WriteAt("binlog.000001", 0, {1});
  source_.WriteAt("db/t_1.sdi", 0, {4});
  ASSERT_TRUE(node_.Await(side_files.Update("/data", Lsn(9000))).ok());
  using Sent = std::pair<std::string, bool>;
  EXPECT_THAT(sink_.side_files,
              testing::ElementsAre(Sent("auto.cnf", false), Sent("db/t_1.sdi", false)));
  ASSERT_TRUE(node_.Await(side_files.Update("/data", Lsn(9000))).ok());
  EXPECT_EQ(sink_.side_files.size(), 2U);
  source_.WriteAt("auto.cnf", 0, {9, 2, 3});
  source_.RemoveFile("db/t_1.sdi");
  ASSERT_TRUE(node_.Await(side_files.Update("/data", Lsn(9000))).ok());
  ASSERT_EQ(sink_.side_files.size(), 4U);
  EXPECT_EQ(sink_.side_files[2], Sent("auto.cnf", false));
  EXPECT_EQ(sink_.side_files[3], Sent("db/t_1.sdi", true));
}

}  // namespace
}  // namespace redoubt::tail
