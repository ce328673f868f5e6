// SPDX-License-Identifier: MIT
#include "common/innodb/index_page.h"

#include <algorithm>
#include <cstring>

namespace redoubt::innodb {
namespace {

constexpr uint8_t kCompactImage[26] = {1, 0, 2,    0, 0x0d, 'i', 'n', 'f', 'i', 'm', 'u', 'm', 0,
                                       1, 0, 0x0b, 0, 0,    's', 'u', 'p', 'r', 'e', 'm', 'u', 'm'};
constexpr uint8_t kRedundantImage[31] = {8,   1,   0,   0,   3,   0,   0x74, 'i', 'n', 'f', 'i',
                                         'm', 'u', 'm', 0,   9,   1,   0,    8,   3,   0,   0,
                                         's', 'u', 'p', 'r', 'e', 'm', 'u',  'm', 0};
static_assert(kPageHeaderEnd + sizeof(kCompactImage) == 120);
static_assert(kPageHeaderEnd + sizeof(kRedundantImage) == 125);

constexpr Problem kBrokenList = "record list leads outside the page or never ends";

}  // namespace

Problem IndexPage::CheckHeader(bool compact) const {
  if (compact != compact_) {
    return "row format of the page is not that of the record";
  }
  const uint32_t slots = slot_count();
  if (slots < 2 || 2 * slots > size_ - kPageTrailerBytes - heap_start() ||
      Get(kHeapTopOffset) < heap_start() || Get(kHeapTopOffset) > directory_start()) {
    return "page header is not that of an index page";
  }
  return kNoProblem;
}

void IndexPage::set_next(uint32_t origin, uint32_t target) {
  const uint32_t value = compact_ && target != 0 ? target - origin : target;
  Set(origin - 2, value & 0xFFFF);
}

void IndexPage::set_n_owned(uint32_t origin, uint32_t count) {
  uint8_t& byte = p_[owned_offset(origin)];
  byte = static_cast<uint8_t>((byte & 0xF0) | (count & 0x0F));
}

void IndexPage::set_heap_no(uint32_t origin, uint32_t heap_no) {
  const size_t at = origin - (compact_ ? 4 : 5);
  Set(at, (Get(at) & 7U) | heap_no << 3);
}

Problem IndexPage::FindSlot(uint32_t origin, uint32_t* slot_no) const {
  const uint32_t slots = slot_count();
  const auto wanted = static_cast<uint16_t>(__builtin_bswap16(static_cast<uint16_t>(origin)));
  const uint8_t* at = p_ + size_ - kPageTrailerBytes;
  for (uint32_t k = 0; k < slots; ++k) {
    at -= 2;
    uint16_t entry;
    std::memcpy(&entry, at, 2);
    if (entry == wanted) {
      *slot_no = k;
      return kNoProblem;
    }
  }
  return "directory does not name the record that owns a group";
}

Problem IndexPage::FindOwner(uint32_t origin, uint32_t* owner, uint32_t* steps) const {
  uint32_t at = origin;
  uint32_t count = 0;
  while (n_owned(at) == 0) {
    at = next(at);
    if (!IsOrigin(at) || ++count > size_) {
      return kBrokenList;
    }
  }
  *owner = at;
  *steps = count;
  return kNoProblem;
}

Problem IndexPage::FindPrevious(uint32_t origin, uint32_t slot_no, uint32_t* previous) const {
  if (slot_no == 0) {
    return "record lies before the infimum";
  }
  uint32_t at = slot(slot_no - 1);
  for (uint32_t count = 0; count <= size_; ++count) {
    if (!IsOrigin(at)) {
      return kBrokenList;
    }
    const uint32_t following = next(at);
    if (following == origin) {
      *previous = at;
      return kNoProblem;
    }
    at = following;
  }
  return kBrokenList;
}

Problem IndexPage::LastRecord(uint32_t* last) const {
  return FindPrevious(supremum(), slot_count() - 1, last);
}

void IndexPage::Create(bool compact, uint16_t page_type) {
  compact_ = compact;
  Set(kPageTypeOffset, page_type);
  std::memset(p_ + kPageBodyOffset, 0, kLevelOffset - kPageBodyOffset);
  std::memset(p_ + kPageHeaderEnd, 0, size_ - kPageTrailerBytes - kPageHeaderEnd);
  Set(kDirSlotCountOffset, 2);
  Set(kDirectionOffset, kDirectionNone);
  Set(kHeapTopOffset, heap_start());
  Set(kHeapCountOffset, compact ? 0x8002 : 2);
  if (compact) {
    std::memcpy(p_ + kPageHeaderEnd, kCompactImage, sizeof(kCompactImage));
  } else {
    std::memcpy(p_ + kPageHeaderEnd, kRedundantImage, sizeof(kRedundantImage));
  }
  set_slot(0, infimum());
  set_slot(1, supremum());
}

// A free-list record is taken only from the head, and only if it is large enough; what it is larger
// by stays counted as garbage.
Problem IndexPage::Allocate(const IndexInfo& index, uint32_t bytes_wanted, uint32_t* start,
                            uint32_t* heap_no_out) {
  const uint32_t free = Get(kFreeOffset);
  if (free != 0) {
    if (!IsUserOrigin(free)) {
      return "free list leads outside the heap";
    }
    RecordSize size;
    REDOUBT_RETURN_IF_PROBLEM(MeasureRecord(bytes(), index, free, &size));
    if (size.total() >= bytes_wanted) {
      *start = free - size.extra_bytes;
      *heap_no_out = heap_no(free);
      Set(kFreeOffset, next(free));
      Set(kGarbageOffset, Get(kGarbageOffset) - bytes_wanted);
      return kNoProblem;
    }
  }
  const uint32_t top = Get(kHeapTopOffset);
  if (top < heap_start() || top + bytes_wanted > directory_start()) {
    return "record does not fit the page";
  }
  *start = top;
  Set(kHeapTopOffset, top + bytes_wanted);
  const uint16_t heap_count = Get(kHeapCountOffset);
  *heap_no_out = heap_count & 0x7FFF;
  Set(kHeapCountOffset, heap_count + 1U);
  return kNoProblem;
}

void IndexPage::NoteDirection(uint32_t cursor, uint32_t inserted) {
  const uint32_t last = Get(kLastInsertOffset);
  const uint32_t direction = Get(kDirectionOffset);
  if (last != 0 && last == cursor && direction != kDirectionLeft) {
    Set(kDirectionOffset, kDirectionRight);
    Set(kDirectionCountOffset, Get(kDirectionCountOffset) + 1U);
  } else if (last != 0 && next(inserted) == last && direction != kDirectionRight) {
    Set(kDirectionOffset, kDirectionLeft);
    Set(kDirectionCountOffset, Get(kDirectionCountOffset) + 1U);
  } else {
    Set(kDirectionOffset, kDirectionNone);
    Set(kDirectionCountOffset, 0);
  }
  Set(kLastInsertOffset, inserted);
}

Problem IndexPage::InsertAfter(const IndexInfo& index, uint32_t cursor, const NewRecord& record,
                               uint32_t* inserted) {
  const uint32_t following = next(cursor);
  if (!IsOrigin(following)) {
    return kBrokenList;
  }
  uint32_t start = 0;
  uint32_t new_heap_no = 0;
  REDOUBT_RETURN_IF_PROBLEM(
      Allocate(index, static_cast<uint32_t>(record.bytes.size()), &start, &new_heap_no));
  std::memcpy(p_ + start, record.bytes.data(), record.bytes.size());
  const uint32_t origin = start + record.extra_bytes;
  if (!IsUserOrigin(origin)) {
    return "inserted record's origin lies outside the heap";
  }
  set_next(origin, following);
  set_next(cursor, origin);
  Set(kRecordCountOffset, Get(kRecordCountOffset) + 1U);
  set_n_owned(origin, 0);
  set_heap_no(origin, new_heap_no);
  NoteDirection(cursor, origin);
  *inserted = origin;
  uint32_t owner = 0;
  uint32_t steps = 0;
  REDOUBT_RETURN_IF_PROBLEM(FindOwner(origin, &owner, &steps));
  const uint32_t owned = n_owned(owner);
  set_n_owned(owner, owned + 1);
  if (owned != kMaxOwned) {
    return kNoProblem;
  }
  uint32_t slot_no = 0;
  REDOUBT_RETURN_IF_PROBLEM(FindSlot(owner, &slot_no));
  return Split(slot_no);
}

Problem IndexPage::Split(uint32_t slot_no) {
  const uint32_t slots = slot_count();
  if (slot_no == 0 || directory_start() < Get(kHeapTopOffset) + 2U) {
    return "no room for one more directory slot";
  }
  uint32_t middle = slot(slot_no - 1);
  for (uint32_t i = 0; i < kMinOwned; ++i) {
    if (!IsOrigin(middle)) {
      return kBrokenList;
    }
    middle = next(middle);
  }
  const uint32_t upper = slot(slot_no);
  if (!IsOrigin(middle) || !IsOrigin(upper)) {
    return kBrokenList;
  }
  // Slots slot_no .. slots-1 move down by one entry.
  uint8_t* last = p_ + SlotOffset(slots - 1);
  std::memmove(last - 2, last, 2 * (slots - slot_no));
  Set(kDirSlotCountOffset, slots + 1);
  set_slot(slot_no, middle);
  set_n_owned(middle, kMinOwned);
  set_n_owned(upper, kMinOwned + 1);
  return kNoProblem;
}

Problem IndexPage::Balance(uint32_t slot_no) {
  const uint32_t slots = slot_count();
  if (slot_no + 1 >= slots) {
    return kNoProblem;
  }
  const uint32_t record = slot(slot_no);
  const uint32_t upper = slot(slot_no + 1);
  if (!IsOrigin(record) || !IsOrigin(upper)) {
    return kBrokenList;
  }
  const uint32_t owned = n_owned(record);
  if (n_owned(upper) > kMinOwned) {
    const uint32_t moved = next(record);
    if (!IsOrigin(moved)) {
      return kBrokenList;
    }
    set_n_owned(record, 0);
    set_n_owned(moved, owned + 1);
    set_slot(slot_no, moved);
    set_n_owned(upper, n_owned(upper) - 1);
    return kNoProblem;
  }
  set_n_owned(record, 0);
  set_n_owned(upper, n_owned(upper) + owned);
  uint8_t* last = p_ + SlotOffset(slots - 1);
  std::memmove(last + 2, last, 2 * (slots - 1 - slot_no));
  set_slot(slots - 1, 0);
  Set(kDirSlotCountOffset, slots - 1);
  return kNoProblem;
}

Problem IndexPage::Delete(const IndexInfo& index, uint32_t origin) {
  if (!IsUserOrigin(origin)) {
    return "record to delete is no user record";
  }
  uint32_t owner = 0;
  uint32_t steps = 0;
  uint32_t slot_no = 0;
  uint32_t previous = 0;
  RecordSize record_size;
  REDOUBT_RETURN_IF_PROBLEM(FindOwner(origin, &owner, &steps));
  REDOUBT_RETURN_IF_PROBLEM(FindSlot(owner, &slot_no));
  REDOUBT_RETURN_IF_PROBLEM(FindPrevious(origin, slot_no, &previous));
  REDOUBT_RETURN_IF_PROBLEM(MeasureRecord(bytes(), index, origin, &record_size));
  const uint32_t owned = n_owned(owner);
  const uint32_t following = next(origin);
  if (!IsOrigin(following)) {
    return kBrokenList;
  }
  Set(kLastInsertOffset, 0);
  set_next(previous, following);
  if (owner == origin) {
    set_slot(slot_no, previous);
    owner = previous;
  }
  set_n_owned(owner, owned - 1);
  set_next(origin, Get(kFreeOffset));
  Set(kFreeOffset, origin);
  Set(kGarbageOffset, Get(kGarbageOffset) + record_size.total());
  Set(kRecordCountOffset, Get(kRecordCountOffset) - 1U);
  return owned <= kMinOwned ? Balance(slot_no) : kNoProblem;
}

}  // namespace redoubt::innodb
