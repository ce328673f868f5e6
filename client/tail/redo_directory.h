// SPDX-License-Identifier: MIT
//
// What lies in a server's #innodb_redo at one moment: the files in use, in LSN order, each with its
// header. Spare files ("_tmp") are left out: their content has no meaning.
//
// The server renames, recycles, truncates and removes files meanwhile, so a scan is only a hint
// where to read; RedoReader checks again after each read. Format: common/innodb/log_file.h.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "common/base/result.h"
#include "common/base/types.h"
#include "common/runtime/runtime.h"
#include "common/runtime/task.h"

namespace redoubt::tail {

struct RedoFile {
  std::string path;
  uint64_t id = 0;
  LsnRange range;  // by the file's size when it was scanned
  uint32_t log_uuid = 0;
  uint32_t flags = 0;  // innodb::LogFileFlag
  Lsn checkpoint;      // Lsn{0}: none in this file
  bool encrypted = false;
};

struct RedoDirectory {
  std::string path;
  std::vector<RedoFile> files;  // ascending by start LSN; all of one log uuid
  // The file that holds `lsn`; nullptr when none does.
  const RedoFile* Find(Lsn lsn) const;
  // Of the newest file; 0 without files.
  uint32_t log_uuid() const { return files.empty() ? 0 : files.back().log_uuid; }
  uint32_t flags() const { return files.empty() ? 0 : files.back().flags; }
  // Lsn{0} without files.
  Lsn begin() const { return files.empty() ? Lsn{} : files.front().range.start; }
  Lsn end() const { return files.empty() ? Lsn{} : files.back().range.end; }
  // The highest checkpoint that lies inside its file; Lsn{0}: none.
  Lsn Checkpoint() const;
};

// Files that vanish while they are looked at are left out. Of files with different uuids (a log set
// that is being replaced) only those with the uuid of the highest start LSN are kept. kNotFound: no
// such directory. kUnsupported: a file of a format other than 6. kIoError. A file whose header is
// torn or being written is left out, too.
Task<Result<RedoDirectory>> ScanRedoDirectory(Runtime* runtime, std::string path);

}  // namespace redoubt::tail
