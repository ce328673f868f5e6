// SPDX-License-Identifier: MIT
//
// The FileSystem of one incarnation: the node's SimDisk behind virtual latency. A change takes
// effect when it is asked for and is answered later, so a crash in between finds it pending; a sync
// covers exactly what was asked for before it began.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "common/runtime/file_system.h"
#include "common/runtime/scheduler.h"
#include "sim/runtime/sim_disk.h"
#include "sim/runtime/sim_node.h"

namespace redoubt::sim {

class SimFileSystem : public FileSystem {
 public:
  // `scheduler` and `disk` outlive it and every file it opens.
  SimFileSystem(NodeIdentity self, Scheduler* scheduler, SimDisk* disk)
      : self_(self), scheduler_(scheduler), disk_(disk) {}

  Task<Result<std::unique_ptr<File>>> Open(std::string path, OpenMode mode) override;
  Task<Result<std::vector<DirectoryEntry>>> List(std::string directory) override;
  Task<Result<FileInfo>> Stat(std::string path) override;
  Task<Status> CreateDirectories(std::string path) override;
  Task<Status> Remove(std::string path) override;
  Task<Status> Rename(std::string from, std::string to) override;
  Task<Status> SyncDirectory(std::string directory) override;

  // --- For files that are used without coroutines (sim_rocksdb_files.h).
  // Counts and records the operation; an injected fault or kOk.
  Status Begin(FileOp op, uint64_t a, uint64_t b, const std::string& path);
  // Nanoseconds of an operation that begins so long after now; draws.
  int64_t Cost(FileOp op, uint64_t bytes, int64_t after_ns = 0);

 private:
  friend class SimFile;
  Scheduler::SleepAwaiter Latency(FileOp op, uint64_t bytes);

  NodeIdentity self_;
  Scheduler* scheduler_;
  SimDisk* disk_;
};

}  // namespace redoubt::sim
