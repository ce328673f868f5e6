// SPDX-License-Identifier: MIT
//
// What is behind redoubt_reader: shared by page reads and by the calls of the boot bundle.
#pragma once

#include <deque>
#include <memory>
#include <string>
#include <vector>

#include "client/abi/handles.h"
#include "client/page_client.h"
#include "client/replica_calls.h"

struct redoubt_reader {
  explicit redoubt_reader(redoubt_client* of) : client(of) {}

  redoubt_client* client;
  uint32_t page_size = 0;
  std::unique_ptr<redoubt::PageClient> pages;  // on the loop

  // Completions, shared with the callers' threads; under `monitor`.
  redoubt::Monitor monitor;
  std::deque<redoubt_page_read*> done;
  size_t waiting = 0;  // submitted and not completed
  bool stopped = false;
};

namespace redoubt::abi {

// Runs the call on the loop and waits.
Status CallEvery(redoubt_reader* reader, ReplicaCall call, TimePoint deadline);

}  // namespace redoubt::abi
