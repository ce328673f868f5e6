// SPDX-License-Identifier: MIT
#include "pageserver/page/space_event.h"

#include "common/base/bytes.h"

namespace redoubt {

std::string EncodeSpaceEvent(const SpaceEvent& event) {
  Bytes out;
  ByteWriter writer(&out);
  writer.U8(static_cast<uint8_t>(event.kind));
  writer.U32(event.flags);
  writer.U32(event.page_count);
  writer.U64(event.hole_start.value());
  writer.Varint(event.path.size());
  writer.Append(AsBytes(event.path));
  writer.Varint(event.reason.size());
  writer.Append(AsBytes(event.reason));
  return std::string(AsText(out));
}

Result<SpaceEvent> DecodeSpaceEvent(std::string_view value, Lsn lsn, uint32_t seq) {
  ByteReader reader(AsBytes(value));
  SpaceEvent event;
  event.lsn = lsn;
  event.seq = seq;
  event.kind = static_cast<SpaceEvent::Kind>(reader.U8());
  event.flags = reader.U32();
  event.page_count = reader.U32();
  event.hole_start = Lsn(reader.U64());
  event.path = AsText(reader.Take(reader.Varint()));
  event.reason = AsText(reader.Take(reader.Varint()));
  if (!reader.AtEnd() || event.kind < SpaceEvent::Kind::kCreate ||
      event.kind > SpaceEvent::Kind::kLost) {
    return Corruption("stored event of a tablespace at LSN " + std::to_string(lsn.value()) +
                      " cannot be decoded");
  }
  return event;
}

}  // namespace redoubt
