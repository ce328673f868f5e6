// SPDX-License-Identifier: MIT
//
// The other volumes of a page server, as its page store sees them: somebody who writes, flushes and
// fails beside the one volume that a run looks at. Its keys are of a volume that does not exist, so
// nobody reads them but C6, which hears of every write and flush (sim/cluster/watched_store.h).
#pragma once

#include <cstdint>

#include "common/runtime/runtime.h"
#include "common/runtime/task_group.h"
#include "pageserver/storage/kv_store.h"

namespace redoubt::sim {

class StoreNeighbour {
 public:
  // Writes through `store`, borrowed, `interval_ns` apart on average; every other write is flushed.
  StoreNeighbour(Runtime* runtime, KvStore* store, int64_t interval_ns)
      : runtime_(runtime), store_(store), interval_ns_(interval_ns), group_(runtime->scheduler) {}
  void Start() { group_.Spawn(Run()); }
  // No call is in progress when it returns, and none follows.
  Task<void> Stop();

 private:
  Task<void> Run();
  KvBatch NextBatch();

  Runtime* runtime_;
  KvStore* store_;
  int64_t interval_ns_;
  TaskGroup group_;
};

}  // namespace redoubt::sim
