// SPDX-License-Identifier: MIT
//
// Writes redo records and mtrs as a MySQL server does: the counterpart of common/innodb's parser,
// written from the format and not from the parser. Format: common/innodb/README.md, "Integers",
// "Record header", "Record types".
#pragma once

#include <cstdint>
#include <string_view>
#include <vector>

#include "common/base/bytes.h"
#include "common/base/types.h"
#include "sim/oracle/redo_facts.h"

namespace redoubt::sim {

// The fields of one index that a record has to describe: all NOT NULL, compact format.
struct IndexShape {
  static constexpr uint16_t kVariable = 0;  // at most 255 bytes
  uint16_t unique_count = 1;
  std::vector<uint16_t> lengths;
};

// Collects the records of one mtr.
class MtrEncoder {
 public:
  void InitPage(PageId page);
  // `size` 1, 2, 4 or 8.
  void WriteNumber(PageId page, uint16_t offset, int size, uint64_t value);
  void WriteString(PageId page, uint16_t offset, ByteView bytes);
  void CreateCompactPage(PageId page);
  // `shared`: leading bytes that the new record has in common with the cursor record; `rest` the
  // others.
  void InsertRecord(PageId page, const IndexShape& index, uint16_t cursor, uint8_t info_status,
                    uint32_t extra_bytes, uint32_t shared, ByteView rest);
  void DeleteRecord(PageId page, const IndexShape& index, uint16_t record);
  // Sets the mark and writes the system columns, which are field number `trx_field`.
  void DeleteMark(PageId page, const IndexShape& index, uint16_t record, uint32_t trx_field,
                  uint64_t trx_id, ByteView roll_pointer);
  void UndoInit(PageId page, uint32_t type);
  void UndoInsert(PageId page, ByteView body);
  void FileCreate(SpaceId space, uint32_t flags, std::string_view path);
  void FileRename(SpaceId space, std::string_view from, std::string_view to);
  void FileDelete(SpaceId space, std::string_view path);
  // A file of `before` pages gets `added` more.
  void FileExtend(SpaceId space, uint32_t before, uint32_t added, uint32_t page_size);
  // Both alone in their mtr, as a server does.
  void TableCounter(uint64_t table, uint64_t version, uint64_t counter);
  void CorruptedIndex(uint64_t table, uint64_t version, SpaceId space, uint64_t index);

  bool empty() const { return record_count_ == 0; }
  // The whole group as logged; the encoder is empty again.
  Bytes Finish();
  // What the records say that were written since this was asked last, of an mtr that ends at `end`.
  std::vector<RedoFact> TakeFacts(Lsn end);

 private:
  void Begin(uint8_t type, PageId page);
  void IndexInfo(const IndexShape& index);
  void Compressed32(uint32_t value);
  void Compressed64(uint64_t value);
  void MuchCompressed64(uint64_t value);
  void Path(std::string_view path);
  void BeginDynamic(uint64_t table, uint64_t version, uint8_t kind);

  Bytes bytes_;
  std::vector<RedoFact> facts_;
  uint32_t record_count_ = 0;
};

}  // namespace redoubt::sim
