// SPDX-License-Identifier: MIT
//
// A client that follows the model server's redo as redotail does: asks the log servers where the
// log ends, sends from there through the real LogWriter, starts again after failures. Keeps nothing
// of its own: what it needs after a crash the servers tell it.
#pragma once

#include "client/log_writer.h"
#include "common/runtime/runtime.h"
#include "sim/cluster/run_context.h"
#include "sim/cluster/shown_writer.h"
#include "sim/cluster/volume_setup.h"
#include "sim/runtime/seeded_stream.h"
#include "sim/runtime/sim_world.h"

namespace redoubt::sim {

class TailerProgram : public NodeProgram {
 public:
  // `entity`: for its random stream; differs between lives.
  TailerProgram(Runtime* runtime, RunContext* context, uint64_t entity);
  Task<void> Run() override;
  void Describe(NodeState* state) const override { shown_.Describe('W', state); }

 private:
  // One writer's life, until it fails for good.
  Task<Status> Serve();
  Task<Status> Write(LogWriter* writer, VolumeSetup* setup);
  Task<void> FalseStart(VolumeSetup* setup);
  Task<Status> BeginLog(LogWriter* writer, VolumeSetup* setup, LogPosition position);
  Task<Status> Stream(LogWriter* writer);
  Task<void> WatchAcknowledged(LogWriter* writer);
  TimePoint In(int64_t ns) const;

  Runtime* runtime_;
  RunContext* context_;
  SeededStream random_;
  ShownWriter shown_;
};

}  // namespace redoubt::sim
