// SPDX-License-Identifier: MIT
//
// Goal: the hash is the same for ever (traces and stored fingerprints depend on it) and spreads.
// Method: golden values made once with this code; every single-bit change of an input changes the
// hash.
#include "common/base/hash.h"

#include <gtest/gtest.h>

#include <set>

namespace redoubt {
namespace {

// The finaliser and constants are splitmix64's (Steele, Lea, Flood 2014); with a zero state the
// first output of splitmix64 seeded with 0 is known from its reference code.
TEST(Hash, MixOfZerosIsSplitMix64sFirstOutput) { EXPECT_EQ(HashMix(0, 0), 0xE220A8397B1DCDAFULL); }

TEST(Hash, LengthAndSeedCount) {
  std::set<uint64_t> seen;
  const Bytes zeros(64, 0);
  for (size_t length = 0; length <= zeros.size(); ++length) {
    for (uint64_t seed = 0; seed < 4; ++seed) {
      seen.insert(HashBytes(seed, ByteView(zeros).first(length)));
    }
  }
  EXPECT_EQ(seen.size(), 65U * 4U);
}

TEST(Hash, EveryBitCounts) {
  for (const size_t length : {1UL, 7UL, 8UL, 9UL, 31UL}) {
    Bytes bytes(length, 0x5A);
    std::set<uint64_t> seen{HashBytes(1, bytes)};
    for (size_t bit = 0; bit < length * 8; ++bit) {
      bytes[bit / 8] = static_cast<uint8_t>(bytes[bit / 8] ^ (1U << (bit % 8)));
      seen.insert(HashBytes(1, bytes));
      bytes[bit / 8] = static_cast<uint8_t>(bytes[bit / 8] ^ (1U << (bit % 8)));
    }
    EXPECT_EQ(seen.size(), length * 8 + 1);
  }
}

}  // namespace
}  // namespace redoubt
