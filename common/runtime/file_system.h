// SPDX-License-Identifier: MIT
//
// Files with an explicit crash contract: what was written survives a crash only after Sync of the
// file, and a created, renamed or removed name only after SyncDirectory of its directory. An
// unsynced write may survive whole, in part, or not at all.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "common/base/bytes.h"
#include "common/base/result.h"
#include "common/runtime/task.h"

namespace redoubt {

class File {
 public:
  // Closes without syncing.
  virtual ~File() = default;
  // Reads up to into.size() bytes at `offset`; fewer only at the end of the file. kIoError.
  virtual Task<Result<size_t>> ReadAt(uint64_t offset, MutableByteView into) = 0;
  // Writes all of `bytes` at `offset`, growing the file. kIoError, kNoSpace: how much was written
  // is not known.
  virtual Task<Status> WriteAt(uint64_t offset, ByteView bytes) = 0;
  // Data and size are durable on OK. After an error nothing is known about earlier unsynced writes:
  // the caller must not go on as if a later Sync covered them.
  virtual Task<Status> Sync() = 0;
  // WriteAt and then Sync, for a caller that has nothing to do in between: one wait instead of two.
  // kNoSpace: of the write, nothing was synced. kIoError: of either.
  virtual Task<Status> WriteAndSync(uint64_t offset, ByteView bytes) = 0;
  virtual Task<Result<uint64_t>> Size() = 0;
  virtual Task<Status> Truncate(uint64_t size) = 0;
};

enum class OpenMode {
  kRead,       // must exist
  kReadWrite,  // must exist
  kCreate,     // created when missing, kept when not
  kCreateNew,  // kAlreadyExists when it exists
};

struct DirectoryEntry {
  std::string name;
  bool is_directory = false;
};

struct FileInfo {
  uint64_t size_bytes = 0;
  uint64_t inode = 0;
  bool is_directory = false;
};

class FileSystem {
 public:
  virtual ~FileSystem() = default;
  virtual Task<Result<std::unique_ptr<File>>> Open(std::string path, OpenMode mode) = 0;
  // Sorted by name, without "." and "..".
  virtual Task<Result<std::vector<DirectoryEntry>>> List(std::string directory) = 0;
  virtual Task<Result<FileInfo>> Stat(std::string path) = 0;
  // Creates missing parents too. OK when it exists already.
  virtual Task<Status> CreateDirectories(std::string path) = 0;
  // A file or an empty directory.
  virtual Task<Status> Remove(std::string path) = 0;
  // Replaces `to`.
  virtual Task<Status> Rename(std::string from, std::string to) = 0;
  virtual Task<Status> SyncDirectory(std::string directory) = 0;
};

}  // namespace redoubt
