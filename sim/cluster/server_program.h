// SPDX-License-Identifier: MIT
//
// A server on a simulated machine, in one of its roles.
#pragma once

#include <memory>
#include <optional>
#include <string>

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
  ServerProgram(NodeIdentity self, Runtime* runtime, RunContext* context, ServerRole role,
                std::string address);
  ServerProgram(const ServerProgram&) = delete;
  ServerProgram& operator=(const ServerProgram&) = delete;
  ~ServerProgram() override;
  // Where the volume's log stands; nothing while it is not there, or not started.
  std::optional<LogVolumeStatus> LogOf(const std::string& volume) const;
  // Up to where the volume's pages are said to be persisted; nothing of a server that is not ready.
  struct PagesSaid {
    VolumeId volume;
    Lsn persisted;
  };
  std::optional<PagesSaid> PagesOf(const std::string& volume) const;
  // Of a server with pages that is ready.
  struct CacheUse {
    uint64_t bytes;
    uint64_t bytes_max;  // as configured
  };
  std::optional<CacheUse> CacheUsed() const;
  // Starts the server; tries again, as whoever looks after it would, while its disk is full or has
  // just failed. A server that cannot start on what a crash left is a finding.
  Task<void> Run() override;
  Task<void> Stop() override;
  void Describe(NodeState* state) const override;

 private:
  Task<Status> Start();
  bool IsRightlyRefused(const Status& status) const;
  void CheckLogFormat();
  Runtime* runtime_;
  RunContext* context_;
  NodeId node_;
  ServerRole role_;
  std::string address_;
  std::unique_ptr<SimRocksdb> rocksdb_;  // null: the in-memory store
  std::unique_ptr<PageServer> server_;
  bool up_ = false;  // some of its volumes may have failed
  bool serving_ = false;
  uint64_t cache_bytes_max_ = 0;
};

}  // namespace redoubt::sim
