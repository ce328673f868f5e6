// SPDX-License-Identifier: MIT
#include "common/innodb/page_format.h"

#include <gtest/gtest.h>

namespace redoubt::innodb {
namespace {

constexpr uint32_t kSizes[] = {4096, 8192, 16384, 32768, 65536};

Bytes MakePage(uint32_t size, uint16_t type = kPageTypeIndex) {
  Bytes page(size);
  for (size_t i = 0; i < page.size(); ++i) {
    page[i] = static_cast<uint8_t>(i * 31 >> 3);
  }
  StoreBe16(page.data() + kPageTypeOffset, type);
  return page;
}

TEST(Page, StampedPagesVerifyAndEveryCoveredBitCounts) {
  for (const uint32_t size : kSizes) {
    Bytes page = MakePage(size);
    StampPage(page, Lsn(0x123456789AULL));
    EXPECT_EQ(VerifyPage(page), PageState::kOk);
    EXPECT_EQ(PageLsnOf(page), Lsn(0x123456789AULL));
    EXPECT_EQ(LoadBe32(page.data() + size - 4), 0x3456789AU);
    EXPECT_EQ(LoadBe32(page.data()), LoadBe32(page.data() + size - 8));
    for (const size_t at : {size_t{0}, size_t{5}, size_t{23}, size_t{38}, size_t{size / 2},
                            size_t{size - 9}, size_t{size - 7}, size_t{size - 1}}) {
      Bytes torn = page;
      torn[at] ^= 1;
      EXPECT_EQ(VerifyPage(torn), PageState::kCorrupt) << size << " " << at;
    }
    // 26 .. 37 are outside: the flush LSN changes without a new checksum.
    Bytes flushed = page;
    flushed[30] ^= 1;
    EXPECT_EQ(VerifyPage(flushed), PageState::kOk);
  }
}

TEST(Page, TornHalfOfAnotherVersionIsCorrupt) {
  Bytes older = MakePage(16384);
  Bytes newer = older;
  newer[9000] ^= 0xFF;
  StampPage(older, Lsn(1000));
  StampPage(newer, Lsn(2000));
  std::copy(older.begin() + 8192, older.end(), newer.begin() + 8192);
  EXPECT_EQ(VerifyPage(newer), PageState::kCorrupt);
}

TEST(Page, ZeroUncheckedEncryptedAndCompressedAreNamed) {
  EXPECT_EQ(VerifyPage(Bytes(16384, 0)), PageState::kZero);
  Bytes almost(16384, 0);
  almost[9999] = 1;
  EXPECT_EQ(VerifyPage(almost), PageState::kCorrupt);
  Bytes page = MakePage(16384);
  StampPage(page, Lsn(5));
  StoreBe32(page.data(), kNoPageChecksum);
  StoreBe32(page.data() + 16384 - 8, kNoPageChecksum);
  EXPECT_EQ(VerifyPage(page), PageState::kOk);
  StoreBe32(page.data(), 1);
  EXPECT_EQ(VerifyPage(page), PageState::kCorrupt);
  for (const uint16_t type :
       {kPageTypeEncrypted, kPageTypeCompressedEncrypted, kPageTypeEncryptedRtree}) {
    EXPECT_EQ(VerifyPage(MakePage(4096, type)), PageState::kEncrypted);
  }
  EXPECT_EQ(VerifyPage(MakePage(4096, kPageTypeCompressed)), PageState::kCompressed);
}

TEST(Page, TheOldFoldChecksumIsRecognised) {
  // The formula itself was checked against a server (1600 pages of MySQL 9.7.4 with
  // innodb_checksum_algorithm=innodb); here it is written down a second time.
  Bytes page(4096, 0);
  StoreBe16(page.data() + kPageTypeOffset, kPageTypeIndex);
  const auto fold = [](ByteView bytes) {
    uint32_t f = 0;
    for (const uint8_t b : bytes) {
      f = ((((f ^ b ^ 1653893711U) << 8) + f) ^ 1463735687U) + b;
    }
    return f;
  };
  const ByteView view(page);
  StoreBe32(page.data(), fold(view.subspan(4, 22)) + fold(view.subspan(38, 4096 - 46)));
  EXPECT_EQ(VerifyPage(page), PageState::kCorrupt);
  StoreBe32(page.data() + 4088, fold(view.first(26)));
  EXPECT_EQ(VerifyPage(page), PageState::kOk);
  page[2000] = 1;
  EXPECT_EQ(VerifyPage(page), PageState::kCorrupt);
}

TEST(SpaceFlags, SayPageSizeAndFeatures) {
  // Golden: 0x4021 = post-antelope | atomic blobs | SDI, the flags of an ordinary table in
  // MySQL 9.7.
  const SpaceFlags ordinary{0x4021};
  EXPECT_EQ(ordinary.page_size(), 16384U);
  EXPECT_EQ(ordinary.zip_page_size(), 0U);
  EXPECT_TRUE(ordinary.has_sdi());
  EXPECT_FALSE(ordinary.encrypted());
  for (uint32_t shift = 3; shift <= 7; ++shift) {
    EXPECT_EQ(SpaceFlags{shift << 6}.page_size(), 512U << shift);
  }
  EXPECT_EQ(SpaceFlags{1U << 6}.page_size(), 0U);
  EXPECT_EQ(SpaceFlags{15U << 6}.page_size(), 0U);
  EXPECT_EQ(SpaceFlags{4U << 1}.zip_page_size(), 8192U);
  EXPECT_TRUE(SpaceFlags{1U << 13}.encrypted());
}

TEST(Xdes, FreeBitsLieWhereThePageSizePutsThem) {
  // The expected offsets follow from the table of XDES sizes: 88, 56, 40, 40, 40 bytes.
  constexpr uint32_t kXdesBytes[] = {88, 56, 40, 40, 40};
  for (size_t i = 0; i < 5; ++i) {
    const uint32_t size = kSizes[i];
    const uint32_t extent = ExtentPages(size);
    Bytes page(size, 0);
    const PageNo page_no(size * 3 + extent * 2 + 5);
    EXPECT_EQ(XdesPageOf(page_no, size), PageNo(size * 3));
    EXPECT_TRUE(IsPageFree(page, page_no)) << "extent was never initialised";
    uint8_t* xdes = page.data() + 150 + 2 * kXdesBytes[i];
    StoreBe32(xdes + 20, 4);
    EXPECT_FALSE(IsPageFree(page, page_no));
    xdes[24 + 1] = 1 << 2;  // page 5: bits 10 and 11 of the bitmap
    EXPECT_TRUE(IsPageFree(page, page_no));
    EXPECT_FALSE(IsPageFree(page, PageNo(page_no.value() + 1)));
  }
}

TEST(ComparePages, MasksTheStampAndNothingElseOfAnOrdinaryPage) {
  const Bytes page = MakePage(16384);
  const PageId id{SpaceId(5), PageNo(17)};
  EXPECT_TRUE(ComparePages(page, page, id).equal());
  for (size_t at = 0; at < page.size(); ++at) {
    if (at > 200 && at < 16200) {
      continue;
    }
    Bytes other = page;
    other[at] ^= 1;
    const bool stamp = at < 4 || (at >= 16 && at < 24) || at >= 16376;
    const PageDifference difference = ComparePages(page, other, id);
    EXPECT_EQ(difference.equal(), stamp) << at;
    EXPECT_EQ(difference.masked_count, 0U);
    if (!stamp) {
      EXPECT_EQ(difference.offsets, std::vector<uint32_t>{static_cast<uint32_t>(at)});
    }
  }
}

TEST(ComparePages, MasksTheListedExceptionsOnly) {
  const auto differs = [](PageId id, uint16_t type, size_t at, uint8_t bits = 1) {
    const Bytes page = MakePage(16384, type);
    Bytes other = page;
    other[at] ^= bits;
    return !ComparePages(page, other, id).equal();
  };
  const PageId system0{kSystemSpace, PageNo(0)};
  const PageId other0{SpaceId(5), PageNo(0)};
  EXPECT_FALSE(differs(system0, kPageTypeFspHeader, 26));
  EXPECT_FALSE(differs(system0, kPageTypeFspHeader, 33));
  EXPECT_TRUE(differs(system0, kPageTypeFspHeader, 34));
  EXPECT_TRUE(differs(other0, kPageTypeFspHeader, 26));
  const PageId dictionary{kSystemSpace, PageNo(7)};
  EXPECT_FALSE(differs(dictionary, kPageTypeSys, 45));
  EXPECT_TRUE(differs(dictionary, kPageTypeSys, 70));
  const PageId leaf{SpaceId(5), PageNo(4)};
  EXPECT_FALSE(differs(leaf, kPageTypeRtree, 50));
  EXPECT_FALSE(differs(leaf, kPageTypeRtree, 53));
  EXPECT_TRUE(differs(leaf, kPageTypeRtree, 54));
  EXPECT_TRUE(differs(leaf, kPageTypeIndex, 50));
}

TEST(Spaces, KindsFollowTheReservedIdRanges) {
  EXPECT_TRUE(IsUndoSpace(SpaceId(0xFFFFFFEF)));
  EXPECT_TRUE(IsUndoSpace(SpaceId(0xFCF8DA70)));
  EXPECT_FALSE(IsUndoSpace(SpaceId(0xFFFFFFF0)));
  EXPECT_TRUE(IsTemporarySpace(SpaceId(0xFFFFFFFD)));
  EXPECT_TRUE(IsTemporarySpace(SpaceId(0xFCF8DA6F)));
  EXPECT_FALSE(IsTemporarySpace(SpaceId(0xFCF8DA70)));
  EXPECT_TRUE(IsOldDoublewrite({kSystemSpace, PageNo(64)}, 16384));
  EXPECT_TRUE(IsOldDoublewrite({kSystemSpace, PageNo(191)}, 16384));
  EXPECT_FALSE(IsOldDoublewrite({kSystemSpace, PageNo(192)}, 16384));
  EXPECT_FALSE(IsOldDoublewrite({SpaceId(1), PageNo(64)}, 16384));
}

}  // namespace
}  // namespace redoubt::innodb
