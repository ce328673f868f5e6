// SPDX-License-Identifier: MIT
//
// Records that do not know about rows: generic writes, initialisation, undo; and the LSN rule.
#include <gtest/gtest.h>

#include <algorithm>

#include "common/innodb/apply.h"
#include "common/innodb/index_page.h"
#include "tests/common/innodb/redo_samples.h"

namespace redoubt::innodb {
namespace {

using namespace test;  // NOLINT: builders
using enum RedoType;

constexpr uint32_t kSizes[] = {4096, 8192, 16384, 32768, 65536};

class ApplyPage : public ::testing::Test {
 protected:
  Status Apply(RedoType type, const Bytes& body) {
    return applier_.ApplyRecord(Parsed(type, body), page_).status();
  }
  std::string Hex(size_t offset, size_t length) const {
    return ToHex(ByteView(page_).subspan(offset, length));
  }
  Bytes page_ = Bytes(16384, 0xCC);
  PageApplier applier_;
};

TEST_F(ApplyPage, CreateWritesTheGoldenEmptyPage) {
  // Golden: format description, section 9: a fresh COMPACT page of 16 KiB.
  ASSERT_TRUE(Apply(kPageCreateCompact, {}).ok());
  EXPECT_EQ(Hex(38, 18), "000200788002000000000000000500000000");
  EXPECT_EQ(Hex(94, 26),
            "010002000d696e66696d756d00010"
            "00b000073757072656d756d");
  EXPECT_EQ(Hex(16372, 4), "00700063");
  EXPECT_EQ(PageTypeOf(page_), kPageTypeIndex);
  // Preserved: checksum .. LSN, flush LSN and space id, 64 .. 93, the trailer.
  EXPECT_EQ(Hex(0, 24), Hex(26, 12) + Hex(26, 12));
  EXPECT_EQ(Hex(64, 30), std::string(60, 'c'));
  EXPECT_EQ(Hex(16376, 8), std::string(16, 'c'));
  EXPECT_EQ(Hex(56, 8), std::string(16, '0'));
  EXPECT_TRUE(IsZero(ByteView(page_).subspan(120, 16372 - 120)));
}

TEST_F(ApplyPage, EveryCreateTypeGivesAConsistentPageOfItsKindAtEverySize) {
  const std::tuple<RedoType, bool, uint16_t> kinds[] = {
      {kPageCreateRedundant, false, kPageTypeIndex},
      {kPageCreateCompact, true, kPageTypeIndex},
      {kPageCreateRtreeRedundant, false, kPageTypeRtree},
      {kPageCreateRtreeCompact, true, kPageTypeRtree},
      {kPageCreateSdiRedundant, false, kPageTypeSdi},
      {kPageCreateSdiCompact, true, kPageTypeSdi}};
  for (const uint32_t size : kSizes) {
    for (const auto& [type, compact, page_type] : kinds) {
      page_.assign(size, 0x5A);
      ASSERT_TRUE(Apply(type, {}).ok());
      EXPECT_EQ(CheckIndexPage(page_), kNoProblem) << size;
      EXPECT_EQ(PageTypeOf(page_), page_type);
      EXPECT_EQ(page_[kHeapCountOffset], compact ? 0x80 : 0);
    }
  }
}

TEST_F(ApplyPage, InitKeepsNothingButTheIdentity) {
  ASSERT_TRUE(Apply(kInitFilePage, {}).ok());
  EXPECT_EQ(PageIdOf(page_), kTestPage);
  EXPECT_EQ(std::count(page_.begin(), page_.end(), 0), 16384 - 2);  // 17 and 5
}

TEST_F(ApplyPage, GenericWritesStoreBigEndianAndStopAtThePageEnd) {
  ASSERT_TRUE(Apply(kWrite1, Body().U16(100).C32(0xAB).bytes()).ok());
  ASSERT_TRUE(Apply(kWrite2, Body().U16(101).C32(0x1234).bytes()).ok());
  ASSERT_TRUE(Apply(kWrite4, Body().U16(103).C32(0xFFFFFFFE).bytes()).ok());
  ASSERT_TRUE(Apply(kWrite8, Body().U16(107).C64(0x0102030405060708).bytes()).ok());
  ASSERT_TRUE(Apply(kWriteString, Body().U16(115).U16(2).Text("ab").bytes()).ok());
  EXPECT_EQ(Hex(100, 17), "ab1234fffffffe01020304050607086162");
  EXPECT_TRUE(Apply(kWrite8, Body().U16(16376).C64(1).bytes()).ok());
  EXPECT_EQ(Apply(kWrite8, Body().U16(16377).C64(1).bytes()).code(), StatusCode::kCorruption);
  EXPECT_EQ(Apply(kWrite1, Body().U16(16384).C32(1).bytes()).code(), StatusCode::kCorruption);
  EXPECT_EQ(Apply(kWriteString, Body().U16(16383).U16(2).Text("ab").bytes()).code(),
            StatusCode::kCorruption);
  EXPECT_EQ(Apply(kWriteString, Body().U16(1).U16(3).Text("ab").bytes()).code(),
            StatusCode::kCorruption);
}

TEST_F(ApplyPage, IbufBitmapZeroesFourBitsAPage) {
  for (const uint32_t size : kSizes) {
    page_.assign(size, 0x77);
    ASSERT_TRUE(Apply(kIbufBitmapInit, {}).ok());
    EXPECT_EQ(PageTypeOf(page_), kPageTypeIbufBitmap);
    EXPECT_TRUE(IsZero(ByteView(page_).subspan(94, size / 2)));
    EXPECT_EQ(page_[93], 0x77);
    EXPECT_EQ(page_[94 + size / 2], 0x77);
  }
}

TEST_F(ApplyPage, UndoPageGrowsAsTheServerWritesIt) {
  page_.assign(16384, 0);
  ASSERT_TRUE(Apply(kUndoInit, Body().C32(2).bytes()).ok());
  EXPECT_EQ(PageTypeOf(page_), kPageTypeUndo);
  EXPECT_EQ(Hex(38, 6), "000200380038");
  ASSERT_TRUE(
      Apply(kWrite2, Body().U16(42).C32(86).bytes()).ok());  // the segment header, logged as writes
  ASSERT_TRUE(Apply(kUndoHeaderCreate, Body().C64(0x1122334455).bytes()).ok());
  EXPECT_EQ(Hex(40, 4), "00840084");  // 86 + 46 = 132
  EXPECT_EQ(Hex(56, 4), "00010056");  // active, last log at 86
  EXPECT_EQ(Hex(86, 8), "0000001122334455");
  EXPECT_EQ(Hex(86 + 16, 6), "000100840000");  // del marks, log start, flags, dict trans
  EXPECT_EQ(Hex(86 + 30, 4), "00000000");
  ASSERT_TRUE(Apply(kUndoInsert, Body().U16(3).Text("abc").bytes()).ok());
  EXPECT_EQ(Hex(132, 7), "008b6162630084");
  EXPECT_EQ(Hex(42, 2), "008b");
  ASSERT_TRUE(Apply(kUndoHeaderCreate, Body().C64(7).bytes()).ok());
  EXPECT_EQ(Hex(86 + 30, 2), "008b");   // the first header names the second
  EXPECT_EQ(Hex(139 + 32, 2), "0056");  // and the second the first
  EXPECT_EQ(Hex(58, 2), "008b");
  ASSERT_TRUE(Apply(kUndoEraseEnd, {}).ok());
  EXPECT_EQ(page_[139 + 45], 0);
  EXPECT_TRUE(
      std::all_of(page_.begin() + 139 + 46, page_.end() - 8, [](uint8_t b) { return b == 0xFF; }));
  EXPECT_EQ(Hex(16376, 8), std::string(16, '0'));
  ASSERT_TRUE(Apply(kUndoHeaderReuse, Body().C64(9).bytes()).ok());
  EXPECT_EQ(Hex(40, 4), "00840084");
  EXPECT_EQ(Hex(86, 8), "0000000000000009");
  EXPECT_EQ(Hex(58, 2), "008b") << "reuse leaves the last log alone";
}

TEST_F(ApplyPage, UndoRecordsThatDoNotFitAreCorrupt) {
  page_.assign(4096, 0);
  EXPECT_EQ(Apply(kUndoInsert, Body().U16(1).Text("a").bytes()).code(), StatusCode::kCorruption);
  ASSERT_TRUE(Apply(kUndoInit, Body().C32(1).bytes()).ok());
  StoreBe16(page_.data() + 42, 4096 - 8 - 4);
  EXPECT_TRUE(Apply(kUndoInsert, Body().U16(0).bytes()).ok());
  StoreBe16(page_.data() + 42, 4096 - 8 - 4);
  EXPECT_EQ(Apply(kUndoInsert, Body().U16(1).Text("a").bytes()).code(), StatusCode::kCorruption);
  EXPECT_EQ(Apply(kUndoHeaderCreate, Body().C64(1).bytes()).code(), StatusCode::kCorruption);
  StoreBe16(page_.data() + 42, 4096);
  EXPECT_EQ(Apply(kUndoEraseEnd, {}).code(), StatusCode::kCorruption);
  StoreBe16(page_.data() + 42, 200);
  StoreBe16(page_.data() + 58, 4090);
  EXPECT_EQ(Apply(kUndoHeaderCreate, Body().C64(1).bytes()).code(), StatusCode::kCorruption);
}

TEST_F(ApplyPage, AnMtrIsAppliedOnceWholeAndInOrder) {
  page_.assign(16384, 0);
  const Bytes one = Body().U16(200).C32(1).bytes();
  const Bytes two = Body().U16(200).C32(2).bytes();
  const std::vector<RedoRecord> records = {Parsed(kWrite1, one), Parsed(kWrite1, two)};
  const MtrLsns mtr{Lsn(9000), Lsn(9040)};
  EXPECT_EQ(*applier_.ApplyMtr(records, mtr, page_), ApplyOutcome::kApplied);
  EXPECT_EQ(page_[200], 2);
  EXPECT_EQ(PageLsnOf(page_), Lsn(9040));
  const Bytes after = page_;
  EXPECT_EQ(*applier_.ApplyMtr(records, mtr, page_), ApplyOutcome::kAlreadyApplied);
  EXPECT_EQ(page_, after);
  // The page LSN is an mtr end: an mtr that starts exactly there is new.
  EXPECT_EQ(*applier_.ApplyMtr(records, {Lsn(9040), Lsn(9080)}, page_), ApplyOutcome::kApplied);
  EXPECT_EQ(*applier_.ApplyMtr(records, {Lsn(9079), Lsn(9090)}, page_),
            ApplyOutcome::kAlreadyApplied);
}

TEST_F(ApplyPage, ReplayFromAnyPrefixEndsTheSame) {
  // Goal: idempotence. A page that already holds the first k mtrs ends like one that holds none.
  const Bytes init;
  std::vector<Bytes> bodies;
  for (unsigned i = 0; i < 20; ++i) {
    bodies.push_back(Body().U16(100 + i / 2).C32(i).bytes());
  }
  const auto apply_from = [&](size_t first, Bytes page) {
    for (size_t i = first; i < bodies.size(); ++i) {
      const RedoRecord record = Parsed(i == 0 ? kInitFilePage : kWrite1, i == 0 ? init : bodies[i]);
      const Lsn start(9000 + i * 10);
      EXPECT_TRUE(applier_.ApplyMtr({&record, 1}, {start, Lsn(start.value() + 10)}, page).ok());
    }
    return page;
  };
  const Bytes zero(16384, 0);
  const Bytes expected = apply_from(0, zero);
  for (size_t k = 1; k <= bodies.size(); ++k) {
    std::vector<Bytes> saved = std::move(bodies);
    bodies.assign(saved.begin(), saved.begin() + static_cast<ptrdiff_t>(k));
    const Bytes prefix = apply_from(0, zero);
    bodies = std::move(saved);
    EXPECT_EQ(apply_from(0, prefix), expected) << k;
  }
}

TEST_F(ApplyPage, CompressedPagesAreRefusedByName) {
  for (const RedoType type : {kZipWriteNodePtr, kZipWriteBlobPtr, kZipWriteHeader, kZipPageCompress,
                              kZipPageReorganize, kZipPageCompressNoData}) {
    const Status status = Apply(type, {});
    EXPECT_EQ(status.code(), StatusCode::kUnsupported);
    EXPECT_NE(status.message().find(RedoTypeName(type)), std::string::npos);
    EXPECT_NE(status.message().find("5:17"), std::string::npos);
  }
}

TEST_F(ApplyPage, ErrorsNameTypePageLsnAndBody) {
  const Status status = Apply(kWrite1, Body().U16(0xFFFF).C32(1).bytes());
  EXPECT_NE(status.message().find("type 1 (MLOG_1BYTE of page 5:17 at LSN 8204)"),
            std::string::npos)
      << status.message();
  EXPECT_NE(status.message().find("ffff01"), std::string::npos);
}

TEST_F(ApplyPage, GarbageBodiesNeverCrash) {
  // Every sample record, every prefix of its body and every single-byte change of it, on pages of
  // every kind. The sanitizers look for what reads or writes beyond page or body.
  std::vector<Bytes> pages = {Bytes(4096, 0), Bytes(4096, 0xFF)};
  for (const RedoType create : {kPageCreateCompact, kPageCreateRedundant}) {
    page_.assign(4096, 0);
    ASSERT_TRUE(Apply(create, {}).ok());
    pages.push_back(page_);
    StoreBe16(page_.data() + kFreeOffset, 4080);
    pages.push_back(page_);
  }
  for (const Sample& sample : SampleBodies()) {
    if (!ChangesPage(sample.type)) {
      continue;
    }
    for (const Bytes& page : pages) {
      for (size_t at = 0; at <= sample.body.size(); ++at) {
        page_ = page;
        const Bytes cut(sample.body.begin(), sample.body.begin() + static_cast<ptrdiff_t>(at));
        (void)Apply(sample.type, cut);
        for (const uint8_t bits : {uint8_t{0x01}, uint8_t{0x80}, uint8_t{0xFF}}) {
          Bytes changed = sample.body;
          if (at < changed.size()) {
            changed[at] ^= bits;
          }
          page_ = page;
          (void)Apply(sample.type, changed);
        }
      }
    }
  }
}

}  // namespace
}  // namespace redoubt::innodb
