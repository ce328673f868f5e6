// SPDX-License-Identifier: MIT
//
// A client that follows the model server's redo as redotail does: asks the log servers where the
// log ends, sends from there through the real LogWriter, starts again after failures. Keeps nothing
// of its own: what it needs after a crash the servers tell it.
#pragma once

#include <map>
#include <memory>

#include "client/log_writer.h"
#include "client/volume_client.h"
#include "common/runtime/rpc/reconnecting_channel.h"
#include "common/runtime/runtime.h"
#include "sim/cluster/run_context.h"
#include "sim/runtime/seeded_stream.h"
#include "sim/runtime/sim_world.h"

namespace redoubt::sim {

class TailerProgram : public NodeProgram {
 public:
  // `entity`: for its random stream; differs between lives.
  TailerProgram(Runtime* runtime, RunContext* context, uint64_t entity);
  Task<void> Run() override;

 private:
  // One writer's life, until it fails for good.
  Task<Status> Serve();
  Task<Status> Write(LogWriter* writer);
  Task<void> FalseStart();
  // The volume exists at a majority. Made once: a server that loses it later gets it back from the
  // writer, who knows when that is safe.
  Task<Status> EnsureVolume();
  Task<Status> CreateVolume(NodeId server);
  static Task<void> CreateVolumeAt(TailerProgram* self, NodeId server, size_t* there,
                                   Status* problem);
  Task<Status> BeginLog(LogWriter* writer, LogPosition position);
  Task<Status> SetHorizon(NodeId server, VolumeId volume, Epoch epoch);
  // At every page server, as soon as it can be told.
  Task<void> SetHorizons(Epoch epoch);
  Task<Status> FindAndSetHorizon(NodeId server, Epoch epoch);
  Task<Status> Stream(LogWriter* writer);
  Task<void> WatchAcknowledged(LogWriter* writer);
  TimePoint In(int64_t ns) const;
  VolumeClient ClientOf(NodeId server) { return VolumeClient(channels_.at(server).get()); }

  Runtime* runtime_;
  RunContext* context_;
  SeededStream random_;
  std::map<NodeId, std::unique_ptr<ReconnectingChannel>> channels_;  // to each server, of one life
};

}  // namespace redoubt::sim
