// SPDX-License-Identifier: MIT
//
// Every redo record type of MySQL 8.0.30 .. 9.7, its name and what kind of thing it changes.
// Types that those servers never write (removed, or replaced by 67 .. 76) are not in the enum and
// are refused by the parser. Format: README.md, "Record types".
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

namespace redoubt::innodb {

enum class RedoType : uint8_t {
  kWrite1 = 1,
  kWrite2 = 2,
  kWrite4 = 4,
  kWrite8 = 8,
  kSecDeleteMark = 11,
  kPageCreateRedundant = 19,
  kUndoInsert = 20,
  kUndoEraseEnd = 21,
  kUndoInit = 22,
  kUndoHeaderReuse = 24,
  kUndoHeaderCreate = 25,
  kMinMarkRedundant = 26,
  kIbufBitmapInit = 27,
  kInitFilePageOld = 29,  // no longer written; same effect as kInitFilePage
  kWriteString = 30,
  kMultiRecordEnd = 31,
  kDummy = 32,
  kFileCreate = 33,
  kFileRename = 34,
  kFileDelete = 35,
  kMinMarkCompact = 36,
  kPageCreateCompact = 37,
  kZipWriteNodePtr = 48,
  kZipWriteBlobPtr = 49,
  kZipWriteHeader = 50,
  kZipPageCompress = 51,
  kPageCreateRtreeRedundant = 57,
  kPageCreateRtreeCompact = 58,
  kInitFilePage = 59,
  kIndexLoad = 61,
  kTableDynamicMeta = 62,
  kPageCreateSdiRedundant = 63,
  kPageCreateSdiCompact = 64,
  kFileExtend = 65,
  kTest = 66,
  kRecordInsert = 67,
  kClustDeleteMark = 68,
  kRecordDelete = 69,
  kUpdateInPlace = 70,
  kListEndCopyCreated = 71,
  kPageReorganize = 72,
  kZipPageReorganize = 73,
  kZipPageCompressNoData = 74,
  kListEndDelete = 75,
  kListStartDelete = 76,
};
inline constexpr uint8_t kMaxRedoType = 76;
// Set in the type byte of an mtr's only record.
inline constexpr uint8_t kSingleRecordFlag = 0x80;

enum class RedoCategory : uint8_t {
  kPage,     // changes one page; PageApplier applies it
  kZipPage,  // changes a ROW_FORMAT=COMPRESSED page; parsed, not applied
  kFile,     // creates, renames, deletes, extends a tablespace
  kOther,    // index load, dynamic metadata, dummy, end mark, test
};

// False for numbers that no supported server writes.
bool IsKnownRedoType(uint8_t type);
// MySQL's own name, "MLOG_REC_INSERT"; "MLOG_<number>" for an unknown one.
std::string RedoTypeName(RedoType type);
// Requires IsKnownRedoType; checked.
RedoCategory RedoTypeCategory(RedoType type);
// kPage or kZipPage: the record names the page it changes.
bool ChangesPage(RedoType type);
// After it nothing that the page held before matters (kInitFilePage): a page can be built from
// here.
constexpr bool InitializesPage(RedoType type) {
  return type == RedoType::kInitFilePage || type == RedoType::kInitFilePageOld;
}

}  // namespace redoubt::innodb
