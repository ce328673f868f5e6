// SPDX-License-Identifier: MIT
#include "pageserver/data_dir_lock.h"

#include <fcntl.h>
#include <sys/file.h>
#include <unistd.h>

#include <cerrno>
#include <filesystem>
#include <system_error>
#include <utility>

namespace redoubt {
namespace {

std::string HolderOf(int descriptor) {
  char text[32] = {};
  const ssize_t got = pread(descriptor, text, sizeof text - 1, 0);
  std::string holder(text, got > 0 ? static_cast<size_t>(got) : 0);
  while (!holder.empty() && holder.back() == '\n') {
    holder.pop_back();
  }
  return holder;
}

}  // namespace

Result<DataDirLock> DataDirLock::Acquire(const std::string& data_dir) {
  std::error_code error;
  std::filesystem::create_directories(data_dir, error);
  if (error && !std::filesystem::is_directory(data_dir)) {
    return FromErrno(error.value(), "cannot create the data directory " + data_dir);
  }
  const std::string path = data_dir + "/LOCK";
  const int descriptor = open(path.c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0644);
  if (descriptor < 0) {
    return FromErrno(errno, "the data directory " + data_dir + " cannot be written (" + path +
                                "); check owner, mode and mount");
  }
  if (flock(descriptor, LOCK_EX | LOCK_NB) != 0) {
    const int lock_error = errno;
    const std::string holder = HolderOf(descriptor);
    close(descriptor);
    if (lock_error == EWOULDBLOCK) {
      return Unavailable("the data directory " + data_dir +
                         " is in use by another page server (process " + holder + ")");
    }
    return FromErrno(lock_error, "cannot lock " + path);
  }
  const std::string text = std::to_string(getpid()) + "\n";
  if (ftruncate(descriptor, 0) != 0 ||
      pwrite(descriptor, text.data(), text.size(), 0) != static_cast<ssize_t>(text.size())) {
    const int write_error = errno;
    close(descriptor);
    return FromErrno(write_error, "cannot write " + path);
  }
  return DataDirLock(descriptor);
}

DataDirLock::DataDirLock(DataDirLock&& other) noexcept
    : descriptor_(std::exchange(other.descriptor_, -1)) {}

DataDirLock::~DataDirLock() {
  if (descriptor_ >= 0) {
    close(descriptor_);
  }
}

}  // namespace redoubt
