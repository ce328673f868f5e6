// SPDX-License-Identifier: MIT
//
// What redo says besides the bytes of pages, as the models that wrote it know it: counters and
// corrupted indexes of tables (MLOG_TABLE_DYNAMIC_META), and what happens to tablespaces.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "common/base/types.h"

namespace redoubt::sim {

struct RedoFact {
  enum class Kind : uint8_t {
    kCounter,         // table, version, value
    kCorruptedIndex,  // table, version, space, value: the index
    kCreate,          // space, path, flags
    kSize,            // space, value: it has at least so many pages
    kRename,          // space, path
    kDrop,            // space
  };
  Kind kind{};
  Lsn end{};  // of the mtr
  uint64_t table = 0;
  uint64_t version = 0;
  uint64_t value = 0;
  SpaceId space{};
  std::string path{};
  uint32_t flags = 0;
};

class FactTruth {
 public:
  virtual ~FactTruth() = default;
  // Of every mtr that ended at or below `lsn`, in the order of the log.
  virtual std::vector<RedoFact> FactsUpTo(Lsn lsn) const = 0;
};

}  // namespace redoubt::sim
