// SPDX-License-Identifier: MIT
//
// Sends what a followed server had before its log begins, as redotail's base copy does.
#pragma once

#include "client/volume_client.h"
#include "common/runtime/runtime.h"
#include "sim/workload/followed_server.h"

namespace redoubt::sim {

// Who sends: the page server's own number of the volume, and the writer's epoch.
struct WriterOf {
  VolumeId volume;
  Epoch epoch;
};

// Spaces, then pages, all as of `server`'s begin. Each request has `deadline` from when it is
// sent; the first that fails ends it. All of it may be sent again.
Task<Status> ImportBase(Runtime* runtime, VolumeClient* client, const FollowedServer* server,
                        WriterOf writer, Duration deadline);

}  // namespace redoubt::sim
