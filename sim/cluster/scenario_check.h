// SPDX-License-Identifier: MIT
//
// What a scenario file may say.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>

#include "common/base/result.h"
#include "proto/scenario.pb.h"

namespace redoubt::sim {

// Of log segments: more than any run produces, so that none is ever full and none is trimmed.
inline constexpr uint64_t kSegmentBytesUntrimmed = 64 << 20;

// Of faults in one run: keeps a stored schedule readable.
inline constexpr size_t kSwarmFaultsMax = 800;

// kInvalidArgument with line and column of the first error; also for a value out of its range.
// kNotFound, kCorruption: LoadRecording on the recording that it names.
Result<proto::Scenario> ParseScenario(const std::string& text);

// What ParseScenario refuses besides its syntax.
Status CheckScenario(const proto::Scenario& scenario);

}  // namespace redoubt::sim
