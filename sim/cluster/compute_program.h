// SPDX-License-Identifier: MIT
//
// A model compute on a simulated machine, with the real LogWriter and the real PageClient: starts
// an epoch, recovers from the page servers, serves its clients until it is fenced or killed, and
// then begins again as another life. Keeps nothing between lives.
//
// One that serves ends its transactions once all is calm, and begins no more. One that audits is
// started last: it takes over, recovers, and shows the whole database to the checkers.
#pragma once

#include <string>
#include <vector>

#include "client/log_writer.h"
#include "client/page_client.h"
#include "common/runtime/runtime.h"
#include "sim/cluster/compute_start.h"
#include "sim/cluster/run_context.h"
#include "sim/cluster/shown_writer.h"
#include "sim/cluster/volume_setup.h"
#include "sim/runtime/seeded_stream.h"
#include "sim/runtime/sim_world.h"
#include "sim/workload/model_compute.h"

namespace redoubt::sim {

class ComputeProgram : public NodeProgram {
 public:
  enum class Duty : uint8_t { kServe, kAudit };
  // `entity`: for its random streams; differs between incarnations.
  ComputeProgram(Runtime* runtime, RunContext* context, NodeId machine, uint64_t entity, Duty duty);
  Task<void> Run() override;
  void Describe(NodeState* state) const override { shown_.Describe('C', state); }

 private:
  // One life, until it fails for good.
  Task<Status> Live();
  Task<Status> Write(LogWriter* writer, VolumeSetup* setup);
  // The epoch stands: from here on the compute works.
  Task<Status> Compute(LogWriter* writer, PageClient* pages, LogPosition position);
  // What comes before the recovery; *boot as ModelCompute wants it. `own`: null for none.
  Task<Status> Begin(LogPosition position, ComputeStart* start, LocalDatabase* own, LsnRange* boot);
  bool keeps_files() const;
  Task<Status> Work(ModelCompute* compute, Epoch epoch);
  Task<Status> BeginLog(LogWriter* writer, VolumeSetup* setup, LogPosition position);
  static Task<void> DrainWhenCalm(ComputeProgram* self, ModelCompute* compute);
  TimePoint In(int64_t ns) const { return runtime_->scheduler->Now() + Duration(ns); }

  Runtime* runtime_;
  RunContext* context_;
  NodeId machine_;
  uint64_t entity_;
  Duty duty_;
  SeededStream random_;
  ShownWriter shown_;
  uint64_t lives_ = 0;
};

}  // namespace redoubt::sim
