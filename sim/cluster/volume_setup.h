// SPDX-License-Identifier: MIT
//
// What a writer does about its volume besides writing: creates it on the log servers, and tells the
// page servers where its pages begin.
#pragma once

#include <cstddef>
#include <map>
#include <memory>

#include "client/volume_client.h"
#include "common/base/types.h"
#include "common/runtime/rpc/reconnecting_channel.h"
#include "common/runtime/runtime.h"
#include "common/runtime/task_group.h"
#include "sim/cluster/run_context.h"

namespace redoubt::sim {

class VolumeSetup {
 public:
  VolumeSetup(Runtime* runtime, RunContext* context);

  // The volume exists at a majority. Made once: a server that loses it later gets it back from the
  // writer, who knows when that is safe.
  Task<Status> EnsureVolume();
  // The log has just begun: pages are there from its begin on.
  void ForgetHorizons() { context_->horizon_set.clear(); }
  // One server with every role, on which the volume has this number; at once.
  Task<Status> SetHorizon(VolumeId volume, Epoch epoch);
  // Beside what else is done, until Close: every page server gets the volume and its horizon as
  // soon as it can be told, again when it has lost its disk.
  void KeepHorizonsSet(Epoch epoch);
  // To one of the servers; not after Close.
  VolumeClient ClientOf(NodeId server) { return VolumeClient(channels_.at(server).get()); }
  Task<void> Close();

 private:
  Task<Status> CreateVolume(NodeId server);
  static Task<void> CreateVolumeAt(VolumeSetup* self, NodeId server, size_t* there,
                                   Status* problem);
  Task<Status> SetHorizonAt(NodeId server, VolumeId volume, Epoch epoch);
  Task<void> SetHorizons(Epoch epoch);
  Task<Status> FindAndSetHorizon(NodeId server, Epoch epoch);
  TimePoint Deadline() const;

  Runtime* runtime_;
  RunContext* context_;
  std::map<NodeId, std::unique_ptr<ReconnectingChannel>> channels_;
  TaskGroup tasks_;
};

}  // namespace redoubt::sim
