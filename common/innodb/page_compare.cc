// SPDX-License-Identifier: MIT
//
// The comparison under the mask. A mask is a handful of byte ranges with the bits that may differ
// there.
#include <algorithm>
#include <cstring>

#include "common/innodb/index_page.h"
#include "common/innodb/page_format.h"

namespace redoubt::innodb {
namespace {

constexpr PageId kDictionaryHeader{kSystemSpace, PageNo{7}};
// Row, table, index and space id counters: moved without redo when temporary tables are created.
constexpr size_t kDictionaryCountersOffset = 38;
constexpr size_t kDictionaryCountersEnd = 66;
constexpr size_t kMaxNamedOffsets = 8;

bool InRange(size_t offset, size_t start, size_t end) { return start <= offset && offset < end; }

// Bytes that mean nothing before a page is stamped.
bool IsStampByte(size_t offset, size_t page_size) {
  return InRange(offset, kPageChecksumOffset, kPageNoOffset) ||
         InRange(offset, kPageLsnOffset, kPageTypeOffset) ||
         offset >= page_size - kPageTrailerBytes;
}

// Whether `offset` is the info byte of a user record of the R-tree leaf `page`.
bool IsLeafInfoByte(ByteView page, size_t offset) {
  Bytes copy(page.begin(), page.end());
  const IndexPage index(copy);
  if (index.Get(kLevelOffset) != 0) {
    return false;
  }
  const uint32_t below = index.compact() ? kCompactHeaderBytes : kRedundantHeaderBytes;
  uint32_t at = index.next(index.infimum());
  for (uint32_t count = 0; count < index.size() && index.IsUserOrigin(at); ++count) {
    if (at - below == offset) {
      return true;
    }
    at = index.next(at);
  }
  return false;
}

bool IsMasked(ByteView rebuilt, ByteView original, PageId id, size_t offset) {
  if (id == PageId{kSystemSpace, PageNo{0}} &&
      InRange(offset, kPageFlushLsnOffset, kPageSpaceIdOffset)) {
    return true;
  }
  if (id == kDictionaryHeader &&
      InRange(offset, kDictionaryCountersOffset, kDictionaryCountersEnd)) {
    return true;
  }
  if (PageTypeOf(original) != kPageTypeRtree) {
    return false;
  }
  if (InRange(offset, kDirectionOffset, kDirectionCountOffset + 2)) {
    return true;
  }
  return (rebuilt[offset] ^ original[offset]) == kInfoDeleted && IsLeafInfoByte(original, offset);
}

}  // namespace

PageDifference ComparePages(ByteView rebuilt, ByteView original, PageId id) {
  REDOUBT_CHECK(rebuilt.size() == original.size());
  REDOUBT_CHECK(IsPageSize(original.size()));
  PageDifference difference;
  // Most pages differ in nothing but the stamp: one comparison of the rest settles them.
  if (std::equal(rebuilt.begin() + kPageTypeOffset, rebuilt.end() - kPageTrailerBytes,
                 original.begin() + kPageTypeOffset) &&
      std::equal(rebuilt.begin() + kPageNoOffset, rebuilt.begin() + kPageLsnOffset,
                 original.begin() + kPageNoOffset)) {
    return difference;
  }
  for (size_t offset = 0; offset < original.size(); ++offset) {
    if (rebuilt[offset] == original[offset] || IsStampByte(offset, original.size())) {
      continue;
    }
    if (IsMasked(rebuilt, original, id, offset)) {
      ++difference.masked_count;
      continue;
    }
    ++difference.count;
    if (difference.offsets.size() < kMaxNamedOffsets) {
      difference.offsets.push_back(static_cast<uint32_t>(offset));
    }
  }
  return difference;
}

}  // namespace redoubt::innodb
