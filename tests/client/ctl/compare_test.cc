// SPDX-License-Identifier: MIT
//
// Goal: compare finds every difference outside the mask and excuses nothing else. Method: a volume
// in memory, its files on disk, and one change at a time.
#include "client/ctl/compare.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tests/client/ctl/fake_reader.h"

namespace redoubt::ctl {
namespace {

using ::testing::HasSubstr;
constexpr SpaceId kTable{5};
constexpr uint32_t kPages = 40;

Task<int> Drive(Compare* compare, Status* status) {
  *status = co_await compare->Run();
  co_return 0;
}

class CompareTest : public CtlTest {
 protected:
  CompareTest() {
    reader_.AddSpace(kTable, "./db/t.ibd", kPages);
    for (uint32_t page = 1; page < 30; ++page) {
      reader_.AddPage(kTable, page, static_cast<uint8_t>(page));
    }
    file_.resize(size_t{kPages} * kTestPageBytes);
    for (const auto& [page_no, page] : reader_.pages[kTable.value()]) {
      std::copy(page.image.begin(), page.image.end(),
                file_.begin() + static_cast<ptrdiff_t>(page_no) * kTestPageBytes);
    }
  }

  uint8_t* PageInFile(uint32_t page_no) { return file_.data() + size_t{page_no} * kTestPageBytes; }

  const CompareSummary& Run() {
    WriteWhole(directory_ / "db/t.ibd", file_);
    CompareOptions options;
    options.datadir = directory_.string();
    compare_ = std::make_unique<Compare>(&world_.runtime(), &reader_, std::move(options));
    Status status;
    world_.Run(Drive(compare_.get(), &status));
    EXPECT_TRUE(status.ok()) << status.ToString();
    return compare_->summary();
  }

  FakeReader reader_;
  Bytes file_;
  std::unique_ptr<Compare> compare_;
};

TEST_F(CompareTest, FindsEqualFilesEqual) {
  reader_.pages_per_scan_max = 7;
  const CompareSummary& summary = Run();
  EXPECT_TRUE(summary.equal());
  EXPECT_EQ(summary.pages_compared, kPages);
  EXPECT_EQ(summary.file_count, 1U);
}

TEST_F(CompareTest, AnotherStampAloneIsNoDifference) {
  innodb::StampPage(MutableByteView(PageInFile(3), kTestPageBytes), Lsn(kTestLsn.value() + 77));
  EXPECT_TRUE(Run().equal());
}

TEST_F(CompareTest, NamesPageOffsetAndType) {
  PageInFile(3)[217] ^= 0xFF;
  PageInFile(3)[218] ^= 0xFF;
  const CompareSummary& summary = Run();
  ASSERT_EQ(summary.pages_unequal, 1U);
  EXPECT_EQ(summary.unequal[0].kind, "page");
  EXPECT_EQ(summary.unequal[0].page_no, PageNo(3));
  EXPECT_EQ(summary.unequal[0].offset, 217U);
  EXPECT_EQ(summary.unequal[0].byte_count, 2U);
  EXPECT_EQ(summary.unequal[0].path, "./db/t.ibd");
  EXPECT_EQ(summary.unequal[0].page_type, innodb::PageTypeName(innodb::kPageTypeUndo));
}

TEST_F(CompareTest, APageThatOneSideDoesNotHaveIsUnequal) {
  reader_.pages[kTable.value()].erase(4);
  std::fill_n(PageInFile(6), kTestPageBytes, uint8_t{0});
  EXPECT_EQ(Run().pages_unequal, 2U);
}

TEST_F(CompareTest, OnlyDifferingPagesMarkedFreeAreExcused) {
  Bytes& header = reader_.pages[kTable.value()][0].image;
  MarkFree(&header, 9);
  std::copy(header.begin(), header.end(), PageInFile(0));
  PageInFile(9)[500] ^= 1;
  PageInFile(10)[500] ^= 1;
  const CompareSummary& summary = Run();
  EXPECT_EQ(summary.pages_free_excused, 1U);
  ASSERT_EQ(summary.pages_unequal, 1U);
  EXPECT_EQ(summary.unequal[0].page_no, PageNo(10));
}

TEST_F(CompareTest, AnUnknownPageIsUnequal) {
  reader_.pages[kTable.value()][9] = {Status(StatusCode::kHole, "no base"), {}};
  const CompareSummary& summary = Run();
  ASSERT_EQ(summary.pages_unequal, 1U);
  EXPECT_EQ(summary.unequal[0].kind, "unknown");
  EXPECT_THAT(summary.unequal[0].detail, HasSubstr("no base"));
}

TEST_F(CompareTest, MissingAndExtraSpacesAndSizesAreUnequal) {
  reader_.AddSpace(SpaceId(8), "./db/gone.ibd", 4);
  const Bytes extra = MakePage(SpaceId(9), PageNo(0), innodb::kPageTypeFspHeader, 0, Lsn(9000));
  WriteWhole(directory_ / "db/extra.ibd", extra);
  reader_.spaces[0].page_count = kPages - 1;
  const CompareSummary& summary = Run();
  std::vector<std::string> kinds;
  for (const Unequal& unequal : summary.unequal) {
    kinds.push_back(unequal.kind);
  }
  EXPECT_THAT(kinds, ::testing::UnorderedElementsAre("space_only", "file_only", "file_size"));
}

TEST_F(CompareTest, UnsupportedSpacesAreNamedAndTemporaryOnesSkipped) {
  reader_.AddSpace(SpaceId(8), "./db/zip.ibd", 4);
  reader_.spaces[1].unsupported_reason = "ROW_FORMAT=COMPRESSED";
  const Bytes zip = MakePage(SpaceId(8), PageNo(0), innodb::kPageTypeFspHeader, 0, Lsn(9000));
  WriteWhole(directory_ / "db/zip.ibd", zip);
  const Bytes temporary =
      MakePage(innodb::kGlobalTemporarySpace, PageNo(0), innodb::kPageTypeFspHeader, 0, Lsn(9000));
  WriteWhole(directory_ / "ibdata_tmp.ibd", temporary);
  const CompareSummary& summary = Run();
  EXPECT_TRUE(summary.equal());
  ASSERT_EQ(summary.unsupported.size(), 1U);
  EXPECT_THAT(summary.unsupported[0], HasSubstr("zip.ibd"));
}

TEST_F(CompareTest, ExternalFilesAreFoundWhereTheyWereRecorded) {
  // A server records an absolute path for DATA DIRECTORY, and what it was told for ADD DATAFILE.
  const std::filesystem::path absolute = directory_.string() + "_a.ibd";
  const std::filesystem::path climbing = directory_.string() + "_b.ibd";
  reader_.AddSpace(SpaceId(8), absolute.string(), 1);
  reader_.AddSpace(SpaceId(9), "../" + climbing.filename().string(), 1);
  WriteWhole(absolute, reader_.pages[8][0].image);
  WriteWhole(climbing, reader_.pages[9][0].image);
  const CompareSummary& summary = Run();
  std::filesystem::remove(absolute);
  std::filesystem::remove(climbing);
  EXPECT_TRUE(summary.equal());
  EXPECT_EQ(summary.pages_compared, kPages + 2);
}

TEST_F(CompareTest, NothingComparedIsNotEqual) {
  reader_.spaces.clear();
  reader_.pages.clear();
  file_.clear();
  EXPECT_FALSE(Run().equal());
}

}  // namespace
}  // namespace redoubt::ctl
