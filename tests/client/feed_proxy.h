// SPDX-License-Identifier: MIT
//
// Something between page servers and a log server that can be made slow, that damages redo in a way
// which frames do not show, or that knows less than it could.
#pragma once

#include <cstdint>
#include <string>

#include "common/base/types.h"
#include "common/runtime/runtime.h"
#include "common/runtime/scheduler.h"
#include "common/runtime/task.h"

namespace redoubt {

// How a proxy behaves; changed by the test at any time.
struct ProxyMood {
  Duration delay{};      // of every answer
  bool damages = false;  // one bit in the middle of the redo that LOG_READ gives
  Lsn commit_max;        // not 0: never tells a higher commit LSN, and gives nothing above it
  // What it did.
  uint64_t reads = 0;  // LOG_READ answers with redo
  uint64_t damaged = 0;
};

// Serves at `address` for as long as its machine lives what `behind` answers. `mood` outlives it.
Task<void> ProxyForever(Runtime* runtime, std::string address, std::string behind, ProxyMood* mood);

}  // namespace redoubt
