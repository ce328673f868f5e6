// SPDX-License-Identifier: MIT
//
// Reads recordings of real redo (proto/recording.proto): files that belong to the repository and
// are named by scenarios, so that a capsule names them as well.
#pragma once

#include <cstdint>
#include <memory>
#include <string>

#include "common/base/result.h"
#include "proto/recording.pb.h"

namespace redoubt::sim {

struct LoadedRecording {
  proto::Recording content;
  uint32_t file_crc32c = 0;  // of the file's bytes
};

// `name`: a path, absolute or relative to the current directory, the program's own, or one above
// either: "tests/data/x.recording" is found from anywhere in the repository and by any program that
// was built there. kNotFound naming the file; kCorruption when it is no sound recording.
Result<std::unique_ptr<const LoadedRecording>> LoadRecording(const std::string& name);

// The same of one that was loaded before, when the scenario that names it was checked.
std::unique_ptr<const LoadedRecording> LoadKnownRecording(const std::string& name);

}  // namespace redoubt::sim
