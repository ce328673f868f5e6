// SPDX-License-Identifier: MIT
//
// Work that blocks or computes for long (RocksDB, parsing a batch, a MySQL query) runs off the
// loop. In the simulator it runs on the loop and costs virtual time.
#pragma once

#include <functional>
#include <memory>
#include <optional>
#include <type_traits>
#include <utility>

#include "common/base/check.h"
#include "common/runtime/task.h"

namespace redoubt {

class BlockingExecutor {
 public:
  virtual ~BlockingExecutor() = default;
  // Runs `work` and resumes the caller on its loop. `work` may touch only what no other coroutine
  // of the node touches meanwhile. It must not throw. If the awaiting coroutine is destroyed the
  // work still finishes: it must own what it uses, or its owner must outlive the executor.
  virtual Task<void> Run(std::function<void()> work) = 0;
};

// The same for work that returns a value:
//   auto work = [...] { ... };  const Result<X> x = co_await RunBlocking(executor, work);
template <typename Work>
Task<std::invoke_result_t<Work>> RunBlocking(BlockingExecutor* executor, Work work) {
  using T = std::invoke_result_t<Work>;
  auto slot = std::make_shared<std::optional<T>>();  // shared: outlives a destroyed waiter
  std::function<void()> job = [slot, work = std::move(work)]() mutable { slot->emplace(work()); };
  co_await executor->Run(std::move(job));
  std::optional<T>& value = *slot;
  REDOUBT_CHECK(value.has_value());
  co_return std::move(*value);
}

}  // namespace redoubt
