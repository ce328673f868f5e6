// SPDX-License-Identifier: MIT
//
// What a volume is, asked of the log servers that hold it, for a page server that is to follow it.
#pragma once

#include <string>
#include <vector>

#include "common/base/result.h"
#include "common/runtime/runtime.h"

namespace redoubt {

struct RemoteVolumeInfo {
  uint64_t uid = 0;
  uint32_t page_size = 0;
  std::string source_id;
};

// Asks all of them; a majority must agree. kNotFound: a majority has no such volume.
// kInvalidArgument: they hold different volumes of that name. kUnavailable: no majority answers.
Task<Result<RemoteVolumeInfo>> LookUpVolume(Runtime* runtime, std::vector<std::string> log_servers,
                                            std::string name, TimePoint deadline);

}  // namespace redoubt
