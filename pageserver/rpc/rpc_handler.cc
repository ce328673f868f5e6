// SPDX-License-Identifier: MIT
#include "pageserver/rpc/rpc_handler.h"

#include "common/base/check.h"
#include "common/base/crc32c.h"
#include "pageserver/rpc/image_crc.h"

namespace redoubt {

void EncodeReplyFixed(uint16_t type, uint64_t request_id, const RpcReply& reply,
                      MutableByteView out) {
  REDOUBT_CHECK(out.size() == kFrameFixedBytes);
  size_t payload_bytes = 0;
  for (const auto& part : reply.payload) {
    payload_bytes += part.bytes->size();
  }
  REDOUBT_CHECK(payload_bytes <= UINT32_MAX && reply.header.size() <= UINT32_MAX);
  StoreBe32(out.data(), kFrameMagic);
  StoreBe32(out.data() + 4, static_cast<uint32_t>(reply.header.size()));
  StoreBe32(out.data() + 8, static_cast<uint32_t>(payload_bytes));
  StoreBe16(out.data() + 12, type);
  StoreBe16(out.data() + 14, 0);
  StoreBe64(out.data() + 16, request_id);
  uint32_t crc = Crc32cExtend(Crc32c(out.first(24)), reply.header);
  for (const auto& part : reply.payload) {
    crc = part.crc.has_value() ? CombineCrc32c(crc, *part.crc, part.bytes->size())
                               : Crc32cExtend(crc, *part.bytes);
  }
  StoreBe32(out.data() + 24, crc);
}

RpcReply MakeReply(const google::protobuf::MessageLite& message) {
  RpcReply reply;
  reply.header = Serialise(message);
  return reply;
}

}  // namespace redoubt
