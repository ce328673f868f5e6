// SPDX-License-Identifier: MIT
//
// Whether some mysqld has a data directory open, independent of SQL: it holds a lock on the system
// tablespace from before it recovers until after its last write.
#pragma once

#include <string>

#include "common/base/result.h"
#include "common/runtime/runtime.h"
#include "common/runtime/task.h"

namespace redoubt::tail {

class SourceProbe {
 public:
  virtual ~SourceProbe() = default;
  // kNotFound, kIoError: it cannot be said.
  virtual Task<Result<bool>> ServerHasFilesOpen() = 0;
};

// Asks the kernel who holds the POSIX lock on `system_file` (".../ibdata1").
class LockProbe final : public SourceProbe {
 public:
  LockProbe(BlockingExecutor* executor, std::string system_file);
  Task<Result<bool>> ServerHasFilesOpen() override;

 private:
  BlockingExecutor* executor_;
  std::string system_file_;
};

}  // namespace redoubt::tail
