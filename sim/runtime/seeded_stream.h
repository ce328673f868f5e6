// SPDX-License-Identifier: MIT
//
// Counter-based randomness of the simulator: value = hash(seed, stream name, entity, counter).
// Every decision draws from its own named stream, so that a fault class that is switched off, or a
// new feature that draws elsewhere, leaves all other decisions of a seed as they were. That is what
// makes shrinking work and what keeps old seeds meaningful.
//
// Rules: one draw per full expression; a chance of 0 draws nothing; integers only.
#pragma once

#include <bit>
#include <cstdint>
#include <string_view>

#include "common/base/bytes.h"
#include "common/base/check.h"
#include "common/base/hash.h"

namespace redoubt::sim {

// The root of one run. Counts the draws of all its streams: the count is part of the trace hash.
class RandomRoot {
 public:
  explicit RandomRoot(uint64_t seed) : seed_(seed) {}
  RandomRoot(const RandomRoot&) = delete;
  RandomRoot& operator=(const RandomRoot&) = delete;

  uint64_t seed() const { return seed_; }
  uint64_t draw_count() const { return draw_count_; }

 private:
  friend class SeededStream;
  uint64_t seed_;
  uint64_t draw_count_ = 0;
};

class SeededStream {
 public:
  // `root` outlives the stream. Two streams with the same name and entity give the same values.
  SeededStream(RandomRoot* root, std::string_view name, uint64_t entity)
      : root_(root), key_(HashMix(HashBytes(root->seed(), AsBytes(name)), entity)) {}

  uint64_t Next() {
    ++root_->draw_count_;
    return HashMix(key_, ++counter_);
  }
  // Uniform in [0, bound) but for the modulo's bias, which is below 2^-24 for bounds below 2^40;
  // bound > 0.
  uint64_t Below(uint64_t bound) {
    REDOUBT_CHECK(bound > 0);
    return Next() % bound;
  }
  // Uniform in [low, high].
  uint64_t Between(uint64_t low, uint64_t high) {
    REDOUBT_CHECK(low <= high);
    return low + (high == low ? 0 : Below(high - low + 1));
  }
  // True with a probability of `ppm` in a million; 0 draws nothing.
  bool Chance(uint32_t ppm) { return ppm != 0 && Below(1'000'000) < ppm; }
  // Roughly exponential with the given mean, at most about 44 times the mean. 0 draws nothing.
  uint64_t Exponential(uint64_t mean) {
    if (mean == 0) {
      return 0;
    }
    // A binary logarithm of a uniform number: its integer part from the leading zeros, its fraction
    // from the bits that follow. ln 2 = 0.693147.
    const uint64_t random = Next() | 1;
    const auto zeros = static_cast<uint64_t>(std::countl_zero(random));
    const uint64_t fraction = 1000 - ((random << zeros << 1) >> 32) * 1000 / (1ULL << 32);
    return mean * (zeros * 1000 + fraction) / 1000 * 693 / 1000;
  }

 private:
  RandomRoot* root_;
  uint64_t key_;
  uint64_t counter_ = 0;
};

}  // namespace redoubt::sim
