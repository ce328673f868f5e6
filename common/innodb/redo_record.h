// SPDX-License-Identifier: MIT
//
// One parsed redo record, and the decoded bodies of those records that are not about a page's
// bytes: file operations, index load, dynamic metadata. Page records' bodies are PageApplier's
// business. Format: README.md, "Record bodies".
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "common/base/bytes.h"
#include "common/base/result.h"
#include "common/base/types.h"
#include "common/innodb/redo_type.h"

namespace redoubt::innodb {

struct RedoRecord {
  RedoType type = RedoType::kDummy;
  // {0, 0} for kDummy and kTableDynamicMeta, which name none. File operations carry page no 0.
  PageId page;
  // Of the record's own first byte (not of its mtr).
  Lsn start_lsn;
  // Everything after space id and page number; for kTableDynamicMeta everything after the type
  // byte. Borrowed from the bytes that were parsed.
  ByteView body;
};

// All four: kCorruption when the body is short, long or senseless. Views borrow from `body`.
struct FileCreate {
  uint32_t space_flags = 0;
  std::string path;  // as logged: relative to the data directory unless absolute, "./db/t.ibd"
};
struct FileRename {
  std::string old_path;
  std::string new_path;
};
struct FileDelete {
  std::string path;
};
struct FileExtend {
  uint64_t offset_bytes = 0;  // the file's size before
  uint64_t size_bytes = 0;    // zero bytes that were added
};
struct IndexLoad {
  uint64_t index_id = 0;  // of the index whose unlogged pages are now in the data file
};
Result<FileCreate> ParseFileCreate(ByteView body);
Result<FileRename> ParseFileRename(ByteView body);
Result<FileDelete> ParseFileDelete(ByteView body);
Result<FileExtend> ParseFileExtend(ByteView body);
Result<IndexLoad> ParseIndexLoad(ByteView body);

// What recovery must carry to mysql.innodb_dynamic_metadata: keep, per table, the highest version;
// at equal versions the larger counter wins and corrupted indexes accumulate.
struct TableDynamicMeta {
  enum class Kind : uint8_t { kCorruptedIndexes = 1, kAutoIncrement = 2 };
  struct CorruptedIndex {
    SpaceId space;
    uint64_t index_id = 0;
    friend bool operator==(const CorruptedIndex&, const CorruptedIndex&) = default;
  };
  uint64_t table_id = 0;
  uint64_t version = 0;
  Kind kind = Kind::kAutoIncrement;
  uint64_t auto_increment = 0;                    // kAutoIncrement: the last value handed out
  std::vector<CorruptedIndex> corrupted_indexes;  // kCorruptedIndexes: 1 .. 255
  friend bool operator==(const TableDynamicMeta&, const TableDynamicMeta&) = default;
};
Result<TableDynamicMeta> ParseTableDynamicMeta(ByteView body);
// Appends a whole mtr of one record (single-record flag set), as BuildLogSet wants it.
void EncodeTableDynamicMeta(const TableDynamicMeta& meta, Bytes* out);

// "MLOG_REC_INSERT of page 5:17 at LSN 123456".
std::string Describe(const RedoRecord& record);

}  // namespace redoubt::innodb
