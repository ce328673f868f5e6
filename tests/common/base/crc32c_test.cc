// SPDX-License-Identifier: MIT
//
// Goal: CRC-32C as RFC 3720 and MySQL compute it, for every length and alignment.
// Method: published vectors, and a bit-by-bit reference over lengths around every lane size.
#include "common/base/crc32c.h"

#include <gtest/gtest.h>

#include <numeric>

#include "common/base/hash.h"

namespace redoubt {
namespace {

uint32_t Reference(ByteView bytes) {
  uint32_t crc = 0xFFFFFFFF;
  for (const uint8_t byte : bytes) {
    crc ^= byte;
    for (int bit = 0; bit < 8; ++bit) {
      crc = (crc & 1) != 0 ? (crc >> 1) ^ 0x82F63B78 : crc >> 1;
    }
  }
  return ~crc;
}

Bytes RandomBytes(size_t length, uint64_t seed) {
  Bytes bytes(length);
  for (size_t i = 0; i < length; ++i) {
    bytes[i] = static_cast<uint8_t>(HashMix(seed, i));
  }
  return bytes;
}

TEST(Crc32c, PublishedVectors) {
  EXPECT_EQ(Crc32c({}), 0U);
  EXPECT_EQ(Crc32c(AsBytes("123456789")), 0xE3069283U);
  // RFC 3720, B.4.
  EXPECT_EQ(Crc32c(Bytes(32, 0x00)), 0x8A9136AAU);
  EXPECT_EQ(Crc32c(Bytes(32, 0xFF)), 0x62A8AB43U);
  Bytes rising(32);
  std::iota(rising.begin(), rising.end(), uint8_t{0});
  EXPECT_EQ(Crc32c(rising), 0x46DD794EU);
}

TEST(Crc32c, EqualsTheReferenceAtEveryShortLengthAndAlignment) {
  const Bytes bytes = RandomBytes(1200, 1);
  for (size_t length = 0; length <= 1100; ++length) {
    const size_t start = length % 17;
    const ByteView view = ByteView(bytes).subspan(start, length);
    ASSERT_EQ(Crc32c(view), Reference(view)) << "length " << length;
  }
}

TEST(Crc32c, EqualsTheReferenceAtBlockAndPageSizes) {
  const Bytes bytes = RandomBytes(70'000, 2);
  for (const size_t length : {508UL, 504UL, 512UL, 4079UL, 4080UL, 4081UL, 4096UL, 8160UL, 8192UL,
                              16338UL, 16384UL, 32768UL, 65535UL, 65536UL}) {
    for (const size_t start : {0UL, 1UL, 7UL}) {
      const ByteView view = ByteView(bytes).subspan(start, length);
      ASSERT_EQ(Crc32c(view), Reference(view)) << "length " << length;
    }
  }
}

TEST(Crc32c, ExtendContinuesAtAnySplit) {
  const Bytes bytes = RandomBytes(6000, 3);
  const uint32_t whole = Crc32c(bytes);
  for (size_t split = 0; split <= bytes.size(); split += 37) {
    const uint32_t head = Crc32c(ByteView(bytes).first(split));
    ASSERT_EQ(Crc32cExtend(head, ByteView(bytes).subspan(split)), whole) << "split " << split;
  }
}

}  // namespace
}  // namespace redoubt
