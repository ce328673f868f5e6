// SPDX-License-Identifier: MIT
//
// Making one volume on several servers with one identity.
#pragma once

#include <string>
#include <vector>

#include "common/base/result.h"
#include "common/runtime/runtime.h"
#include "common/runtime/task.h"
#include "proto/admin_service.pb.h"

namespace redoubt {

// Creates the volume that `request` describes (uid is ignored) on every one of `addresses`; all
// must be reached before the deadline. Servers that have it keep theirs, and give the others its
// identity, so a creation that was interrupted can be repeated. kAlreadyExists: all of them had it;
// or a writer has begun with it, and log servers that have none, since they may have lost their
// disk, were given none: only a writer can tell when that loses nothing (LogReplica::CreateVolume).
// kInvalidArgument: one has a volume of that name with another identity or page size.
Task<Status> CreateVolume(Runtime* runtime, std::vector<std::string> addresses,
                          proto::VolumeCreateRequest request, TimePoint deadline);

}  // namespace redoubt
