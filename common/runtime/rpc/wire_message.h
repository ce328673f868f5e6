// SPDX-License-Identifier: MIT
//
// What both ends of a connection do with the messages of proto/ in frame headers.
#pragma once

#include <cstdint>

#include "common/base/bytes.h"
#include "common/base/status.h"
#include "common/runtime/scheduler.h"
#include "proto/common.pb.h"

namespace redoubt {

// Set in the type of an answer's frame.
inline constexpr uint16_t kResponseBit = 0x8000;

// The message as the header bytes of a frame.
Bytes Serialise(const google::protobuf::MessageLite& message);

// StatusProto <-> Status. An unknown code becomes kUnavailable.
Status FromProto(const proto::StatusProto& status);
void ToProto(const Status& status, proto::StatusProto* out);

// Milliseconds from `now` to `deadline` for a request's deadline_ms, at least 1; kNever gives the
// maximum.
uint32_t DeadlineMs(TimePoint now, TimePoint deadline);

}  // namespace redoubt
