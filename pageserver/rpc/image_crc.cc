// SPDX-License-Identifier: MIT
#include "pageserver/rpc/image_crc.h"

#include <array>
#include <bit>

#include "common/base/check.h"
#include "common/base/crc32c.h"

namespace redoubt {
namespace {

constexpr size_t kEntryCount = 16384;
static_assert(std::has_single_bit(kEntryCount));
constexpr size_t kPageBytesMin = 4096;
constexpr size_t kPageSizeCount = 5;  // 4 KiB ... 64 KiB

// What advancing a CRC over a number of zero bytes does to it, a table for each byte of the
// register: the operation is linear.
using AdvanceTable = std::array<std::array<uint32_t, 256>, 4>;

uint32_t AdvanceSlowly(uint32_t crc, size_t zero_bytes) {
  // Crc32cExtend complements before and after; undone, it advances the bare register.
  const Bytes zeroes(zero_bytes);
  return ~Crc32cExtend(~crc, zeroes);
}

AdvanceTable MakeAdvanceTable(size_t zero_bytes) {
  std::array<uint32_t, 32> by_bit{};
  for (uint32_t bit = 0; bit < 32; ++bit) {
    by_bit[bit] = AdvanceSlowly(1U << bit, zero_bytes);
  }
  AdvanceTable table{};
  for (uint32_t k = 0; k < 4; ++k) {
    for (uint32_t value = 0; value < 256; ++value) {
      for (uint32_t bit = 0; bit < 8; ++bit) {
        table[k][value] ^= (value >> bit & 1) != 0 ? by_bit[k * 8 + bit] : 0;
      }
    }
  }
  return table;
}

const std::array<AdvanceTable, kPageSizeCount>& PageSizeTables() {
  static const std::array<AdvanceTable, kPageSizeCount> kTables = [] {
    std::array<AdvanceTable, kPageSizeCount> made;
    for (size_t i = 0; i < kPageSizeCount; ++i) {
      made[i] = MakeAdvanceTable(kPageBytesMin << i);
    }
    return made;
  }();
  return kTables;
}

}  // namespace

uint32_t CombineCrc32c(uint32_t crc_a, uint32_t crc_b, size_t b_bytes) {
  const bool page_sized = std::has_single_bit(b_bytes) && b_bytes >= kPageBytesMin &&
                          b_bytes < kPageBytesMin << kPageSizeCount;
  if (!page_sized) {
    return AdvanceSlowly(crc_a, b_bytes) ^ crc_b;
  }
  const auto index = static_cast<size_t>(std::countr_zero(b_bytes / kPageBytesMin));
  const AdvanceTable& table = PageSizeTables()[index];
  return table[0][crc_a & 0xFF] ^ table[1][crc_a >> 8 & 0xFF] ^ table[2][crc_a >> 16 & 0xFF] ^
         table[3][crc_a >> 24] ^ crc_b;
}

ImageCrcMemo::ImageCrcMemo() : entries_(kEntryCount) {}

uint32_t ImageCrcMemo::CrcOf(const std::shared_ptr<const Bytes>& image) {
  REDOUBT_CHECK(image != nullptr);
  // Only where an entry lies depends on the address, never what is answered.
  const uint64_t address = reinterpret_cast<uintptr_t>(image.get());
  Entry& entry = entries_[(address * 0x9E3779B97F4A7C15ULL) >> 50];
  static_assert(kEntryCount == 1 << (64 - 50));
  // The weak reference keeps the control block, so equal ownership means the same image.
  const bool same = !entry.image.owner_before(image) && !image.owner_before(entry.image);
  if (!same) {
    entry.crc = Crc32c(*image);
    entry.image = image;
  }
  return entry.crc;
}

}  // namespace redoubt
