// SPDX-License-Identifier: MIT
//
// Frame checksums of page images without reading the images again: the CRC of an image that stays
// in the page cache is computed once, and joined to the frame's by arithmetic. Reading 16 KiB for
// every answer costs more than everything else that a hot read does in this process.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <vector>

#include "common/base/bytes.h"

namespace redoubt {

// CRC-32C of a || b, given that of a, that of b, and b's length. Fast for lengths that are a page
// size.
uint32_t CombineCrc32c(uint32_t crc_a, uint32_t crc_b, size_t b_bytes);

// Remembers the CRC of recently sent images, each by its identity. An image never changes while
// somebody shares it; when the last owner is gone its entry is dead and can match nothing.
class ImageCrcMemo {
 public:
  ImageCrcMemo();
  uint32_t CrcOf(const std::shared_ptr<const Bytes>& image);

 private:
  struct Entry {
    std::weak_ptr<const Bytes> image;
    uint32_t crc = 0;
  };
  std::vector<Entry> entries_;
};

}  // namespace redoubt
