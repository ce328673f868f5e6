// SPDX-License-Identifier: MIT
//
// Single effects on index pages that the model test does not see: directory splits, insert
// direction, header bits, instant and versioned rows, node pointers, MAX_TRX_ID, errors.
#include <gtest/gtest.h>

#include "common/innodb/apply.h"
#include "common/innodb/index_page.h"
#include "tests/common/innodb/redo_builder.h"

namespace redoubt::innodb {
namespace {

using namespace test;  // NOLINT: builders
using enum RedoType;

class ApplyIndex : public ::testing::Test {
 protected:
  ApplyIndex() { Reset(true); }

  void Reset(bool compact) {
    page_.assign(16384, 0);
    ASSERT_EQ(Apply(compact ? kPageCreateCompact : kPageCreateRedundant, {}).ToString(), "ok");
  }
  Status Apply(RedoType type, const Bytes& body) {
    const Result<ApplyOutcome> result = applier_.ApplyRecord(Parsed(type, body), page_);
    outcome_ = result.ok() ? *result : ApplyOutcome::kAlreadyApplied;
    return result.status();
  }
  IndexPage Page() { return IndexPage(page_); }

  // A clustered index of (4-byte key, trx id, roll pointer, 4-byte value); rows of 5 + 21 bytes.
  static Body Clustered() { return Body().CompactIndex({0x8004, 0x8006, 0x8007, 0x8004}, 1); }
  static Bytes ClusteredRow(uint32_t key) {
    return Body().U8(0).U16(0).U16(0).U32(key).Text("trxid.").Text("rollptr").U32(key).bytes();
  }
  // Inserts behind `cursor`; returns the new origin.
  uint32_t InsertRow(uint32_t cursor, const Body& index, const Bytes& image, unsigned extra,
                     unsigned info_status = 0) {
    EXPECT_EQ(Apply(kRecordInsert, Body(index)
                                       .U16(cursor)
                                       .C32(static_cast<uint32_t>(image.size() << 1 | 1))
                                       .U8(info_status)
                                       .C32(extra)
                                       .C32(0)
                                       .Raw(image)
                                       .bytes())
                  .ToString(),
              "ok");
    return Page().Get(kLastInsertOffset);
  }

  Bytes page_;
  PageApplier applier_;
  ApplyOutcome outcome_ = ApplyOutcome::kApplied;
};

TEST_F(ApplyIndex, NinthRecordOfAGroupSplitsItsSlot) {
  uint32_t cursor = 99;
  for (uint32_t i = 0; i < 7; ++i) {
    cursor = InsertRow(cursor, Clustered(), ClusteredRow(i), 5);
  }
  EXPECT_EQ(Page().slot_count(), 2U);
  EXPECT_EQ(Page().n_owned(112), 8U);
  cursor = InsertRow(cursor, Clustered(), ClusteredRow(7), 5);
  EXPECT_EQ(Page().slot_count(), 3U);
  EXPECT_EQ(Page().n_owned(112), 5U);
  EXPECT_EQ(Page().slot(1), 125U + 3 * 26);
  EXPECT_EQ(Page().n_owned(Page().slot(1)), 4U);
  EXPECT_EQ(Page().Get(kDirectionOffset), kDirectionRight);
  EXPECT_EQ(Page().Get(kDirectionCountOffset), 7U);
  EXPECT_EQ(CheckIndexPage(page_), kNoProblem);
  // Deleting from the lower group (4 owned) borrows from the upper (5), then merges.
  EXPECT_TRUE(Apply(kRecordDelete, Clustered().U16(125).bytes()).ok());
  EXPECT_EQ(Page().slot_count(), 3U);
  EXPECT_EQ(Page().n_owned(112), 4U);
  EXPECT_EQ(Page().Get(kLastInsertOffset), 0U);
  EXPECT_TRUE(Apply(kRecordDelete, Clustered().U16(125 + 26).bytes()).ok());
  EXPECT_EQ(Page().slot_count(), 2U);
  EXPECT_EQ(Page().n_owned(112), 7U);
  EXPECT_EQ(LoadBe16(page_.data() + 16384 - 8 - 6), 0) << "a merge zeroes the vacated slot";
  EXPECT_EQ(CheckIndexPage(page_), kNoProblem);
}

TEST_F(ApplyIndex, DirectionFollowsTheLastInsert) {
  const uint32_t first = InsertRow(99, Clustered(), ClusteredRow(50), 5);
  EXPECT_EQ(Page().Get(kDirectionOffset), kDirectionNone);
  const uint32_t second = InsertRow(99, Clustered(), ClusteredRow(40), 5);
  EXPECT_EQ(Page().Get(kDirectionOffset), kDirectionLeft);
  EXPECT_EQ(Page().Get(kDirectionCountOffset), 1U);
  InsertRow(second, Clustered(), ClusteredRow(45), 5);
  EXPECT_EQ(Page().Get(kDirectionOffset), kDirectionNone) << "a right turn ends a left run";
  const uint32_t fourth = InsertRow(first, Clustered(), ClusteredRow(60), 5);
  EXPECT_EQ(Page().Get(kDirectionOffset), kDirectionNone);
  InsertRow(fourth, Clustered(), ClusteredRow(61), 5);
  EXPECT_EQ(Page().Get(kDirectionOffset), kDirectionRight);
  EXPECT_EQ(Page().Get(kDirectionCountOffset), 1U);
}

TEST_F(ApplyIndex, ShortInsertTakesHeaderAndPrefixFromTheCursor) {
  const uint32_t first = InsertRow(99, Clustered(), ClusteredRow(0x01020304), 5, 0x20);
  // Only the last four bytes differ; info bits, extra size and the other bytes are the cursor's.
  ASSERT_TRUE(Apply(kRecordInsert, Clustered().U16(first).C32(4 << 1).Text("TAIL").bytes()).ok());
  const uint32_t second = Page().next(first);
  EXPECT_EQ(second, first + 26);
  EXPECT_EQ(AsText(ByteView(page_).subspan(second, 21)),
            std::string("\x01\x02\x03\x04trxid.rollptrTAIL"));
  EXPECT_EQ(Page().bytes().info_bits(second), 0x20);
  EXPECT_EQ(Page().heap_no(second), 3U);
  // Longer than the cursor record: nothing to share from.
  EXPECT_EQ(
      Apply(kRecordInsert, Clustered().U16(first).C32(27 << 1).Text(std::string(27, 'x')).bytes())
          .code(),
      StatusCode::kCorruption);
}

TEST_F(ApplyIndex, FreeListHeadIsReusedOnlyIfLargeEnoughAndKeepsItsSurplus) {
  const Body index = Body().CompactIndex({0x8004, 0}, 1);
  const auto row = [](size_t length) {
    return Body()
        .U8(static_cast<unsigned>(length))
        .U8(0)
        .U16(0)
        .U16(0)
        .U32(9)
        .Text(std::string(length, 'r'))
        .bytes();
  };
  // VARCHAR, nullable: one null byte is missing above, so declare it NOT NULL instead.
  const Body not_null = Body().CompactIndex({0x8004, 0x8000}, 1);
  const uint32_t first = InsertRow(99, not_null, row(20), 6);
  InsertRow(first, not_null, row(5), 6);
  ASSERT_TRUE(Apply(kRecordDelete, Body(not_null).U16(first).bytes()).ok());
  EXPECT_EQ(Page().Get(kGarbageOffset), 30U);
  InsertRow(99, not_null, row(30), 6);
  EXPECT_EQ(Page().Get(kFreeOffset), first) << "too small: the heap grows";
  const uint32_t reused = InsertRow(99, not_null, row(8), 6);
  EXPECT_EQ(reused, first);
  EXPECT_EQ(Page().heap_no(reused), 2U);
  EXPECT_EQ(Page().Get(kFreeOffset), 0U);
  EXPECT_EQ(Page().Get(kGarbageOffset), 12U) << "less by the new record's size only";
  EXPECT_EQ(CheckIndexPage(page_), kNoProblem);
  (void)index;
}

TEST_F(ApplyIndex, ClusteredDeleteMarkWritesSysFieldsUnlessToldNotTo) {
  const uint32_t origin = InsertRow(99, Clustered(), ClusteredRow(1), 5);
  const auto mark = [&](unsigned flags, unsigned value) {
    return Clustered()
        .U8(flags)
        .U8(value)
        .C32(1)
        .Text("ROLLPTR")
        .C64(0xA1B2C3D4E5F6)
        .U16(origin)
        .bytes();
  };
  ASSERT_TRUE(Apply(kClustDeleteMark, mark(4, 1)).ok());
  EXPECT_EQ(Page().bytes().info_bits(origin), kInfoDeleted);
  EXPECT_EQ(AsText(ByteView(page_).subspan(origin + 4, 13)), "trxid.rollptr");
  ASSERT_TRUE(Apply(kClustDeleteMark, mark(0, 0)).ok());
  EXPECT_EQ(Page().bytes().info_bits(origin), 0);
  EXPECT_EQ(ToHex(ByteView(page_).subspan(origin + 4, 6)), "a1b2c3d4e5f6");
  EXPECT_EQ(AsText(ByteView(page_).subspan(origin + 10, 7)), "ROLLPTR");
}

TEST_F(ApplyIndex, UpdateKeepsStoredFormBitsAndRefusesOtherLengths) {
  const uint32_t origin = InsertRow(99, Clustered(), ClusteredRow(1), 5);
  const auto update = [&](uint32_t field, uint32_t length, std::string_view value,
                          unsigned info = 0) {
    return Clustered()
        .U8(4)
        .C32(0)
        .Text("0000000")
        .C64(0)
        .U16(origin)
        .U8(info)
        .C32(1)
        .C32(field)
        .C32(length)
        .Text(value)
        .bytes();
  };
  ASSERT_TRUE(Apply(kUpdateInPlace, update(3, 4, "NEW!", kInfoDeleted)).ok());
  EXPECT_EQ(AsText(ByteView(page_).subspan(origin + 17, 4)), "NEW!");
  EXPECT_EQ(Page().bytes().info_bits(origin), kInfoDeleted);
  EXPECT_EQ(Apply(kUpdateInPlace, update(3, 3, "NEW")).code(), StatusCode::kCorruption);
  EXPECT_EQ(Apply(kUpdateInPlace, update(4, 4, "NEW!")).code(), StatusCode::kCorruption);
  EXPECT_EQ(Apply(kUpdateInPlace, update(3, 0xFFFFFFFF, "")).code(), StatusCode::kCorruption)
      << "COMPACT never logs NULL over a value";
  // A virtual column of an old server: skipped, and said so.
  ASSERT_TRUE(Apply(kUpdateInPlace, update(1023 + 2, 4, "virt")).ok());
  EXPECT_EQ(outcome_, ApplyOutcome::kAppliedInexact);
  page_[origin - 5] |= kInfoInstant;
  ASSERT_EQ(Apply(kUpdateInPlace,
                  Clustered().U8(4).C32(0).Text("0000000").C64(0).U16(origin).U8(0).C32(0).bytes())
                .ToString(),
            "ok");
  EXPECT_EQ(Page().bytes().info_bits(origin), kInfoInstant);
}

TEST_F(ApplyIndex, RedundantUpdateMovesTheNullBit) {
  Reset(false);
  // Fields of 4 and 3 bytes, one-byte ends: [7][4] below the six header bytes.
  const Bytes image = Body().U8(7).U8(4).U8(0).U16(0).U8(2 << 1 | 1).U16(0).Text("key!abc").bytes();
  const Body index = Body().RedundantIndex();
  const uint32_t origin = InsertRow(101, index, image, 8);
  const auto update = [&](uint32_t length, std::string_view value) {
    return Body(index)
        .U8(4)
        .C32(0)
        .Text("0000000")
        .C64(0)
        .U16(origin)
        .U8(0)
        .C32(1)
        .C32(1)
        .C32(length)
        .Text(value)
        .bytes();
  };
  ASSERT_EQ(Apply(kUpdateInPlace, update(0xFFFFFFFF, "")).ToString(), "ok");
  EXPECT_EQ(page_[origin - 8], 0x87);
  EXPECT_EQ(ToHex(ByteView(page_).subspan(origin + 4, 3)), "000000");
  ASSERT_TRUE(Apply(kUpdateInPlace, update(3, "xyz")).ok());
  EXPECT_EQ(page_[origin - 8], 0x07);
  EXPECT_EQ(AsText(ByteView(page_).subspan(origin, 7)), "key!xyz");
}

TEST_F(ApplyIndex, VersionedRowsAreSizedByTheirOwnVersion) {
  // (key NOT NULL 4) (a nullable 2, dropped in 2) (b nullable 8, added in 1): physical order key,
  // a, b.
  const Body index = Body()
                         .U8(1)
                         .U8(3)
                         .U16(3)
                         .U16(1)
                         .U16(0x8004)
                         .U16(8)
                         .U16(2)
                         .U16(2)
                         .U16(1)
                         .U16(0x8002)
                         .U8(1)
                         .U16(2)
                         .U16(0x4001)
                         .U8(2);
  const auto measure = [&](const Bytes& row, unsigned extra, unsigned info) {
    Reset(true);
    const uint32_t origin = InsertRow(99, index, row, extra, info);
    ByteView bytes(index.bytes());
    IndexInfo info_parsed;
    EXPECT_EQ(info_parsed.Parse(bytes), kNoProblem);
    RecordSize size;
    EXPECT_EQ(MeasureRecord(Page().bytes(), info_parsed, origin, &size), kNoProblem);
    return std::pair(size.extra_bytes, size.data_bytes);
  };
  // Written before any instant change: key and a.
  EXPECT_EQ(measure(Body().U8(0).U8(0).U16(0).U16(0).U32(1).U16(7).bytes(), 6, 0),
            std::pair(6U, 6U));
  // Version 1: key, a NULL, b.
  EXPECT_EQ(measure(Body().U8(1).U8(1).U8(0).U16(0).U16(0).U32(1).U64(7).bytes(), 7, kInfoVersion),
            std::pair(7U, 12U));
  // Version 2: key and b; one nullable field only, and it is NULL.
  EXPECT_EQ(measure(Body().U8(1).U8(2).U8(0).U16(0).U16(0).U32(1).bytes(), 7, kInfoVersion),
            std::pair(7U, 4U));
}

TEST_F(ApplyIndex, InstantRowsAreSizedByTheirFieldCount) {
  // Old style: two fields, then two nullable ones added; records say how many fields they store.
  const Body index = Body().U8(1).U8(5).U16(4).U16(2).U16(1).U16(0x8004).U16(0x8002).U16(3).U16(3);
  const auto measure = [&](const Bytes& row, unsigned extra, unsigned info) {
    Reset(true);
    const uint32_t origin = InsertRow(99, index, row, extra, info);
    IndexInfo parsed;
    EXPECT_EQ(parsed.Parse(index.bytes()), kNoProblem);
    RecordSize size;
    EXPECT_EQ(MeasureRecord(Page().bytes(), parsed, origin, &size), kNoProblem);
    return std::pair(size.extra_bytes, size.data_bytes);
  };
  EXPECT_EQ(measure(Body().U8(0).U16(0).U16(0).U32(1).U16(2).bytes(), 5, 0), std::pair(5U, 6U));
  EXPECT_EQ(measure(Body().U8(0).U8(3).U8(0).U16(0).U16(0).U32(1).U16(2).Text("abc").bytes(), 7,
                    kInfoInstant),
            std::pair(7U, 9U));
  EXPECT_EQ(measure(Body().U8(2).U8(4).U8(0).U16(0).U16(0).U32(1).U16(2).Text("abc").bytes(), 7,
                    kInfoInstant),
            std::pair(7U, 9U));
}

TEST_F(ApplyIndex, RowVersionZeroIsLegalInAnIndexWithoutVersions) {
  // Goal: a table with old-style instant columns, upgraded: new rows say "version 0" and store
  // every field, while the index is INSTANT and not VERSIONED. Seen in a directory from 8.0.28
  // under MySQL 9.7.4.
  const Body index = Body().U8(1).U8(5).U16(3).U16(2).U16(1).U16(0x8004).U16(0x8002).U16(3);
  const Bytes row = Body().U8(0).U8(0).U8(0).U16(0).U16(0).U32(1).U16(2).Text("abc").bytes();
  const uint32_t origin = InsertRow(99, index, row, 7, kInfoVersion);
  IndexInfo parsed;
  ASSERT_EQ(parsed.Parse(index.bytes()), kNoProblem);
  RecordSize size;
  ASSERT_EQ(MeasureRecord(Page().bytes(), parsed, origin, &size), kNoProblem);
  EXPECT_EQ(size.extra_bytes, 7U);
  EXPECT_EQ(size.data_bytes, 9U);
}

TEST_F(ApplyIndex, NodePointersReserveNullBitsForTheWholeIndex) {
  // Nine nullable columns behind the key: two bitmap bytes although only the key is stored.
  std::vector<uint16_t> lengths(10, 1);
  lengths[0] = 0x8004;
  const Body index = Body().CompactIndex(lengths, 1);
  const Bytes row = Body().U16(0).U8(0).U16(1).U16(0).U32(77).U32(4).bytes();
  const uint32_t origin = InsertRow(99, index, row, 7, kStatusNodePointer);
  IndexInfo parsed;
  ASSERT_EQ(parsed.Parse(index.bytes()), kNoProblem);
  RecordSize size;
  ASSERT_EQ(MeasureRecord(Page().bytes(), parsed, origin, &size), kNoProblem);
  EXPECT_EQ(size.extra_bytes, 7U);
  EXPECT_EQ(size.data_bytes, 8U);
}

TEST_F(ApplyIndex, ReorganizeKeepsMaxTrxIdOnlyOnSecondaryLeaves) {
  const Body secondary = Body().CompactIndex({0x8004, 0x8004}, 2);
  const Bytes row = Body().U8(0).U16(0).U16(0).U32(1).U32(2).bytes();
  for (const bool leaf : {true, false}) {
    Reset(true);
    InsertRow(99, secondary, row, 5);
    StoreBe64(page_.data() + kMaxTrxIdOffset, 4711);
    StoreBe16(page_.data() + kLevelOffset, leaf ? 0 : 1);
    ASSERT_TRUE(Apply(kPageReorganize, secondary.bytes()).ok());
    EXPECT_EQ(LoadBe64(page_.data() + kMaxTrxIdOffset), leaf ? 4711U : 0U);
    EXPECT_EQ(Page().Get(kLevelOffset), leaf ? 0U : 1U);
  }
  Reset(true);
  InsertRow(99, Clustered(), ClusteredRow(1), 5);
  StoreBe64(page_.data() + kMaxTrxIdOffset, 4711);
  ASSERT_TRUE(Apply(kPageReorganize, Clustered().bytes()).ok());
  EXPECT_EQ(LoadBe64(page_.data() + kMaxTrxIdOffset), 0U);
}

TEST_F(ApplyIndex, ListCopyFillsANewPageAndForgetsTheDirection) {
  Body list;
  for (uint32_t i = 0; i < 40; ++i) {
    const Bytes row = ClusteredRow(i);
    list.C32(static_cast<uint32_t>(row.size() << 1 | 1)).U8(0).C32(5).C32(0).Raw(row);
  }
  ASSERT_EQ(
      Apply(kListEndCopyCreated,
            Clustered().U32(static_cast<uint32_t>(list.bytes().size())).Raw(list.bytes()).bytes())
          .ToString(),
      "ok");
  EXPECT_EQ(Page().Get(kRecordCountOffset), 40U);
  EXPECT_EQ(Page().Get(kLastInsertOffset), 0U);
  EXPECT_EQ(Page().Get(kDirectionOffset), kDirectionNone);
  EXPECT_EQ(CheckIndexPage(page_), kNoProblem);
}

TEST_F(ApplyIndex, MinMarkSetsItsBitAndWantsTheRightRowFormat) {
  const uint32_t origin = InsertRow(99, Clustered(), ClusteredRow(1), 5);
  ASSERT_TRUE(Apply(kMinMarkCompact, Body().U16(origin).bytes()).ok());
  EXPECT_EQ(Page().bytes().info_bits(origin), kInfoMinRecord);
  EXPECT_EQ(Apply(kMinMarkRedundant, Body().U16(origin).bytes()).code(), StatusCode::kCorruption);
}

TEST_F(ApplyIndex, WrongPlacesAreCorruptNotGuessed) {
  const uint32_t origin = InsertRow(99, Clustered(), ClusteredRow(1), 5);
  const auto code = [&](RedoType type, const Bytes& body) { return Apply(type, body).code(); };
  for (const uint32_t bad : {0U, 50U, 99U, 112U, 16376U, 65535U}) {
    EXPECT_EQ(code(kRecordDelete, Clustered().U16(bad).bytes()), StatusCode::kCorruption) << bad;
    EXPECT_EQ(code(kSecDeleteMark, Body().U8(1).U16(bad).bytes()), StatusCode::kCorruption) << bad;
  }
  EXPECT_EQ(code(kRecordInsert, Clustered().U16(112).C32(2).Text("x").bytes()),
            StatusCode::kCorruption)
      << "behind the supremum";
  EXPECT_EQ(code(kRecordDelete, Body().RedundantIndex().U16(origin).bytes()),
            StatusCode::kCorruption)
      << "row format";
  EXPECT_EQ(code(kListStartDelete, Clustered().U16(112).bytes()), StatusCode::kCorruption);
  EXPECT_EQ(code(kPageReorganize, Clustered().U8(1).bytes()), StatusCode::kCorruption);
  page_.assign(16384, 0);
  EXPECT_EQ(code(kRecordDelete, Clustered().U16(125).bytes()), StatusCode::kCorruption)
      << "a page that was never created";
}

TEST_F(ApplyIndex, AFullPageRefusesOneMoreRecord) {
  uint32_t cursor = 99;
  while (Page().Get(kHeapTopOffset) + 26U <= Page().directory_start()) {
    const Status status = Apply(
        kRecordInsert,
        Clustered().U16(cursor).C32(26 << 1 | 1).U8(0).C32(5).C32(0).Raw(ClusteredRow(1)).bytes());
    if (!status.ok()) {
      EXPECT_NE(status.message().find("no room for one more directory slot"), std::string::npos);
      return;
    }
    cursor = Page().Get(kLastInsertOffset);
  }
  EXPECT_EQ(CheckIndexPage(page_), kNoProblem);
  EXPECT_EQ(
      Apply(
          kRecordInsert,
          Clustered().U16(cursor).C32(26 << 1 | 1).U8(0).C32(5).C32(0).Raw(ClusteredRow(1)).bytes())
          .code(),
      StatusCode::kCorruption);
}

}  // namespace
}  // namespace redoubt::innodb
