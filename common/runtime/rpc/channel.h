// SPDX-License-Identifier: MIT
//
// How a client reaches one server: many requests in flight, answers matched by request id.
#pragma once

#include <cstdint>
#include <memory>

#include "common/base/bytes.h"
#include "common/base/result.h"
#include "common/runtime/frame_stream.h"
#include "common/runtime/scheduler.h"
#include "common/runtime/task.h"

namespace redoubt {

// A payload is shared because the connection may still be sending it when the caller's deadline has
// passed, and because a writer keeps what it may have to send again. Null means none.
using SharedPayload = std::shared_ptr<const Bytes>;

struct RpcRequest {
  uint16_t type = 0;  // proto::MessageType, without the response bit
  Bytes header;       // the serialised request message
  SharedPayload payload;
};

class Channel {
 public:
  virtual ~Channel() = default;
  // One request and its answer. kDeadlineExceeded: no answer in time (the server may still act on
  // the request). kUnavailable: not connected, or the connection was lost; whether the server acted
  // is not known. The status that the server put into its answer is not looked at.
  virtual Task<Result<Frame>> Call(RpcRequest request, TimePoint deadline) = 0;
};

}  // namespace redoubt
