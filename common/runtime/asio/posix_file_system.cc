// SPDX-License-Identifier: MIT
#include "common/runtime/asio/posix_file_system.h"

#include <dirent.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <functional>
#include <string_view>
#include <utility>

#include "common/base/check.h"

namespace redoubt {
namespace {

// "write /data/log.1: No space left on device", with what to do where the reason alone does not
// say.
Status FileError(int error_number, std::string_view call, const std::string& path) {
  Status status = FromErrno(error_number, std::string(call) + " " + path);
  switch (error_number) {
    case ENOSPC:
    case EDQUOT:
      return {status.code(), status.message() + "; free space on its file system"};
    case EROFS:
    case EACCES:
    case EPERM:
      return {status.code(), status.message() + "; check owner, mode and mount of the directory"};
    case EMFILE:
    case ENFILE:
      return {status.code(), status.message() + "; raise the limit of open files"};
    default:
      return status;
  }
}

class Descriptor {
 public:
  explicit Descriptor(int fd) : fd_(fd) {}
  Descriptor(const Descriptor&) = delete;
  Descriptor& operator=(const Descriptor&) = delete;
  ~Descriptor() {
    if (fd_ >= 0) {
      close(fd_);
    }
  }
  int get() const { return fd_; }
  int Release() { return std::exchange(fd_, -1); }

 private:
  int fd_;
};

int OpenRetrying(const std::string& path, int flags) {
  int fd;
  do {
    fd = open(path.c_str(), flags | O_CLOEXEC, 0666);
  } while (fd < 0 && errno == EINTR);
  return fd;
}

Result<size_t> ReadFully(int fd, uint64_t offset, MutableByteView into, const std::string& path) {
  size_t done = 0;
  while (done < into.size()) {
    const ssize_t got =
        pread(fd, into.data() + done, into.size() - done, static_cast<off_t>(offset + done));
    if (got < 0 && errno != EINTR) {
      return FileError(errno, "read at offset " + std::to_string(offset + done) + " of", path);
    }
    if (got == 0) {
      break;
    }
    done += got > 0 ? static_cast<size_t>(got) : 0;
  }
  return done;
}

Status WriteFully(int fd, uint64_t offset, ByteView bytes, const std::string& path) {
  size_t done = 0;
  while (done < bytes.size()) {
    const ssize_t put =
        pwrite(fd, bytes.data() + done, bytes.size() - done, static_cast<off_t>(offset + done));
    if (put < 0 && errno != EINTR) {
      return FileError(errno, "write", path);
    }
    done += put > 0 ? static_cast<size_t>(put) : 0;
  }
  return Status::Ok();
}

Status SyncData(int fd, const std::string& path) {
  return fdatasync(fd) == 0 ? Status::Ok() : FileError(errno, "sync", path);
}

Result<FileInfo> StatPath(const std::string& path) {
  struct stat st{};
  if (stat(path.c_str(), &st) != 0) {
    return FileError(errno, "stat", path);
  }
  return FileInfo{static_cast<uint64_t>(st.st_size), static_cast<uint64_t>(st.st_ino),
                  S_ISDIR(st.st_mode)};
}

Result<std::vector<DirectoryEntry>> ListDirectory(const std::string& path) {
  DIR* const directory = opendir(path.c_str());
  if (directory == nullptr) {
    return FileError(errno, "list", path);
  }
  std::vector<DirectoryEntry> entries;
  for (;;) {
    errno = 0;
    const dirent* const entry = readdir(directory);
    if (entry == nullptr) {
      break;
    }
    const std::string_view name = entry->d_name;
    if (name == "." || name == "..") {
      continue;
    }
    bool is_directory = entry->d_type == DT_DIR;
    if (entry->d_type == DT_LNK || entry->d_type == DT_UNKNOWN) {
      const Result<FileInfo> info = StatPath(path + "/" + std::string(name));
      is_directory = info.ok() && info->is_directory;
    }
    entries.push_back({std::string(name), is_directory});
  }
  const int error_number = errno;
  closedir(directory);
  if (error_number != 0) {
    return FileError(error_number, "list", path);
  }
  std::sort(entries.begin(), entries.end(),
            [](const auto& a, const auto& b) { return a.name < b.name; });
  return entries;
}

Status MakeDirectories(const std::string& path) {
  for (size_t end = path.find('/', 1);; end = path.find('/', end + 1)) {
    const std::string prefix = path.substr(0, end);
    if (mkdir(prefix.c_str(), 0777) != 0) {
      const int error_number = errno;
      // EACCES, EROFS: a parent that exists need not be writable.
      const Result<FileInfo> info = StatPath(prefix);
      if (!info.ok() || !info->is_directory) {
        return FileError(error_number, "create directory", prefix);
      }
    }
    if (end == std::string::npos) {
      return Status::Ok();
    }
  }
}

Status SyncDirectoryPath(const std::string& path) {
  const Descriptor directory(OpenRetrying(path, O_RDONLY | O_DIRECTORY));
  if (directory.get() < 0 || fsync(directory.get()) != 0) {
    return FileError(errno, "sync directory", path);
  }
  return Status::Ok();
}

int OpenFlags(OpenMode mode) {
  switch (mode) {
    case OpenMode::kRead:
      return O_RDONLY;
    case OpenMode::kReadWrite:
      return O_RDWR;
    case OpenMode::kCreate:
      return O_RDWR | O_CREAT;
    case OpenMode::kCreateNew:
      return O_RDWR | O_CREAT | O_EXCL;
  }
  REDOUBT_CHECK(false);
}

// Each operation is a job that borrows the caller's frame; RunBorrowing keeps the frame until it
// ends.
class PosixFile final : public File {
 public:
  PosixFile(BlockingPool* pool, int fd, std::string path)
      : pool_(pool), descriptor_(fd), path_(std::move(path)) {}

  Task<Result<size_t>> ReadAt(uint64_t offset, MutableByteView into) override {
    Result<size_t> result = size_t{0};
    std::function<void()> work = [this, offset, into, &result] {
      result = ReadFully(descriptor_.get(), offset, into, path_);
    };
    co_await pool_->RunBorrowing(std::move(work));
    co_return result;
  }

  Task<Status> WriteAt(uint64_t offset, ByteView bytes) override {
    Status status;
    std::function<void()> work = [this, offset, bytes, &status] {
      status = WriteFully(descriptor_.get(), offset, bytes, path_);
    };
    co_await pool_->RunBorrowing(std::move(work));
    co_return status;
  }

  Task<Status> Sync() override {
    Status status;
    std::function<void()> work = [this, &status] { status = SyncData(descriptor_.get(), path_); };
    co_await pool_->RunBorrowing(std::move(work));
    co_return status;
  }

  Task<Status> WriteAndSync(uint64_t offset, ByteView bytes) override {
    Status status;
    std::function<void()> work = [this, offset, bytes, &status] {
      status = WriteFully(descriptor_.get(), offset, bytes, path_);
      if (!status.ok()) {
        return;
      }
      status = SyncData(descriptor_.get(), path_);
      if (status.code() == StatusCode::kNoSpace) {
        status = IoError(status.message());  // what was written before may be lost with it
      }
    };
    co_await pool_->RunBorrowing(std::move(work));
    co_return status;
  }

  Task<Result<uint64_t>> Size() override {
    struct stat st{};
    if (fstat(descriptor_.get(), &st) != 0) {  // answered from memory: not worth a thread
      co_return FileError(errno, "stat", path_);
    }
    co_return static_cast<uint64_t>(st.st_size);
  }

  Task<Status> Truncate(uint64_t size) override {
    Status status;
    std::function<void()> work = [this, size, &status] {
      if (ftruncate(descriptor_.get(), static_cast<off_t>(size)) != 0) {
        status = FileError(errno, "truncate", path_);
      }
    };
    co_await pool_->RunBorrowing(std::move(work));
    co_return status;
  }

 private:
  BlockingPool* pool_;
  Descriptor descriptor_;
  std::string path_;
};

}  // namespace

Task<Result<std::unique_ptr<File>>> PosixFileSystem::Open(std::string path, OpenMode mode) {
  Result<int> fd = -1;
  std::function<void()> work = [&path, mode, &fd] {
    Descriptor opened(OpenRetrying(path, OpenFlags(mode)));
    struct stat st{};
    if (opened.get() < 0 || fstat(opened.get(), &st) != 0) {
      fd = FileError(errno, "open", path);
    } else if (S_ISDIR(st.st_mode)) {
      fd = FileError(EISDIR, "open", path);
    } else {
      fd = opened.Release();
    }
  };
  co_await pool_->RunBorrowing(std::move(work));
  if (!fd.ok()) {
    co_return fd.status();
  }
  std::unique_ptr<File> file = std::make_unique<PosixFile>(pool_, *fd, std::move(path));
  co_return std::move(file);
}

Task<Result<std::vector<DirectoryEntry>>> PosixFileSystem::List(std::string directory) {
  Result<std::vector<DirectoryEntry>> result = std::vector<DirectoryEntry>();
  std::function<void()> work = [&directory, &result] { result = ListDirectory(directory); };
  co_await pool_->RunBorrowing(std::move(work));
  co_return std::move(result);
}

Task<Result<FileInfo>> PosixFileSystem::Stat(std::string path) {
  Result<FileInfo> result = FileInfo{};
  std::function<void()> work = [&path, &result] { result = StatPath(path); };
  co_await pool_->RunBorrowing(std::move(work));
  co_return result;
}

Task<Status> PosixFileSystem::CreateDirectories(std::string path) {
  Status status;
  std::function<void()> work = [&path, &status] { status = MakeDirectories(path); };
  co_await pool_->RunBorrowing(std::move(work));
  co_return status;
}

Task<Status> PosixFileSystem::Remove(std::string path) {
  Status status;
  std::function<void()> work = [&path, &status] {
    if (remove(path.c_str()) != 0) {
      status = FileError(errno, "remove", path);
    }
  };
  co_await pool_->RunBorrowing(std::move(work));
  co_return status;
}

Task<Status> PosixFileSystem::Rename(std::string from, std::string to) {
  Status status;
  std::function<void()> work = [&from, &to, &status] {
    if (rename(from.c_str(), to.c_str()) != 0) {
      status = FileError(errno, "rename", from + " to " + to);
    }
  };
  co_await pool_->RunBorrowing(std::move(work));
  co_return status;
}

Task<Status> PosixFileSystem::SyncDirectory(std::string directory) {
  Status status;
  std::function<void()> work = [&directory, &status] { status = SyncDirectoryPath(directory); };
  co_await pool_->RunBorrowing(std::move(work));
  co_return status;
}

}  // namespace redoubt
