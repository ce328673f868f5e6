// SPDX-License-Identifier: MIT
//
// `pagectl redo dump`: reads redo files as they lie on disk, no server needed.
//
// The log begins at the first mtr that starts at or after `from`'s block (first_rec_group says
// where), and ends at the first block that is not its continuation: blank, stale, or damaged; which
// of them is said.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "client/ctl/console.h"
#include "common/base/types.h"
#include "common/innodb/log_file.h"
#include "common/runtime/runtime.h"

namespace redoubt::ctl {

struct RedoDumpOptions {
  // A redo file, an `#innodb_redo` directory, or a data directory that has one.
  std::string path;
  std::optional<Lsn> from;  // default: the oldest block there is
  std::optional<Lsn> to;    // exclusive: mtrs that start at or after it are not shown
  std::optional<PageId> page;
};

struct RedoFile {
  std::string path;
  innodb::LogFileLead lead;
  Lsn end_lsn;
};

// The redo files at `path`, in LSN order. kNotFound: there are none; kCorruption, kUnsupported,
// kIoError.
Task<Result<std::vector<RedoFile>>> FindRedoFiles(FileSystem* files, std::string path);

// Prints; with json one object per line: each file, each mtr, and at last why it ended. Exit code:
// kExitProblem when the log ends in a damaged block, an undecodable record or a missing file.
Task<int> DumpRedo(Runtime* runtime, Console* console, RedoDumpOptions options);

}  // namespace redoubt::ctl
