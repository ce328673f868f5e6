// SPDX-License-Identifier: MIT
#include "common/innodb/packed_reader.h"

namespace redoubt::innodb {

void AppendC32(uint32_t value, Bytes* out) {
  ByteWriter writer(out);
  const auto low8 = static_cast<uint8_t>(value);
  const auto low16 = static_cast<uint16_t>(value);
  if (value < 0x80) {
    writer.U8(low8);
  } else if (value < 0x4000) {
    writer.U16(static_cast<uint16_t>(0x8000 | value));
  } else if (value < 0x200000) {
    writer.U8(static_cast<uint8_t>(0xC0 | value >> 16));
    writer.U16(low16);
  } else if (value < 0x10000000) {
    writer.U32(0xE0000000 | value);
  } else if (value >= 0xFFFFFC00) {
    writer.U8(static_cast<uint8_t>(0xF8 | (value >> 8 & 3)));
    writer.U8(low8);
  } else if (value >= 0xFFFE0000) {
    writer.U8(static_cast<uint8_t>(0xFC | (value >> 16 & 1)));
    writer.U16(low16);
  } else if (value >= 0xFF000000) {
    writer.U32(0xFE000000 | (value & 0xFFFFFF));
  } else {
    writer.U8(0xF0);
    writer.U32(value);
  }
}

void AppendC64(uint64_t value, Bytes* out) {
  AppendC32(static_cast<uint32_t>(value >> 32), out);
  ByteWriter(out).U32(static_cast<uint32_t>(value));
}

void AppendM64(uint64_t value, Bytes* out) {
  const auto high = static_cast<uint32_t>(value >> 32);
  if (high != 0) {
    ByteWriter(out).U8(0xFF);
    AppendC32(high, out);
  }
  AppendC32(static_cast<uint32_t>(value), out);
}

}  // namespace redoubt::innodb
