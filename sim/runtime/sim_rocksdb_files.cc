// SPDX-License-Identifier: MIT
#include "sim/runtime/sim_rocksdb_files.h"

#include <algorithm>

#include "sim/runtime/sim_world.h"

namespace redoubt::sim {
namespace {

rocksdb::IOStatus ToIoStatus(const Status& status) {
  switch (status.code()) {
    case StatusCode::kOk:
      return rocksdb::IOStatus::OK();
    case StatusCode::kNotFound:
      return rocksdb::IOStatus::PathNotFound(status.message());
    case StatusCode::kNoSpace:
      return rocksdb::IOStatus::NoSpace(status.message());
    default:
      return rocksdb::IOStatus::IOError(status.message());
  }
}

// RocksDB's own log tells what the trace tells, with thread numbers and object sizes in it.
class SilentLogger final : public rocksdb::Logger {
 public:
  using Logger::Logv;
  void Logv(const char* /*format*/, va_list /*arguments*/) override {}
  void Logv(const rocksdb::InfoLogLevel /*level*/, const char* /*format*/,
            va_list /*arguments*/) override {}
  size_t GetLogFileSize() const override { return 0; }
};

class Lock final : public rocksdb::FileLock {
 public:
  explicit Lock(std::string locked_path) : path(std::move(locked_path)) {}
  const std::string path;
};

}  // namespace

template <typename ChangeFunction>
rocksdb::IOStatus SimRocksdbFiles::Change(FileOp op, uint64_t a, uint64_t bytes,
                                          const std::string& path, ChangeFunction change) {
  if (dead()) {
    return rocksdb::IOStatus::OK();
  }
  rocksdb::IOStatus status = Begin(op, a, bytes, path);
  return status.ok() ? ToIoStatus(change()) : status;
}

class SimRocksdbFiles::OpenFile {
 public:
  OpenFile(SimRocksdbFiles* opened_by, InodeId opened, std::string opened_path)
      : files(opened_by), inode(opened), path(std::move(opened_path)) {}
  OpenFile(const OpenFile&) = delete;
  OpenFile& operator=(const OpenFile&) = delete;
  ~OpenFile() { files->disk_->Close(inode); }

  SimRocksdbFiles* const files;
  const InodeId inode;
  const std::string path;
};

class SimRocksdbFiles::SequentialFile final : public rocksdb::FSSequentialFile {
 public:
  explicit SequentialFile(std::unique_ptr<OpenFile> file) : file_(std::move(file)) {}
  rocksdb::IOStatus Read(size_t count, const rocksdb::IOOptions& /*options*/,
                         rocksdb::Slice* result, char* scratch,
                         rocksdb::IODebugContext* /*debug*/) override {
    rocksdb::IOStatus status = file_->files->Read(*file_, position_, count, result, scratch);
    position_ += status.ok() ? result->size() : 0;
    return status;
  }
  rocksdb::IOStatus Skip(uint64_t count) override {
    position_ += count;
    return rocksdb::IOStatus::OK();
  }

 private:
  std::unique_ptr<OpenFile> file_;
  uint64_t position_ = 0;
};

class SimRocksdbFiles::RandomAccessFile final : public rocksdb::FSRandomAccessFile {
 public:
  explicit RandomAccessFile(std::unique_ptr<OpenFile> file) : file_(std::move(file)) {}
  rocksdb::IOStatus Read(uint64_t offset, size_t count, const rocksdb::IOOptions& /*options*/,
                         rocksdb::Slice* result, char* scratch,
                         rocksdb::IODebugContext* /*debug*/) const override {
    return file_->files->Read(*file_, offset, count, result, scratch);
  }

 private:
  std::unique_ptr<OpenFile> file_;
};

class SimRocksdbFiles::WritableFile final : public rocksdb::FSWritableFile {
 public:
  WritableFile(std::unique_ptr<OpenFile> file, const rocksdb::FileOptions& options)
      : rocksdb::FSWritableFile(options), file_(std::move(file)) {}
  rocksdb::IOStatus Append(const rocksdb::Slice& data, const rocksdb::IOOptions& /*options*/,
                           rocksdb::IODebugContext* /*debug*/) override {
    const auto write = [this, &data] { return file_->files->Write(*file_, size_, data); };
    rocksdb::IOStatus status =
        file_->files->Change(FileOp::kWrite, size_, data.size(), file_->path, write);
    size_ += status.ok() ? data.size() : 0;
    return status;
  }
  using rocksdb::FSWritableFile::Append;
  rocksdb::IOStatus Truncate(uint64_t size, const rocksdb::IOOptions& /*options*/,
                             rocksdb::IODebugContext* /*debug*/) override {
    const auto truncate = [this, size] {
      return file_->files->disk_->Truncate(file_->inode, size);
    };
    rocksdb::IOStatus status =
        file_->files->Change(FileOp::kTruncate, size, 0, file_->path, truncate);
    size_ = status.ok() ? size : size_;
    return status;
  }
  rocksdb::IOStatus Close(const rocksdb::IOOptions& /*options*/,
                          rocksdb::IODebugContext* /*debug*/) override {
    return rocksdb::IOStatus::OK();
  }
  rocksdb::IOStatus Flush(const rocksdb::IOOptions& /*options*/,
                          rocksdb::IODebugContext* /*debug*/) override {
    return rocksdb::IOStatus::OK();
  }
  rocksdb::IOStatus Sync(const rocksdb::IOOptions& options,
                         rocksdb::IODebugContext* debug) override;
  uint64_t GetFileSize(const rocksdb::IOOptions& /*options*/,
                       rocksdb::IODebugContext* /*debug*/) override {
    return size_;
  }

 private:
  std::unique_ptr<OpenFile> file_;
  uint64_t size_ = 0;
};

rocksdb::IOStatus SimRocksdbFiles::WritableFile::Sync(const rocksdb::IOOptions& /*options*/,
                                                      rocksdb::IODebugContext* /*debug*/) {
  SimRocksdbFiles* const files = file_->files;
  if (files->dead()) {
    return rocksdb::IOStatus::OK();
  }
  SimDisk* const disk = files->disk_;
  rocksdb::IOStatus status = files->Begin(FileOp::kSync, file_->inode, 0, file_->path);
  const uint64_t mark = disk->Mark();
  if (status.ok()) {
    disk->PromoteFile(file_->inode, mark);
  } else {
    disk->DropPending(file_->inode, mark);  // as in SimFile::Sync
  }
  return status;
}

class SimRocksdbFiles::Directory final : public rocksdb::FSDirectory {
 public:
  Directory(SimRocksdbFiles* files, InodeId inode, std::string path)
      : files_(files), inode_(inode), path_(std::move(path)) {}
  rocksdb::IOStatus Fsync(const rocksdb::IOOptions& /*options*/,
                          rocksdb::IODebugContext* /*debug*/) override {
    const auto promote = [this] {
      files_->disk_->PromoteDirectory(inode_, files_->disk_->Mark());
      return Status::Ok();
    };
    return files_->Change(FileOp::kSyncDirectory, 0, 0, path_, promote);
  }
  rocksdb::IOStatus Close(const rocksdb::IOOptions& /*options*/,
                          rocksdb::IODebugContext* /*debug*/) override {
    return rocksdb::IOStatus::OK();
  }

 private:
  SimRocksdbFiles* files_;
  InodeId inode_;
  std::string path_;
};

SimRocksdbFiles::SimRocksdbFiles(NodeIdentity self, Scheduler* scheduler,
                                 std::function<uint64_t()> wall_seconds)
    : self_(self),
      disk_(&self.world->DiskOf(self.node)),
      files_(self, scheduler, disk_),
      wall_seconds_(std::move(wall_seconds)) {}

bool SimRocksdbFiles::gone() const {
  return !self_.alive() || self_.world->IsBeingKilled(self_.node);
}

rocksdb::IOStatus SimRocksdbFiles::Begin(FileOp op, uint64_t a, uint64_t bytes,
                                         const std::string& path) {
  if (dead()) {
    return rocksdb::IOStatus::IOError("the machine is gone", path);
  }
  const Status fault = files_.Begin(op, a, bytes, path);
  Owe(files_.Cost(op, bytes, owed_ns_));
  if (gone()) {
    disk_->Freeze();
  }
  return ToIoStatus(fault);
}

Status SimRocksdbFiles::Write(const OpenFile& file, uint64_t offset, const rocksdb::Slice& data) {
  const uint64_t capacity = disk_->options().capacity_bytes;
  disk_->SetCapacity(std::max(capacity, disk_->used_bytes() + data.size()));
  Status status = disk_->Write(file.inode, offset, AsBytes(data.ToStringView()));
  disk_->SetCapacity(capacity);
  return status;
}

rocksdb::IOStatus SimRocksdbFiles::Open(const std::string& path, OpenMode mode,
                                        std::unique_ptr<OpenFile>* file) {
  rocksdb::IOStatus status = Begin(FileOp::kOpen, 0, static_cast<uint64_t>(mode), path);
  if (!status.ok()) {
    return status;
  }
  const Result<InodeId> inode = disk_->Open(path, mode);
  if (inode.ok()) {
    *file = std::make_unique<OpenFile>(this, *inode, path);
  }
  return ToIoStatus(inode.status());
}

rocksdb::IOStatus SimRocksdbFiles::Read(const OpenFile& file, uint64_t offset, size_t count,
                                        rocksdb::Slice* result, char* scratch) {
  *result = rocksdb::Slice();
  rocksdb::IOStatus status = Begin(FileOp::kRead, offset, count, file.path);
  if (!status.ok()) {
    return status;
  }
  if (disk_->FindBadSector(file.inode, offset, count).has_value()) {
    return rocksdb::IOStatus::IOError("unreadable sector", file.path);
  }
  const MutableByteView into(reinterpret_cast<uint8_t*>(scratch), count);
  *result = rocksdb::Slice(scratch, disk_->Read(file.inode, offset, into));
  return status;
}

rocksdb::IOStatus SimRocksdbFiles::NewSequentialFile(
    const std::string& path, const rocksdb::FileOptions& /*options*/,
    std::unique_ptr<rocksdb::FSSequentialFile>* result, rocksdb::IODebugContext* /*debug*/) {
  std::unique_ptr<OpenFile> file;
  rocksdb::IOStatus status = Open(path, OpenMode::kRead, &file);
  if (status.ok()) {
    *result = std::make_unique<SequentialFile>(std::move(file));
  }
  return status;
}

rocksdb::IOStatus SimRocksdbFiles::NewRandomAccessFile(
    const std::string& path, const rocksdb::FileOptions& /*options*/,
    std::unique_ptr<rocksdb::FSRandomAccessFile>* result, rocksdb::IODebugContext* /*debug*/) {
  std::unique_ptr<OpenFile> file;
  rocksdb::IOStatus status = Open(path, OpenMode::kRead, &file);
  if (status.ok()) {
    *result = std::make_unique<RandomAccessFile>(std::move(file));
  }
  return status;
}

rocksdb::IOStatus SimRocksdbFiles::NewWritableFile(const std::string& path,
                                                   const rocksdb::FileOptions& options,
                                                   std::unique_ptr<rocksdb::FSWritableFile>* result,
                                                   rocksdb::IODebugContext* debug) {
  std::unique_ptr<OpenFile> file;
  rocksdb::IOStatus status = Open(path, OpenMode::kCreate, &file);
  if (!status.ok()) {
    return status;
  }
  const bool cut = disk_->Size(file->inode) > 0;  // left by an earlier life
  auto writable = std::make_unique<WritableFile>(std::move(file), options);
  if (cut) {
    status = writable->Truncate(0, rocksdb::IOOptions(), debug);
  }
  if (status.ok()) {
    *result = std::move(writable);
  }
  return status;
}

rocksdb::IOStatus SimRocksdbFiles::NewDirectory(const std::string& path,
                                                const rocksdb::IOOptions& /*options*/,
                                                std::unique_ptr<rocksdb::FSDirectory>* result,
                                                rocksdb::IODebugContext* /*debug*/) {
  const Result<InodeId> inode = disk_->FindDirectory(path);
  if (inode.ok()) {
    *result = std::make_unique<Directory>(this, *inode, path);
  }
  return ToIoStatus(inode.status());
}

rocksdb::IOStatus SimRocksdbFiles::FileExists(const std::string& path,
                                              const rocksdb::IOOptions& /*options*/,
                                              rocksdb::IODebugContext* /*debug*/) {
  const Status status = disk_->Stat(path).status();
  return status.code() == StatusCode::kNotFound ? rocksdb::IOStatus::NotFound(status.message())
                                                : ToIoStatus(status);
}

rocksdb::IOStatus SimRocksdbFiles::GetChildren(const std::string& path,
                                               const rocksdb::IOOptions& /*options*/,
                                               std::vector<std::string>* result,
                                               rocksdb::IODebugContext* /*debug*/) {
  result->clear();
  const Result<std::vector<DirectoryEntry>> entries = disk_->List(path);
  if (!entries.ok()) {
    return rocksdb::IOStatus::NotFound(entries.status().message());
  }
  std::transform(entries->begin(), entries->end(), std::back_inserter(*result),
                 [](const DirectoryEntry& entry) { return entry.name; });
  return rocksdb::IOStatus::OK();
}

rocksdb::IOStatus SimRocksdbFiles::DeleteFile(const std::string& path,
                                              const rocksdb::IOOptions& /*options*/,
                                              rocksdb::IODebugContext* /*debug*/) {
  return Change(FileOp::kRemove, 0, 0, path, [&] { return disk_->Remove(path); });
}

rocksdb::IOStatus SimRocksdbFiles::CreateDir(const std::string& path,
                                             const rocksdb::IOOptions& options,
                                             rocksdb::IODebugContext* debug) {
  if (disk_->Stat(path).ok()) {
    return rocksdb::IOStatus::IOError("exists", path);
  }
  return CreateDirIfMissing(path, options, debug);
}

rocksdb::IOStatus SimRocksdbFiles::CreateDirIfMissing(const std::string& path,
                                                      const rocksdb::IOOptions& /*options*/,
                                                      rocksdb::IODebugContext* /*debug*/) {
  return Change(FileOp::kMakeDirectory, 0, 0, path, [&] { return disk_->CreateDirectories(path); });
}

rocksdb::IOStatus SimRocksdbFiles::DeleteDir(const std::string& path,
                                             const rocksdb::IOOptions& options,
                                             rocksdb::IODebugContext* debug) {
  return DeleteFile(path, options, debug);
}

rocksdb::IOStatus SimRocksdbFiles::GetFileSize(const std::string& path,
                                               const rocksdb::IOOptions& /*options*/,
                                               uint64_t* size, rocksdb::IODebugContext* /*debug*/) {
  const Result<FileInfo> info = disk_->Stat(path);
  *size = info.ok() ? info->size_bytes : 0;
  return ToIoStatus(info.status());
}

rocksdb::IOStatus SimRocksdbFiles::GetFileModificationTime(const std::string& path,
                                                           const rocksdb::IOOptions& /*options*/,
                                                           uint64_t* seconds,
                                                           rocksdb::IODebugContext* /*debug*/) {
  *seconds = wall_seconds_();
  return ToIoStatus(disk_->Stat(path).status());
}

rocksdb::IOStatus SimRocksdbFiles::RenameFile(const std::string& from, const std::string& to,
                                              const rocksdb::IOOptions& /*options*/,
                                              rocksdb::IODebugContext* /*debug*/) {
  return Change(FileOp::kRename, 0, 0, from, [&] { return disk_->Rename(from, to); });
}

rocksdb::IOStatus SimRocksdbFiles::LockFile(const std::string& path,
                                            const rocksdb::IOOptions& /*options*/,
                                            rocksdb::FileLock** lock,
                                            rocksdb::IODebugContext* /*debug*/) {
  *lock = nullptr;
  std::unique_ptr<OpenFile> file;
  rocksdb::IOStatus status = Open(path, OpenMode::kCreate, &file);
  if (status.ok() && !locked_.insert(path).second) {
    status = rocksdb::IOStatus::IOError("lock hold by this process", path);
  }
  if (status.ok()) {
    *lock = new Lock(path);  // RocksDB gives it back to UnlockFile
  }
  return status;
}

rocksdb::IOStatus SimRocksdbFiles::UnlockFile(rocksdb::FileLock* lock,
                                              const rocksdb::IOOptions& /*options*/,
                                              rocksdb::IODebugContext* /*debug*/) {
  const std::unique_ptr<Lock> owned(static_cast<Lock*>(lock));
  locked_.erase(owned->path);
  return rocksdb::IOStatus::OK();
}

rocksdb::IOStatus SimRocksdbFiles::GetTestDirectory(const rocksdb::IOOptions& /*options*/,
                                                    std::string* /*path*/,
                                                    rocksdb::IODebugContext* /*debug*/) {
  return rocksdb::IOStatus::NotSupported("no test directory");
}

rocksdb::IOStatus SimRocksdbFiles::NewLogger(const std::string& /*path*/,
                                             const rocksdb::IOOptions& /*options*/,
                                             std::shared_ptr<rocksdb::Logger>* result,
                                             rocksdb::IODebugContext* /*debug*/) {
  *result = std::make_shared<SilentLogger>();
  return rocksdb::IOStatus::OK();
}

rocksdb::IOStatus SimRocksdbFiles::GetAbsolutePath(const std::string& path,
                                                   const rocksdb::IOOptions& /*options*/,
                                                   std::string* result,
                                                   rocksdb::IODebugContext* /*debug*/) {
  *result = path.starts_with('/') ? path : "/" + path;
  return rocksdb::IOStatus::OK();
}

rocksdb::IOStatus SimRocksdbFiles::IsDirectory(const std::string& path,
                                               const rocksdb::IOOptions& /*options*/, bool* result,
                                               rocksdb::IODebugContext* /*debug*/) {
  const Result<FileInfo> info = disk_->Stat(path);
  *result = info.ok() && info->is_directory;
  return ToIoStatus(info.status());
}

rocksdb::IOStatus SimRocksdbFiles::GetFreeSpace(const std::string& /*path*/,
                                                const rocksdb::IOOptions& /*options*/,
                                                uint64_t* free,
                                                rocksdb::IODebugContext* /*debug*/) {
  const uint64_t capacity = disk_->options().capacity_bytes;
  *free = capacity - std::min(capacity, disk_->used_bytes());
  return rocksdb::IOStatus::OK();
}

}  // namespace redoubt::sim
