// SPDX-License-Identifier: MIT
//
// Where a file of the protected server goes inside a restored directory. Nothing is ever placed
// outside that directory, whatever the recorded path says.
//
//   "./db/t.ibd", "db/t.ibd"     -> db/t.ibd
//   "/mnt/fast/db/t.ibd"         -> external_files/mnt/fast/db/t.ibd     (DATA DIRECTORY, ADD
//   DATAFILE)
//   "../undo/undo_003"           -> external_files/up/undo/undo_003
//
// A server finds the external ones there by itself: it scans its data directory recursively at
// start and takes note of files that were moved (the last folder of a table's file must be its
// schema's name, which this keeps).
#pragma once

#include <string>
#include <string_view>

#include "common/base/result.h"

namespace redoubt::ctl {

inline constexpr std::string_view kExternalFolder = "external_files";

// A relative path without "." and ".." components, as above. kInvalidArgument: the path names no
// file (empty, ends in "/", "." or ".."), or holds a NUL byte.
Result<std::string> PlaceTablespace(std::string_view recorded_path);

// The same for side files, which live inside the data directory: kInvalidArgument also for absolute
// paths and for those that lead out of it.
Result<std::string> PlaceSideFile(std::string_view recorded_path);

}  // namespace redoubt::ctl
