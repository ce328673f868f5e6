// SPDX-License-Identifier: MIT
//
// Whole mtrs of one record that is not about a page's bytes, for tests.
#pragma once

#include <string_view>

#include "common/base/bytes.h"
#include "common/base/types.h"
#include "common/innodb/packed_reader.h"
#include "common/innodb/redo_record.h"

namespace redoubt {

inline Bytes SingleRecord(innodb::RedoType type, PageId page) {
  Bytes bytes;
  bytes.push_back(static_cast<uint8_t>(static_cast<uint8_t>(type) | innodb::kSingleRecordFlag));
  innodb::AppendC32(page.space.value(), &bytes);
  innodb::AppendC32(page.page_no.value(), &bytes);
  return bytes;
}
inline void AppendPath(std::string_view path, Bytes* bytes) {
  ByteWriter writer(bytes);
  writer.U16(static_cast<uint16_t>(path.size() + 1));
  writer.Append(AsBytes(path));
  writer.U8(0);
}
inline Bytes FileDeleteMtr(SpaceId space, std::string_view path) {
  Bytes bytes = SingleRecord(innodb::RedoType::kFileDelete, {space, PageNo(0)});
  AppendPath(path, &bytes);
  return bytes;
}
inline Bytes FileRenameMtr(SpaceId space, std::string_view from, std::string_view to) {
  Bytes bytes = SingleRecord(innodb::RedoType::kFileRename, {space, PageNo(0)});
  AppendPath(from, &bytes);
  AppendPath(to, &bytes);
  return bytes;
}
inline Bytes FileExtendMtr(SpaceId space, uint64_t offset, uint64_t size) {
  Bytes bytes = SingleRecord(innodb::RedoType::kFileExtend, {space, PageNo(0)});
  ByteWriter writer(&bytes);
  writer.U64(offset);
  writer.U64(size);
  return bytes;
}
inline Bytes IndexLoadMtr(PageId root, uint64_t index_id) {
  Bytes bytes = SingleRecord(innodb::RedoType::kIndexLoad, root);
  ByteWriter(&bytes).U64(index_id);
  return bytes;
}
inline Bytes AutoIncrementMtr(uint64_t table_id, uint64_t version, uint64_t counter) {
  innodb::TableDynamicMeta meta;
  meta.table_id = table_id;
  meta.version = version;
  meta.auto_increment = counter;
  Bytes bytes;
  EncodeTableDynamicMeta(meta, &bytes);
  return bytes;
}

}  // namespace redoubt
