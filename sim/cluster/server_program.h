// SPDX-License-Identifier: MIT
//
// The page server on a simulated machine.
#pragma once

#include <memory>

#include "common/runtime/runtime.h"
#include "pageserver/server.h"
#include "sim/cluster/run_context.h"
#include "sim/runtime/sim_node.h"
#include "sim/runtime/sim_rocksdb.h"
#include "sim/runtime/sim_world.h"

namespace redoubt::sim {

// Where the server keeps its data; the directory is made when the machine is installed.
inline constexpr char kServerDataDir[] = "/srv/redoubt";

class ServerProgram : public NodeProgram {
 public:
  ServerProgram(NodeIdentity self, Runtime* runtime, RunContext* context);
  // Starts the server; tries again, as whoever looks after it would, while its disk is full or has
  // just failed. A server that cannot start on what a crash left is a finding.
  Task<void> Run() override;

 private:
  Task<Status> Start();
  Runtime* runtime_;
  RunContext* context_;
  std::unique_ptr<SimRocksdb> rocksdb_;  // null: the in-memory store
  std::unique_ptr<PageServer> server_;
};

}  // namespace redoubt::sim
