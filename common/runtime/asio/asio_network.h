// SPDX-License-Identifier: MIT
//
// TCP through Asio. A read or write first tries the system call without waiting and goes to the
// reactor only when it would block; a write gathers its parts into one call.
//
// The state of a socket is shared by its Connection and by the operations Asio still holds, which
// is why it is a shared_ptr: a Connection or a waiting coroutine may be destroyed at any time, and
// the operation, cancelled by that, finds nobody to resume. An awaiting coroutine that is destroyed
// closes its connection.
#pragma once

#include <memory>
#include <string>

#include "common/base/event_log.h"
#include "common/runtime/asio/blocking_pool.h"
#include "common/runtime/asio/event_loop.h"
#include "common/runtime/network.h"

namespace redoubt {

class AsioNetwork final : public Network {
 public:
  // All borrowed; `pool` resolves host names.
  AsioNetwork(EventLoop* loop, BlockingPool* pool, EventLog* log)
      : loop_(loop), pool_(pool), log_(log) {}

  Task<Result<std::unique_ptr<Connection>>> Connect(std::string address,
                                                    TimePoint deadline) override;
  Task<Result<std::unique_ptr<Listener>>> Listen(std::string address) override;

 private:
  EventLoop* loop_;
  BlockingPool* pool_;
  EventLog* log_;
};

}  // namespace redoubt
