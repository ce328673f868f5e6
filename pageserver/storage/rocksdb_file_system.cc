// SPDX-License-Identifier: MIT
#include "pageserver/storage/rocksdb_file_system.h"

#include <sys/statvfs.h>
#include <unistd.h>

#include <utility>

namespace redoubt {
namespace {

constexpr uint64_t kReserveBytes = 16 << 20;
constexpr useconds_t kPollMicroseconds = 200'000;

// Bytes that may still be written to the file system of `path`, or of its nearest parent that
// exists; UINT64_MAX when that cannot be known. Blocking.
uint64_t FreeBytes(std::string path) {
  struct statvfs state{};
  while (statvfs(path.c_str(), &state) != 0) {
    const size_t slash = path.rfind('/');
    if (slash == std::string::npos || slash == 0) {
      return UINT64_MAX;
    }
    path.resize(slash);
  }
  return uint64_t{state.f_bavail} * state.f_frsize;
}

class PatientFile final : public rocksdb::FSWritableFileOwnerWrapper {
 public:
  PatientFile(std::unique_ptr<rocksdb::FSWritableFile> file, std::string path)
      : FSWritableFileOwnerWrapper(std::move(file)), path_(std::move(path)) {}

  using FSWritableFileOwnerWrapper::Append;
  using FSWritableFileOwnerWrapper::PositionedAppend;
  rocksdb::IOStatus Append(const rocksdb::Slice& data, const rocksdb::IOOptions& options,
                           rocksdb::IODebugContext* context) override {
    WaitForRoom(data.size());
    return FSWritableFileOwnerWrapper::Append(data, options, context);
  }
  rocksdb::IOStatus Append(const rocksdb::Slice& data, const rocksdb::IOOptions& options,
                           const rocksdb::DataVerificationInfo& verification,
                           rocksdb::IODebugContext* context) override {
    WaitForRoom(data.size());
    return FSWritableFileOwnerWrapper::Append(data, options, verification, context);
  }
  rocksdb::IOStatus Allocate(uint64_t offset, uint64_t length, const rocksdb::IOOptions& options,
                             rocksdb::IODebugContext* context) override {
    WaitForRoom(length);
    return FSWritableFileOwnerWrapper::Allocate(offset, length, options, context);
  }

 private:
  // On a thread of RocksDB, or of the blocking executor.
  void WaitForRoom(uint64_t bytes) const {
    while (FreeBytes(path_) < bytes + kReserveBytes) {
      usleep(kPollMicroseconds);  // tidy: allow(sleep): no coroutine, a thread of RocksDB
    }
  }

  std::string path_;
};

class PatientFileSystem final : public rocksdb::FileSystemWrapper {
 public:
  using FileSystemWrapper::FileSystemWrapper;
  const char* Name() const override { return "PatientFileSystem"; }
  rocksdb::IOStatus NewWritableFile(const std::string& path, const rocksdb::FileOptions& options,
                                    std::unique_ptr<rocksdb::FSWritableFile>* result,
                                    rocksdb::IODebugContext* context) override {
    const rocksdb::IOStatus status = target()->NewWritableFile(path, options, result, context);
    return Wrap(path, status, result);
  }
  rocksdb::IOStatus ReopenWritableFile(const std::string& path, const rocksdb::FileOptions& options,
                                       std::unique_ptr<rocksdb::FSWritableFile>* result,
                                       rocksdb::IODebugContext* context) override {
    const rocksdb::IOStatus status = target()->ReopenWritableFile(path, options, result, context);
    return Wrap(path, status, result);
  }
  rocksdb::IOStatus GetFreeSpace(const std::string& path, const rocksdb::IOOptions& /*options*/,
                                 uint64_t* free, rocksdb::IODebugContext* /*context*/) override {
    *free = FreeBytes(path);
    return rocksdb::IOStatus::OK();
  }

 private:
  static rocksdb::IOStatus Wrap(const std::string& path, const rocksdb::IOStatus& status,
                                std::unique_ptr<rocksdb::FSWritableFile>* result) {
    if (status.ok()) {
      *result = std::make_unique<PatientFile>(std::move(*result), path);
    }
    return status;
  }
};

}  // namespace

std::shared_ptr<rocksdb::FileSystem> MakePatientFileSystem() {
  return std::make_shared<PatientFileSystem>(rocksdb::FileSystem::Default());
}

}  // namespace redoubt
