// SPDX-License-Identifier: MIT
//
// Files through POSIX calls on the blocking pool. Messages name the call, the path and the system's
// reason. Destroying a coroutine that waits for a file operation waits for the operation.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "common/runtime/asio/blocking_pool.h"
#include "common/runtime/file_system.h"

namespace redoubt {

class PosixFileSystem final : public FileSystem {
 public:
  // `pool` must outlive the file system and its files.
  explicit PosixFileSystem(BlockingPool* pool) : pool_(pool) {}

  Task<Result<std::unique_ptr<File>>> Open(std::string path, OpenMode mode) override;
  Task<Result<std::vector<DirectoryEntry>>> List(std::string directory) override;
  Task<Result<FileInfo>> Stat(std::string path) override;
  Task<Status> CreateDirectories(std::string path) override;
  Task<Status> Remove(std::string path) override;
  Task<Status> Rename(std::string from, std::string to) override;
  Task<Status> SyncDirectory(std::string directory) override;

 private:
  BlockingPool* pool_;
};

}  // namespace redoubt
