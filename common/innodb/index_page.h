// SPDX-License-Identifier: MIT
//
// An index page under change: the record list, the heap with its free list, and the directory. The
// four primitives (insert after, delete, create, split/balance of directory slots) leave exactly
// the bytes that the server leaves.
//
//   38 header (56 bytes) | 94 infimum, supremum | heap grows up -> HEAP_TOP ... <- directory grows
//   down | trailer directory slot k: u16 at PS - 8 - 2 (k + 1), a record's origin; slot 0 infimum,
//   last slot supremum; n_owned of a slot's record counts the records since the previous slot,
//   itself included.
//
// All functions check what they follow; a page may be any bytes. On a problem the page is
// unspecified. Format: README.md, "Index page", "Page operations".
#pragma once

#include <cstdint>

#include "common/base/bytes.h"
#include "common/innodb/index_info.h"
#include "common/innodb/page_format.h"
#include "common/innodb/problem.h"
#include "common/innodb/record_format.h"

namespace redoubt::innodb {

inline constexpr size_t kDirSlotCountOffset = 38;
inline constexpr size_t kHeapTopOffset = 40;
inline constexpr size_t kHeapCountOffset = 42;  // bit 15: COMPACT
inline constexpr size_t kFreeOffset = 44;
inline constexpr size_t kGarbageOffset = 46;
inline constexpr size_t kLastInsertOffset = 48;
inline constexpr size_t kDirectionOffset = 50;
inline constexpr size_t kDirectionCountOffset = 52;
inline constexpr size_t kRecordCountOffset = 54;
inline constexpr size_t kMaxTrxIdOffset = 56;
inline constexpr size_t kLevelOffset = 64;
inline constexpr size_t kIndexIdOffset = 66;
inline constexpr uint32_t kPageHeaderEnd = 94;

inline constexpr uint16_t kDirectionLeft = 1;
inline constexpr uint16_t kDirectionRight = 2;
inline constexpr uint16_t kDirectionNone = 5;
inline constexpr uint32_t kMaxOwned = 8;
inline constexpr uint32_t kMinOwned = 4;

// Position and header of a record to insert; its bytes are given beside it.
struct NewRecord {
  ByteView bytes;            // extra part and data
  uint32_t extra_bytes = 0;  // where the origin lies in `bytes`
};

class IndexPage {
 public:
  // `page`: borrowed for the life of the object.
  explicit IndexPage(MutableByteView page)
      : p_(page.data()),
        size_(static_cast<uint32_t>(page.size())),
        compact_((page[kHeapCountOffset] & 0x80) != 0) {}

  // The directory fits the page and the row format is that of the record that is to be applied.
  Problem CheckHeader(bool compact) const;

  uint8_t* data() { return p_; }
  const uint8_t* data() const { return p_; }
  uint32_t size() const { return size_; }
  bool compact() const { return compact_; }
  PageBytes bytes() const { return {p_, size_, compact_}; }

  uint16_t Get(size_t offset) const { return LoadBe16(p_ + offset); }
  void Set(size_t offset, uint32_t value) { StoreBe16(p_ + offset, static_cast<uint16_t>(value)); }

  uint32_t infimum() const { return compact_ ? 99 : 101; }
  uint32_t supremum() const { return compact_ ? 112 : 116; }
  uint32_t heap_start() const { return compact_ ? 120 : 125; }
  uint32_t slot_count() const { return Get(kDirSlotCountOffset); }
  uint32_t directory_start() const { return size_ - kPageTrailerBytes - 2 * slot_count(); }
  uint32_t slot(uint32_t k) const { return Get(SlotOffset(k)); }
  void set_slot(uint32_t k, uint32_t origin) { Set(SlotOffset(k), origin); }

  // Infimum, supremum, or any place above them where a record's origin can be.
  bool IsOrigin(uint32_t origin) const {
    return origin >= infimum() && origin < size_ - kPageTrailerBytes;
  }
  bool IsUserOrigin(uint32_t origin) const {
    return origin > supremum() && origin < size_ - kPageTrailerBytes;
  }
  // 0 = end of list. Not checked to be an origin.
  uint32_t next(uint32_t origin) const {
    const uint32_t value = LoadBe16(p_ + origin - 2);
    return compact_ && value != 0 ? (origin + value) & 0xFFFF & (size_ - 1) : value;
  }
  void set_next(uint32_t origin, uint32_t target);
  uint32_t n_owned(uint32_t origin) const { return p_[owned_offset(origin)] & 0x0FU; }
  void set_n_owned(uint32_t origin, uint32_t count);
  uint32_t heap_no(uint32_t origin) const {
    return compact_ ? LoadBe16(p_ + origin - 4) >> 3 : (LoadBe16(p_ + origin - 5) & 0xFFF8) >> 3;
  }
  void set_heap_no(uint32_t origin, uint32_t heap_no);
  uint8_t* info_byte(uint32_t origin) { return p_ + owned_offset(origin); }

  // The number of the slot whose record is `origin`.
  Problem FindSlot(uint32_t origin, uint32_t* slot_no) const;
  // The first record from `origin` on (inclusive) that owns others; `steps` = records skipped.
  Problem FindOwner(uint32_t origin, uint32_t* owner, uint32_t* steps) const;
  // The record before `origin`, which lies in the group of slot `slot_no`.
  Problem FindPrevious(uint32_t origin, uint32_t slot_no, uint32_t* previous) const;
  Problem LastRecord(uint32_t* last) const;

  // Makes the page an empty index page; FIL header, MAX_TRX_ID's neighbours 64 .. 93 and trailer
  // stay.
  void Create(bool compact, uint16_t page_type);
  // Links a record behind `cursor`; `*inserted` becomes its origin.
  Problem InsertAfter(const IndexInfo& index, uint32_t cursor, const NewRecord& record,
                      uint32_t* inserted);
  Problem Delete(const IndexInfo& index, uint32_t origin);

 private:
  uint32_t SlotOffset(uint32_t k) const { return size_ - kPageTrailerBytes - 2 * (k + 1); }
  uint32_t owned_offset(uint32_t origin) const {
    return origin - (compact_ ? kCompactHeaderBytes : kRedundantHeaderBytes);
  }
  Problem Allocate(const IndexInfo& index, uint32_t bytes, uint32_t* start, uint32_t* heap_no);
  void NoteDirection(uint32_t cursor, uint32_t inserted);
  Problem Split(uint32_t slot_no);
  Problem Balance(uint32_t slot_no);

  uint8_t* p_;
  uint32_t size_;
  bool compact_;
};

// Reads the list, heap and directory of an index page and reports the first inconsistency: list
// length against N_RECS, sum of n_owned, slots in list order, heap numbers unique, heap below
// directory, free list inside the heap. For tests and verification; needs no index info. `page`:
// one whole page of type INDEX, RTREE or SDI.
Problem CheckIndexPage(ByteView page);

}  // namespace redoubt::innodb
