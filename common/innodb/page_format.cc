// SPDX-License-Identifier: MIT
#include "common/innodb/page_format.h"

#include <algorithm>
#include <cstring>

#include "common/base/crc32c.h"

namespace redoubt::innodb {
namespace {

// The checksum covers [4, 26) and [38, PS - 8): all but itself, the flush LSN, the space id, the
// trailer.
constexpr size_t kChecksumHeaderStart = kPageNoOffset;
constexpr size_t kChecksumHeaderEnd = kPageFlushLsnOffset;

// The checksum of innodb_checksum_algorithm=innodb: a fold of the bytes, kept for directories from
// before 5.7. Its trailer field folds the header only, stored checksum included.
uint32_t Fold(ByteView bytes) {
  constexpr uint32_t kMask1 = 1463735687;
  constexpr uint32_t kMask2 = 1653893711;
  uint32_t fold = 0;
  for (const uint8_t byte : bytes) {
    fold = ((((fold ^ byte ^ kMask2) << 8) + fold) ^ kMask1) + byte;
  }
  return fold;
}

bool HasFoldChecksum(ByteView page) {
  const size_t body_end = page.size() - kPageTrailerBytes;
  const uint32_t header =
      Fold(page.subspan(kChecksumHeaderStart, kChecksumHeaderEnd - kChecksumHeaderStart));
  const uint32_t body = Fold(page.subspan(kPageBodyOffset, body_end - kPageBodyOffset));
  return LoadBe32(page.data() + kPageChecksumOffset) == header + body &&
         LoadBe32(page.data() + body_end) == Fold(page.first(kChecksumHeaderEnd));
}

constexpr size_t kXdesArrayOffset = 150;
constexpr size_t kXdesStateOffset = 20;
constexpr size_t kXdesBitmapOffset = 24;
constexpr uint32_t kXdesBitsPerPage = 2;  // bit 0 free, bit 1 unused

}  // namespace

std::string PageTypeName(uint16_t type) {
  switch (type) {
    case kPageTypeAllocated:
      return "ALLOCATED";
    case kPageTypeUndo:
      return "UNDO_LOG";
    case kPageTypeInode:
      return "INODE";
    case kPageTypeIbufFreeList:
      return "IBUF_FREE_LIST";
    case kPageTypeIbufBitmap:
      return "IBUF_BITMAP";
    case kPageTypeSys:
      return "SYS";
    case kPageTypeTrxSys:
      return "TRX_SYS";
    case kPageTypeFspHeader:
      return "FSP_HDR";
    case kPageTypeXdes:
      return "XDES";
    case kPageTypeBlob:
      return "BLOB";
    case kPageTypeCompressed:
      return "COMPRESSED";
    case kPageTypeEncrypted:
      return "ENCRYPTED";
    case kPageTypeCompressedEncrypted:
      return "COMPRESSED_ENCRYPTED";
    case kPageTypeEncryptedRtree:
      return "ENCRYPTED_RTREE";
    case kPageTypeRsegArray:
      return "RSEG_ARRAY";
    case kPageTypeLobIndex:
      return "LOB_INDEX";
    case kPageTypeLobData:
      return "LOB_DATA";
    case kPageTypeLobFirst:
      return "LOB_FIRST";
    case kPageTypeSdi:
      return "SDI";
    case kPageTypeRtree:
      return "RTREE";
    case kPageTypeIndex:
      return "INDEX";
    default:
      return "type " + std::to_string(type);
  }
}

bool IsZero(ByteView bytes) {
  return bytes.empty() ||
         (bytes[0] == 0 && std::memcmp(bytes.data(), bytes.data() + 1, bytes.size() - 1) == 0);
}

uint32_t PageChecksum(ByteView page) {
  REDOUBT_CHECK(IsPageSize(page.size()));
  const size_t body_bytes = page.size() - kPageTrailerBytes - kPageBodyOffset;
  return Crc32c(page.subspan(kChecksumHeaderStart, kChecksumHeaderEnd - kChecksumHeaderStart)) ^
         Crc32c(page.subspan(kPageBodyOffset, body_bytes));
}

void StampPage(MutableByteView page, Lsn lsn) {
  SetPageLsn(page, lsn);
  const uint32_t checksum = PageChecksum(page);
  uint8_t* trailer = page.data() + page.size() - kPageTrailerBytes;
  StoreBe32(page.data() + kPageChecksumOffset, checksum);
  StoreBe32(trailer, checksum);
  StoreBe32(trailer + 4, static_cast<uint32_t>(lsn.value()));
}

std::string_view PageStateName(PageState state) {
  switch (state) {
    case PageState::kOk:
      return "ok";
    case PageState::kZero:
      return "zero";
    case PageState::kCorrupt:
      return "corrupt";
    case PageState::kEncrypted:
      return "encrypted";
    case PageState::kCompressed:
      return "compressed";
  }
  return "unknown";
}

PageState VerifyPage(ByteView page) {
  REDOUBT_CHECK(IsPageSize(page.size()));
  const uint8_t* trailer = page.data() + page.size() - kPageTrailerBytes;
  const uint32_t stored = LoadBe32(page.data() + kPageChecksumOffset);
  const uint16_t type = PageTypeOf(page);
  if (type == kPageTypeEncrypted || type == kPageTypeCompressedEncrypted ||
      type == kPageTypeEncryptedRtree) {
    return PageState::kEncrypted;
  }
  if (type == kPageTypeCompressed) {
    return PageState::kCompressed;
  }
  if (stored == 0 && IsZero(page)) {
    return PageState::kZero;
  }
  if (LoadBe32(trailer + 4) != static_cast<uint32_t>(PageLsnOf(page).value())) {
    return PageState::kCorrupt;
  }
  const bool same = LoadBe32(trailer) == stored;
  if (same && (stored == PageChecksum(page) || stored == kNoPageChecksum)) {
    return PageState::kOk;
  }
  return HasFoldChecksum(page) ? PageState::kOk : PageState::kCorrupt;
}

uint32_t SpaceFlags::page_size() const {
  const uint32_t shift = raw >> 6 & 15;
  const uint32_t bytes = shift == 0 ? 16384U : 512U << shift;
  return IsPageSize(bytes) ? bytes : 0;
}

uint32_t SpaceFlags::zip_page_size() const {
  const uint32_t shift = raw >> 1 & 15;
  return shift == 0 ? 0 : 512U << shift;
}

FspHeader DecodeFspHeader(ByteView page0) {
  REDOUBT_CHECK(page0.size() >= kFspFlagsOffset + 4);
  FspHeader header;
  header.space = SpaceId(LoadBe32(page0.data() + kFspSpaceIdOffset));
  header.size_pages = LoadBe32(page0.data() + kFspSizeOffset);
  header.free_limit = LoadBe32(page0.data() + kFspFreeLimitOffset);
  header.flags.raw = LoadBe32(page0.data() + kFspFlagsOffset);
  return header;
}

uint32_t ExtentPages(uint32_t page_size) {
  REDOUBT_CHECK(IsPageSize(page_size));
  return std::max(64U, (1U << 20) / page_size);
}

bool IsPageFree(ByteView xdes_page, PageNo page_no) {
  const auto page_size = static_cast<uint32_t>(xdes_page.size());
  const uint32_t extent_pages = ExtentPages(page_size);
  const uint32_t xdes_bytes = kXdesBitmapOffset + extent_pages * kXdesBitsPerPage / 8;
  const uint32_t in_page = page_no.value() % page_size;
  const uint8_t* xdes =
      xdes_page.data() + kXdesArrayOffset + size_t{in_page / extent_pages} * xdes_bytes;
  if (LoadBe32(xdes + kXdesStateOffset) == 0) {
    return true;
  }
  const uint32_t bit = in_page % extent_pages * kXdesBitsPerPage;
  return (xdes[kXdesBitmapOffset + bit / 8] >> (bit % 8) & 1) != 0;
}

bool IsOldDoublewrite(PageId id, uint32_t page_size) {
  const uint32_t extent = ExtentPages(page_size);
  return id.space == kSystemSpace && id.page_no.value() >= extent &&
         id.page_no.value() < 3 * extent;
}

}  // namespace redoubt::innodb
