// SPDX-License-Identifier: MIT
//
// An empty directory of the real file system for one test; it goes with everything in it.
#pragma once

#include <filesystem>
#include <string>
#include <system_error>

// mkdtemp is POSIX, not C++.
#include <stdlib.h>

#include "common/base/check.h"

namespace redoubt {

class TemporaryDirectory {
 public:
  TemporaryDirectory() {
    path_ = std::filesystem::temp_directory_path() / "redoubt_test.XXXXXX";
    REDOUBT_CHECK(mkdtemp(path_.data()) != nullptr);
  }
  TemporaryDirectory(const TemporaryDirectory&) = delete;
  TemporaryDirectory& operator=(const TemporaryDirectory&) = delete;
  ~TemporaryDirectory() {
    std::error_code ignored;
    std::filesystem::remove_all(path_, ignored);
  }
  const std::string& path() const { return path_; }

 private:
  std::string path_;
};

}  // namespace redoubt
