// SPDX-License-Identifier: MIT
//
// RocksDB's files on a simulated disk. RocksDB's calls are synchronous: an operation takes effect
// at once, and the virtual time that it costs is added up for the executor, which lets it pass when
// the call has returned (sim_rocksdb.h). Everything else is as for the node's other files: faults,
// recorded operations, what a power cut leaves.
//
// RocksDB cannot be stopped in the middle of a call, and Debian's ends the process when a file is
// used after a write that failed. So:
//   - A power cut that an operation triggers (it comes after the present event) freezes the disk
//     as it is before that operation: the call goes on, on a disk whose changes are forgotten.
//   - A database that is closed because its node has died changes nothing any more, and is told
//     that it did.
//   - A write that has begun finds space: as in production, where it waits for it
//     (pageserver/storage/rocksdb_file_system.h). GetFreeSpace tells the truth.
#pragma once

#include <rocksdb/file_system.h>

#include <cstdint>
#include <functional>
#include <memory>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "sim/runtime/sim_disk.h"
#include "sim/runtime/sim_file_system.h"
#include "sim/runtime/sim_node.h"

namespace redoubt::sim {

class SimRocksdbFiles final : public rocksdb::FileSystem {
 public:
  // `scheduler` outlives it. `wall_seconds` gives files their time stamps.
  SimRocksdbFiles(NodeIdentity self, Scheduler* scheduler, std::function<uint64_t()> wall_seconds);

  // True when the node is dead, or will be after the present event.
  bool gone() const;
  bool dead() const { return !self_.alive(); }
  // Virtual time that operations have cost and that has not passed yet.
  void Owe(int64_t cost_ns) { owed_ns_ += cost_ns; }
  int64_t owed_ns() const { return owed_ns_; }
  int64_t TakeOwedNs() { return std::exchange(owed_ns_, 0); }

  const char* Name() const override { return "SimRocksdbFiles"; }
  rocksdb::IOStatus NewSequentialFile(const std::string& path, const rocksdb::FileOptions& options,
                                      std::unique_ptr<rocksdb::FSSequentialFile>* result,
                                      rocksdb::IODebugContext* debug) override;
  rocksdb::IOStatus NewRandomAccessFile(const std::string& path,
                                        const rocksdb::FileOptions& options,
                                        std::unique_ptr<rocksdb::FSRandomAccessFile>* result,
                                        rocksdb::IODebugContext* debug) override;
  rocksdb::IOStatus NewWritableFile(const std::string& path, const rocksdb::FileOptions& options,
                                    std::unique_ptr<rocksdb::FSWritableFile>* result,
                                    rocksdb::IODebugContext* debug) override;
  rocksdb::IOStatus NewDirectory(const std::string& path, const rocksdb::IOOptions& options,
                                 std::unique_ptr<rocksdb::FSDirectory>* result,
                                 rocksdb::IODebugContext* debug) override;
  rocksdb::IOStatus FileExists(const std::string& path, const rocksdb::IOOptions& options,
                               rocksdb::IODebugContext* debug) override;
  rocksdb::IOStatus GetChildren(const std::string& path, const rocksdb::IOOptions& options,
                                std::vector<std::string>* result,
                                rocksdb::IODebugContext* debug) override;
  rocksdb::IOStatus DeleteFile(const std::string& path, const rocksdb::IOOptions& options,
                               rocksdb::IODebugContext* debug) override;
  rocksdb::IOStatus CreateDir(const std::string& path, const rocksdb::IOOptions& options,
                              rocksdb::IODebugContext* debug) override;
  rocksdb::IOStatus CreateDirIfMissing(const std::string& path, const rocksdb::IOOptions& options,
                                       rocksdb::IODebugContext* debug) override;
  rocksdb::IOStatus DeleteDir(const std::string& path, const rocksdb::IOOptions& options,
                              rocksdb::IODebugContext* debug) override;
  rocksdb::IOStatus GetFileSize(const std::string& path, const rocksdb::IOOptions& options,
                                uint64_t* size, rocksdb::IODebugContext* debug) override;
  rocksdb::IOStatus GetFileModificationTime(const std::string& path,
                                            const rocksdb::IOOptions& options, uint64_t* seconds,
                                            rocksdb::IODebugContext* debug) override;
  rocksdb::IOStatus RenameFile(const std::string& from, const std::string& to,
                               const rocksdb::IOOptions& options,
                               rocksdb::IODebugContext* debug) override;
  rocksdb::IOStatus LockFile(const std::string& path, const rocksdb::IOOptions& options,
                             rocksdb::FileLock** lock, rocksdb::IODebugContext* debug) override;
  rocksdb::IOStatus UnlockFile(rocksdb::FileLock* lock, const rocksdb::IOOptions& options,
                               rocksdb::IODebugContext* debug) override;
  rocksdb::IOStatus GetTestDirectory(const rocksdb::IOOptions& options, std::string* path,
                                     rocksdb::IODebugContext* debug) override;
  rocksdb::IOStatus NewLogger(const std::string& path, const rocksdb::IOOptions& options,
                              std::shared_ptr<rocksdb::Logger>* result,
                              rocksdb::IODebugContext* debug) override;
  rocksdb::IOStatus GetAbsolutePath(const std::string& path, const rocksdb::IOOptions& options,
                                    std::string* result, rocksdb::IODebugContext* debug) override;
  rocksdb::IOStatus IsDirectory(const std::string& path, const rocksdb::IOOptions& options,
                                bool* result, rocksdb::IODebugContext* debug) override;
  rocksdb::IOStatus GetFreeSpace(const std::string& path, const rocksdb::IOOptions& options,
                                 uint64_t* free, rocksdb::IODebugContext* debug) override;

 private:
  class OpenFile;
  class SequentialFile;
  class RandomAccessFile;
  class WritableFile;
  class Directory;

  // Counts and records the operation. An injected fault, or kOk; an error when the node is dead.
  rocksdb::IOStatus Begin(FileOp op, uint64_t a, uint64_t bytes, const std::string& path);
  // The same for an operation that changes something by `change`; OK when the node is dead.
  template <typename ChangeFunction>
  rocksdb::IOStatus Change(FileOp op, uint64_t a, uint64_t bytes, const std::string& path,
                           ChangeFunction change);
  rocksdb::IOStatus Open(const std::string& path, OpenMode mode, std::unique_ptr<OpenFile>* file);
  Status Write(const OpenFile& file, uint64_t offset, const rocksdb::Slice& data);
  rocksdb::IOStatus Read(const OpenFile& file, uint64_t offset, size_t count,
                         rocksdb::Slice* result, char* scratch);

  NodeIdentity self_;
  SimDisk* disk_;
  SimFileSystem files_;
  std::function<uint64_t()> wall_seconds_;
  std::set<std::string> locked_;  // by this process: the locks end with it
  int64_t owed_ns_ = 0;
};

}  // namespace redoubt::sim
