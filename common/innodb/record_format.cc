// SPDX-License-Identifier: MIT
//
// A COMPACT record's null bits and length bytes grow downwards from the origin and are consumed
// together by one walk over the fields. Three walks share VariableWalk: plain rows (fixed fields
// summed up beforehand), rows with instant or versioned columns, node pointers.
#include "common/innodb/record_format.h"

#include "common/innodb/index_page.h"

namespace redoubt::innodb {
namespace {

constexpr uint32_t kSystemRecordBytes = 8;
constexpr uint32_t kChildPageNoBytes = 4;

// Consumes null bits and lengths of one COMPACT record.
class VariableWalk {
 public:
  // `nulls_at`: bytes below the origin at which the null bitmap starts (the first byte is origin -
  // nulls_at - 1).
  VariableWalk(const PageBytes& page, uint32_t origin, uint32_t nulls_at, uint32_t null_count)
      : origin_(page.data + origin),
        floor_(page.data),
        nulls_(origin_ - nulls_at - 1),
        lengths_at_(nulls_at + (null_count + 7) / 8),
        room_(origin),
        null_count_(null_count) {}

  // False if the record's variable part runs out of the page or has more nullable fields than
  // counted.
  bool Next(const IndexField& field, uint32_t* bytes, bool* null) {
    *null = false;
    if (field.nullable) {
      if (null_index_ >= null_count_) [[unlikely]] {
        return false;
      }
      const uint8_t* byte = nulls_ - null_index_ / 8;
      *null = byte >= floor_ && (*byte >> (null_index_ % 8) & 1) != 0;
      ++null_index_;
      if (*null) {
        *bytes = 0;
        return true;
      }
    }
    if (field.fixed_length != 0) {
      *bytes = field.fixed_length;
      return true;
    }
    if (lengths_at_ + 2 > room_) [[unlikely]] {
      return false;
    }
    const uint32_t first = *(origin_ - ++lengths_at_);
    if (field.big && (first & 0x80) != 0) {
      *bytes = (first & 0x3F) << 8 | *(origin_ - ++lengths_at_);
    } else {
      *bytes = first;
    }
    return true;
  }

  uint32_t extra_bytes() const { return lengths_at_; }

 private:
  const uint8_t* origin_;
  const uint8_t* floor_;
  const uint8_t* nulls_;
  uint32_t lengths_at_;  // bytes below the origin consumed so far
  uint32_t room_;
  uint32_t null_count_;
  uint32_t null_index_ = 0;
};

// How a leaf row of an index with instant or versioned columns is to be read.
struct RowShape {
  uint32_t nulls_at = kCompactHeaderBytes;
  uint32_t null_count = 0;
  uint32_t fields = 0;  // by count: fields i < fields are present
  bool by_version = false;
  uint8_t row_version = 0;
};

Problem ShapeOf(const PageBytes& page, const IndexInfo& index, uint32_t origin, RowShape* shape) {
  const uint8_t bits = page.info_bits(origin) & (kInfoVersion | kInfoInstant);
  const uint8_t* rec = page.data + origin;
  shape->fields = index.field_count();
  if (bits == (kInfoVersion | kInfoInstant)) {
    return "record has both a row version and an instant field count";
  }
  if (bits == kInfoVersion) {
    // Also in an index without versions: rows written after an upgrade of a table that has old
    // instant columns carry version 0.
    shape->by_version = true;
    shape->row_version = rec[-6];
    shape->nulls_at = kCompactHeaderBytes + 1;
    shape->null_count = index.NullableInVersion(shape->row_version);
    return kNoProblem;
  }
  if (bits == kInfoInstant) {
    if (!index.instant()) {
      return "record has an instant field count, its index no instant fields";
    }
    const bool two_bytes = (rec[-6] & 0x80) != 0;
    shape->fields = two_bytes ? static_cast<uint32_t>((rec[-6] & 0x7F) << 8 | rec[-7]) : rec[-6];
    shape->nulls_at = kCompactHeaderBytes + (two_bytes ? 2 : 1);
    shape->null_count = index.NullableInFirst(shape->fields);
    return shape->fields <= index.field_count() ? kNoProblem
                                                : "record has more fields than its index";
  }
  if (index.instant()) {
    shape->fields = index.instant_fields();
    shape->null_count = index.NullableInFirst(shape->fields);
    return kNoProblem;
  }
  if (index.versioned()) {
    shape->by_version = true;
    shape->null_count = index.NullableInVersion(0);
    return kNoProblem;
  }
  shape->null_count = index.nullable_count();
  return kNoProblem;
}

bool Present(const RowShape& shape, const IndexField& field, uint32_t i) {
  return shape.by_version ? field.PresentIn(shape.row_version) : i < shape.fields;
}

Problem CheckFits(const PageBytes& page, uint32_t origin, const RecordSize& size) {
  if (size.extra_bytes + kPageHeaderEnd > origin) {
    return "record begins inside the page header";
  }
  if (origin + size.data_bytes > page.size - kPageTrailerBytes) {
    return "record runs out of the page";
  }
  return kNoProblem;
}

constexpr Problem kBadVariablePart = "record's variable part does not match its index";

Problem MeasurePlain(const PageBytes& page, const IndexInfo& index, uint32_t origin,
                     RecordSize* size) {
  VariableWalk walk(page, origin, kCompactHeaderBytes, index.nullable_count());
  uint32_t data = index.plain_fixed_bytes();
  for (const IndexField& field : index.plain_others()) {
    uint32_t bytes = 0;
    bool null = false;
    if (!walk.Next(field, &bytes, &null)) {
      return kBadVariablePart;
    }
    data += bytes;
  }
  *size = {walk.extra_bytes(), data};
  return kNoProblem;
}

Problem MeasureShaped(const PageBytes& page, const IndexInfo& index, uint32_t origin,
                      RecordSize* size) {
  RowShape shape;
  REDOUBT_RETURN_IF_PROBLEM(ShapeOf(page, index, origin, &shape));
  VariableWalk walk(page, origin, shape.nulls_at, shape.null_count);
  uint32_t data = 0;
  for (uint32_t i = 0; i < index.field_count(); ++i) {
    const IndexField& field = index.physical(i);
    uint32_t bytes = 0;
    bool null = false;
    if (!Present(shape, field, i)) {
      continue;
    }
    if (!walk.Next(field, &bytes, &null)) {
      return kBadVariablePart;
    }
    data += bytes;
  }
  *size = {walk.extra_bytes(), data};
  return kNoProblem;
}

Problem MeasureNodePointer(const PageBytes& page, const IndexInfo& index, uint32_t origin,
                           RecordSize* size) {
  VariableWalk walk(page, origin, kCompactHeaderBytes, index.NodeNullableCount());
  uint32_t data = kChildPageNoBytes;
  for (uint32_t i = 0; i < index.node_fields(); ++i) {
    uint32_t bytes = 0;
    bool null = false;
    if (!walk.Next(index.logical(i), &bytes, &null)) {
      return kBadVariablePart;
    }
    data += bytes;
  }
  *size = {walk.extra_bytes(), data};
  return kNoProblem;
}

Problem MeasureCompact(const PageBytes& page, const IndexInfo& index, uint32_t origin,
                       RecordSize* size) {
  switch (page.status(origin)) {
    case kStatusOrdinary:
      return index.versioned() || index.instant() ||
                     (page.info_bits(origin) & (kInfoVersion | kInfoInstant)) != 0
                 ? MeasureShaped(page, index, origin, size)
                 : MeasurePlain(page, index, origin, size);
    case kStatusNodePointer:
      return MeasureNodePointer(page, index, origin, size);
    case kStatusInfimum:
    case kStatusSupremum:
      *size = {kCompactHeaderBytes, kSystemRecordBytes};
      return kNoProblem;
    default:
      return "record has an unknown status";
  }
}

uint32_t RedundantEntry(const uint8_t* rec, const RedundantHeader& header, uint32_t i, bool* null) {
  const uint8_t* at = rec - header.EntryOffset(i);
  if (header.entry_bytes == 1) {
    *null = (*at & 0x80) != 0;
    return *at & 0x7FU;
  }
  const uint16_t entry = LoadBe16(at);
  *null = (entry & 0x8000) != 0;
  return entry & 0x3FFFU;
}

Problem MeasureRedundant(const PageBytes& page, uint32_t origin, RecordSize* size) {
  RedundantHeader header;
  REDOUBT_RETURN_IF_PROBLEM(DecodeRedundantHeader(page, origin, &header));
  bool null = false;
  *size = {header.extra_bytes(),
           RedundantEntry(page.data + origin, header, header.field_count - 1, &null)};
  return kNoProblem;
}

Problem LocateRedundant(const PageBytes& page, uint32_t origin, uint32_t count, FieldEnds* ends) {
  RedundantHeader header;
  REDOUBT_RETURN_IF_PROBLEM(DecodeRedundantHeader(page, origin, &header));
  if (count > header.field_count) {
    return "field number beyond the record's fields";
  }
  uint32_t previous = 0;
  for (uint32_t i = 0; i < count; ++i) {
    FieldEnds::Field& field = ends->fields[i];
    field.end = RedundantEntry(page.data + origin, header, i, &field.null);
    if (field.end < previous || origin + field.end > page.size - kPageTrailerBytes) {
      return "record's field offsets do not ascend inside the page";
    }
    previous = field.end;
  }
  return kNoProblem;
}

// `shape` decides which fields are present; node pointers pass all their key fields.
Problem LocateCompact(const PageBytes& page, const IndexInfo& index, uint32_t origin,
                      uint32_t count, FieldEnds* ends) {
  RowShape shape;
  const bool node = page.status(origin) == kStatusNodePointer;
  if (node) {
    shape.null_count = index.NodeNullableCount();
    shape.fields = index.node_fields();
  } else {
    REDOUBT_RETURN_IF_PROBLEM(ShapeOf(page, index, origin, &shape));
  }
  if (count > (node ? index.node_fields() : index.field_count())) {
    return "field number beyond the index's fields";
  }
  VariableWalk walk(page, origin, shape.nulls_at, shape.null_count);
  uint32_t end = 0;
  for (uint32_t i = 0; i < count; ++i) {
    const IndexField& field = node ? index.logical(i) : index.physical(i);
    uint32_t bytes = 0;
    bool null = false;
    if (Present(shape, field, i) && !walk.Next(field, &bytes, &null)) {
      return kBadVariablePart;
    }
    end += bytes;
    ends->fields[i] = {end, null};
  }
  return origin + end <= page.size - kPageTrailerBytes ? kNoProblem : "record runs out of the page";
}

}  // namespace

Problem MeasureRecord(const PageBytes& page, const IndexInfo& index, uint32_t origin,
                      RecordSize* size) {
  REDOUBT_RETURN_IF_PROBLEM(page.compact ? MeasureCompact(page, index, origin, size)
                                         : MeasureRedundant(page, origin, size));
  return CheckFits(page, origin, *size);
}

Problem LocateFields(const PageBytes& page, const IndexInfo& index, uint32_t origin, uint32_t count,
                     FieldEnds* ends) {
  if (count > kMaxIndexFields) {
    return "field number beyond any record";
  }
  ends->fields.resize(count);
  return page.compact ? LocateCompact(page, index, origin, count, ends)
                      : LocateRedundant(page, origin, count, ends);
}

Problem DecodeRedundantHeader(const PageBytes& page, uint32_t origin, RedundantHeader* header) {
  const uint8_t* rec = page.data + origin;
  const uint16_t word = LoadBe16(rec - 4);
  header->field_count = (word & 0x07FE) >> 1;
  header->entry_bytes = (word & 1) != 0 ? 1 : 2;
  const bool versioned = (page.info_bits(origin) & kInfoVersion) != 0;
  header->row_version = versioned ? rec[-7] : uint8_t{0};
  header->fixed_bytes = kRedundantHeaderBytes + (versioned ? 1 : 0);
  if (header->field_count == 0) {
    return "record has no fields";
  }
  return header->extra_bytes() <= origin ? kNoProblem : "record begins before its page";
}

}  // namespace redoubt::innodb
