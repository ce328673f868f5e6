// SPDX-License-Identifier: MIT
#include "common/base/hash.h"

namespace redoubt {

// The finaliser of splitmix64 over the xor of both inputs.
uint64_t HashMix(uint64_t hash, uint64_t word) {
  uint64_t z = (hash ^ (word * 0x9E3779B97F4A7C15ULL)) + 0x9E3779B97F4A7C15ULL;
  z = (z ^ (z >> 30)) * 0xBF58476D1CE4E5B9ULL;
  z = (z ^ (z >> 27)) * 0x94D049BB133111EBULL;
  return z ^ (z >> 31);
}

uint64_t HashBytes(uint64_t seed, ByteView bytes) {
  uint64_t hash = HashMix(seed, bytes.size());
  while (bytes.size() >= 8) {
    hash = HashMix(hash, LoadBe64(bytes.data()));
    bytes = bytes.subspan(8);
  }
  uint64_t tail = 0;
  for (const uint8_t byte : bytes) {
    tail = (tail << 8) | byte;
  }
  return HashMix(hash, tail);
}

}  // namespace redoubt
