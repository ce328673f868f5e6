// SPDX-License-Identifier: MIT
//
// A page server as the program of a simulated machine: it serves until the machine dies.
#pragma once

#include <gtest/gtest.h>

#include <string>
#include <utility>

#include "common/runtime/runtime.h"
#include "common/runtime/sync.h"
#include "common/runtime/task.h"
#include "pageserver/server.h"
#include "pageserver/storage/memory_kv_store.h"

namespace redoubt {

// Its pages lie in a MemoryKvStore.
inline PageServerOptions InMemoryPageServer(std::string address) {
  PageServerOptions options;
  options.data_dir = "/data";
  options.listen = std::move(address);
  options.open_store = [](Runtime* r, std::string path) {
    return MemoryKvStore::Open(r, std::move(path));
  };
  return options;
}

inline Task<void> RunPageServer(Runtime* runtime, PageServerOptions options) {
  PageServer server(runtime, std::move(options));
  const Status started = co_await server.Start();
  EXPECT_TRUE(started.ok()) << started.ToString();
  Event never(runtime->scheduler);
  co_await never.Wait();
}

}  // namespace redoubt
