// SPDX-License-Identifier: MIT
#include "client/tail/redo_hold.h"

#include <algorithm>
#include <utility>

namespace redoubt::tail {

RedoHold::RedoHold(Runtime* runtime, std::string directory)
    : runtime_(runtime), directory_(std::move(directory)) {}

bool RedoHold::Has(const RedoFile& file) const {
  return std::any_of(held_.begin(), held_.end(), [&file](const HeldRedoFile& held) {
    return held.file.range.start == file.range.start && held.file.log_uuid == file.log_uuid;
  });
}

// False: a file was gone before it could be opened.
Task<Result<bool>> RedoHold::TakeOnce(Lsn from) {
  const Result<RedoDirectory> directory = co_await ScanRedoDirectory(runtime_, directory_);
  if (!directory.ok()) {
    co_return directory.status();
  }
  bool all = true;
  for (const RedoFile& file : directory->files) {
    if (file.range.end <= from || Has(file)) {
      continue;
    }
    Result<std::unique_ptr<File>> handle =
        co_await runtime_->files->Open(file.path, OpenMode::kRead);
    if (handle.ok()) {
      held_.push_back({file, std::move(*handle)});
    } else if (handle.status().code() == StatusCode::kNotFound) {
      all = false;
    } else {
      co_return handle.status();
    }
  }
  co_return all;
}

Task<Status> RedoHold::Take(Lsn from) {
  Result<bool> all = co_await TakeOnce(from);
  if (all.ok() && !*all) {
    all = co_await TakeOnce(from);
  }
  co_return all.status();
}

void RedoHold::Release(Lsn lsn) {
  std::erase_if(held_, [lsn](const HeldRedoFile& held) { return held.file.range.end <= lsn; });
}

std::optional<HeldRedoFile> RedoHold::Find(Lsn lsn, uint32_t log_uuid) const {
  for (const HeldRedoFile& held : held_) {
    if (held.file.range.Contains(lsn) && (log_uuid == 0 || held.file.log_uuid == log_uuid)) {
      return held;
    }
  }
  return std::nullopt;
}

}  // namespace redoubt::tail
