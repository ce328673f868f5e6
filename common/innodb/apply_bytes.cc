// SPDX-License-Identifier: MIT
//
// Writes at a page offset: fixed-width integers, stored big-endian, and strings.
#include <cstring>

#include "common/innodb/apply_internal.h"

namespace redoubt::innodb {

Problem ApplyWrite(const ApplyInput& input) {
  PackedReader reader(input.body);
  uint8_t* page = input.page.data();
  const size_t offset = reader.U16();
  uint64_t value = 0;
  ByteView text;
  size_t width = static_cast<size_t>(input.type);
  if (input.type == RedoType::kWriteString) {
    width = reader.U16();
    text = reader.Take(width);
  } else if (input.type == RedoType::kWrite8) {
    value = reader.C64();
  } else {
    value = reader.C32();
  }
  if (!reader.AtEnd()) {
    return "write: body is too short or too long";
  }
  if (offset + width > input.page.size()) {
    return "write: beyond the end of the page";
  }
  switch (input.type) {
    case RedoType::kWrite1:
      page[offset] = static_cast<uint8_t>(value);
      return value <= 0xFF ? kNoProblem : "write: value does not fit one byte";
    case RedoType::kWrite2:
      StoreBe16(page + offset, static_cast<uint16_t>(value));
      return value <= 0xFFFF ? kNoProblem : "write: value does not fit two bytes";
    case RedoType::kWrite4:
      StoreBe32(page + offset, static_cast<uint32_t>(value));
      return kNoProblem;
    case RedoType::kWrite8:
      StoreBe64(page + offset, value);
      return kNoProblem;
    default:
      if (width != 0) {
        std::memcpy(page + offset, text.data(), width);
      }
      return kNoProblem;
  }
}

}  // namespace redoubt::innodb
