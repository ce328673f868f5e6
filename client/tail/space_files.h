// SPDX-License-Identifier: MIT
//
// The tablespace files of a server as they lie on disk at one moment, found by looking: names
// change under the scan, so a space is known by the id in its page 0, never by its path.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "client/tail/source_server.h"
#include "common/base/result.h"
#include "common/base/types.h"
#include "common/runtime/runtime.h"
#include "common/runtime/task.h"

namespace redoubt::tail {

struct SpaceFile {
  SpaceId space;
  std::string path;  // absolute
  uint32_t flags = 0;
  uint32_t page_count = 0;  // by the file's size
};

// What page 0 of the file says. nullopt: no tablespace, not written yet, temporary, or gone.
Task<Result<std::optional<SpaceFile>>> LookAtSpaceFile(Runtime* runtime, std::string path,
                                                       uint32_t page_size);

// Every persistent tablespace below the data directory, in the other directories and among `more`
// (paths that the server named), ascending by space id. Of two files with one id the first found is
// kept.
Task<Result<std::vector<SpaceFile>>> ScanSpaceFiles(Runtime* runtime, SourceFacts facts,
                                                    std::vector<std::string> more);

}  // namespace redoubt::tail
