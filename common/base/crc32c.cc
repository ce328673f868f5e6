// SPDX-License-Identifier: MIT
//
// With SSE4.2: three interleaved streams of crc32 instructions hide the instruction's latency of
// three cycles; the streams are joined by advancing a CRC over zero bytes with tables made at
// start. Without it: one table lookup a byte.
#include "common/base/crc32c.h"

#include <array>

#if defined(__SSE4_2__)
#include <nmmintrin.h>
#endif

namespace redoubt {
namespace {

constexpr uint32_t kPolynomial = 0x82F63B78;

constexpr std::array<uint32_t, 256> MakeByteTable() {
  std::array<uint32_t, 256> table{};
  for (uint32_t i = 0; i < 256; ++i) {
    uint32_t crc = i;
    for (int bit = 0; bit < 8; ++bit) {
      crc = (crc >> 1) ^ ((crc & 1) != 0 ? kPolynomial : 0);
    }
    table[i] = crc;
  }
  return table;
}
constexpr std::array<uint32_t, 256> kByteTable = MakeByteTable();

#if defined(__SSE4_2__)

// Lanes of the interleaved loops: one for page-sized input, one for blocks of 508 bytes.
constexpr size_t kLongLane = 1360;
constexpr size_t kShortLane = 168;

// shift[k][b]: the CRC register that has only byte k = b, advanced over a lane of zero bytes.
using ShiftTable = std::array<std::array<uint32_t, 256>, 4>;

constexpr ShiftTable MakeShiftTable(size_t zero_bytes) {
  std::array<uint32_t, 32> by_bit{};
  for (uint32_t bit = 0; bit < 32; ++bit) {
    uint32_t crc = 1U << bit;
    for (size_t i = 0; i < zero_bytes; ++i) {
      crc = (crc >> 8) ^ kByteTable[crc & 0xFF];
    }
    by_bit[bit] = crc;
  }
  ShiftTable table{};
  for (size_t k = 0; k < 4; ++k) {
    for (uint32_t b = 0; b < 256; ++b) {
      uint32_t crc = 0;
      for (uint32_t bit = 0; bit < 8; ++bit) {
        if ((b >> bit & 1) != 0) {
          crc ^= by_bit[k * 8 + bit];
        }
      }
      table[k][b] = crc;
    }
  }
  return table;
}
constexpr ShiftTable kLongShift = MakeShiftTable(kLongLane);
constexpr ShiftTable kShortShift = MakeShiftTable(kShortLane);

uint32_t Shift(const ShiftTable& table, uint32_t crc) {
  return table[0][crc & 0xFF] ^ table[1][crc >> 8 & 0xFF] ^ table[2][crc >> 16 & 0xFF] ^
         table[3][crc >> 24];
}

uint64_t LoadWord(const uint8_t* p) {
  uint64_t v;
  std::memcpy(&v, p, 8);
  return v;
}

template <size_t kLane>
uint32_t ThreeLanes(uint32_t crc, const uint8_t* p, const ShiftTable& shift) {
  static_assert(kLane % 8 == 0);
  uint64_t a = crc;
  uint64_t b = 0;
  uint64_t c = 0;
  for (size_t i = 0; i < kLane; i += 8) {
    a = _mm_crc32_u64(a, LoadWord(p + i));
    b = _mm_crc32_u64(b, LoadWord(p + kLane + i));
    c = _mm_crc32_u64(c, LoadWord(p + 2 * kLane + i));
  }
  const uint32_t ab = Shift(shift, static_cast<uint32_t>(a)) ^ static_cast<uint32_t>(b);
  return Shift(shift, ab) ^ static_cast<uint32_t>(c);
}

uint32_t Update(uint32_t crc, const uint8_t* p, size_t length) {
  while (length >= 3 * kLongLane) {
    crc = ThreeLanes<kLongLane>(crc, p, kLongShift);
    p += 3 * kLongLane;
    length -= 3 * kLongLane;
  }
  while (length >= 3 * kShortLane) {
    crc = ThreeLanes<kShortLane>(crc, p, kShortShift);
    p += 3 * kShortLane;
    length -= 3 * kShortLane;
  }
  uint64_t wide = crc;
  for (; length >= 8; p += 8, length -= 8) {
    wide = _mm_crc32_u64(wide, LoadWord(p));
  }
  crc = static_cast<uint32_t>(wide);
  for (; length > 0; ++p, --length) {
    crc = _mm_crc32_u8(crc, *p);
  }
  return crc;
}

#else

uint32_t Update(uint32_t crc, const uint8_t* p, size_t length) {
  for (; length > 0; ++p, --length) {
    crc = (crc >> 8) ^ kByteTable[(crc ^ *p) & 0xFF];
  }
  return crc;
}

#endif

}  // namespace

uint32_t Crc32c(ByteView bytes) { return Crc32cExtend(0, bytes); }

uint32_t Crc32cExtend(uint32_t crc, ByteView bytes) {
  return ~Update(~crc, bytes.data(), bytes.size());
}

}  // namespace redoubt
