// SPDX-License-Identifier: MIT
#include "tests/tools/input_file.h"

#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>

namespace redoubt::tools {
namespace {
constexpr size_t kRegionBytes = size_t{64} << 20;
}  // namespace

Result<InputFile> InputFile::Open(const std::filesystem::path& path) {
  InputFile file;
  file.fd_ = open(path.c_str(), O_RDONLY | O_CLOEXEC);
  struct stat info = {};
  if (file.fd_ < 0 || fstat(file.fd_, &info) != 0) {
    return FromErrno(errno, "open " + path.string());
  }
  file.size_ = static_cast<uint64_t>(info.st_size);
  return file;
}

InputFile::~InputFile() {
  if (fd_ >= 0) {
    close(fd_);
  }
}

void InputFile::Read(uint64_t offset, MutableByteView out) const {
  size_t done = 0;
  while (done < out.size()) {
    const ssize_t count =
        pread(fd_, out.data() + done, out.size() - done, static_cast<off_t>(offset + done));
    REDOUBT_CHECK(count >= 0 || errno == EINTR);
    if (count == 0) {
      std::memset(out.data() + done, 0, out.size() - done);
      return;
    }
    done += count > 0 ? static_cast<size_t>(count) : 0;
  }
}

PageArena::~PageArena() {
  for (uint8_t* region : regions_) {
    munmap(region, kRegionBytes);
  }
}

uint8_t* PageArena::Allocate() {
  if (!free_.empty()) {
    uint8_t* page = free_.back();
    free_.pop_back();
    std::memset(page, 0, page_bytes_);
    return page;
  }
  if (regions_.empty() || used_ + page_bytes_ > kRegionBytes) {
    void* region = mmap(nullptr, kRegionBytes, PROT_READ | PROT_WRITE,
                        MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    REDOUBT_CHECK(region != MAP_FAILED);
    madvise(region, kRegionBytes, MADV_HUGEPAGE);
    regions_.push_back(static_cast<uint8_t*>(region));
    used_ = 0;
  }
  uint8_t* page = regions_.back() + used_;
  used_ += page_bytes_;
  return page;
}

}  // namespace redoubt::tools
