// SPDX-License-Identifier: MIT
#include "common/runtime/frame_stream.h"

#include <algorithm>
#include <array>
#include <string>
#include <utility>

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

// Type and request id of a frame; header and payload stay empty.
Frame FrameOf(ByteView fixed) {
  Frame frame;
  frame.type = LoadBe16(fixed.data() + 12);
  frame.request_id = LoadBe64(fixed.data() + 16);
  return frame;
}

Status CutInsideFrame() { return Unavailable("connection was cut inside a frame"); }

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

Task<Result<Frame>> FrameReader::Next() {
  for (;;) {
    const size_t ready = end_ - begin_;
    size_t wanted = kFrameFixedBytes;
    if (ready >= kFrameFixedBytes) {
      const Result<FrameLengths> lengths =
          DecodeFrameLengths(buffered().first(kFrameFixedBytes), limits_);
      if (!lengths.ok()) {
        co_return lengths.status();
      }
      wanted += size_t{lengths->header_bytes} + lengths->payload_bytes;
      if (ready >= wanted) {
        begin_ += wanted;
        co_return TakeFrame(ByteView(buffer_).subspan(begin_ - wanted, wanted), *lengths);
      }
      if (wanted > buffer_.size()) {
        Task<Result<Frame>> large = NextLarge(*lengths);
        Result<Frame> frame = co_await large;
        co_return std::move(frame);
      }
    }
    const Result<size_t> got = co_await connection_->Read(MakeRoom(wanted));
    if (!got.ok()) {
      co_return got.status();
    }
    if (*got == 0) {
      co_return ready == 0 ? Unavailable("peer closed the connection") : CutInsideFrame();
    }
    end_ += *got;
    REDOUBT_CHECK(end_ <= buffer_.size());
  }
}

Result<Frame> FrameReader::TakeFrame(ByteView bytes, FrameLengths lengths) const {
  const ByteView fixed = bytes.first(kFrameFixedBytes);
  const ByteView header = bytes.subspan(kFrameFixedBytes, lengths.header_bytes);
  const ByteView payload = bytes.subspan(kFrameFixedBytes + lengths.header_bytes);
  REDOUBT_CHECK(payload.size() == lengths.payload_bytes);
  if (FrameCrc(fixed, header, payload) != LoadBe32(fixed.data() + kCrcOffset)) {
    return ChecksumMismatch();
  }
  Frame frame = FrameOf(fixed);
  frame.header.assign(header.begin(), header.end());
  frame.payload.assign(payload.begin(), payload.end());
  return frame;
}

Task<Result<Frame>> FrameReader::NextLarge(FrameLengths lengths) {
  std::array<uint8_t, kFrameFixedBytes> fixed{};
  std::copy_n(buffered().begin(), kFrameFixedBytes, fixed.begin());
  begin_ += kFrameFixedBytes;
  Frame frame = FrameOf(ByteView(fixed));
  frame.header.resize(lengths.header_bytes);
  frame.payload.resize(lengths.payload_bytes);
  const Status header = co_await ReadExactly(MutableByteView(frame.header));
  if (!header.ok()) {
    co_return header;
  }
  const Status payload = co_await ReadExactly(MutableByteView(frame.payload));
  if (!payload.ok()) {
    co_return payload;
  }
  if (FrameCrc(ByteView(fixed), frame.header, frame.payload) !=
      LoadBe32(fixed.data() + kCrcOffset)) {
    co_return ChecksumMismatch();
  }
  co_return std::move(frame);
}

// A rest that is shorter than the buffer comes through it, so that the read may bring what follows
// too.
Task<Status> FrameReader::ReadExactly(MutableByteView into) {
  while (!into.empty()) {
    const ByteView ready = buffered();
    if (!ready.empty()) {
      const size_t count = std::min(ready.size(), into.size());
      std::copy_n(ready.begin(), count, into.begin());
      begin_ += count;
      into = into.subspan(count);
      continue;
    }
    const bool direct = into.size() >= buffer_.size();
    const MutableByteView target = direct ? into : MakeRoom(buffer_.size());
    const Result<size_t> got = co_await connection_->Read(target);
    if (!got.ok()) {
      co_return got.status();
    }
    if (*got == 0) {
      co_return CutInsideFrame();
    }
    if (direct) {
      into = into.subspan(*got);
    } else {
      end_ += *got;
    }
  }
  co_return Status::Ok();
}

MutableByteView FrameReader::MakeRoom(size_t wanted) {
  REDOUBT_CHECK(wanted <= buffer_.size());
  if (begin_ == end_) {
    begin_ = end_ = 0;
  } else if (begin_ + wanted > buffer_.size()) {
    std::copy(buffer_.begin() + static_cast<ptrdiff_t>(begin_),
              buffer_.begin() + static_cast<ptrdiff_t>(end_), buffer_.begin());
    end_ -= begin_;
    begin_ = 0;
  }
  REDOUBT_CHECK(end_ < buffer_.size());
  return MutableByteView(buffer_).subspan(end_);
}

Status FrameReader::ChecksumMismatch() const {
  return Corruption("frame checksum mismatch from " + connection_->peer() +
                    ": bytes were damaged on the way");
}

Task<Status> WriteFrame(Connection* connection, FrameView frame) {
  std::array<uint8_t, kFrameFixedBytes> fixed{};
  EncodeFrameFixed(frame, MutableByteView(fixed));
  const std::array<ByteView, 3> parts{ByteView(fixed), frame.header, frame.payload};
  const Status status = co_await connection->Write(parts);
  co_return status;
}

}  // namespace redoubt
