// SPDX-License-Identifier: MIT
//
// One thing that happened to a tablespace at an LSN: from redo, or told by a client. The `space`
// family holds them; SpaceMap folds them into "what was there at LSN L".
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "common/base/result.h"
#include "common/base/types.h"

namespace redoubt {

struct SpaceEvent {
  // On disk: never renumber.
  enum class Kind : uint8_t {
    kCreate = 1,          // path, flags
    kRename = 2,          // path
    kDelete = 3,          // older history of the space is hidden from here on
    kSize = 4,            // page_count: the file has at least so many pages
    kFlags = 5,           // flags
    kPresent = 6,         // path, flags, page_count
    kUnsupported = 7,     // reason
    kSupported = 8,       // ends kUnsupported
    kImagesComplete = 9,  // hole_start: images of pages written without redo in [hole_start, lsn]
    kImplicit = 10,       // first seen by a page being initialised
    kIndexLoad = 11,      // an index was built without redo; covered by a kImagesComplete
    kLost = 12,           // redo was lost before lsn: whether the space exists has to be told again
  };
  Lsn lsn;
  uint32_t seq = 0;  // order among the events of one space at one LSN
  Kind kind{};
  std::string path;
  uint32_t flags = 0;
  uint32_t page_count = 0;
  std::string reason;
  Lsn hole_start;

  friend bool operator==(const SpaceEvent&, const SpaceEvent&) = default;
};

// The value in the store; LSN and seq are the key's.
std::string EncodeSpaceEvent(const SpaceEvent& event);
// kCorruption.
Result<SpaceEvent> DecodeSpaceEvent(std::string_view value, Lsn lsn, uint32_t seq);

}  // namespace redoubt
