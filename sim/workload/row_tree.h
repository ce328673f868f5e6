// SPDX-License-Identifier: MIT
//
// A small B-tree of fixed-size rows (key u32, value u64) in a tablespace of its own: page 0 is the
// space's header, page 1 the root, which never moves. Full nodes are split on the way down, so an
// insert that splits several levels is one mtr. Leaves are chained; nothing is ever merged.
//
//   40 level u16 | 42 row count u16 | 44 next page u32 | 64 rows, 12 bytes each, ascending
//   in branches the value is the child's page number, and the first key counts as the lowest there
//   is
#pragma once

#include <cstdint>
#include <utility>
#include <vector>

#include "common/base/types.h"
#include "sim/runtime/seeded_stream.h"
#include "sim/workload/mini_transaction.h"

namespace redoubt::sim {

// Page 0 and the space itself, of `page_count` pages, as CREATE TABLESPACE logs them. `path`: empty
// for a name made of its number.
void MakeSpace(SpaceId space, uint32_t page_size, uint32_t page_count, SeededStream* random,
               MiniTransaction* mtr, const std::string& path = "");

class RowTree {
 public:
  // `row_count_max`: of a page, at least 4.
  RowTree(SpaceId space, uint32_t page_size, uint16_t row_count_max);

  // The space and an empty root.
  void Create(SeededStream* random, MiniTransaction* mtr) const;
  // These find their page and, where they change something, everything that they need for it,
  // before they change it.
  Access Get(uint32_t key, MiniTransaction* mtr, uint64_t* value) const;
  Access Set(uint32_t key, uint64_t value, MiniTransaction* mtr) const;
  Access Insert(uint32_t key, uint64_t value, SeededStream* random, MiniTransaction* mtr) const;
  Access Erase(uint32_t key, MiniTransaction* mtr) const;
  // All rows of the leaf `*leaf`, of the first one when it is 0; then *leaf is the next one, or 0
  // at the end.
  Access ScanLeaf(PageNo* leaf, MiniTransaction* mtr,
                  std::vector<std::pair<uint32_t, uint64_t>>* rows) const;

 private:
  PageId Id(PageNo page) const { return PageId{space_, page}; }
  // Down to the leaf that has to hold `key`.
  Access FindLeaf(uint32_t key, MiniTransaction* mtr, PageId* leaf) const;
  void SplitRoot(SeededStream* random, MiniTransaction* mtr) const;
  void SplitChild(PageId parent, size_t index, uint32_t key, SeededStream* random,
                  MiniTransaction* mtr) const;
  PageId MakeNode(uint16_t level, SeededStream* random, MiniTransaction* mtr) const;
  static void InsertAt(PageId node, size_t index, uint32_t key, uint64_t value,
                       MiniTransaction* mtr);

  SpaceId space_;
  uint32_t page_size_;
  uint16_t row_count_max_;
};

}  // namespace redoubt::sim
