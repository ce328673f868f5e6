// SPDX-License-Identifier: MIT
#include "common/innodb/redo_type.h"

#include <array>

namespace redoubt::innodb {
namespace {

using Names = std::array<const char*, kMaxRedoType + 1>;

constexpr Names MakeNames() {
  Names names{};
  const auto set = [&names](RedoType type, const char* name) {
    names[static_cast<size_t>(type)] = name;
  };
  using enum RedoType;
  set(kWrite1, "MLOG_1BYTE");
  set(kWrite2, "MLOG_2BYTES");
  set(kWrite4, "MLOG_4BYTES");
  set(kWrite8, "MLOG_8BYTES");
  set(kSecDeleteMark, "MLOG_REC_SEC_DELETE_MARK");
  set(kPageCreateRedundant, "MLOG_PAGE_CREATE");
  set(kUndoInsert, "MLOG_UNDO_INSERT");
  set(kUndoEraseEnd, "MLOG_UNDO_ERASE_END");
  set(kUndoInit, "MLOG_UNDO_INIT");
  set(kUndoHeaderReuse, "MLOG_UNDO_HDR_REUSE");
  set(kUndoHeaderCreate, "MLOG_UNDO_HDR_CREATE");
  set(kMinMarkRedundant, "MLOG_REC_MIN_MARK");
  set(kIbufBitmapInit, "MLOG_IBUF_BITMAP_INIT");
  set(kInitFilePageOld, "MLOG_INIT_FILE_PAGE");
  set(kWriteString, "MLOG_WRITE_STRING");
  set(kMultiRecordEnd, "MLOG_MULTI_REC_END");
  set(kDummy, "MLOG_DUMMY_RECORD");
  set(kFileCreate, "MLOG_FILE_CREATE");
  set(kFileRename, "MLOG_FILE_RENAME");
  set(kFileDelete, "MLOG_FILE_DELETE");
  set(kMinMarkCompact, "MLOG_COMP_REC_MIN_MARK");
  set(kPageCreateCompact, "MLOG_COMP_PAGE_CREATE");
  set(kZipWriteNodePtr, "MLOG_ZIP_WRITE_NODE_PTR");
  set(kZipWriteBlobPtr, "MLOG_ZIP_WRITE_BLOB_PTR");
  set(kZipWriteHeader, "MLOG_ZIP_WRITE_HEADER");
  set(kZipPageCompress, "MLOG_ZIP_PAGE_COMPRESS");
  set(kPageCreateRtreeRedundant, "MLOG_PAGE_CREATE_RTREE");
  set(kPageCreateRtreeCompact, "MLOG_COMP_PAGE_CREATE_RTREE");
  set(kInitFilePage, "MLOG_INIT_FILE_PAGE2");
  set(kIndexLoad, "MLOG_INDEX_LOAD");
  set(kTableDynamicMeta, "MLOG_TABLE_DYNAMIC_META");
  set(kPageCreateSdiRedundant, "MLOG_PAGE_CREATE_SDI");
  set(kPageCreateSdiCompact, "MLOG_COMP_PAGE_CREATE_SDI");
  set(kFileExtend, "MLOG_FILE_EXTEND");
  set(kTest, "MLOG_TEST");
  set(kRecordInsert, "MLOG_REC_INSERT");
  set(kClustDeleteMark, "MLOG_REC_CLUST_DELETE_MARK");
  set(kRecordDelete, "MLOG_REC_DELETE");
  set(kUpdateInPlace, "MLOG_REC_UPDATE_IN_PLACE");
  set(kListEndCopyCreated, "MLOG_LIST_END_COPY_CREATED");
  set(kPageReorganize, "MLOG_PAGE_REORGANIZE");
  set(kZipPageReorganize, "MLOG_ZIP_PAGE_REORGANIZE");
  set(kZipPageCompressNoData, "MLOG_ZIP_PAGE_COMPRESS_NO_DATA");
  set(kListEndDelete, "MLOG_LIST_END_DELETE");
  set(kListStartDelete, "MLOG_LIST_START_DELETE");
  return names;
}
constexpr Names kNames = MakeNames();

constexpr bool EveryKnownTypeHasAName() {
  for (uint8_t type = 0; type <= kMaxRedoType; ++type) {
    if (IsKnownRedoType(type) != (kNames[type] != nullptr)) {
      return false;
    }
  }
  return true;
}
static_assert(EveryKnownTypeHasAName());

}  // namespace

std::string RedoTypeName(RedoType type) {
  const auto number = static_cast<uint8_t>(type);
  return IsKnownRedoType(number) ? kNames[number] : "MLOG_" + std::to_string(number);
}

}  // namespace redoubt::innodb
