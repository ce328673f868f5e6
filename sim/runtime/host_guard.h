// SPDX-License-Identifier: MIT
//
// Nobody in a simulated world may ask the host for time, randomness or threads. While code of the
// world runs, clock_gettime, gettimeofday, time, nanosleep, usleep, getrandom, getentropy,
// arc4random and pthread_create, which this file replaces in every program that links it, stop the
// process and name the caller. RocksDB's own calls go through: it keeps statistics and session ids
// which nothing looks at, and its timer thread does nothing (sim/README.md, "Determinism").
#pragma once

namespace redoubt::sim {

// While one lives, on its thread, the host must not be asked.
class HostGuard {
 public:
  HostGuard();
  HostGuard(const HostGuard&) = delete;
  HostGuard& operator=(const HostGuard&) = delete;
  ~HostGuard();
};

}  // namespace redoubt::sim
