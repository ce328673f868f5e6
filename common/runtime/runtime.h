// SPDX-License-Identifier: MIT
//
// Everything a node may ask of its world, handed in by constructor, never global. Production is
// common/runtime/asio; the simulator is sim/runtime.
#pragma once

#include <cstdint>

#include "common/base/check.h"
#include "common/base/event_log.h"
#include "common/runtime/blocking.h"
#include "common/runtime/file_system.h"
#include "common/runtime/network.h"
#include "common/runtime/scheduler.h"

namespace redoubt {

class FaultPoints;

// Wall-clock time: for people and for the LSN<->time map, never for deadlines. May step either way.
class WallClock {
 public:
  virtual ~WallClock() = default;
  // Nanoseconds since 1970-01-01T00:00:00Z.
  virtual int64_t NowUnixNs() const = 0;
};

class Random {
 public:
  virtual ~Random() = default;
  virtual uint64_t Next() = 0;
  // Uniform in [0, bound); bound > 0. The bias of the modulo is below 2^-32 for bounds below 2^32.
  uint64_t Below(uint64_t bound) {
    REDOUBT_CHECK(bound > 0);
    return Next() % bound;
  }
};

// Borrowed parts; the world outlives everything that runs in it.
struct Runtime {
  Scheduler* scheduler = nullptr;
  Network* network = nullptr;
  FileSystem* files = nullptr;
  BlockingExecutor* blocking = nullptr;
  WallClock* wall_clock = nullptr;
  Random* random = nullptr;
  EventLog* log = nullptr;
  // Planted bugs (fault_point.h); null but in the simulator.
  FaultPoints* fault_points = nullptr;
};

}  // namespace redoubt
