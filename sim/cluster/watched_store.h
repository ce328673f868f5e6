// SPDX-License-Identifier: MIT
//
// A KvStore that tells a StoredContent (C6) of every write and flush, and of all that the store
// under it holds when it is opened, and a PersistedPosition (C4) up to where each volume is
// flushed. Changes nothing, but may have other volumes beside the server's own.
#pragma once

#include <functional>
#include <memory>

#include "common/base/result.h"
#include "common/runtime/runtime.h"
#include "pageserver/storage/kv_store.h"
#include "sim/oracle/persisted_position.h"
#include "sim/oracle/stored_content.h"

namespace redoubt::sim {

// Who is told; both outlive the store. `flushed` may be empty: called when a flush is answered.
struct StoreWatchers {
  StoredContent* content = nullptr;
  PersistedPosition* position = nullptr;
  // Mean time between two writes of other volumes (store_neighbour.h); 0: there are none.
  int64_t neighbour_interval_ns = 0;
  std::function<void()> flushed;
};

// Reads all of `store` and puts it under watch.
Task<Result<std::unique_ptr<KvStore>>> WatchStore(Runtime* runtime, std::unique_ptr<KvStore> store,
                                                  StoreWatchers watchers);

}  // namespace redoubt::sim
