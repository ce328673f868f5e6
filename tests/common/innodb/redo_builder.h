// SPDX-License-Identifier: MIT
//
// Writes redo records as a server would, for tests: byte by byte from the format, sharing nothing
// with the parser but the integer encodings.
#pragma once

#include <vector>

#include "common/base/bytes.h"
#include "common/base/types.h"
#include "common/innodb/packed_reader.h"
#include "common/innodb/redo_record.h"
#include "common/innodb/redo_type.h"

namespace redoubt::innodb::test {

inline constexpr PageId kTestPage{SpaceId{5}, PageNo{17}};

class Body {
 public:
  Body& U8(unsigned v) {
    return Do([&](ByteWriter& w) { w.U8(static_cast<uint8_t>(v)); });
  }
  Body& U16(unsigned v) {
    return Do([&](ByteWriter& w) { w.U16(static_cast<uint16_t>(v)); });
  }
  Body& U32(uint32_t v) {
    return Do([&](ByteWriter& w) { w.U32(v); });
  }
  Body& U64(uint64_t v) {
    return Do([&](ByteWriter& w) { w.U64(v); });
  }
  Body& C32(uint32_t v) {
    AppendC32(v, &bytes_);
    return *this;
  }
  Body& C64(uint64_t v) {
    AppendC64(v, &bytes_);
    return *this;
  }
  Body& M64(uint64_t v) {
    AppendM64(v, &bytes_);
    return *this;
  }
  Body& Raw(ByteView v) {
    return Do([&](ByteWriter& w) { w.Append(v); });
  }
  Body& Text(std::string_view v) { return Raw(AsBytes(v)); }
  // Index info of a COMPACT index: `lengths` as logged (bit 15 = NOT NULL).
  Body& CompactIndex(const std::vector<uint16_t>& lengths, unsigned n_uniq) {
    U8(1).U8(1).U16(static_cast<unsigned>(lengths.size())).U16(n_uniq);
    for (const uint16_t length : lengths) {
      U16(length);
    }
    return *this;
  }
  Body& RedundantIndex() { return U8(1).U8(0); }
  const Bytes& bytes() const { return bytes_; }

 private:
  template <typename F>
  Body& Do(F&& f) {
    ByteWriter writer(&bytes_);
    f(writer);
    return *this;
  }
  Bytes bytes_;
};

// Header and body, without the single-record flag.
inline Bytes Record(RedoType type, PageId page, const Bytes& body) {
  Body out;
  out.U8(static_cast<uint8_t>(type)).C32(page.space.value()).C32(page.page_no.value()).Raw(body);
  return out.bytes();
}
inline Bytes Single(Bytes record) {
  record[0] |= kSingleRecordFlag;
  return record;
}
inline Bytes Multi(const std::vector<Bytes>& records) {
  Body out;
  for (const Bytes& record : records) {
    out.Raw(record);
  }
  return out.U8(31).bytes();
}
// As the parser would give it; borrows `body`.
inline RedoRecord Parsed(RedoType type, const Bytes& body, PageId page = kTestPage) {
  return RedoRecord{type, page, Lsn(8204), body};
}

}  // namespace redoubt::innodb::test
