// SPDX-License-Identifier: MIT
//
// The clocks of one machine. Its monotonic clock starts anywhere and runs a little fast or slow;
// its wall clock runs with it and can be set. Both survive restarts of the process.
//
// Invariant: the monotonic clock never goes back, and WorldNs(LocalNs(t)) <= t.
#pragma once

#include <cstdint>

#include "common/base/check.h"

namespace redoubt::sim {

class SimClock {
 public:
  static constexpr int64_t kDriftPpmMax = 500'000;

  explicit SimClock(int64_t origin_ns) : local_base_ns_(origin_ns), wall_ahead_ns_(-origin_ns) {}

  // What the clock shows when the world's time is `world_ns`, not before the last change of rate.
  int64_t LocalNs(int64_t world_ns) const {
    REDOUBT_CHECK(world_ns >= world_base_ns_);
    return local_base_ns_ + Scale(world_ns - world_base_ns_, kMillion + drift_ppm_, kMillion);
  }
  // The first moment at which it shows at least `local_ns`; never before the last change of rate.
  int64_t WorldNs(int64_t local_ns) const {
    if (local_ns <= local_base_ns_) {
      return world_base_ns_;
    }
    int64_t world_ns =
        world_base_ns_ + Scale(local_ns - local_base_ns_, kMillion, kMillion + drift_ppm_);
    while (LocalNs(world_ns) < local_ns) {
      ++world_ns;
    }
    return world_ns;
  }
  // Seconds gained in a million; from now on.
  void SetDrift(int64_t world_ns, int64_t ppm) {
    REDOUBT_CHECK(ppm >= -kDriftPpmMax && ppm <= kDriftPpmMax);
    local_base_ns_ = LocalNs(world_ns);
    world_base_ns_ = world_ns;
    drift_ppm_ = ppm;
  }
  // Nanoseconds since the world's beginning, as the wall clock believes.
  int64_t WallNs(int64_t world_ns) const { return LocalNs(world_ns) + wall_ahead_ns_; }
  // Sets the wall clock `offset_ns` ahead of the world's time.
  void SetWallOffset(int64_t world_ns, int64_t offset_ns) {
    wall_ahead_ns_ = world_ns + offset_ns - LocalNs(world_ns);
  }

 private:
  static constexpr int64_t kMillion = 1'000'000;
  // value * numerator / denominator without overflow; rounds down. value >= 0.
  static int64_t Scale(int64_t value, int64_t numerator, int64_t denominator) {
    return value / denominator * numerator + value % denominator * numerator / denominator;
  }

  int64_t world_base_ns_ = 0;
  int64_t local_base_ns_;
  int64_t drift_ppm_ = 0;
  int64_t wall_ahead_ns_;
};

}  // namespace redoubt::sim
