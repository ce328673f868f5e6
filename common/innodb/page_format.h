// SPDX-License-Identifier: MIT
//
// What every InnoDB page has: the FIL header and trailer, checksum and LSN stamp; and what page 0
// and the extent descriptors of a tablespace say. Also the comparison mask: which bytes of a page
// that was rebuilt from redo may differ from the server's own.
//
//   0 checksum u32 | 4 page no u32 | 8 prev u32 | 12 next u32 | 16 page LSN u64 | 24 type u16 |
//   26 flush LSN u64 | 34 space id u32 | 38 body ... | PS-8 checksum u32 | PS-4 low half of page
//   LSN
//
// All integers big-endian. A page is 4096, 8192, 16384, 32768 or 65536 bytes.
// Format: README.md, "Page", "Page 0 and extent descriptors", "What may differ".
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "common/base/bytes.h"
#include "common/base/check.h"
#include "common/base/types.h"

namespace redoubt::innodb {

inline constexpr uint32_t kMinPageBytes = 4096;
inline constexpr uint32_t kMaxPageBytes = 65536;
inline constexpr size_t kPageChecksumOffset = 0;
inline constexpr size_t kPageNoOffset = 4;
inline constexpr size_t kPagePrevOffset = 8;
inline constexpr size_t kPageNextOffset = 12;
inline constexpr size_t kPageLsnOffset = 16;
inline constexpr size_t kPageTypeOffset = 24;
inline constexpr size_t kPageFlushLsnOffset = 26;
inline constexpr size_t kPageSpaceIdOffset = 34;
inline constexpr size_t kPageBodyOffset = 38;
inline constexpr uint32_t kPageTrailerBytes = 8;
inline constexpr uint32_t kNoPageChecksum = 0xDEADBEEF;
inline constexpr uint32_t kNoPage = 0xFFFFFFFF;

// A power of two from 4096 to 65536.
constexpr bool IsPageSize(uint64_t bytes) {
  return bytes >= kMinPageBytes && bytes <= kMaxPageBytes && (bytes & (bytes - 1)) == 0;
}

enum PageType : uint16_t {
  kPageTypeAllocated = 0,
  kPageTypeUndo = 2,
  kPageTypeInode = 3,
  kPageTypeIbufFreeList = 4,
  kPageTypeIbufBitmap = 5,
  kPageTypeSys = 6,
  kPageTypeTrxSys = 7,
  kPageTypeFspHeader = 8,
  kPageTypeXdes = 9,
  kPageTypeBlob = 10,
  kPageTypeCompressed = 14,
  kPageTypeEncrypted = 15,
  kPageTypeCompressedEncrypted = 16,
  kPageTypeEncryptedRtree = 17,
  kPageTypeRsegArray = 21,
  kPageTypeLobIndex = 22,
  kPageTypeLobData = 23,
  kPageTypeLobFirst = 24,
  kPageTypeSdi = 17853,
  kPageTypeRtree = 17854,
  kPageTypeIndex = 17855,
};
// "INDEX", "UNDO_LOG", ...; "type 1234" for an unknown one.
std::string PageTypeName(uint16_t type);

// `page`: at least the 38 bytes of the FIL header.
inline uint32_t PageNoOf(ByteView page) { return LoadBe32(page.data() + kPageNoOffset); }
inline uint32_t SpaceIdOf(ByteView page) { return LoadBe32(page.data() + kPageSpaceIdOffset); }
inline PageId PageIdOf(ByteView page) {
  return PageId{SpaceId(SpaceIdOf(page)), PageNo(PageNoOf(page))};
}
inline uint16_t PageTypeOf(ByteView page) { return LoadBe16(page.data() + kPageTypeOffset); }
inline Lsn PageLsnOf(ByteView page) { return Lsn(LoadBe64(page.data() + kPageLsnOffset)); }
inline void SetPageLsn(MutableByteView page, Lsn lsn) {
  StoreBe64(page.data() + kPageLsnOffset, lsn.value());
}
bool IsZero(ByteView bytes);

// CRC-32C(4..25) xor CRC-32C(38..PS-9).
uint32_t PageChecksum(ByteView page);
// Writes page LSN, trailer LSN and both checksums, as the server does when it flushes a page. Do it
// to every page that leaves for a file or a client; before that those bytes mean nothing.
void StampPage(MutableByteView page, Lsn lsn);

enum class PageState : uint8_t {
  kOk,          // checksum (crc32, innodb's old one, or none) and both LSN copies agree
  kZero,        // never written: valid, and means an empty page
  kCorrupt,     // checksum wrong, or header and trailer LSN differ: torn, or read while written
  kEncrypted,   // types 15, 16, 17: cannot be read without keys
  kCompressed,  // type 14: transparent page compression
};
std::string_view PageStateName(PageState state);
// `page`: exactly one page as it is in a tablespace file. Says nothing about the page's identity.
PageState VerifyPage(ByteView page);

// SPACE_FLAGS, u32 at 54 of page 0.
struct SpaceFlags {
  uint32_t raw = 0;
  // 16384 for the encoded 0. Not a page size (0) if the flags are senseless.
  uint32_t page_size() const;
  // Size of the compressed frame, 0 = not ROW_FORMAT=COMPRESSED.
  uint32_t zip_page_size() const;
  bool has_data_dir() const { return (raw >> 10 & 1) != 0; }
  bool shared() const { return (raw >> 11 & 1) != 0; }
  bool temporary() const { return (raw >> 12 & 1) != 0; }
  bool encrypted() const { return (raw >> 13 & 1) != 0; }
  bool has_sdi() const { return (raw >> 14 & 1) != 0; }
};

inline constexpr size_t kFspSpaceIdOffset = 38;
inline constexpr size_t kFspSizeOffset = 46;
inline constexpr size_t kFspFreeLimitOffset = 50;
inline constexpr size_t kFspFlagsOffset = 54;
struct FspHeader {
  SpaceId space;
  uint32_t size_pages = 0;  // FSP_SIZE: pages that belong to the space
  uint32_t free_limit = 0;  // pages from here on were never handed out
  SpaceFlags flags;
};
// `page`: page 0 of a tablespace (at least 58 bytes; the flags are readable before the page size is
// known).
FspHeader DecodeFspHeader(ByteView page0);

// The 1 MiB (more for large pages) unit of allocation.
uint32_t ExtentPages(uint32_t page_size);
// The page that holds the extent descriptor of `page_no`: multiples of the page size.
inline PageNo XdesPageOf(PageNo page_no, uint32_t page_size) {
  return PageNo(page_no.value() - page_no.value() % page_size);
}
// Whether `xdes_page` (page XdesPageOf(page_no), type FSP_HDR or XDES) marks the page free, or its
// extent was never initialised. The content of a free page is undefined and never logged.
bool IsPageFree(ByteView xdes_page, PageNo page_no);

inline constexpr SpaceId kSystemSpace{0};
inline constexpr SpaceId kDictionarySpace{0xFFFFFFFE};
inline constexpr SpaceId kGlobalTemporarySpace{0xFFFFFFFD};
inline constexpr SpaceId kMinUndoSpace{0xFCF8DA70};
inline constexpr SpaceId kMaxUndoSpace{0xFFFFFFEF};
inline constexpr SpaceId kMinSessionTemporarySpace{0xFCF2BFF0};
inline constexpr SpaceId kMaxSessionTemporarySpace{0xFCF8DA6F};
constexpr bool IsUndoSpace(SpaceId space) {
  return kMinUndoSpace <= space && space <= kMaxUndoSpace;
}
// Never logged, worthless after a restart.
constexpr bool IsTemporarySpace(SpaceId space) {
  return space == kGlobalTemporarySpace ||
         (kMinSessionTemporarySpace <= space && space <= kMaxSessionTemporarySpace);
}
// Pages [E, 3E) of the system tablespace, E = extent: the old doublewrite area, never logged.
bool IsOldDoublewrite(PageId id, uint32_t page_size);

struct PageDifference {
  std::vector<uint32_t> offsets;  // the first few differing offsets outside the mask, ascending
  uint32_t count = 0;             // all differing bytes outside the mask
  uint32_t masked_count = 0;      // differing bytes that the mask excuses, stamp excluded
  bool equal() const { return count == 0; }
};
// Compares a page rebuilt from redo with the server's own under the mask of README.md, "What may
// differ": checksum, LSN and trailer of every page; flush LSN of page 0:0; direction fields and
// leaf delete marks of R-tree pages; id counters of the dictionary header 0:7. Does not know about
// free or unlogged pages. Both exactly `page_size` bytes.
PageDifference ComparePages(ByteView rebuilt, ByteView original, PageId id);

}  // namespace redoubt::innodb
