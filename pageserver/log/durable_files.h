// SPDX-License-Identifier: MIT
//
// Small files and directories that are there after a crash: the steps that the file-system seam's
// crash contract asks for, in one place.
#pragma once

#include <string>

#include "common/base/bytes.h"
#include "common/base/result.h"
#include "common/runtime/file_system.h"
#include "common/runtime/task.h"

namespace redoubt {

// Creates `path` with its missing parents; all their names are durable on OK, also those that an
// earlier attempt created and did not live to sync. Names above the nearest parent that existed are
// synced as far as this process may.
Task<Status> CreateDurableDirectories(FileSystem* files, std::string path);
// Replaces `directory`/`name` by `bytes` so that after a crash it is the old or the new content:
// written to `name`.tmp, synced, renamed, directory synced. Durable on OK.
Task<Status> ReplaceFile(FileSystem* files, std::string directory, std::string name, Bytes bytes);
// The whole file. kResourceExhausted above `bytes_max`; kNotFound, kIoError.
Task<Result<Bytes>> ReadWholeFile(FileSystem* files, std::string path, size_t bytes_max);

}  // namespace redoubt
