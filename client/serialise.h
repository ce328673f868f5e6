// SPDX-License-Identifier: MIT
//
// A protobuf message as the header bytes of a request.
#pragma once

#include <google/protobuf/message_lite.h>

#include "common/base/bytes.h"

namespace redoubt {

inline Bytes Serialise(const google::protobuf::MessageLite& message) {
  Bytes bytes(message.ByteSizeLong());
  message.SerializeWithCachedSizesToArray(bytes.data());
  return bytes;
}

}  // namespace redoubt
