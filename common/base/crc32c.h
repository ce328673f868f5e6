// SPDX-License-Identifier: MIT
//
// CRC-32C (Castagnoli, reflected, initial 0xFFFFFFFF, final complement): redo blocks, pages,
// frames.
#pragma once

#include <cstdint>

#include "common/base/bytes.h"

namespace redoubt {

// The CRC of `bytes`; Crc32c({}) is 0.
uint32_t Crc32c(ByteView bytes);
// The CRC of a || b, given `crc` = Crc32c(a) and b.
uint32_t Crc32cExtend(uint32_t crc, ByteView bytes);

}  // namespace redoubt
