// SPDX-License-Identifier: MIT
//
// What a model server does besides changing pages: hands out AUTO_INCREMENT numbers, finds indexes
// corrupted, creates, extends, renames and drops tables. Says what is next; the server logs it.
//
// A counter may be logged late, below what was logged before, and starts again from a low number
// under a higher version of its table (TRUNCATE). The number of a dropped table's space comes back
// now and then (DISCARD and IMPORT).
#pragma once

#include <cstdint>
#include <map>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "common/base/types.h"
#include "sim/runtime/seeded_stream.h"

namespace redoubt::sim {

struct CatalogueTable {
  SpaceId space;
  std::string path;
  uint32_t page_count = 0;
};

class CatalogueLoad {
 public:
  static constexpr uint32_t kPagesMax = 16;
  enum class Kind : uint8_t {
    kCounter,
    kCorruptedIndex,
    kCreate,
    kUse,
    kExtend,
    kRename,
    kDrop,
  };
  struct Change {
    Kind kind = Kind::kCounter;
    // kCounter, kCorruptedIndex (value: the index)
    uint64_t table_id = 0;
    uint64_t version = 0;
    uint64_t value = 0;
    // The others; as the table is afterwards, borrowed until the next Draw; null for kDrop.
    CatalogueTable* table = nullptr;
    uint32_t added = 0;    // kExtend: pages
    std::string old_path;  // kRename, kDrop
    SpaceId dropped;       // kDrop
  };

  explicit CatalogueLoad(SeededStream random) : random_(random) {}

  Change Draw();
  // Goes on where a server before it stopped: this table's counter was logged so.
  void KnowCounter(uint64_t table_id, uint64_t version, uint64_t value);
  // Spaces below `next` are taken.
  void KnowSpaces(uint32_t next) { next_space_ = next; }
  SeededStream* random() { return &random_; }

 private:
  struct Counter {
    uint64_t version = 0;
    uint64_t value = 0;
  };
  Change DrawCounter();
  Change DrawTable();

  SeededStream random_;
  std::map<uint64_t, Counter> counters_;
  std::map<SpaceId, CatalogueTable> tables_;
  std::vector<SpaceId> dropped_;
  uint32_t next_space_ = 100;
  uint32_t next_name_ = 1;
};

}  // namespace redoubt::sim
