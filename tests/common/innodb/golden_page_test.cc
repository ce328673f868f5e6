// SPDX-License-Identifier: MIT
//
// Goal: real pages stay right without a server at hand. Method: the redo of a page, captured from
// MySQL 9.7.4 (data/README.md), is applied to nothing; the result must be the page that the server
// wrote, byte for byte once it is stamped with the server's page LSN.
#include <gtest/gtest.h>

#include <fstream>
#include <iterator>

#include "common/innodb/apply.h"
#include "common/innodb/index_page.h"
#include "common/innodb/mtr_assembler.h"

namespace redoubt::innodb {
namespace {

Bytes ReadData(const std::string& name) {
  std::ifstream in(std::string(REDOUBT_TEST_DATA) + "/" + name, std::ios::binary);
  return Bytes(std::istreambuf_iterator<char>(in), {});
}

bool IsIndexType(uint16_t type) {
  return type == kPageTypeIndex || type == kPageTypeRtree || type == kPageTypeSdi;
}

class GoldenPage : public ::testing::TestWithParam<const char*> {};

TEST_P(GoldenPage, RebuiltFromRedoAloneIsTheServersPage) {
  const Bytes redo = ReadData(GetParam());
  const Bytes original = ReadData(std::string(GetParam()) + ".page");
  ASSERT_TRUE(IsPageSize(original.size()));
  ASSERT_EQ(VerifyPage(original), PageState::kOk);
  Bytes page(original.size(), 0);
  PageApplier applier;
  MtrAssembler assembler(kFirstDataLsn);
  const Status status = assembler.Feed(redo, [&](const MtrView& mtr) {
    const auto applied = applier.ApplyMtr(mtr.records, {mtr.start_lsn, mtr.end_lsn}, page);
    if (applied.ok() && IsIndexType(PageTypeOf(page)) && page[kDirSlotCountOffset + 1] != 0) {
      const Problem problem = CheckIndexPage(page);
      EXPECT_EQ(problem, kNoProblem) << problem << " after " << Describe(mtr.records.back());
    }
    return applied.status();
  });
  ASSERT_TRUE(status.ok()) << status.ToString();
  EXPECT_EQ(assembler.tail_bytes(), 0U);
  EXPECT_EQ(PageLsnOf(page), assembler.end_lsn());
  const PageDifference difference = ComparePages(page, original, PageIdOf(original));
  EXPECT_TRUE(difference.equal()) << difference.count << " bytes differ, first at "
                                  << (difference.offsets.empty() ? 0 : difference.offsets[0]);
  StampPage(page, PageLsnOf(original));
  if (difference.masked_count == 0) {
    EXPECT_EQ(page, original);
  }
}

INSTANTIATE_TEST_SUITE_P(MySql974, GoldenPage,
                         ::testing::Values("fsp_header", "ibuf_bitmap", "index_foreign_keys",
                                           "index_instant", "index_redundant", "index_wide",
                                           "inode", "lob_first", "lob_index", "rtree",
                                           "rtree_redundant", "undo"),
                         [](const auto& value) { return std::string(value.param); });

}  // namespace
}  // namespace redoubt::innodb
