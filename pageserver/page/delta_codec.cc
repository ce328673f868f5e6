// SPDX-License-Identifier: MIT
#include "pageserver/page/delta_codec.h"

namespace redoubt {

Status DecodeRecords(const DeltaEntry& entry, PageId page,
                     std::vector<innodb::RedoRecord>* records) {
  ByteReader reader(entry.records);
  while (reader.remaining() > 0 && !reader.failed()) {
    const uint8_t type = reader.U8();
    const ByteView body = reader.Take(reader.Varint());
    if (reader.failed() || !innodb::IsKnownRedoType(type)) {
      return Corruption("stored redo of page " + ToString(page) + " at LSN " +
                        std::to_string(entry.start.value()) + " cannot be decoded");
    }
    records->push_back({static_cast<innodb::RedoType>(type), page, entry.start, body});
  }
  return Status::Ok();
}

}  // namespace redoubt
