// SPDX-License-Identifier: MIT
//
// Views over bytes, big-endian loads and stores (InnoDB's order and ours on disk), and
// bounds-checked readers and writers.
#pragma once

#include <cstddef>
#include <cstdint>
#include <cstring>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace redoubt {

using ByteView = std::span<const uint8_t>;
using MutableByteView = std::span<uint8_t>;
using Bytes = std::vector<uint8_t>;

inline uint16_t LoadBe16(const uint8_t* p) {
  uint16_t v;
  std::memcpy(&v, p, 2);
  return __builtin_bswap16(v);
}
inline uint32_t LoadBe32(const uint8_t* p) {
  uint32_t v;
  std::memcpy(&v, p, 4);
  return __builtin_bswap32(v);
}
inline uint64_t LoadBe64(const uint8_t* p) {
  uint64_t v;
  std::memcpy(&v, p, 8);
  return __builtin_bswap64(v);
}
inline void StoreBe16(uint8_t* p, uint16_t v) {
  v = __builtin_bswap16(v);
  std::memcpy(p, &v, 2);
}
inline void StoreBe32(uint8_t* p, uint32_t v) {
  v = __builtin_bswap32(v);
  std::memcpy(p, &v, 4);
}
inline void StoreBe64(uint8_t* p, uint64_t v) {
  v = __builtin_bswap64(v);
  std::memcpy(p, &v, 8);
}

inline ByteView AsBytes(std::string_view s) {
  return {reinterpret_cast<const uint8_t*>(s.data()), s.size()};
}
inline std::string_view AsText(ByteView b) {
  return {reinterpret_cast<const char*>(b.data()), b.size()};
}

// Reads forward through `view`, which must outlive the reader. A read past the end sets failed()
// and returns zero or an empty view from then on, so a parser may check once at the end.
class ByteReader {
 public:
  explicit ByteReader(ByteView view) : view_(view) {}

  uint8_t U8() { return Fits(1) ? view_[offset_++] : uint8_t{0}; }
  uint16_t U16() { return Fits(2) ? LoadBe16(Advance(2)) : uint16_t{0}; }
  uint32_t U32() { return Fits(4) ? LoadBe32(Advance(4)) : 0U; }
  uint64_t U64() { return Fits(8) ? LoadBe64(Advance(8)) : uint64_t{0}; }
  // LEB128, at most ten bytes.
  uint64_t Varint();
  // The next `length` bytes, borrowed from the view given to the constructor.
  ByteView Take(size_t length) {
    return Fits(length) ? ByteView(Advance(length), length) : ByteView();
  }

  size_t offset() const { return offset_; }
  size_t remaining() const { return view_.size() - offset_; }
  bool failed() const { return failed_; }
  // Everything was read and nothing failed.
  bool AtEnd() const { return !failed_ && offset_ == view_.size(); }

 private:
  bool Fits(size_t length) {
    if (failed_ || length > view_.size() - offset_) {
      failed_ = true;
      return false;
    }
    return true;
  }
  const uint8_t* Advance(size_t length) {
    const uint8_t* at = view_.data() + offset_;
    offset_ += length;
    return at;
  }

  ByteView view_;
  size_t offset_ = 0;
  bool failed_ = false;
};

// Appends to a Bytes owned by the caller, which must outlive the writer.
class ByteWriter {
 public:
  explicit ByteWriter(Bytes* out) : out_(out) {}

  void U8(uint8_t v) { out_->push_back(v); }
  void U16(uint16_t v) { StoreBe16(Grow(2), v); }
  void U32(uint32_t v) { StoreBe32(Grow(4), v); }
  void U64(uint64_t v) { StoreBe64(Grow(8), v); }
  void Varint(uint64_t v);
  void Append(ByteView bytes) { out_->insert(out_->end(), bytes.begin(), bytes.end()); }

 private:
  uint8_t* Grow(size_t count) {
    out_->resize(out_->size() + count);
    return out_->data() + out_->size() - count;
  }
  Bytes* out_;
};

// Lower-case hexadecimal, two digits a byte.
std::string ToHex(ByteView bytes);

}  // namespace redoubt
