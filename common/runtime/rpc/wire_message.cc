// SPDX-License-Identifier: MIT
#include "common/runtime/rpc/wire_message.h"

#include <algorithm>
#include <limits>

namespace redoubt {

Bytes Serialise(const google::protobuf::MessageLite& message) {
  Bytes bytes(message.ByteSizeLong());
  message.SerializeWithCachedSizesToArray(bytes.data());
  return bytes;
}

Status FromProto(const proto::StatusProto& status) {
  if (status.code() == 0) {
    return Status::Ok();
  }
  const bool known = status.code() <= static_cast<uint32_t>(StatusCode::kUnauthenticated);
  return {known ? static_cast<StatusCode>(status.code()) : StatusCode::kUnavailable,
          status.message()};
}

void ToProto(const Status& status, proto::StatusProto* out) {
  if (!status.ok()) {
    out->set_code(static_cast<uint32_t>(status.code()));
    out->set_message(status.message());
  }
}

uint32_t DeadlineMs(TimePoint now, TimePoint deadline) {
  if (deadline == kNever) {
    return std::numeric_limits<uint32_t>::max();
  }
  const int64_t ms = std::chrono::duration_cast<std::chrono::milliseconds>(deadline - now).count();
  return static_cast<uint32_t>(std::clamp<int64_t>(ms, 1, std::numeric_limits<uint32_t>::max()));
}

}  // namespace redoubt
