// SPDX-License-Identifier: MIT
//
// What answers requests, and what an answer is made of.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <utility>
#include <vector>

#include "common/base/bytes.h"
#include "common/base/status.h"
#include "common/runtime/frame_stream.h"
#include "common/runtime/rpc/wire_message.h"
#include "common/runtime/task.h"

namespace redoubt {

// A part of an answer's payload, sent from where it lies. Shared with the page cache or the log's
// memory, which may drop theirs while the bytes are being sent.
struct ReplyPart {
  ReplyPart(std::shared_ptr<const Bytes> part_bytes)  // NOLINT: implicit by design
      : bytes(std::move(part_bytes)) {}
  ReplyPart(std::shared_ptr<const Bytes> part_bytes, uint32_t known_crc)
      : bytes(std::move(part_bytes)), crc(known_crc) {}
  std::shared_ptr<const Bytes> bytes;
  // CRC-32C of the bytes when somebody knows it already.
  std::optional<uint32_t> crc;
};

struct RpcReply {
  Bytes header;  // the serialised response message
  std::vector<ReplyPart> payload;
};

class RpcHandler {
 public:
  virtual ~RpcHandler() = default;
  // Called in the order in which a connection's requests came. What must keep that order is done
  // before Handle returns; the returned task does the rest, beside others.
  virtual Task<RpcReply> Handle(Frame request) = 0;
};

// The 28 fixed bytes of a frame whose payload lies in parts. Parts of known CRC are not read.
void EncodeReplyFixed(uint16_t type, uint64_t request_id, const RpcReply& reply,
                      MutableByteView out);

// `message` as the header of an answer without payload.
RpcReply MakeReply(const google::protobuf::MessageLite& message);

// An answer of type Response that carries only `status`.
template <typename Response>
RpcReply MakeErrorReply(const Status& status) {
  Response response;
  ToProto(status, response.mutable_status());
  return MakeReply(response);
}

}  // namespace redoubt
