// SPDX-License-Identifier: MIT
#include "sim/workload/redo_encoder.h"

#include <utility>

#include "common/base/check.h"
#include "common/innodb/page_format.h"
#include "common/innodb/redo_type.h"

namespace redoubt::sim {
namespace {

using innodb::RedoType;
constexpr uint8_t kIndexLogVersion = 1;
constexpr uint8_t kIndexCompact = 1;
constexpr uint16_t kNotNull = 0x8000;
constexpr uint8_t kDynamicCorruptedIndexes = 1;
constexpr uint8_t kDynamicAutoIncrement = 2;

}  // namespace

void MtrEncoder::Begin(uint8_t type, PageId page) {
  ByteWriter(&bytes_).U8(type);
  Compressed32(page.space.value());
  Compressed32(page.page_no.value());
  ++record_count_;
}

// One to five bytes; the high-bits-all-ones forms are for values near 2^32.
void MtrEncoder::Compressed32(uint32_t value) {
  ByteWriter out(&bytes_);
  if (value < 0x80) {
    out.U8(static_cast<uint8_t>(value));
  } else if (value < 0x4000) {
    out.U16(static_cast<uint16_t>(value | 0x8000));
  } else if (value < 0x200000) {
    out.U8(static_cast<uint8_t>((value >> 16) | 0xC0));
    out.U16(static_cast<uint16_t>(value));
  } else if (value < 0x10000000) {
    out.U32(value | 0xE0000000);
  } else if (value >= 0xFFFFFC00) {
    out.U8(static_cast<uint8_t>(0xF8 | ((value >> 8) & 3)));
    out.U8(static_cast<uint8_t>(value));
  } else if (value >= 0xFFFE0000) {
    out.U8(static_cast<uint8_t>(0xFC | ((value >> 16) & 1)));
    out.U16(static_cast<uint16_t>(value));
  } else if (value >= 0xFF000000) {
    out.U8(0xFE);
    out.U8(static_cast<uint8_t>(value >> 16));
    out.U16(static_cast<uint16_t>(value));
  } else {
    out.U8(0xF0);
    out.U32(value);
  }
}

void MtrEncoder::Compressed64(uint64_t value) {
  Compressed32(static_cast<uint32_t>(value >> 32));
  ByteWriter(&bytes_).U32(static_cast<uint32_t>(value));
}

void MtrEncoder::IndexInfo(const IndexShape& index) {
  ByteWriter out(&bytes_);
  out.U8(kIndexLogVersion);
  out.U8(kIndexCompact);
  out.U16(static_cast<uint16_t>(index.lengths.size()));
  out.U16(index.unique_count);
  for (const uint16_t length : index.lengths) {
    out.U16(static_cast<uint16_t>(length | kNotNull));
  }
}

void MtrEncoder::InitPage(PageId page) {
  Begin(static_cast<uint8_t>(RedoType::kInitFilePage), page);
}

void MtrEncoder::WriteNumber(PageId page, uint16_t offset, int size, uint64_t value) {
  REDOUBT_CHECK(size == 1 || size == 2 || size == 4 || size == 8);
  Begin(static_cast<uint8_t>(size), page);
  ByteWriter(&bytes_).U16(offset);
  if (page.page_no == PageNo(0) && offset == innodb::kFspSizeOffset && size == 4) {
    facts_.push_back({.kind = RedoFact::Kind::kSize, .value = value, .space = page.space});
  }
  if (size == 8) {
    Compressed64(value);
  } else {
    REDOUBT_CHECK(value >> (8 * size) == 0);
    Compressed32(static_cast<uint32_t>(value));
  }
}

void MtrEncoder::WriteString(PageId page, uint16_t offset, ByteView bytes) {
  Begin(static_cast<uint8_t>(RedoType::kWriteString), page);
  ByteWriter out(&bytes_);
  out.U16(offset);
  out.U16(static_cast<uint16_t>(bytes.size()));
  out.Append(bytes);
}

void MtrEncoder::CreateCompactPage(PageId page) {
  Begin(static_cast<uint8_t>(RedoType::kPageCreateCompact), page);
}

void MtrEncoder::InsertRecord(PageId page, const IndexShape& index, uint16_t cursor,
                              uint8_t info_status, uint32_t extra_bytes, uint32_t shared,
                              ByteView rest) {
  Begin(static_cast<uint8_t>(RedoType::kRecordInsert), page);
  IndexInfo(index);
  ByteWriter(&bytes_).U16(cursor);
  Compressed32(static_cast<uint32_t>(rest.size() << 1) | 1);
  ByteWriter(&bytes_).U8(info_status);
  Compressed32(extra_bytes);
  Compressed32(shared);
  ByteWriter(&bytes_).Append(rest);
}

void MtrEncoder::DeleteRecord(PageId page, const IndexShape& index, uint16_t record) {
  Begin(static_cast<uint8_t>(RedoType::kRecordDelete), page);
  IndexInfo(index);
  ByteWriter(&bytes_).U16(record);
}

void MtrEncoder::DeleteMark(PageId page, const IndexShape& index, uint16_t record,
                            uint32_t trx_field, uint64_t trx_id, ByteView roll_pointer) {
  REDOUBT_CHECK(roll_pointer.size() == 7);
  Begin(static_cast<uint8_t>(RedoType::kClustDeleteMark), page);
  IndexInfo(index);
  ByteWriter(&bytes_).U8(0);
  ByteWriter(&bytes_).U8(1);
  Compressed32(trx_field);
  ByteWriter(&bytes_).Append(roll_pointer);
  Compressed64(trx_id);
  ByteWriter(&bytes_).U16(record);
}

void MtrEncoder::UndoInit(PageId page, uint32_t type) {
  Begin(static_cast<uint8_t>(RedoType::kUndoInit), page);
  Compressed32(type);
}

void MtrEncoder::UndoInsert(PageId page, ByteView body) {
  Begin(static_cast<uint8_t>(RedoType::kUndoInsert), page);
  ByteWriter out(&bytes_);
  out.U16(static_cast<uint16_t>(body.size()));
  out.Append(body);
}

void MtrEncoder::Path(std::string_view path) {
  ByteWriter out(&bytes_);
  out.U16(static_cast<uint16_t>(path.size() + 1));
  out.Append(AsBytes(path));
  out.U8(0);
}

void MtrEncoder::FileCreate(SpaceId space, uint32_t flags, std::string_view path) {
  Begin(static_cast<uint8_t>(RedoType::kFileCreate), PageId{space, PageNo(0)});
  ByteWriter(&bytes_).U32(flags);
  Path(path);
  RedoFact fact{.kind = RedoFact::Kind::kCreate, .space = space, .flags = flags};
  fact.path = path;
  facts_.push_back(std::move(fact));
}

void MtrEncoder::FileRename(SpaceId space, std::string_view from, std::string_view to) {
  Begin(static_cast<uint8_t>(RedoType::kFileRename), PageId{space, PageNo(0)});
  Path(from);
  Path(to);
  RedoFact fact{.kind = RedoFact::Kind::kRename, .space = space};
  fact.path = to;
  facts_.push_back(std::move(fact));
}

void MtrEncoder::FileDelete(SpaceId space, std::string_view path) {
  Begin(static_cast<uint8_t>(RedoType::kFileDelete), PageId{space, PageNo(0)});
  Path(path);
  facts_.push_back({.kind = RedoFact::Kind::kDrop, .space = space});
}

void MtrEncoder::FileExtend(SpaceId space, uint32_t before, uint32_t added, uint32_t page_size) {
  Begin(static_cast<uint8_t>(RedoType::kFileExtend), PageId{space, PageNo(0)});
  ByteWriter(&bytes_).U64(uint64_t{before} * page_size);
  ByteWriter(&bytes_).U64(uint64_t{added} * page_size);
  facts_.push_back(
      {.kind = RedoFact::Kind::kSize, .value = uint64_t{before} + added, .space = space});
}

void MtrEncoder::MuchCompressed64(uint64_t value) {
  if (value >> 32 != 0) {
    ByteWriter(&bytes_).U8(0xFF);
    Compressed32(static_cast<uint32_t>(value >> 32));
  }
  Compressed32(static_cast<uint32_t>(value));
}

void MtrEncoder::BeginDynamic(uint64_t table, uint64_t version, uint8_t kind) {
  REDOUBT_CHECK(record_count_ == 0);
  ByteWriter(&bytes_).U8(static_cast<uint8_t>(RedoType::kTableDynamicMeta));
  MuchCompressed64(table);
  MuchCompressed64(version);
  ByteWriter(&bytes_).U8(kind);
  ++record_count_;
}

void MtrEncoder::TableCounter(uint64_t table, uint64_t version, uint64_t counter) {
  BeginDynamic(table, version, kDynamicAutoIncrement);
  MuchCompressed64(counter);
  facts_.push_back(
      {.kind = RedoFact::Kind::kCounter, .table = table, .version = version, .value = counter});
}

void MtrEncoder::CorruptedIndex(uint64_t table, uint64_t version, SpaceId space, uint64_t index) {
  BeginDynamic(table, version, kDynamicCorruptedIndexes);
  ByteWriter(&bytes_).U8(1);
  ByteWriter(&bytes_).U32(space.value());
  ByteWriter(&bytes_).U64(index);
  facts_.push_back({.kind = RedoFact::Kind::kCorruptedIndex,
                    .table = table,
                    .version = version,
                    .value = index,
                    .space = space});
}

std::vector<RedoFact> MtrEncoder::TakeFacts(Lsn end) {
  for (RedoFact& fact : facts_) {
    fact.end = end;
  }
  return std::exchange(facts_, {});
}

Bytes MtrEncoder::Finish() {
  REDOUBT_CHECK(record_count_ > 0);
  if (record_count_ == 1) {
    bytes_[0] |= innodb::kSingleRecordFlag;
  } else {
    bytes_.push_back(static_cast<uint8_t>(RedoType::kMultiRecordEnd));
  }
  record_count_ = 0;
  return std::exchange(bytes_, Bytes());
}

}  // namespace redoubt::sim
