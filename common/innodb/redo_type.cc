// SPDX-License-Identifier: MIT
#include "common/innodb/redo_type.h"

#include <array>

#include "common/base/check.h"

namespace redoubt::innodb {
namespace {

struct TypeInfo {
  const char* name = nullptr;
  RedoCategory category = RedoCategory::kOther;
};

constexpr size_t kTypeCount = kMaxRedoType + 1;

constexpr std::array<TypeInfo, kTypeCount> MakeTypes() {
  std::array<TypeInfo, kTypeCount> types{};
  const auto set = [&types](RedoType type, const char* name, RedoCategory category) {
    types[static_cast<size_t>(type)] = {name, category};
  };
  using enum RedoType;
  using enum RedoCategory;
  set(kWrite1, "MLOG_1BYTE", kPage);
  set(kWrite2, "MLOG_2BYTES", kPage);
  set(kWrite4, "MLOG_4BYTES", kPage);
  set(kWrite8, "MLOG_8BYTES", kPage);
  set(kSecDeleteMark, "MLOG_REC_SEC_DELETE_MARK", kPage);
  set(kPageCreateRedundant, "MLOG_PAGE_CREATE", kPage);
  set(kUndoInsert, "MLOG_UNDO_INSERT", kPage);
  set(kUndoEraseEnd, "MLOG_UNDO_ERASE_END", kPage);
  set(kUndoInit, "MLOG_UNDO_INIT", kPage);
  set(kUndoHeaderReuse, "MLOG_UNDO_HDR_REUSE", kPage);
  set(kUndoHeaderCreate, "MLOG_UNDO_HDR_CREATE", kPage);
  set(kMinMarkRedundant, "MLOG_REC_MIN_MARK", kPage);
  set(kIbufBitmapInit, "MLOG_IBUF_BITMAP_INIT", kPage);
  set(kInitFilePageOld, "MLOG_INIT_FILE_PAGE", kPage);
  set(kWriteString, "MLOG_WRITE_STRING", kPage);
  set(kMultiRecordEnd, "MLOG_MULTI_REC_END", kOther);
  set(kDummy, "MLOG_DUMMY_RECORD", kOther);
  set(kFileCreate, "MLOG_FILE_CREATE", kFile);
  set(kFileRename, "MLOG_FILE_RENAME", kFile);
  set(kFileDelete, "MLOG_FILE_DELETE", kFile);
  set(kMinMarkCompact, "MLOG_COMP_REC_MIN_MARK", kPage);
  set(kPageCreateCompact, "MLOG_COMP_PAGE_CREATE", kPage);
  set(kZipWriteNodePtr, "MLOG_ZIP_WRITE_NODE_PTR", kZipPage);
  set(kZipWriteBlobPtr, "MLOG_ZIP_WRITE_BLOB_PTR", kZipPage);
  set(kZipWriteHeader, "MLOG_ZIP_WRITE_HEADER", kZipPage);
  set(kZipPageCompress, "MLOG_ZIP_PAGE_COMPRESS", kZipPage);
  set(kPageCreateRtreeRedundant, "MLOG_PAGE_CREATE_RTREE", kPage);
  set(kPageCreateRtreeCompact, "MLOG_COMP_PAGE_CREATE_RTREE", kPage);
  set(kInitFilePage, "MLOG_INIT_FILE_PAGE2", kPage);
  set(kIndexLoad, "MLOG_INDEX_LOAD", kOther);
  set(kTableDynamicMeta, "MLOG_TABLE_DYNAMIC_META", kOther);
  set(kPageCreateSdiRedundant, "MLOG_PAGE_CREATE_SDI", kPage);
  set(kPageCreateSdiCompact, "MLOG_COMP_PAGE_CREATE_SDI", kPage);
  set(kFileExtend, "MLOG_FILE_EXTEND", kFile);
  set(kTest, "MLOG_TEST", kOther);
  set(kRecordInsert, "MLOG_REC_INSERT", kPage);
  set(kClustDeleteMark, "MLOG_REC_CLUST_DELETE_MARK", kPage);
  set(kRecordDelete, "MLOG_REC_DELETE", kPage);
  set(kUpdateInPlace, "MLOG_REC_UPDATE_IN_PLACE", kPage);
  set(kListEndCopyCreated, "MLOG_LIST_END_COPY_CREATED", kPage);
  set(kPageReorganize, "MLOG_PAGE_REORGANIZE", kPage);
  set(kZipPageReorganize, "MLOG_ZIP_PAGE_REORGANIZE", kZipPage);
  set(kZipPageCompressNoData, "MLOG_ZIP_PAGE_COMPRESS_NO_DATA", kZipPage);
  set(kListEndDelete, "MLOG_LIST_END_DELETE", kPage);
  set(kListStartDelete, "MLOG_LIST_START_DELETE", kPage);
  return types;
}
constexpr std::array<TypeInfo, kTypeCount> kTypes = MakeTypes();

}  // namespace

bool IsKnownRedoType(uint8_t type) { return type < kTypeCount && kTypes[type].name != nullptr; }

std::string RedoTypeName(RedoType type) {
  const auto number = static_cast<uint8_t>(type);
  return IsKnownRedoType(number) ? kTypes[number].name : "MLOG_" + std::to_string(number);
}

RedoCategory RedoTypeCategory(RedoType type) {
  REDOUBT_CHECK(IsKnownRedoType(static_cast<uint8_t>(type)));
  return kTypes[static_cast<size_t>(type)].category;
}

bool ChangesPage(RedoType type) {
  const RedoCategory category = RedoTypeCategory(type);
  return category == RedoCategory::kPage || category == RedoCategory::kZipPage;
}

}  // namespace redoubt::innodb
