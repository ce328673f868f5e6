// SPDX-License-Identifier: MIT
#include "common/innodb/redo_record.h"

#include "common/base/check.h"
#include "common/innodb/packed_reader.h"

namespace redoubt::innodb {
namespace {

// A path as logged: u16 length including the final NUL, then the bytes.
Result<std::string> TakePath(PackedReader* reader) {
  const uint16_t length = reader->U16();
  const ByteView path = reader->Take(length);
  if (reader->failed() || path.empty() || path.back() != 0) {
    return Corruption("file record: path is cut or has no end mark");
  }
  const std::string_view text = AsText(path.first(path.size() - 1));
  if (text.empty() || text.find('\0') != std::string_view::npos) {
    return Corruption("file record: path is empty or has an inner NUL");
  }
  return std::string(text);
}

Status ExpectEnd(const PackedReader& reader, const char* what) {
  return reader.AtEnd() ? Status::Ok()
                        : Corruption(std::string(what) + ": body is too short or too long");
}

}  // namespace

Result<FileCreate> ParseFileCreate(ByteView body) {
  PackedReader reader(body);
  FileCreate create;
  create.space_flags = reader.U32();
  REDOUBT_ASSIGN_OR_RETURN(create.path, TakePath(&reader));
  REDOUBT_RETURN_IF_ERROR(ExpectEnd(reader, "MLOG_FILE_CREATE"));
  return create;
}

Result<FileRename> ParseFileRename(ByteView body) {
  PackedReader reader(body);
  FileRename rename;
  REDOUBT_ASSIGN_OR_RETURN(rename.old_path, TakePath(&reader));
  REDOUBT_ASSIGN_OR_RETURN(rename.new_path, TakePath(&reader));
  REDOUBT_RETURN_IF_ERROR(ExpectEnd(reader, "MLOG_FILE_RENAME"));
  return rename;
}

Result<FileDelete> ParseFileDelete(ByteView body) {
  PackedReader reader(body);
  FileDelete file_delete;
  REDOUBT_ASSIGN_OR_RETURN(file_delete.path, TakePath(&reader));
  REDOUBT_RETURN_IF_ERROR(ExpectEnd(reader, "MLOG_FILE_DELETE"));
  return file_delete;
}

Result<FileExtend> ParseFileExtend(ByteView body) {
  PackedReader reader(body);
  FileExtend extend;
  extend.offset_bytes = reader.U64();
  extend.size_bytes = reader.U64();
  REDOUBT_RETURN_IF_ERROR(ExpectEnd(reader, "MLOG_FILE_EXTEND"));
  return extend;
}

Result<IndexLoad> ParseIndexLoad(ByteView body) {
  PackedReader reader(body);
  IndexLoad load;
  load.index_id = reader.U64();
  REDOUBT_RETURN_IF_ERROR(ExpectEnd(reader, "MLOG_INDEX_LOAD"));
  return load;
}

Result<TableDynamicMeta> ParseTableDynamicMeta(ByteView body) {
  PackedReader reader(body);
  TableDynamicMeta meta;
  meta.table_id = reader.M64();
  meta.version = reader.M64();
  const uint8_t kind = reader.U8();
  if (kind == static_cast<uint8_t>(TableDynamicMeta::Kind::kAutoIncrement)) {
    meta.kind = TableDynamicMeta::Kind::kAutoIncrement;
    meta.auto_increment = reader.M64();
  } else if (kind == static_cast<uint8_t>(TableDynamicMeta::Kind::kCorruptedIndexes)) {
    meta.kind = TableDynamicMeta::Kind::kCorruptedIndexes;
    const uint8_t count = reader.U8();
    for (uint8_t i = 0; i < count && !reader.failed(); ++i) {
      const SpaceId space(reader.U32());
      meta.corrupted_indexes.push_back({space, reader.U64()});
    }
    if (count == 0) {
      return Corruption("MLOG_TABLE_DYNAMIC_META: no corrupted index named");
    }
  } else {
    return Corruption("MLOG_TABLE_DYNAMIC_META: unknown kind " + std::to_string(kind));
  }
  REDOUBT_RETURN_IF_ERROR(ExpectEnd(reader, "MLOG_TABLE_DYNAMIC_META"));
  return meta;
}

void EncodeTableDynamicMeta(const TableDynamicMeta& meta, Bytes* out) {
  ByteWriter writer(out);
  writer.U8(kSingleRecordFlag | static_cast<uint8_t>(RedoType::kTableDynamicMeta));
  AppendM64(meta.table_id, out);
  AppendM64(meta.version, out);
  writer.U8(static_cast<uint8_t>(meta.kind));
  if (meta.kind == TableDynamicMeta::Kind::kAutoIncrement) {
    AppendM64(meta.auto_increment, out);
    return;
  }
  REDOUBT_CHECK(!meta.corrupted_indexes.empty());
  REDOUBT_CHECK(meta.corrupted_indexes.size() <= 255);
  writer.U8(static_cast<uint8_t>(meta.corrupted_indexes.size()));
  for (const TableDynamicMeta::CorruptedIndex& index : meta.corrupted_indexes) {
    writer.U32(index.space.value());
    writer.U64(index.index_id);
  }
}

std::string Describe(const RedoRecord& record) {
  return RedoTypeName(record.type) + " of page " + ToString(record.page) + " at LSN " +
         std::to_string(record.start_lsn.value());
}

}  // namespace redoubt::innodb
