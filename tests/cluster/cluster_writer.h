// SPDX-License-Identifier: MIT
//
// The writing half of the database server: takes an epoch, appends the model's redo at a steady
// rate, and notes what is acknowledged before it counts.
#pragma once

#include "client/log_writer.h"
#include "common/base/status.h"
#include "common/runtime/runtime.h"
#include "common/runtime/sync.h"
#include "sim/runtime/seeded_stream.h"
#include "tests/cluster/chronicle.h"
#include "tests/cluster/cluster.h"

namespace redoubt::cluster {

// The volume on all servers; OK when it is there already. Tries each until the deadline.
Task<Status> CreateVolumes(Runtime* runtime, const ClusterOptions* options, TimePoint deadline);

class ClusterWriter {
 public:
  // All outlive it.
  ClusterWriter(Runtime* runtime, const ClusterOptions* options, Truth* truth, Chronicle* chronicle,
                Event* stop);
  ClusterWriter(const ClusterWriter&) = delete;
  ClusterWriter& operator=(const ClusterWriter&) = delete;

  // Until stopped (OK) or fenced (kStaleEpoch). Everything else is tried again.
  Task<Status> Run();

  // End of the last mtr that is known to be durable, as noted.
  Lsn acknowledged() const { return acknowledged_; }

 private:
  Task<Status> Serve();
  Task<Status> Begin(LogWriter* writer, Lsn end);
  Task<Status> SetHorizon(std::string server, Epoch epoch);
  Task<Status> Stream(LogWriter* writer);
  Task<void> WatchAcknowledged(LogWriter* writer);

  Runtime* runtime_;
  const ClusterOptions* options_;
  Truth* truth_;
  Chronicle* chronicle_;
  Event* stop_;
  sim::SeededStream random_;
  Lsn acknowledged_;
};

}  // namespace redoubt::cluster
