// SPDX-License-Identifier: MIT
//
// Runs one test coroutine in a production world without signal handling.
#pragma once

#include <utility>

#include "common/runtime/asio/asio_world.h"

namespace redoubt {

inline AsioWorldOptions QuietOptions() {
  AsioWorldOptions options;
  options.handle_signals = false;
  options.log_level_min = LogLevel::kError;
  return options;
}

inline Task<int> ThenZero(Task<void> body) {
  co_await body;
  co_return 0;
}

inline void RunIn(AsioWorld* world, Task<void> body) {
  const int exit_code = world->Run(ThenZero(std::move(body)));
  REDOUBT_CHECK(exit_code == 0);
}

}  // namespace redoubt
