// SPDX-License-Identifier: MIT
//
// A KvStore that tells a StoredContent (C6) of every write and flush, and of all that the store
// under it holds when it is opened. Changes nothing.
#pragma once

#include <memory>

#include "common/base/result.h"
#include "common/runtime/runtime.h"
#include "pageserver/storage/kv_store.h"
#include "sim/oracle/stored_content.h"

namespace redoubt::sim {

// Reads all of `store` and puts it under watch. `content` outlives the store.
Task<Result<std::unique_ptr<KvStore>>> WatchStore(Runtime* runtime, std::unique_ptr<KvStore> store,
                                                  StoredContent* content);

}  // namespace redoubt::sim
