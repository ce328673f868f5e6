// SPDX-License-Identifier: MIT
#include "client/tail/source_probe.h"

#include <fcntl.h>
#include <unistd.h>

#include <cerrno>
#include <utility>

namespace redoubt::tail {
namespace {

Result<bool> IsLocked(const std::string& path) {
  const int fd = open(path.c_str(), O_RDONLY | O_CLOEXEC);
  if (fd < 0) {
    return FromErrno(errno, "open " + path);
  }
  struct flock lock{};
  lock.l_type = F_WRLCK;
  lock.l_whence = SEEK_SET;
  const int outcome = fcntl(fd, F_GETLK, &lock);
  const int error_number = errno;
  close(fd);
  if (outcome != 0) {
    return FromErrno(error_number, "ask for the lock of " + path);
  }
  return lock.l_type != F_UNLCK;
}

}  // namespace

LockProbe::LockProbe(BlockingExecutor* executor, std::string system_file)
    : executor_(executor), system_file_(std::move(system_file)) {}

Task<Result<bool>> LockProbe::ServerHasFilesOpen() {
  auto work = [path = system_file_] { return IsLocked(path); };
  Result<bool> locked = co_await RunBlocking(executor_, std::move(work));
  co_return locked;
}

}  // namespace redoubt::tail
