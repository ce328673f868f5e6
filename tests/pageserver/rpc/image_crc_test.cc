// SPDX-License-Identifier: MIT
//
// Goal: joined checksums equal those of the joined bytes, and a remembered one is never another
// image's.
#include "pageserver/rpc/image_crc.h"

#include <gtest/gtest.h>

#include "common/base/crc32c.h"
#include "common/base/hash.h"

namespace redoubt {
namespace {

Bytes Noise(size_t size, uint64_t seed) {
  Bytes bytes(size);
  for (size_t i = 0; i < size; ++i) {
    bytes[i] = static_cast<uint8_t>(HashMix(seed, i));
  }
  return bytes;
}

TEST(ImageCrc, JoinsAsIfTheBytesWereJoined) {
  for (const size_t size : {0U, 1U, 100U, 4096U, 8192U, 16384U, 32768U, 65536U, 131072U}) {
    const Bytes a = Noise(77, size);
    const Bytes b = Noise(size, size + 1);
    EXPECT_EQ(CombineCrc32c(Crc32c(a), Crc32c(b), b.size()), Crc32cExtend(Crc32c(a), b)) << size;
  }
}

TEST(ImageCrc, NeverMistakesOneImageForAnother) {
  ImageCrcMemo memo;
  for (uint64_t round = 0; round < 3000; ++round) {
    // The allocator hands out the same addresses again and again.
    const auto image = std::make_shared<const Bytes>(Noise(4096, round));
    const uint32_t expected = Crc32c(*image);
    ASSERT_EQ(memo.CrcOf(image), expected);
    ASSERT_EQ(memo.CrcOf(image), expected);
  }
}

}  // namespace
}  // namespace redoubt
