// SPDX-License-Identifier: MIT
#include "common/runtime/frame_stream.h"

#include <algorithm>
#include <array>
#include <string>

#include "common/base/check.h"
#include "common/base/crc32c.h"

namespace redoubt {
namespace {

constexpr size_t kReadAheadBytes = 64 << 10;
constexpr size_t kCrcOffset = 24;

uint32_t FrameCrc(ByteView fixed, ByteView header, ByteView payload) {
  const uint32_t crc = Crc32c(fixed.first(kCrcOffset));
  return Crc32cExtend(Crc32cExtend(crc, header), payload);
}

}  // namespace

void EncodeFrameFixed(const FrameView& frame, MutableByteView out) {
  REDOUBT_CHECK(out.size() == kFrameFixedBytes);
  REDOUBT_CHECK(frame.header.size() <= UINT32_MAX);
  REDOUBT_CHECK(frame.payload.size() <= UINT32_MAX);
  StoreBe32(out.data(), kFrameMagic);
  StoreBe32(out.data() + 4, static_cast<uint32_t>(frame.header.size()));
  StoreBe32(out.data() + 8, static_cast<uint32_t>(frame.payload.size()));
  StoreBe16(out.data() + 12, frame.type);
  StoreBe16(out.data() + 14, 0);
  StoreBe64(out.data() + 16, frame.request_id);
  StoreBe32(out.data() + kCrcOffset, FrameCrc(out, frame.header, frame.payload));
}

Result<FrameLengths> DecodeFrameLengths(ByteView fixed, const FrameLimits& limits) {
  REDOUBT_CHECK(fixed.size() == kFrameFixedBytes);
  if (LoadBe32(fixed.data()) != kFrameMagic || LoadBe16(fixed.data() + 14) != 0) {
    return Corruption("not a Redoubt frame: the peer speaks another protocol or version");
  }
  const FrameLengths lengths{LoadBe32(fixed.data() + 4), LoadBe32(fixed.data() + 8)};
  if (lengths.header_bytes > limits.header_bytes_max) {
    return ResourceExhausted("frame header of " + std::to_string(lengths.header_bytes) +
                             " bytes is over the limit of " +
                             std::to_string(limits.header_bytes_max));
  }
  if (lengths.payload_bytes > limits.payload_bytes_max) {
    return ResourceExhausted("frame payload of " + std::to_string(lengths.payload_bytes) +
                             " bytes is over the limit of " +
                             std::to_string(limits.payload_bytes_max));
  }
  return lengths;
}

FrameReader::FrameReader(Connection* connection, FrameLimits limits)
    : connection_(connection), limits_(limits), buffer_(kReadAheadBytes) {}

Task<Status> FrameReader::ReadExactly(MutableByteView into, bool at_frame_start) {
  size_t filled = 0;
  while (filled < into.size()) {
    if (begin_ < end_) {
      const size_t count = std::min(end_ - begin_, into.size() - filled);
      std::copy_n(buffer_.begin() + static_cast<ptrdiff_t>(begin_), count,
                  into.begin() + static_cast<ptrdiff_t>(filled));
      begin_ += count;
      filled += count;
      continue;
    }
    // Large rests go straight to their place, small ones through the read-ahead buffer.
    const MutableByteView rest = into.subspan(filled);
    const bool direct = rest.size() >= kReadAheadBytes;
    const MutableByteView target = direct ? rest : MutableByteView(buffer_);
    const Result<size_t> got = co_await connection_->Read(target);
    if (!got.ok()) {
      co_return got.status();
    }
    if (*got == 0) {
      co_return Unavailable(at_frame_start && filled == 0 ? "peer closed the connection"
                                                          : "connection was cut inside a frame");
    }
    if (direct) {
      filled += *got;
    } else {
      begin_ = 0;
      end_ = *got;
    }
  }
  co_return Status::Ok();
}

Task<Result<Frame>> FrameReader::Next() {
  std::array<uint8_t, kFrameFixedBytes> fixed{};
  const Status head = co_await ReadExactly(MutableByteView(fixed), true);
  if (!head.ok()) {
    co_return head;
  }
  const Result<FrameLengths> lengths = DecodeFrameLengths(ByteView(fixed), limits_);
  if (!lengths.ok()) {
    co_return lengths.status();
  }
  Frame frame;
  frame.type = LoadBe16(fixed.data() + 12);
  frame.request_id = LoadBe64(fixed.data() + 16);
  frame.header.resize(lengths->header_bytes);
  frame.payload.resize(lengths->payload_bytes);
  const Status header = co_await ReadExactly(MutableByteView(frame.header), false);
  if (!header.ok()) {
    co_return header;
  }
  const Status payload = co_await ReadExactly(MutableByteView(frame.payload), false);
  if (!payload.ok()) {
    co_return payload;
  }
  if (FrameCrc(ByteView(fixed), frame.header, frame.payload) != LoadBe32(fixed.data() + kCrcOffset)) {
    co_return Corruption("frame checksum mismatch from " + connection_->peer() +
                         ": bytes were damaged on the way");
  }
  co_return frame;
}

Task<Status> WriteFrame(Connection* connection, FrameView frame) {
  std::array<uint8_t, kFrameFixedBytes> fixed{};
  EncodeFrameFixed(frame, MutableByteView(fixed));
  const std::array<ByteView, 3> parts{ByteView(fixed), frame.header, frame.payload};
  const Status status = co_await connection->Write(parts);
  co_return status;
}

}  // namespace redoubt
