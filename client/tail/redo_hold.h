// SPDX-License-Identifier: MIT
//
// Keeps redo files open that were not read yet, so that they stay readable when the server gives
// them up.
//
// A server that shuts down ends all sessions first, and with them the consumer registration, then
// writes its last checkpoint and recycles every file below it. What a slower reader has not read
// by then is gone from the directory, but not from an open file: a removed file lives until it is
// closed, and a spare one keeps its content until it is used again.
//
// Holding costs disk space only from the moment at which the server would have freed it. So files
// are taken while the registration keeps them anyhow, or while the server cannot be asked; a
// registration that was let go of on purpose releases them, too.
#pragma once

#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "client/tail/redo_directory.h"
#include "common/base/result.h"
#include "common/base/types.h"
#include "common/runtime/runtime.h"
#include "common/runtime/task.h"

namespace redoubt::tail {

struct HeldRedoFile {
  RedoFile file;
  std::shared_ptr<File> handle;
};

class RedoHold {
 public:
  // `directory`: the path of #innodb_redo.
  RedoHold(Runtime* runtime, std::string directory);

  // Opens what the directory has from `from` on and is not held yet. A file that vanishes meanwhile
  // is looked for once more under its new name, then left out. Errors: as ScanRedoDirectory, and
  // those of opening a file.
  Task<Status> Take(Lsn from);
  // Closes files that end at or below `lsn`; kMaxLsn: all.
  void Release(Lsn lsn);

  // The file that held `lsn` when it was taken, of the log set `log_uuid` (0: any). Whether it
  // still does, its header tells.
  std::optional<HeldRedoFile> Find(Lsn lsn, uint32_t log_uuid) const;

  size_t count() const { return held_.size(); }

 private:
  Task<Result<bool>> TakeOnce(Lsn from);
  bool Has(const RedoFile& file) const;

  Runtime* runtime_;
  std::string directory_;
  std::vector<HeldRedoFile> held_;
};

}  // namespace redoubt::tail
