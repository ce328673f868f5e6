// SPDX-License-Identifier: MIT
//
// A fixed 64-bit hash for fingerprints and counter-based randomness: the same on every machine and
// in every build, not for adversarial input.
#pragma once

#include <cstdint>

#include "common/base/bytes.h"

namespace redoubt {

// Mixes one word into a running hash.
uint64_t HashMix(uint64_t hash, uint64_t word);
uint64_t HashBytes(uint64_t seed, ByteView bytes);

}  // namespace redoubt
