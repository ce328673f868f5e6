// SPDX-License-Identifier: MIT
//
// Keeps two servers out of one data directory: a lock on the file LOCK for as long as the process
// lives, which a crash releases by itself. Production only; simulated nodes own their disks.
#pragma once

#include <string>

#include "common/base/result.h"

namespace redoubt {

class DataDirLock {
 public:
  // Creates the directory when it is missing. kUnavailable: another process holds the lock (its
  // number is named). kIoError: the directory cannot be written.
  static Result<DataDirLock> Acquire(const std::string& data_dir);

  DataDirLock(DataDirLock&& other) noexcept;
  DataDirLock& operator=(DataDirLock&&) = delete;
  DataDirLock(const DataDirLock&) = delete;
  DataDirLock& operator=(const DataDirLock&) = delete;
  ~DataDirLock();

 private:
  explicit DataDirLock(int descriptor) : descriptor_(descriptor) {}
  int descriptor_;
};

}  // namespace redoubt
