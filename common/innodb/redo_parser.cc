// SPDX-License-Identifier: MIT
//
// Each family of bodies has a Walk function that moves the reader past the body. A reader that ran
// out of bytes means "need more"; a problem that no further byte can cure is reported by text.
// Limits on counts and lengths turn garbage into "corrupt" instead of an endless "need more".
#include "common/innodb/redo_parser.h"

#include <string>

#include "common/innodb/index_info.h"
#include "common/innodb/packed_reader.h"
#include "common/innodb/page_format.h"

namespace redoubt::innodb {
namespace {

constexpr uint16_t kMinPathBytes = 5;
constexpr uint32_t kMaxListBytes = 1U << 20;  // short inserts of one page, generously
constexpr uint32_t kNullLength = 0xFFFFFFFF;
constexpr size_t kRollPtrBytes = 7;

Problem WalkIndexInfo(PackedReader* reader) {
  size_t length = 0;
  const ByteView rest(reader->at(), reader->remaining());
  const IndexInfoSize size = MeasureIndexInfo(rest);
  length = size.length;
  if (size.problem == nullptr) {
    reader->Skip(length == 0 ? reader->remaining() + 1 : length);
  }
  return size.problem;
}

Problem WalkShortInsert(PackedReader* reader) {
  const uint32_t e = reader->C32();
  if ((e & 1) != 0) {
    reader->Skip(1);
    const uint32_t origin_offset = reader->C32();
    const uint32_t mismatch = reader->C32();
    if (origin_offset >= kMaxPageBytes || mismatch >= kMaxPageBytes) {
      return "insert: record offset beyond any page";
    }
  }
  if (e >> 1 >= kMaxPageBytes) {
    return "insert: end segment longer than any page";
  }
  reader->Skip(e >> 1);
  return nullptr;
}

Problem WalkUpdateVector(PackedReader* reader) {
  reader->Skip(1);
  const uint32_t count = reader->C32();
  if (count > kMaxIndexFields) {
    return "update: more fields than a record can have";
  }
  for (uint32_t i = 0; i < count && !reader->failed(); ++i) {
    reader->C32();
    const uint32_t length = reader->C32();
    if (length == kNullLength) {
      continue;
    }
    if (length >= kMaxPageBytes) {
      return "update: field longer than any page";
    }
    reader->Skip(length);
  }
  return nullptr;
}

void WalkSysValues(PackedReader* reader) {
  reader->C32();
  reader->Skip(kRollPtrBytes);
  reader->C64();
}

Problem WalkPath(PackedReader* reader) {
  const uint16_t length = reader->U16();
  if (!reader->failed() && length < kMinPathBytes) {
    return "file record: path too short";
  }
  reader->Skip(length);
  return nullptr;
}

Problem WalkDynamicMeta(PackedReader* reader) {
  reader->M64();
  reader->M64();
  const uint8_t kind = reader->U8();
  if (reader->failed()) {
    return nullptr;
  }
  if (kind == static_cast<uint8_t>(TableDynamicMeta::Kind::kAutoIncrement)) {
    reader->M64();
    return nullptr;
  }
  if (kind != static_cast<uint8_t>(TableDynamicMeta::Kind::kCorruptedIndexes)) {
    return "dynamic metadata: unknown kind";
  }
  const uint8_t count = reader->U8();
  if (!reader->failed() && count == 0) {
    return "dynamic metadata: no corrupted index named";
  }
  reader->Skip(size_t{count} * 12);
  return nullptr;
}

Problem WalkSmallWrite(PackedReader* reader, uint32_t max_value) {
  reader->Skip(2);
  return reader->C32() <= max_value ? nullptr : "write: value wider than the record's type";
}

Problem WalkSizedBytes(PackedReader* reader, size_t extra) {
  const uint16_t length = reader->U16();
  reader->Skip(length + extra);
  return nullptr;
}

Problem WalkZipCompress(PackedReader* reader) {
  const uint16_t size = reader->U16();
  const uint16_t trailer = reader->U16();
  reader->Skip(size_t{8} + size + trailer);
  return nullptr;
}

Problem WalkListCopy(PackedReader* reader) {
  if (const Problem problem = WalkIndexInfo(reader)) {
    return problem;
  }
  const uint32_t length = reader->U32();
  if (length > kMaxListBytes) {
    return "list copy: longer than any page's records";
  }
  reader->Skip(length);
  return nullptr;
}

Problem WalkIndexRecord(RedoType type, PackedReader* reader) {
  if (const Problem problem = WalkIndexInfo(reader)) {
    return problem;
  }
  switch (type) {
    case RedoType::kRecordInsert:
      reader->Skip(2);
      return WalkShortInsert(reader);
    case RedoType::kClustDeleteMark:
      reader->Skip(2);
      WalkSysValues(reader);
      reader->Skip(2);
      return nullptr;
    case RedoType::kUpdateInPlace:
      reader->Skip(1);
      WalkSysValues(reader);
      reader->Skip(2);
      return WalkUpdateVector(reader);
    case RedoType::kZipPageReorganize:
    case RedoType::kZipPageCompressNoData:
      reader->Skip(1);
      return nullptr;
    case RedoType::kPageReorganize:
      return nullptr;
    default:  // kRecordDelete, kListEndDelete, kListStartDelete
      reader->Skip(2);
      return nullptr;
  }
}

Problem WalkBody(RedoType type, PackedReader* reader) {
  switch (type) {
    case RedoType::kWrite1:
      return WalkSmallWrite(reader, 0xFF);
    case RedoType::kWrite2:
      return WalkSmallWrite(reader, 0xFFFF);
    case RedoType::kWrite4:
      return WalkSmallWrite(reader, 0xFFFFFFFF);
    case RedoType::kWrite8:
      reader->Skip(2);
      reader->C64();
      return nullptr;
    case RedoType::kWriteString:
      reader->Skip(2);
      return WalkSizedBytes(reader, 0);
    case RedoType::kUndoInsert:
      return WalkSizedBytes(reader, 0);
    case RedoType::kUndoInit:
      reader->C32();
      return nullptr;
    case RedoType::kUndoHeaderReuse:
    case RedoType::kUndoHeaderCreate:
      reader->C64();
      return nullptr;
    case RedoType::kUndoEraseEnd:
    case RedoType::kPageCreateRedundant:
    case RedoType::kPageCreateCompact:
    case RedoType::kPageCreateRtreeRedundant:
    case RedoType::kPageCreateRtreeCompact:
    case RedoType::kPageCreateSdiRedundant:
    case RedoType::kPageCreateSdiCompact:
    case RedoType::kIbufBitmapInit:
    case RedoType::kInitFilePageOld:
    case RedoType::kInitFilePage:
    case RedoType::kMultiRecordEnd:
    case RedoType::kDummy:
      return nullptr;
    case RedoType::kSecDeleteMark:
      reader->Skip(3);
      return nullptr;
    case RedoType::kMinMarkRedundant:
    case RedoType::kMinMarkCompact:
      reader->Skip(2);
      return nullptr;
    case RedoType::kFileCreate:
      reader->Skip(4);
      return WalkPath(reader);
    case RedoType::kFileDelete:
      return WalkPath(reader);
    case RedoType::kFileRename:
      if (const Problem problem = WalkPath(reader)) {
        return problem;
      }
      return WalkPath(reader);
    case RedoType::kFileExtend:
      reader->Skip(16);
      return nullptr;
    case RedoType::kIndexLoad:
      reader->Skip(8);
      return nullptr;
    case RedoType::kTableDynamicMeta:
      return WalkDynamicMeta(reader);
    case RedoType::kTest:
      reader->Skip(16);
      return WalkSizedBytes(reader, 16);
    case RedoType::kZipWriteNodePtr:
      reader->Skip(8);
      return nullptr;
    case RedoType::kZipWriteBlobPtr:
      reader->Skip(24);
      return nullptr;
    case RedoType::kZipWriteHeader:
      reader->Skip(1);
      reader->Skip(reader->U8());
      return nullptr;
    case RedoType::kZipPageCompress:
      return WalkZipCompress(reader);
    case RedoType::kListEndCopyCreated:
      return WalkListCopy(reader);
    case RedoType::kRecordInsert:
    case RedoType::kClustDeleteMark:
    case RedoType::kRecordDelete:
    case RedoType::kUpdateInPlace:
    case RedoType::kPageReorganize:
    case RedoType::kZipPageReorganize:
    case RedoType::kZipPageCompressNoData:
    case RedoType::kListEndDelete:
    case RedoType::kListStartDelete:
      return WalkIndexRecord(type, reader);
  }
  return "record type that no server since 8.0.30 writes";
}

}  // namespace

ParsedRecord ParseRecord(ByteView bytes) {
  ParsedRecord parsed;
  PackedReader reader(bytes);
  const uint8_t first = reader.U8();
  if (reader.failed()) {
    return parsed;
  }
  parsed.single = (first & kSingleRecordFlag) != 0;
  parsed.type = static_cast<RedoType>(first & ~kSingleRecordFlag);
  Problem problem = nullptr;
  if (parsed.type == RedoType::kMultiRecordEnd || parsed.type == RedoType::kDummy) {
    problem = parsed.single ? "single-record flag on a mark" : nullptr;
  } else {
    if (parsed.type != RedoType::kTableDynamicMeta) {
      const SpaceId space(reader.C32());
      parsed.page = PageId{space, PageNo(reader.C32())};
    }
    parsed.body_offset = reader.offset();
    problem = WalkBody(parsed.type, &reader);
  }
  if (problem != nullptr) {
    parsed.outcome = ParseOutcome::kCorrupt;
    parsed.problem = problem;
    parsed.problem_offset = reader.offset();
  } else if (!reader.failed()) {
    parsed.outcome = ParseOutcome::kComplete;
    parsed.length = reader.offset();
    parsed.body_offset = parsed.body_offset == 0 ? parsed.length : parsed.body_offset;
  }
  return parsed;
}

Status ParseError(const ParsedRecord& parsed, ByteView bytes, Lsn lsn) {
  const size_t context = bytes.size() < 32 ? bytes.size() : 32;
  return Corruption("redo record type " + std::to_string(static_cast<unsigned>(parsed.type)) +
                    " (" + RedoTypeName(parsed.type) + ") of page " + ToString(parsed.page) +
                    " at LSN " + std::to_string(lsn.value()) + " is corrupt at its byte " +
                    std::to_string(parsed.problem_offset) + ": " +
                    (parsed.problem == nullptr ? "unknown" : parsed.problem) +
                    "; its first bytes are " + ToHex(bytes.first(context)));
}

}  // namespace redoubt::innodb
