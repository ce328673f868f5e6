// SPDX-License-Identifier: MIT
//
// The compact form of one page's redo: what a `delta` value holds, and what memory holds before it.
//
//   value  := entry*                                  ascending, base = the first mtr's start LSN
//   (in the key) entry  := varint start - start of the entry before (first: - base),
//             varint (end - start) * 2 + initializes, varint bytes of records, record*
//   record := type u8, varint body bytes, body
//
// Space and page are the key's; `initializes` marks an mtr with MLOG_INIT_FILE_PAGE2 for this page:
// a chain may begin there.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "common/base/bytes.h"
#include "common/base/status.h"
#include "common/base/types.h"
#include "common/innodb/redo_record.h"

namespace redoubt {

// Bytes that WriteVarint may need.
inline constexpr size_t kVarintBytesMax = 10;

inline uint8_t* WriteVarint(uint8_t* at, uint64_t value) {
  while (value >= 0x80) {
    *at++ = static_cast<uint8_t>(value | 0x80);
    value >>= 7;
  }
  *at++ = static_cast<uint8_t>(value);
  return at;
}

struct DeltaEntry {
  Lsn start;
  Lsn end;
  bool initializes = false;
  ByteView records;  // borrowed from the value
};

// Walks the entries of one value, which must outlive the reader.
class DeltaReader {
 public:
  DeltaReader(Lsn base, ByteView value) : reader_(value), start_(base.value()) {}
  // False at the end, and when the bytes make no sense: then failed().
  bool Next(DeltaEntry* entry) {
    if (reader_.remaining() == 0) {
      return false;
    }
    start_ += reader_.Varint();
    const uint64_t length = reader_.Varint();
    entry->start = Lsn(start_);
    entry->end = Lsn(start_ + (length >> 1));
    entry->initializes = (length & 1) != 0;
    entry->records = reader_.Take(reader_.Varint());
    return !reader_.failed();
  }
  bool failed() const { return reader_.failed(); }

 private:
  ByteReader reader_;
  uint64_t start_;
};

// Appends the records of `entry` to *records; bodies are borrowed from the entry. The records'
// start LSN is the mtr's. kCorruption.
Status DecodeRecords(const DeltaEntry& entry, PageId page,
                     std::vector<innodb::RedoRecord>* records);

}  // namespace redoubt
