// SPDX-License-Identifier: MIT
//
// Walks list, directory and free list of an index page once and compares them with the header.
#include <vector>

#include "common/innodb/index_page.h"

namespace redoubt::innodb {
namespace {

struct Walk {
  uint32_t records = 0;
  uint32_t owned = 0;
  std::vector<bool> heap_nos;
};

Problem TakeHeapNo(const IndexPage& page, uint32_t origin, Walk* walk) {
  const uint32_t heap_no = page.heap_no(origin);
  if (heap_no >= walk->heap_nos.size() || walk->heap_nos[heap_no]) {
    return "heap number out of range or used twice";
  }
  walk->heap_nos[heap_no] = true;
  return kNoProblem;
}

// Infimum to supremum, one group of n_owned records after the other.
Problem WalkList(const IndexPage& page, Walk* walk) {
  uint32_t slot_no = 0;
  uint32_t group = 0;
  for (uint32_t at = page.infimum();; at = page.next(at)) {
    if (!page.IsOrigin(at) || at >= page.directory_start()) {
      return "record list leads outside the heap";
    }
    REDOUBT_RETURN_IF_PROBLEM(TakeHeapNo(page, at, walk));
    ++group;
    if (const uint32_t owned = page.n_owned(at); owned != 0) {
      if (slot_no >= page.slot_count() || page.slot(slot_no) != at) {
        return "directory is not in the order of the list";
      }
      if (owned != group) {
        return "n_owned is not the number of records in its group";
      }
      const bool middle = at != page.infimum() && at != page.supremum();
      if (owned > kMaxOwned || (middle && owned < kMinOwned)) {
        return "a directory slot owns too many or too few records";
      }
      walk->owned += owned;
      group = 0;
      ++slot_no;
    }
    if (at == page.supremum()) {
      break;
    }
    walk->records += at == page.infimum() ? 0 : 1;
  }
  if (slot_no != page.slot_count() || group != 0) {
    return "directory has another number of slots than the list has owners";
  }
  return page.next(page.supremum()) == 0 ? kNoProblem : "supremum has a successor";
}

Problem WalkFreeList(const IndexPage& page, Walk* walk) {
  for (uint32_t at = page.Get(kFreeOffset); at != 0; at = page.next(at)) {
    if (!page.IsUserOrigin(at) || at >= page.Get(kHeapTopOffset)) {
      return "free list leads outside the heap";
    }
    REDOUBT_RETURN_IF_PROBLEM(TakeHeapNo(page, at, walk));
  }
  return kNoProblem;
}

}  // namespace

Problem CheckIndexPage(ByteView page_bytes) {
  // IndexPage wants mutable bytes; nothing here writes.
  Bytes copy(page_bytes.begin(), page_bytes.end());
  const IndexPage page(copy);
  REDOUBT_RETURN_IF_PROBLEM(page.CheckHeader(page.compact()));
  Walk walk;
  walk.heap_nos.assign(page.Get(kHeapCountOffset) & 0x7FFF, false);
  REDOUBT_RETURN_IF_PROBLEM(WalkList(page, &walk));
  REDOUBT_RETURN_IF_PROBLEM(WalkFreeList(page, &walk));
  if (walk.records != page.Get(kRecordCountOffset)) {
    return "N_RECS is not the length of the list";
  }
  return walk.owned == walk.records + 2 ? kNoProblem : "sum of n_owned is not N_RECS + 2";
}

}  // namespace redoubt::innodb
