// SPDX-License-Identifier: MIT
//
// PageId -> u32, open addressing, no allocation per entry: the index behind every grouping of redo
// by page. Entries are never removed one by one; Clear forgets all and keeps the memory.
#pragma once

#include <cstdint>
#include <vector>

#include "common/base/check.h"
#include "common/base/types.h"

namespace redoubt {

class PageTable {
 public:
  static constexpr uint32_t kNone = 0xFFFFFFFF;

  // The value of `page`, or kNone.
  uint32_t Find(PageId page) const {
    if (slots_.empty()) {
      return kNone;
    }
    return slots_[IndexOf(page)].value;
  }

  // The value slot of `page`; a new one holds kNone and must be set by the caller before the next
  // call. The reference is valid until the next call.
  uint32_t& FindOrAdd(PageId page) {
    if ((used_ + 1) * 2 > slots_.size()) {
      Grow();
    }
    Slot& slot = slots_[IndexOf(page)];
    if (slot.value == kNone) {
      slot.page = page;
      ++used_;
    }
    return slot.value;
  }

  void Clear() {
    for (Slot& slot : slots_) {
      slot.value = kNone;
    }
    used_ = 0;
  }
  size_t size() const { return used_; }
  size_t memory_bytes() const { return slots_.size() * sizeof(Slot); }

 private:
  struct Slot {
    PageId page;
    uint32_t value = kNone;
  };

  size_t IndexOf(PageId page) const {
    const size_t mask = slots_.size() - 1;
    size_t at = std::hash<PageId>()(page) & mask;
    while (slots_[at].value != kNone && slots_[at].page != page) {
      at = (at + 1) & mask;
    }
    return at;
  }
  void Grow() {
    std::vector<Slot> old(slots_.empty() ? 64 : slots_.size() * 2);
    old.swap(slots_);
    for (const Slot& slot : old) {
      if (slot.value != kNone) {
        slots_[IndexOf(slot.page)] = slot;
      }
    }
  }

  std::vector<Slot> slots_;  // size: a power of two
  size_t used_ = 0;
};

}  // namespace redoubt
