// SPDX-License-Identifier: MIT
//
// A file that is read at offsets, and an arena of zeroed pages: what a tool needs to hold a data
// directory's pages without paying for a page fault per 4 KiB.
#pragma once

#include <filesystem>
#include <utility>
#include <vector>

#include "common/base/bytes.h"
#include "common/base/result.h"

namespace redoubt::tools {

class InputFile {
 public:
  static Result<InputFile> Open(const std::filesystem::path& path);
  InputFile() = default;
  InputFile(InputFile&& other) noexcept { *this = std::move(other); }
  InputFile& operator=(InputFile&& other) noexcept {
    std::swap(fd_, other.fd_);
    std::swap(size_, other.size_);
    return *this;
  }
  ~InputFile();

  uint64_t size() const { return size_; }
  // Fills `out` from `offset`; bytes past the end of the file become zero. Aborts on an I/O error:
  // a test tool has no use for half a file.
  void Read(uint64_t offset, MutableByteView out) const;

 private:
  int fd_ = -1;
  uint64_t size_ = 0;
};

// Hands out zeroed, page-sized pieces; takes them back for reuse. Backed by huge pages where the
// system has them.
class PageArena {
 public:
  explicit PageArena(size_t page_bytes) : page_bytes_(page_bytes) {}
  PageArena(const PageArena&) = delete;
  PageArena& operator=(const PageArena&) = delete;
  ~PageArena();

  uint8_t* Allocate();
  void Free(uint8_t* page) { free_.push_back(page); }

 private:
  size_t page_bytes_;
  std::vector<uint8_t*> regions_;
  std::vector<uint8_t*> free_;
  size_t used_ = 0;  // bytes of the last region
};

}  // namespace redoubt::tools
