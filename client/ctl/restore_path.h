// SPDX-License-Identifier: MIT
//
// Where a file of the protected server goes inside a restored directory. Nothing is ever placed
// outside that directory, whatever the recorded path says.
//
//   "./db/t.ibd", "db/t.ibd"              -> db/t.ibd
//   "/mnt/db/t.ibd" (DATA DIRECTORY)      -> db/t.ibd      the folder of its schema
//   "/mnt/gts.ibd" (general), "/mnt/u.ibu" -> gts.ibd, u.ibu  the data directory itself
//
// A server finds moved files by itself: it scans its data directory at start and takes note of the
// new paths. It refuses a general tablespace in a folder below the data directory (error
// MY-012213), and a table's file in a folder that is not its schema's.
#pragma once

#include <string>
#include <string_view>

#include "common/base/result.h"

namespace redoubt::ctl {

enum class SpaceKind {
  kTable,   // one table or partition: lives in its schema's folder
  kShared,  // system, general, undo: lives in the data directory itself
};

// A relative path without "." and ".." components, as above. kInvalidArgument: the path names no
// file (empty, ends in "/", "." or ".."), or holds a NUL byte.
Result<std::string> PlaceTablespace(std::string_view recorded_path, SpaceKind kind);

// Whether a recorded path leads out of the data directory: an absolute path, or one that climbs.
bool LiesOutside(std::string_view recorded_path);

// The same as PlaceTablespace for side files, which live inside the data directory:
// kInvalidArgument also for absolute paths and for those that lead out of it.
Result<std::string> PlaceSideFile(std::string_view recorded_path);

}  // namespace redoubt::ctl
