// SPDX-License-Identifier: MIT
#include "tests/tools/mapped_file.h"

#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>

namespace redoubt::tools {

Result<MappedFile> MappedFile::Open(const std::filesystem::path& path) {
  const int fd = open(path.c_str(), O_RDONLY | O_CLOEXEC);
  if (fd < 0) {
    return FromErrno(errno, "open " + path.string());
  }
  struct stat info = {};
  MappedFile file;
  if (fstat(fd, &info) == 0 && info.st_size > 0) {
    void* at = mmap(nullptr, static_cast<size_t>(info.st_size), PROT_READ | PROT_WRITE,
                    MAP_PRIVATE | MAP_NORESERVE, fd, 0);
    if (at == MAP_FAILED) {
      const int error = errno;
      close(fd);
      return FromErrno(error, "map " + path.string());
    }
    file.data_ = static_cast<uint8_t*>(at);
    file.size_ = static_cast<size_t>(info.st_size);
  }
  close(fd);
  return file;
}

MappedFile::~MappedFile() {
  if (data_ != nullptr) {
    munmap(data_, size_);
  }
}

}  // namespace redoubt::tools
