// SPDX-License-Identifier: MIT
//
// A file mapped copy-on-write: readable at memory speed, changeable without touching the file.
#pragma once

#include <filesystem>

#include "common/base/bytes.h"
#include "common/base/result.h"

namespace redoubt::tools {

class MappedFile {
 public:
  static Result<MappedFile> Open(const std::filesystem::path& path);
  MappedFile() = default;
  MappedFile(MappedFile&& other) noexcept { *this = std::move(other); }
  MappedFile& operator=(MappedFile&& other) noexcept {
    std::swap(data_, other.data_);
    std::swap(size_, other.size_);
    return *this;
  }
  ~MappedFile();

  ByteView view() const { return {data_, size_}; }
  uint8_t* data() { return data_; }
  size_t size() const { return size_; }

 private:
  uint8_t* data_ = nullptr;
  size_t size_ = 0;
};

}  // namespace redoubt::tools
