// SPDX-License-Identifier: MIT
#include "common/innodb/packed_reader.h"

#include <gtest/gtest.h>
#include <rapidcheck.h>

#include "tests/common/innodb/rapidcheck_gtest.h"

namespace redoubt::innodb {
namespace {

std::string Encode32(uint32_t value) {
  Bytes out;
  AppendC32(value, &out);
  return ToHex(out);
}

TEST(PackedReader, EncodesTheFormatsExamples) {
  // Golden: the examples of the format description, and the borders between the forms.
  EXPECT_EQ(Encode32(0x4000), "c04000");
  EXPECT_EQ(Encode32(0xFFFFFFFF), "fbff");
  EXPECT_EQ(Encode32(0xFFFFFFFE), "fbfe");  // space id of mysql.ibd
  EXPECT_EQ(Encode32(0xFFFFFFEF), "fbef");  // space id of the first undo tablespace
  EXPECT_EQ(Encode32(0x12345678), "f012345678");
  EXPECT_EQ(Encode32(0x7F), "7f");
  EXPECT_EQ(Encode32(0x80), "8080");
  EXPECT_EQ(Encode32(0x3FFF), "bfff");
  EXPECT_EQ(Encode32(0x1FFFFF), "dfffff");
  EXPECT_EQ(Encode32(0x200000), "e0200000");
  EXPECT_EQ(Encode32(0xFFFFFC00), "f800");
  EXPECT_EQ(Encode32(0xFFFFFBFF), "fdfbff");
  EXPECT_EQ(Encode32(0xFFFDFFFF), "fefdffff");
  EXPECT_EQ(Encode32(0xFEFFFFFF), "f0feffffff");
}

// Numbers of every encoded length, not only large ones.
rc::Gen<uint64_t> AnyNumber() {
  return rc::gen::apply([](uint64_t v, int shift) { return v >> shift; },
                        rc::gen::arbitrary<uint64_t>(), rc::gen::inRange(0, 64));
}

TEST(PackedReader, ReadsBackWhatWasWrittenAndFailsOnEveryPrefix) {
  CheckProperty([] {
    const uint64_t v = *AnyNumber();
    const bool high = *rc::gen::arbitrary<bool>();
    const uint32_t narrow = high ? ~static_cast<uint32_t>(v) : static_cast<uint32_t>(v);
    Bytes c32, c64, m64;
    AppendC32(narrow, &c32);
    AppendC64(v, &c64);
    AppendM64(v, &m64);
    PackedReader r32(c32), r64(c64), rm(m64);
    RC_ASSERT(r32.C32() == narrow && r32.AtEnd());
    RC_ASSERT(r64.C64() == v && r64.AtEnd());
    RC_ASSERT(rm.M64() == v && rm.AtEnd());
    for (size_t cut = 0; cut < m64.size(); ++cut) {
      PackedReader cut_reader(ByteView(m64).first(cut));
      (void)cut_reader.M64();
      RC_ASSERT(cut_reader.failed());
    }
    for (size_t cut = 0; cut < c64.size(); ++cut) {
      PackedReader cut_reader(ByteView(c64).first(cut));
      (void)cut_reader.C64();
      RC_ASSERT(cut_reader.failed());
    }
  });
}

TEST(PackedReader, ANumberThatIsCutReadsAsZero) {
  // Whatever the first byte promises: a part of a number is no number. Every first byte, so that
  // every form is cut at each of its lengths.
  for (unsigned first = 0; first < 256; ++first) {
    Bytes bytes(9, 0xFF);
    bytes[0] = static_cast<uint8_t>(first);
    PackedReader whole(bytes);
    (void)whole.C32();
    const size_t length = whole.offset();
    ASSERT_TRUE(1 <= length && length <= 5) << first;
    for (size_t cut = 0; cut < length; ++cut) {
      const Bytes prefix(bytes.begin(), bytes.begin() + static_cast<ptrdiff_t>(cut));
      PackedReader reader(prefix);
      EXPECT_EQ(reader.C32(), 0U) << first << " cut at " << cut;
      EXPECT_TRUE(reader.failed()) << first << " cut at " << cut;
    }
  }
}

TEST(PackedReader, StaysFailedAfterReadingPastTheEnd) {
  const Bytes bytes = {1, 2, 3};
  PackedReader reader(bytes);
  EXPECT_EQ(reader.U16(), 0x0102);
  EXPECT_EQ(reader.U32(), 0U);
  EXPECT_TRUE(reader.failed());
  EXPECT_EQ(reader.U8(), 0);
  EXPECT_FALSE(reader.AtEnd());
}

}  // namespace
}  // namespace redoubt::innodb
