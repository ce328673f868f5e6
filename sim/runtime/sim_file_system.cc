// SPDX-License-Identifier: MIT
#include "sim/runtime/sim_file_system.h"

#include <algorithm>
#include <optional>
#include <utility>

#include "sim/runtime/sim_world.h"

namespace redoubt::sim {

namespace {

// What throttling adds to one operation at most: it outlasts the episode otherwise.
constexpr int64_t kThrottledNsMax = 2'000'000'000;

}  // namespace

class SimFile : public File {
 public:
  SimFile(SimFileSystem* files, InodeId inode, std::string path)
      : files_(files), inode_(inode), path_(std::move(path)) {}
  SimFile(const SimFile&) = delete;
  SimFile& operator=(const SimFile&) = delete;
  ~SimFile() override { files_->disk_->Close(inode_); }

  Task<Result<size_t>> ReadAt(uint64_t offset, MutableByteView into) override;
  Task<Status> WriteAt(uint64_t offset, ByteView bytes) override;
  Task<Status> Sync() override;
  Task<Status> WriteAndSync(uint64_t offset, ByteView bytes) override;
  Task<Result<uint64_t>> Size() override;
  Task<Status> Truncate(uint64_t size) override;

 private:
  SimFileSystem* files_;
  InodeId inode_;
  std::string path_;
};

Status SimFileSystem::Begin(FileOp op, uint64_t a, uint64_t b, const std::string& path) {
  Status fault = disk_->CheckFault(op, path);
  std::string text(FileOpName(op));
  text += ' ';
  text += path;
  self_.world->Record(self_.node, fault.ok() ? TraceKind::kFileOp : TraceKind::kFileFault, a, b,
                      std::move(text));
  return fault;
}

int64_t SimFileSystem::Cost(FileOp op, uint64_t bytes, int64_t after_ns) {
  const DiskOptions& options = disk_->options();
  SeededStream& stream = disk_->latency();
  int64_t cost = static_cast<int64_t>(bytes) * 1000 / options.bytes_per_us;
  if (op == FileOp::kSync || op == FileOp::kSyncDirectory) {
    cost += options.sync_ns_min;
    cost += static_cast<int64_t>(stream.Exponential(static_cast<uint64_t>(options.sync_ns_mean)));
    if (stream.Chance(options.sync_stall_ppm)) {
      cost += options.sync_stall_ns;
    }
  } else {
    const int64_t mean = op == FileOp::kRead ? options.read_ns_mean : options.write_ns_mean;
    cost += static_cast<int64_t>(stream.Exponential(static_cast<uint64_t>(mean)));
  }
  const int64_t stalled_ns = disk_->stalled_until_ns() - self_.world->now_ns() - after_ns;
  const int64_t throttled = std::min(cost * options.slowdown, cost + kThrottledNsMax);
  return throttled + std::max<int64_t>(stalled_ns, 0);
}

Scheduler::SleepAwaiter SimFileSystem::Latency(FileOp op, uint64_t bytes) {
  return scheduler_->Sleep(Duration(Cost(op, bytes)));
}

Task<Result<std::unique_ptr<File>>> SimFileSystem::Open(std::string path, OpenMode mode) {
  Status status = Begin(FileOp::kOpen, 0, static_cast<uint64_t>(mode), path);
  std::unique_ptr<File> file;
  if (status.ok()) {
    const Result<InodeId> inode = disk_->Open(path, mode);
    status = inode.status();
    if (inode.ok()) {
      file = std::make_unique<SimFile>(this, *inode, path);
    }
  }
  co_await Latency(FileOp::kOpen, 0);
  if (!status.ok()) {
    co_return status;
  }
  co_return file;
}

Task<Result<std::vector<DirectoryEntry>>> SimFileSystem::List(std::string directory) {
  co_await Latency(FileOp::kRead, 0);
  co_return disk_->List(directory);
}

Task<Result<FileInfo>> SimFileSystem::Stat(std::string path) {
  co_await Latency(FileOp::kOpen, 0);
  co_return disk_->Stat(path);
}

Task<Status> SimFileSystem::CreateDirectories(std::string path) {
  Status status = Begin(FileOp::kMakeDirectory, 0, 0, path);
  if (status.ok()) {
    status = disk_->CreateDirectories(path);
  }
  co_await Latency(FileOp::kMakeDirectory, 0);
  co_return status;
}

Task<Status> SimFileSystem::Remove(std::string path) {
  Status status = Begin(FileOp::kRemove, 0, 0, path);
  if (status.ok()) {
    status = disk_->Remove(path);
  }
  co_await Latency(FileOp::kRemove, 0);
  co_return status;
}

Task<Status> SimFileSystem::Rename(std::string from, std::string to) {
  Status status = Begin(FileOp::kRename, 0, 0, from);
  if (status.ok()) {
    status = disk_->Rename(from, to);
  }
  co_await Latency(FileOp::kRename, 0);
  co_return status;
}

Task<Status> SimFileSystem::SyncDirectory(std::string directory) {
  Status status = Begin(FileOp::kSyncDirectory, 0, 0, directory);
  const uint64_t mark = disk_->Mark();
  co_await Latency(FileOp::kSyncDirectory, 0);
  if (status.ok()) {
    const Result<InodeId> inode = disk_->FindDirectory(directory);
    status = inode.status();
    if (inode.ok()) {
      disk_->PromoteDirectory(*inode, mark);
    }
  }
  co_return status;
}

Task<Result<size_t>> SimFile::ReadAt(uint64_t offset, MutableByteView into) {
  const Status status = files_->Begin(FileOp::kRead, offset, into.size(), path_);
  co_await files_->Latency(FileOp::kRead, into.size());
  if (!status.ok()) {
    co_return status;
  }
  const std::optional<uint64_t> bad = files_->disk_->FindBadSector(inode_, offset, into.size());
  if (bad.has_value()) {
    co_return IoError("read at offset " + std::to_string(std::max(*bad, offset)) + " of " + path_ +
                      ": Input/output error");
  }
  co_return files_->disk_->Read(inode_, offset, into);
}

Task<Status> SimFile::WriteAt(uint64_t offset, ByteView bytes) {
  Status status = files_->Begin(FileOp::kWrite, offset, bytes.size(), path_);
  if (status.ok()) {
    status = files_->disk_->Write(inode_, offset, bytes);
  }
  co_await files_->Latency(FileOp::kWrite, bytes.size());
  co_return status;
}

Task<Status> SimFile::Sync() {
  const Status status = files_->Begin(FileOp::kSync, inode_, 0, path_);
  const uint64_t mark = files_->disk_->Mark();
  co_await files_->Latency(FileOp::kSync, 0);
  if (status.ok()) {
    files_->disk_->PromoteFile(inode_, mark);
  } else {
    // The kernel marks the pages clean: a later sync will not write them either.
    files_->disk_->DropPending(inode_, mark);
  }
  co_return status;
}

// Two operations, so that a fault or a power cut may come between them.
Task<Status> SimFile::WriteAndSync(uint64_t offset, ByteView bytes) {
  const Status written = co_await WriteAt(offset, bytes);
  if (!written.ok()) {
    co_return written;
  }
  const Status synced = co_await Sync();
  co_return synced.code() == StatusCode::kNoSpace ? IoError(synced.message()) : synced;
}

Task<Result<uint64_t>> SimFile::Size() {
  const uint64_t size = files_->disk_->Size(inode_);
  co_return size;
}

Task<Status> SimFile::Truncate(uint64_t size) {
  Status status = files_->Begin(FileOp::kTruncate, size, 0, path_);
  if (status.ok()) {
    status = files_->disk_->Truncate(inode_, size);
  }
  co_await files_->Latency(FileOp::kTruncate, 0);
  co_return status;
}

}  // namespace redoubt::sim
