// SPDX-License-Identifier: MIT
//
// What a RocksDB database needs to live on a simulated node, for one incarnation: an Env whose
// files are the node's disk (sim_rocksdb_files.h), whose clock is the node's wall clock and whose
// background jobs run without threads (sim_rocksdb_jobs.h).
//
// A call of RocksDB runs from beginning to end at one instant, on the loop. The virtual time that
// its file operations cost passes after it, inside BlockingExecutor::Run; therefore the program
// that uses the database runs on runtime(), whose executor knows of it.
//
// Deterministic: the order, names and sizes of file operations, and what is read. Not so: session
// ids in RocksDB's files, and memory addresses. So nothing here looks at file contents.
#pragma once

#include <memory>

#include "common/runtime/runtime.h"
#include "sim/runtime/sim_node.h"

namespace rocksdb {
class Env;
}

namespace redoubt::sim {

class SimRocksdb {
 public:
  // `runtime` is the incarnation's and outlives it.
  SimRocksdb(NodeIdentity self, const Runtime& runtime);
  SimRocksdb(const SimRocksdb&) = delete;
  SimRocksdb& operator=(const SimRocksdb&) = delete;
  // The databases are closed.
  ~SimRocksdb();

  rocksdb::Env* env();
  Runtime* runtime() { return &runtime_; }

 private:
  class Executor;
  class Clock;
  class Environment;

  Runtime runtime_;
  std::unique_ptr<Executor> executor_;
  std::unique_ptr<Environment> environment_;
};

}  // namespace redoubt::sim
