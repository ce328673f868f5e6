// SPDX-License-Identifier: MIT
//
// Messages written by people: scenarios and capsules.
#pragma once

#include <google/protobuf/message.h>

#include <string>

#include "common/base/status.h"

namespace redoubt::sim {

// Replaces `message` by what the text says. kInvalidArgument with line and column of the first
// error.
Status ParseText(const std::string& text, google::protobuf::Message* message);

}  // namespace redoubt::sim
