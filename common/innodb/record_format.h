// SPDX-License-Identifier: MIT
//
// Where a record on an index page begins and ends, and where its fields lie. A record is addressed
// by its origin; its header, null bits and lengths lie below, its data from the origin on.
//
//   COMPACT header, below the origin:   -5 info bits | n_owned   -4 heap_no << 3 | status   -2
//   next, relative REDUNDANT header, below the origin: -6 info bits | n_owned   -5 heap_no,
//   n_fields, short flag   -2 next, absolute
//
// Everything is bounds-checked against the page: a page may be any bytes.
// Format: README.md, "Record layout".
#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

#include "common/base/bytes.h"
#include "common/innodb/index_info.h"
#include "common/innodb/problem.h"

namespace redoubt::innodb {

inline constexpr uint8_t kInfoMinRecord = 0x10;
inline constexpr uint8_t kInfoDeleted = 0x20;
inline constexpr uint8_t kInfoVersion = 0x40;
inline constexpr uint8_t kInfoInstant = 0x80;
inline constexpr uint8_t kInfoMask = 0xF0;

inline constexpr uint8_t kStatusOrdinary = 0;
inline constexpr uint8_t kStatusNodePointer = 1;
inline constexpr uint8_t kStatusInfimum = 2;
inline constexpr uint8_t kStatusSupremum = 3;

inline constexpr uint32_t kCompactHeaderBytes = 5;
inline constexpr uint32_t kRedundantHeaderBytes = 6;

// The bytes of a page and its record format; no ownership.
struct PageBytes {
  const uint8_t* data = nullptr;
  uint32_t size = 0;
  bool compact = false;

  uint8_t InfoByte(uint32_t origin) const {
    return data[origin - (compact ? kCompactHeaderBytes : kRedundantHeaderBytes)];
  }
  uint8_t info_bits(uint32_t origin) const { return InfoByte(origin) & kInfoMask; }
  uint8_t status(uint32_t origin) const { return data[origin - 3] & 7; }
};

struct RecordSize {
  uint32_t extra_bytes = 0;  // below the origin
  uint32_t data_bytes = 0;
  uint32_t total() const { return extra_bytes + data_bytes; }
};
// The record at `origin`, sized by its own header and, for COMPACT, by `index`. `origin`: inside
// the page behind the infimum's. Problem when it does not fit between page header and directory.
Problem MeasureRecord(const PageBytes& page, const IndexInfo& index, uint32_t origin,
                      RecordSize* size);

// The first `count` fields of a record, in physical order.
struct FieldEnds {
  struct Field {
    uint32_t end = 0;  // offset from the origin, one past the field's last byte
    bool null = false;
  };
  std::vector<Field> fields;  // sized by LocateFields; reused between calls

  uint32_t start(uint32_t i) const { return i == 0 ? 0 : fields[i - 1].end; }
};
Problem LocateFields(const PageBytes& page, const IndexInfo& index, uint32_t origin, uint32_t count,
                     FieldEnds* ends);

// REDUNDANT only: number of fields, version byte (0 without), and where end info lies.
struct RedundantHeader {
  uint32_t field_count = 0;
  uint32_t entry_bytes = 0;  // 1 or 2 per field
  uint32_t fixed_bytes = 0;  // header and version byte
  uint8_t row_version = 0;

  uint32_t extra_bytes() const { return fixed_bytes + field_count * entry_bytes; }
  // Where the end info of field `i` lies, below the origin.
  uint32_t EntryOffset(uint32_t i) const { return fixed_bytes + (i + 1) * entry_bytes; }
};
Problem DecodeRedundantHeader(const PageBytes& page, uint32_t origin, RedundantHeader* header);

}  // namespace redoubt::innodb
