// SPDX-License-Identifier: MIT
//
// Every redo record type of MySQL 8.0.30 .. 9.7, its name and what kind of thing it changes.
// Types that those servers never write (removed, or replaced by 67 .. 76) are not in the enum and
// are refused by the parser. Format: README.md, "Record types".
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <initializer_list>
#include <string>

#include "common/base/check.h"

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

namespace internal {

inline constexpr uint8_t kUnknownType = 0xFF;

// Indexed by type number: the category, or kUnknownType.
constexpr std::array<uint8_t, kMaxRedoType + 1> MakeRedoCategories() {
  std::array<uint8_t, kMaxRedoType + 1> categories{};
  categories.fill(kUnknownType);
  const auto set = [&categories](RedoCategory category, std::initializer_list<RedoType> types) {
    for (const RedoType type : types) {
      categories[static_cast<size_t>(type)] = static_cast<uint8_t>(category);
    }
  };
  using enum RedoType;
  set(RedoCategory::kPage, {kWrite1,
                            kWrite2,
                            kWrite4,
                            kWrite8,
                            kWriteString,
                            kSecDeleteMark,
                            kPageCreateRedundant,
                            kPageCreateCompact,
                            kPageCreateRtreeRedundant,
                            kPageCreateRtreeCompact,
                            kPageCreateSdiRedundant,
                            kPageCreateSdiCompact,
                            kUndoInsert,
                            kUndoEraseEnd,
                            kUndoInit,
                            kUndoHeaderReuse,
                            kUndoHeaderCreate,
                            kMinMarkRedundant,
                            kMinMarkCompact,
                            kIbufBitmapInit,
                            kInitFilePageOld,
                            kInitFilePage,
                            kRecordInsert,
                            kClustDeleteMark,
                            kRecordDelete,
                            kUpdateInPlace,
                            kListEndCopyCreated,
                            kPageReorganize,
                            kListEndDelete,
                            kListStartDelete});
  set(RedoCategory::kZipPage, {kZipWriteNodePtr, kZipWriteBlobPtr, kZipWriteHeader,
                               kZipPageCompress, kZipPageReorganize, kZipPageCompressNoData});
  set(RedoCategory::kFile, {kFileCreate, kFileRename, kFileDelete, kFileExtend});
  set(RedoCategory::kOther, {kMultiRecordEnd, kDummy, kIndexLoad, kTableDynamicMeta, kTest});
  return categories;
}
inline constexpr std::array<uint8_t, kMaxRedoType + 1> kRedoCategories = MakeRedoCategories();

}  // namespace internal

// False for numbers that no supported server writes.
constexpr bool IsKnownRedoType(uint8_t type) {
  return type <= kMaxRedoType && internal::kRedoCategories[type] != internal::kUnknownType;
}
// MySQL's own name, "MLOG_REC_INSERT"; "MLOG_<number>" for an unknown one.
std::string RedoTypeName(RedoType type);
// Requires IsKnownRedoType; checked.
inline RedoCategory RedoTypeCategory(RedoType type) {
  REDOUBT_CHECK(IsKnownRedoType(static_cast<uint8_t>(type)));
  return static_cast<RedoCategory>(internal::kRedoCategories[static_cast<size_t>(type)]);
}
// kPage or kZipPage: the record names the page it changes. Same requirement.
inline bool ChangesPage(RedoType type) { return RedoTypeCategory(type) <= RedoCategory::kZipPage; }
// After it nothing that the page held before matters (kInitFilePage): a page can be built from
// here.
constexpr bool InitializesPage(RedoType type) {
  return type == RedoType::kInitFilePage || type == RedoType::kInitFilePageOld;
}

}  // namespace redoubt::innodb
