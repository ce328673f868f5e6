// SPDX-License-Identifier: MIT
//
// The description of an index that precedes most index records in the redo: enough to find where a
// record's fields lie, nothing about their meaning.
//
//   version u8 = 1 | flags u8: 1 COMPACT, 2 VERSIONED, 4 INSTANT
//   n u16                                        if COMPACT or VERSIONED
//   inst_fields u16                              if COMPACT and INSTANT
//   n_uniq u16, n x field length u16             if COMPACT
//   n_inst u16, n_inst x versioned entry         if VERSIONED
//   entry: logical u16, physical u16 (0x8000 added, 0x4000 dropped), [v_added u8], [v_dropped u8]
//
// Fields come in the index's logical order; rows store them in physical order. The two differ only
// after instant ADD/DROP COLUMN of 8.0.29 and later (VERSIONED).
// Format: README.md, "Index info".
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <vector>

#include "common/base/bytes.h"
#include "common/innodb/problem.h"

namespace redoubt::innodb {

// The most fields a record can have.
inline constexpr uint32_t kMaxIndexFields = 1023;

struct IndexInfoSize {
  size_t length = 0;  // 0 = more bytes are needed
  Problem problem = kNoProblem;
};
// How long the index info at the start of `bytes` is. Reads only what it must; no allocation.
IndexInfoSize MeasureIndexInfo(ByteView bytes);

struct IndexField {
  uint16_t fixed_length = 0;  // 0 = variable
  bool nullable = false;
  bool big = false;  // variable and longer than 255 bytes: its length may take two bytes
  bool added = false;
  bool dropped = false;
  uint8_t version_added = 0;    // if added
  uint8_t version_dropped = 0;  // if dropped

  bool PresentIn(uint8_t row_version) const {
    return !(added && version_added > row_version) && !(dropped && version_dropped <= row_version);
  }
};

class IndexInfo {
 public:
  // `bytes`: exactly one index info, as MeasureIndexInfo found it. Replaces the previous content.
  Problem Parse(ByteView bytes);

  bool compact() const { return compact_; }
  bool versioned() const { return versioned_; }
  bool instant() const { return instant_; }
  // Physical and logical fields; 0 for plain REDUNDANT, which does not say.
  uint32_t field_count() const { return field_count_; }
  uint32_t instant_fields() const { return instant_fields_; }
  // Plain REDUNDANT counts as not clustered.
  bool clustered() const { return clustered_; }
  // Key fields of a node pointer, without the child page number.
  uint32_t node_fields() const { return node_fields_; }

  const IndexField& logical(uint32_t i) const { return logical_[i]; }
  const IndexField& physical(uint32_t i) const { return versioned_ ? physical_[i] : logical_[i]; }
  // Requires logical_no < field_count() if versioned.
  uint32_t ToPhysical(uint32_t logical_no) const {
    return versioned_ ? to_physical_[logical_no] : logical_no;
  }

  // Nullable fields of a row without version or instant information, and of a node pointer.
  uint32_t nullable_count() const { return nullable_count_; }
  // Of a row of `row_version`; all of them if not VERSIONED.
  uint32_t NullableInVersion(uint8_t row_version) const;
  // Of a row that stores `fields` fields (INSTANT).
  uint32_t NullableInFirst(uint32_t fields) const;
  uint32_t NodeNullableCount() const;

  // A plain COMPACT row's size: the sum of its not-null fixed fields, plus what these others store,
  // in order. (Neither VERSIONED nor INSTANT.)
  uint32_t plain_fixed_bytes() const { return plain_fixed_bytes_; }
  const std::vector<IndexField>& plain_others() const { return plain_others_; }

 private:
  Problem ParseVersions(ByteView entries);
  void AssignPhysical();
  void Derive();

  bool compact_ = false;
  bool versioned_ = false;
  bool instant_ = false;
  bool clustered_ = false;
  uint32_t field_count_ = 0;
  uint32_t unique_count_ = 0;
  uint32_t instant_fields_ = 0;
  uint32_t node_fields_ = 0;
  uint32_t nullable_count_ = 0;
  uint32_t plain_fixed_bytes_ = 0;
  std::vector<IndexField> logical_;
  std::vector<IndexField> physical_;
  std::vector<uint16_t> to_physical_;
  std::vector<IndexField> plain_others_;
  mutable std::array<int16_t, 256> nullable_by_version_;  // -1 = not counted yet
};

// Remembers the last few index infos by their bytes: records of one index repeat the same ones
// millions of times.
class IndexInfoCache {
 public:
  // Parses the index info at the start of `*body` and moves `*body` behind it. The answer is valid
  // until the next call; on a problem it is nullptr.
  const IndexInfo* Get(ByteView* body, Problem* problem);

 private:
  struct Entry {
    Bytes bytes;
    IndexInfo info;
  };
  static constexpr size_t kEntries = 64;
  std::array<Entry, kEntries> entries_;
};

}  // namespace redoubt::innodb
