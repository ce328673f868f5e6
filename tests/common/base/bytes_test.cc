// SPDX-License-Identifier: MIT
//
// Goal: readers never pass the end, writers and readers agree, byte order is big-endian.
// Method: golden bytes, round trips, and reads cut at every length.
#include "common/base/bytes.h"

#include <gtest/gtest.h>

#include <vector>

namespace redoubt {
namespace {

const std::vector<uint64_t> kVarintValues{
    0,         1, 127, 128, 16383, 16384, UINT32_MAX, (uint64_t{1} << 56) - 1, uint64_t{1} << 63,
    UINT64_MAX};

TEST(Bytes, WritesBigEndian) {
  Bytes out;
  ByteWriter writer(&out);
  writer.U8(0x01);
  writer.U16(0x0203);
  writer.U32(0x04050607);
  writer.U64(0x08090A0B0C0D0E0F);
  writer.Append(AsBytes("xy"));
  EXPECT_EQ(ToHex(out), "0102030405060708090a0b0c0d0e0f7879");
}

TEST(Bytes, ReadsWhatWasWritten) {
  Bytes out;
  ByteWriter writer(&out);
  writer.U8(0xFE);
  writer.U16(0xFEDC);
  writer.U32(0xFEDCBA98);
  writer.U64(0xFEDCBA9876543210);
  for (const uint64_t value : kVarintValues) {
    writer.Varint(value);
  }
  writer.Append(AsBytes("tail"));
  ByteReader reader(out);
  EXPECT_EQ(reader.U8(), 0xFE);
  EXPECT_EQ(reader.U16(), 0xFEDC);
  EXPECT_EQ(reader.U32(), 0xFEDCBA98);
  EXPECT_EQ(reader.U64(), 0xFEDCBA9876543210);
  for (const uint64_t value : kVarintValues) {
    EXPECT_EQ(reader.Varint(), value);
  }
  EXPECT_EQ(AsText(reader.Take(4)), "tail");
  EXPECT_TRUE(reader.AtEnd());
}

TEST(ByteReader, FailsForGoodPastTheEnd) {
  const Bytes bytes{1, 2, 3};
  ByteReader reader(bytes);
  EXPECT_EQ(reader.U16(), 0x0102);
  EXPECT_EQ(reader.U16(), 0);
  EXPECT_TRUE(reader.failed());
  EXPECT_EQ(reader.U8(), 0);  // a byte is left, but a failed reader stays failed
  EXPECT_TRUE(reader.Take(1).empty());
  EXPECT_FALSE(reader.AtEnd());
}

TEST(ByteReader, EveryFieldFailsWhenCutShort) {
  const Bytes bytes(16, 0xFF);
  for (size_t length = 0; length < 8; ++length) {
    const ByteView cut = ByteView(bytes).first(length);
    ByteReader reader(cut);
    reader.U64();
    EXPECT_TRUE(reader.failed()) << length;
    ByteReader varint(cut);
    varint.Varint();
    EXPECT_TRUE(varint.failed()) << length;
    ByteReader take(cut);
    EXPECT_TRUE(take.Take(length + 1).empty());
    EXPECT_TRUE(take.failed());
    ByteReader huge(cut);
    huge.Take(SIZE_MAX);
    EXPECT_TRUE(huge.failed());
  }
}

TEST(ByteReader, RefusesAVarintOfMoreThanTenBytes) {
  const Bytes bytes{0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x01};
  ByteReader reader(bytes);
  EXPECT_EQ(reader.Varint(), 0U);
  EXPECT_TRUE(reader.failed());
}

TEST(Bytes, HexOfNothingIsEmpty) { EXPECT_EQ(ToHex({}), ""); }

}  // namespace
}  // namespace redoubt
