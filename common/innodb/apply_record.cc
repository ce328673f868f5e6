// SPDX-License-Identifier: MIT
//
// Records that change one record of an index page: insert, delete, delete mark, update in place.
#include <cstring>

#include "common/innodb/apply_internal.h"

namespace redoubt::innodb {
namespace {

constexpr uint32_t kNullLength = 0xFFFFFFFF;
constexpr size_t kTrxIdBytes = 6;
constexpr size_t kRollPtrBytes = 7;
constexpr uint8_t kKeepSysFlag = 4;
// Up to 8.4.6 and 9.4, fields of virtual columns are logged as column number + this.
constexpr uint32_t kVirtualColumnBase = 1023;

constexpr Problem kBadLength = "body is too short or too long";

struct SysValues {
  uint32_t position = 0;
  ByteView roll_ptr;
  uint64_t trx_id = 0;
};

SysValues ReadSysValues(PackedReader* reader) {
  SysValues values;
  values.position = reader->C32();
  values.roll_ptr = reader->Take(kRollPtrBytes);
  values.trx_id = reader->C64();
  return values;
}

Problem WriteSysValues(IndexPage* page, const IndexInfo& index, uint32_t origin,
                       const SysValues& values, ApplyScratch* scratch) {
  FieldEnds* ends = &scratch->ends;
  REDOUBT_RETURN_IF_PROBLEM(LocateFields(page->bytes(), index, origin, values.position, ends));
  const uint32_t at = origin + ends->start(values.position);
  if (at + kTrxIdBytes + kRollPtrBytes > page->size() - kPageTrailerBytes) {
    return "transaction id lies outside the page";
  }
  StoreBe16(page->data() + at, static_cast<uint16_t>(values.trx_id >> 32));
  StoreBe32(page->data() + at + 2, static_cast<uint32_t>(values.trx_id));
  std::memcpy(page->data() + at + kTrxIdBytes, values.roll_ptr.data(), kRollPtrBytes);
  return kNoProblem;
}

void SetDeleted(IndexPage* page, uint32_t origin, bool deleted) {
  uint8_t* info = page->info_byte(origin);
  *info = static_cast<uint8_t>(deleted ? *info | kInfoDeleted : *info & ~kInfoDeleted);
}

Problem SecDeleteMark(const ApplyInput& input) {
  PackedReader reader(input.body);
  IndexPage page(input.page);
  const bool deleted = reader.U8() != 0;
  const uint32_t origin = reader.U16();
  if (!reader.AtEnd() || !page.IsUserOrigin(origin)) {
    return "delete mark: record offset out of range";
  }
  SetDeleted(&page, origin, deleted);
  return kNoProblem;
}

Problem MinMark(const ApplyInput& input) {
  PackedReader reader(input.body);
  IndexPage page(input.page);
  const uint32_t origin = reader.U16();
  if (!reader.AtEnd() || !page.IsUserOrigin(origin)) {
    return "min mark: record offset out of range";
  }
  if (page.compact() != (input.type == RedoType::kMinMarkCompact)) {
    return "min mark: row format of the page is not that of the record";
  }
  *page.info_byte(origin) |= kInfoMinRecord;
  return kNoProblem;
}

Problem ClustDeleteMark(const ApplyInput& input, const IndexInfo& index, ByteView body) {
  PackedReader reader(body);
  IndexPage page(input.page);
  const uint8_t flags = reader.U8();
  const bool deleted = reader.U8() != 0;
  const SysValues values = ReadSysValues(&reader);
  const uint32_t origin = reader.U16();
  if (!reader.AtEnd() || !page.IsUserOrigin(origin)) {
    return "delete mark: record offset out of range";
  }
  SetDeleted(&page, origin, deleted);
  return (flags & kKeepSysFlag) != 0 ? kNoProblem
                                     : WriteSysValues(&page, index, origin, values, input.scratch);
}

Problem Delete(const ApplyInput& input, const IndexInfo& index, ByteView body) {
  PackedReader reader(body);
  const uint32_t origin = reader.U16();
  return reader.AtEnd() ? IndexPage(input.page).Delete(index, origin) : kBadLength;
}

// The vector's info bits never contain VERSION or INSTANT: those describe how the row is stored and
// stay.
void UpdateInfoBits(IndexPage* page, uint32_t origin, uint8_t logged) {
  uint8_t* info = page->info_byte(origin);
  uint8_t bits = logged & kInfoMask & ~kInfoVersion;
  const bool version = (*info & kInfoVersion) != 0;
  if (page->compact()) {
    bits &= static_cast<uint8_t>(~kInfoInstant);
    if (!version && (*info & kInfoInstant) != 0) {
      bits |= kInfoInstant;
    }
  }
  if (version) {
    bits |= kInfoVersion;
  }
  *info = static_cast<uint8_t>((*info & ~kInfoMask) | bits);
}

// A REDUNDANT row has no entry for a field that was dropped before the row's version.
Problem RedundantFieldIndex(const PageBytes& page, const IndexInfo& index, uint32_t origin,
                            uint32_t physical, uint32_t* entry) {
  *entry = physical;
  if (!index.versioned()) {
    return kNoProblem;
  }
  RedundantHeader header;
  REDOUBT_RETURN_IF_PROBLEM(DecodeRedundantHeader(page, origin, &header));
  for (uint32_t i = 0; i < physical; ++i) {
    const IndexField& field = index.physical(i);
    *entry -= field.dropped && field.version_dropped <= header.row_version ? 1 : 0;
  }
  return kNoProblem;
}

void SetRedundantNull(IndexPage* page, uint32_t origin, const RedundantHeader& header, uint32_t i,
                      bool null) {
  uint8_t* entry = page->data() + origin - header.EntryOffset(i);
  *entry = static_cast<uint8_t>(null ? *entry | 0x80 : *entry & 0x7F);
}

Problem UpdateRedundantField(IndexPage* page, uint32_t origin, uint32_t i, const ByteView* value,
                             FieldEnds* ends) {
  RedundantHeader header;
  REDOUBT_RETURN_IF_PROBLEM(DecodeRedundantHeader(page->bytes(), origin, &header));
  FieldEnds::Field& field = ends->fields[i];
  uint8_t* at = page->data() + origin + ends->start(i);
  const uint32_t bytes = field.end - ends->start(i);
  if (value == nullptr) {
    if (!field.null) {
      std::memset(at, 0, bytes);
      SetRedundantNull(page, origin, header, i, true);
    }
    return kNoProblem;
  }
  if (value->size() != bytes) {
    return "update: new value's length is not the field's";
  }
  if (field.null) {
    SetRedundantNull(page, origin, header, i, false);
  }
  std::copy(value->begin(), value->end(), at);
  return kNoProblem;
}

Problem UpdateCompactField(IndexPage* page, uint32_t origin, uint32_t i, const ByteView* value,
                           const FieldEnds& ends) {
  const uint32_t bytes = ends.fields[i].end - ends.start(i);
  if (value == nullptr) {
    return ends.fields[i].null ? kNoProblem : "update: NULL over a value in a COMPACT row";
  }
  if (value->size() != bytes) {
    return "update: new value's length is not the field's";
  }
  std::copy(value->begin(), value->end(), page->data() + origin + ends.start(i));
  return kNoProblem;
}

Problem UpdateField(IndexPage* page, const IndexInfo& index, uint32_t origin, uint32_t field_no,
                    const ByteView* value, ApplyScratch* scratch) {
  if (field_no >= kVirtualColumnBase) {
    scratch->inexact = true;
    return kNoProblem;
  }
  if (index.field_count() != 0 && field_no >= index.field_count()) {
    return "update: field number beyond the index's fields";
  }
  uint32_t i = index.ToPhysical(field_no);
  if (!page->compact()) {
    REDOUBT_RETURN_IF_PROBLEM(RedundantFieldIndex(page->bytes(), index, origin, i, &i));
  }
  FieldEnds* ends = &scratch->ends;
  REDOUBT_RETURN_IF_PROBLEM(LocateFields(page->bytes(), index, origin, i + 1, ends));
  return page->compact() ? UpdateCompactField(page, origin, i, value, *ends)
                         : UpdateRedundantField(page, origin, i, value, ends);
}

Problem UpdateInPlace(const ApplyInput& input, const IndexInfo& index, ByteView body) {
  PackedReader reader(body);
  IndexPage page(input.page);
  const uint8_t flags = reader.U8();
  const SysValues values = ReadSysValues(&reader);
  const uint32_t origin = reader.U16();
  const uint8_t info_bits = reader.U8();
  const uint32_t count = reader.C32();
  if (reader.failed() || !page.IsUserOrigin(origin)) {
    return "update: record offset out of range";
  }
  if ((flags & kKeepSysFlag) == 0) {
    REDOUBT_RETURN_IF_PROBLEM(WriteSysValues(&page, index, origin, values, input.scratch));
  }
  UpdateInfoBits(&page, origin, info_bits);
  for (uint32_t i = 0; i < count && !reader.failed(); ++i) {
    const uint32_t field_no = reader.C32();
    const uint32_t length = reader.C32();
    const bool null = length == kNullLength;
    const ByteView value = null ? ByteView() : reader.Take(length);
    if (reader.failed()) {
      return kBadLength;
    }
    REDOUBT_RETURN_IF_PROBLEM(
        UpdateField(&page, index, origin, field_no, null ? nullptr : &value, input.scratch));
  }
  return reader.AtEnd() ? kNoProblem : kBadLength;
}

Problem Insert(const ApplyInput& input, const IndexInfo& index, ByteView body) {
  PackedReader reader(body);
  IndexPage page(input.page);
  const uint32_t cursor = reader.U16();
  if (reader.failed() || !page.IsOrigin(cursor) || cursor == page.supremum()) {
    return "insert: cursor offset out of range";
  }
  uint32_t inserted = 0;
  REDOUBT_RETURN_IF_PROBLEM(InsertShort(&page, index, cursor, &reader, input.scratch, &inserted));
  return reader.AtEnd() ? kNoProblem : kBadLength;
}

}  // namespace

Problem OpenIndexPage(const ApplyInput& input, ByteView* body, const IndexInfo** index) {
  *body = input.body;
  Problem problem = kNoProblem;
  *index = input.scratch->indexes.Get(body, &problem);
  REDOUBT_RETURN_IF_PROBLEM(problem);
  return IndexPage(input.page).CheckHeader((*index)->compact());
}

Problem InsertShort(IndexPage* page, const IndexInfo& index, uint32_t cursor, PackedReader* reader,
                    ApplyScratch* scratch, uint32_t* inserted) {
  const uint32_t e = reader->C32();
  const uint32_t end_bytes = e >> 1;
  const bool explicit_header = (e & 1) != 0;
  uint8_t info_status = 0;
  uint32_t origin_offset = 0;
  uint32_t mismatch = 0;
  if (explicit_header) {
    info_status = reader->U8();
    origin_offset = reader->C32();
    mismatch = reader->C32();
  }
  const ByteView end = reader->Take(end_bytes);
  if (reader->failed()) {
    return kBadLength;
  }
  RecordSize cursor_size;
  if (!explicit_header || mismatch != 0) {
    REDOUBT_RETURN_IF_PROBLEM(MeasureRecord(page->bytes(), index, cursor, &cursor_size));
    if (!explicit_header) {
      info_status = page->bytes().info_bits(cursor);
      info_status |= page->compact() ? page->bytes().status(cursor) : uint8_t{0};
      origin_offset = cursor_size.extra_bytes;
      mismatch = cursor_size.total() - end_bytes;
    }
    // Also catches an end segment longer than the cursor record: the difference wrapped around.
    if (mismatch > cursor_size.total()) {
      return "insert: shares more bytes than the cursor record has";
    }
  }
  const uint32_t header_bytes = page->compact() ? kCompactHeaderBytes : kRedundantHeaderBytes;
  const uint32_t total = mismatch + end_bytes;
  if (total >= page->size() || origin_offset < header_bytes || origin_offset >= total) {
    return "insert: record is larger than a page or has no data";
  }
  uint8_t* image = scratch->record.data();
  std::memcpy(image, page->data() + cursor - cursor_size.extra_bytes, mismatch);
  if (!end.empty()) {
    std::memcpy(image + mismatch, end.data(), end.size());
  }
  uint8_t* origin = image + origin_offset;
  uint8_t& info = *(origin - header_bytes);
  info = static_cast<uint8_t>((info & 0x0F) | (info_status & kInfoMask));
  if (page->compact()) {
    origin[-3] = static_cast<uint8_t>((origin[-3] & 0xF8) | (info_status & 7));
  }
  return page->InsertAfter(index, cursor, {ByteView(image, total), origin_offset}, inserted);
}

Problem ApplyIndexRecord(const ApplyInput& input) {
  switch (input.type) {
    case RedoType::kSecDeleteMark:
      return SecDeleteMark(input);
    case RedoType::kMinMarkRedundant:
    case RedoType::kMinMarkCompact:
      return MinMark(input);
    default:
      break;
  }
  ByteView body;
  const IndexInfo* index = nullptr;
  REDOUBT_RETURN_IF_PROBLEM(OpenIndexPage(input, &body, &index));
  switch (input.type) {
    case RedoType::kRecordInsert:
      return Insert(input, *index, body);
    case RedoType::kClustDeleteMark:
      return ClustDeleteMark(input, *index, body);
    case RedoType::kRecordDelete:
      return Delete(input, *index, body);
    case RedoType::kUpdateInPlace:
      return UpdateInPlace(input, *index, body);
    default:
      return "not a record of an index page";
  }
}

}  // namespace redoubt::innodb
