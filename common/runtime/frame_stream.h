// SPDX-License-Identifier: MIT
//
// Messages over a byte stream: the native transport's frames. The stream knows nothing of protobuf;
// the message type, header bytes and raw payload are the caller's.
//
// Frame, big-endian:
//   0  u32 magic 'RDB1'          4  u32 header_bytes     8  u32 payload_bytes
//  12  u16 type                 14  u16 reserved, zero  16  u64 request_id
//  24  u32 crc32c over bytes 0..23, header, payload
//  28  header, payload
//
// Both lengths are checked against FrameLimits before anything is allocated.
#pragma once

#include <cstdint>

#include "common/base/bytes.h"
#include "common/base/result.h"
#include "common/runtime/network.h"
#include "common/runtime/task.h"

namespace redoubt {

inline constexpr uint32_t kFrameMagic = 0x52444231;
inline constexpr size_t kFrameFixedBytes = 28;

struct FrameLimits {
  uint32_t header_bytes_max = 1 << 20;
  uint32_t payload_bytes_max = 32 << 20;
};

struct Frame {
  uint16_t type = 0;
  uint64_t request_id = 0;
  Bytes header;
  Bytes payload;
};

// What is to be sent; header and payload are borrowed until WriteFrame ends.
struct FrameView {
  uint16_t type = 0;
  uint64_t request_id = 0;
  ByteView header;
  ByteView payload;
};

// The 28 fixed bytes in front of header and payload.
void EncodeFrameFixed(const FrameView& frame, MutableByteView out);

struct FrameLengths {
  uint32_t header_bytes = 0;
  uint32_t payload_bytes = 0;
};
// Validates magic, reserved bits and lengths of `fixed` (exactly 28 bytes). kCorruption: not our
// frame. kResourceExhausted: a length is over its limit.
Result<FrameLengths> DecodeFrameLengths(ByteView fixed, const FrameLimits& limits);

// Reads frames from one connection, which must outlive it. One Next at a time.
//
// Reads ahead into a buffer of 64 KiB, so that one read may bring several small frames; the part of
// a larger frame that has not arrived yet is read straight to its place.
class FrameReader {
 public:
  FrameReader(Connection* connection, FrameLimits limits);
  // The next frame. kUnavailable: the peer closed or was lost ("closed" between frames, "cut"
  // inside one). kCorruption, kResourceExhausted: the stream cannot go on and must be closed.
  Task<Result<Frame>> Next();

 private:
  // The frame that `bytes`, of exactly its size, holds.
  Result<Frame> TakeFrame(ByteView bytes, FrameLengths lengths) const;
  Task<Result<Frame>> NextLarge(FrameLengths lengths);
  Task<Status> ReadExactly(MutableByteView into);
  // Free space behind the bytes read ahead, which are moved to the front when they would not grow
  // to `wanted` bytes where they are.
  MutableByteView MakeRoom(size_t wanted);
  ByteView buffered() const { return ByteView(buffer_).subspan(begin_, end_ - begin_); }
  Status ChecksumMismatch() const;

  Connection* connection_;
  FrameLimits limits_;
  Bytes buffer_;
  size_t begin_ = 0;
  size_t end_ = 0;
};

// Sends one frame. The caller serialises writes of one connection.
Task<Status> WriteFrame(Connection* connection, FrameView frame);

}  // namespace redoubt
