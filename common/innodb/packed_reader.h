// SPDX-License-Identifier: MIT
//
// Reads the variable-length integers of redo records.
//
//   c32: n < 0x80 1 byte | < 0x4000 10xxxxxx +1 | < 0x200000 110xxxxx +2 | < 0x10000000 1110xxxx +3
//   |
//        otherwise 0xF0 +4; numbers near 2^32: 111110xx +1, 1111110x +2, 0xFE +3, high bits all
//        ones
//   c64: c32 of the high half, 4 raw bytes
//   m64: c32 if the high half is zero, else 0xFF, c32(high), c32(low)
//
// A read past the end sets failed() and yields zero from then on: check once after several reads.
// Format: README.md, "Integers".
#pragma once

#include <cstddef>
#include <cstdint>

#include "common/base/bytes.h"

namespace redoubt::innodb {

class PackedReader {
 public:
  explicit PackedReader(ByteView bytes)
      : begin_(bytes.data()), at_(bytes.data()), end_(bytes.data() + bytes.size()) {}

  uint8_t U8() { return Fits(1) ? *at_++ : uint8_t{0}; }
  uint16_t U16() { return Fits(2) ? LoadBe16(Advance(2)) : uint16_t{0}; }
  uint32_t U32() { return Fits(4) ? LoadBe32(Advance(4)) : 0U; }
  uint64_t U64() { return Fits(8) ? LoadBe64(Advance(8)) : uint64_t{0}; }

  uint32_t C32() {
    if (at_ != end_ && *at_ < 0x80) [[likely]] {
      return *at_++;
    }
    return LongC32();
  }
  uint64_t C64() {
    const uint64_t high = C32();
    return high << 32 | U32();
  }
  uint64_t M64() {
    if (at_ != end_ && *at_ == 0xFF) {
      ++at_;
      const uint64_t high = C32();
      return high << 32 | C32();
    }
    return C32();
  }
  // Borrowed from the bytes given to the constructor; empty if they do not suffice.
  ByteView Take(size_t length) {
    return Fits(length) ? ByteView(Advance(length), length) : ByteView();
  }
  void Skip(size_t length) {
    if (Fits(length)) {
      at_ += length;
    }
  }

  bool failed() const { return failed_; }
  bool AtEnd() const { return !failed_ && at_ == end_; }
  size_t offset() const { return static_cast<size_t>(at_ - begin_); }
  size_t remaining() const { return static_cast<size_t>(end_ - at_); }
  const uint8_t* at() const { return at_; }

 private:
  bool Fits(size_t length) {
    if (length > remaining()) [[unlikely]] {
      failed_ = true;
      at_ = end_;
      return false;
    }
    return true;
  }
  const uint8_t* Advance(size_t length) {
    const uint8_t* from = at_;
    at_ += length;
    return from;
  }
  __attribute__((noinline)) uint32_t LongC32() {
    if (!Fits(1)) {
      return 0;
    }
    const uint32_t b = *at_;
    if (b < 0xC0) {
      return Fits(2) ? LoadBe16(Advance(2)) & 0x3FFFU : 0U;
    }
    if (b < 0xE0) {
      return Load24((b & 0x1F) << 16);
    }
    if (b < 0xF0) {
      return Fits(4) ? LoadBe32(Advance(4)) & 0x0FFFFFFFU : 0U;
    }
    if (b < 0xF8) {
      return Fits(5) ? LoadBe32(Advance(5) + 1) : 0U;
    }
    if (b < 0xFC) {
      return Fits(2) ? 0xFFFFFC00U | (LoadBe16(Advance(2)) & 0x3FFU) : 0U;
    }
    if (b < 0xFE) {
      return Load24(0xFFFE0000U | (b & 1) << 16);
    }
    return Fits(4) ? 0xFF000000U | (LoadBe32(Advance(4)) & 0xFFFFFFU) : 0U;
  }
  // The low 16 bits are the second and third byte from here, the others are `high`.
  uint32_t Load24(uint32_t high) {
    if (!Fits(3)) {
      return 0;
    }
    const uint8_t* p = Advance(3);
    return high | static_cast<uint32_t>(p[1]) << 8 | p[2];
  }

  const uint8_t* begin_;
  const uint8_t* at_;
  const uint8_t* end_;
  bool failed_ = false;
};

// Appends the encodings that PackedReader reads, in the form the server writes.
void AppendC32(uint32_t value, Bytes* out);
void AppendC64(uint64_t value, Bytes* out);
void AppendM64(uint64_t value, Bytes* out);

}  // namespace redoubt::innodb
