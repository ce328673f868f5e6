// SPDX-License-Identifier: MIT
//
// Each family of bodies has a Walk function that moves the reader past the body. A reader that ran
// out of bytes means "need more"; a problem that no further byte can cure is reported by text.
// Limits on counts and lengths turn garbage into "corrupt" instead of an endless "need more".
#include "common/innodb/redo_parser.h"

#include <array>
#include <initializer_list>
#include <string>

#include "common/innodb/index_info.h"
#include "common/innodb/packed_reader.h"
#include "common/innodb/page_format.h"
#include "common/innodb/problem.h"

namespace redoubt::innodb {
namespace {

constexpr uint16_t kMinPathBytes = 5;
constexpr uint32_t kMaxListBytes = 1U << 20;  // short inserts of one page, generously
constexpr uint32_t kNullLength = 0xFFFFFFFF;
constexpr size_t kRollPtrBytes = 7;

Problem WalkIndexInfo(PackedReader* reader) {
  const IndexInfoSize size = MeasureIndexInfo({reader->at(), reader->remaining()});
  if (size.problem == kNoProblem) {
    // A length of 0 asks for more bytes: so does skipping more than there are.
    reader->Skip(size.length == 0 ? reader->remaining() + 1 : size.length);
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
  return kNoProblem;
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
  return kNoProblem;
}

void WalkSysValues(PackedReader* reader) {
  reader->C32();
  reader->Skip(kRollPtrBytes);
  reader->C64();
}

Problem WalkPath(PackedReader* reader) {
  const uint16_t length = reader->U16();
  if (length < kMinPathBytes) {
    return "file record: path too short";
  }
  reader->Skip(length);
  return kNoProblem;
}

Problem WalkDynamicMeta(PackedReader* reader) {
  reader->M64();
  reader->M64();
  const uint8_t kind = reader->U8();
  if (kind == static_cast<uint8_t>(TableDynamicMeta::Kind::kAutoIncrement)) {
    reader->M64();
    return kNoProblem;
  }
  if (kind != static_cast<uint8_t>(TableDynamicMeta::Kind::kCorruptedIndexes)) {
    return "dynamic metadata: unknown kind";
  }
  const uint8_t count = reader->U8();
  if (count == 0) {
    return "dynamic metadata: no corrupted index named";
  }
  reader->Skip(size_t{count} * 12);
  return kNoProblem;
}

Problem WalkSmallWrite(PackedReader* reader, uint32_t max_value) {
  reader->Skip(2);
  return reader->C32() <= max_value ? kNoProblem : "write: value wider than the record's type";
}

Problem WalkSizedBytes(PackedReader* reader, size_t extra) {
  const uint16_t length = reader->U16();
  reader->Skip(length + extra);
  return kNoProblem;
}

Problem WalkZipCompress(PackedReader* reader) {
  const uint16_t size = reader->U16();
  const uint16_t trailer = reader->U16();
  reader->Skip(size_t{8} + size + trailer);
  return kNoProblem;
}

Problem WalkListCopy(PackedReader* reader) {
  REDOUBT_RETURN_IF_PROBLEM(WalkIndexInfo(reader));
  const uint32_t length = reader->U32();
  if (length > kMaxListBytes) {
    return "list copy: longer than any page's records";
  }
  reader->Skip(length);
  return kNoProblem;
}

Problem WalkIndexRecord(RedoType type, PackedReader* reader) {
  REDOUBT_RETURN_IF_PROBLEM(WalkIndexInfo(reader));
  switch (type) {
    case RedoType::kRecordInsert:
      reader->Skip(2);
      return WalkShortInsert(reader);
    case RedoType::kClustDeleteMark:
      reader->Skip(2);
      WalkSysValues(reader);
      reader->Skip(2);
      return kNoProblem;
    case RedoType::kUpdateInPlace:
      reader->Skip(1);
      WalkSysValues(reader);
      reader->Skip(2);
      return WalkUpdateVector(reader);
    case RedoType::kZipPageReorganize:
    case RedoType::kZipPageCompressNoData:
      reader->Skip(1);
      return kNoProblem;
    case RedoType::kPageReorganize:
      return kNoProblem;
    default:  // kRecordDelete, kListEndDelete, kListStartDelete
      reader->Skip(2);
      return kNoProblem;
  }
}

// Bodies whose length the type alone decides; kVariable = walk it.
constexpr uint8_t kVariable = 0xFF;

constexpr std::array<uint8_t, kMaxRedoType + 1> MakeFixedBodies() {
  std::array<uint8_t, kMaxRedoType + 1> bytes{};
  bytes.fill(kVariable);
  const auto set = [&bytes](std::initializer_list<RedoType> types, uint8_t length) {
    for (const RedoType type : types) {
      bytes[static_cast<size_t>(type)] = length;
    }
  };
  using enum RedoType;
  set({kUndoEraseEnd, kPageCreateRedundant, kPageCreateCompact, kPageCreateRtreeRedundant,
       kPageCreateRtreeCompact, kPageCreateSdiRedundant, kPageCreateSdiCompact, kIbufBitmapInit,
       kInitFilePageOld, kInitFilePage, kMultiRecordEnd, kDummy},
      0);
  set({kMinMarkRedundant, kMinMarkCompact}, 2);
  set({kSecDeleteMark}, 3);
  set({kIndexLoad, kZipWriteNodePtr}, 8);
  set({kFileExtend}, 16);
  set({kZipWriteBlobPtr}, 24);
  return bytes;
}
constexpr std::array<uint8_t, kMaxRedoType + 1> kFixedBodies = MakeFixedBodies();

Problem WalkFileRecord(RedoType type, PackedReader* reader) {
  if (type == RedoType::kFileCreate) {
    reader->Skip(4);
  }
  REDOUBT_RETURN_IF_PROBLEM(WalkPath(reader));
  return type == RedoType::kFileRename ? WalkPath(reader) : kNoProblem;
}

Problem WalkVariableBody(RedoType type, PackedReader* reader) {
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
      return kNoProblem;
    case RedoType::kWriteString:
      reader->Skip(2);
      return WalkSizedBytes(reader, 0);
    case RedoType::kUndoInsert:
      return WalkSizedBytes(reader, 0);
    case RedoType::kUndoInit:
      reader->C32();
      return kNoProblem;
    case RedoType::kUndoHeaderReuse:
    case RedoType::kUndoHeaderCreate:
      reader->C64();
      return kNoProblem;
    case RedoType::kFileCreate:
    case RedoType::kFileRename:
    case RedoType::kFileDelete:
      return WalkFileRecord(type, reader);
    case RedoType::kTableDynamicMeta:
      return WalkDynamicMeta(reader);
    case RedoType::kTest:
      reader->Skip(16);
      return WalkSizedBytes(reader, 16);
    case RedoType::kZipWriteHeader:
      reader->Skip(1);
      reader->Skip(reader->U8());
      return kNoProblem;
    case RedoType::kZipPageCompress:
      return WalkZipCompress(reader);
    case RedoType::kListEndCopyCreated:
      return WalkListCopy(reader);
    default:
      return WalkIndexRecord(type, reader);
  }
}

Problem WalkBody(RedoType type, PackedReader* reader) {
  const auto number = static_cast<uint8_t>(type);
  if (!IsKnownRedoType(number)) {
    return "record type that no server since 8.0.30 writes";
  }
  if (kFixedBodies[number] != kVariable) {
    reader->Skip(kFixedBodies[number]);
    return kNoProblem;
  }
  return WalkVariableBody(type, reader);
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
  Problem problem = kNoProblem;
  if (parsed.type == RedoType::kMultiRecordEnd || parsed.type == RedoType::kDummy) {
    problem = parsed.single ? "single-record flag on a mark" : kNoProblem;
  } else {
    if (parsed.type != RedoType::kTableDynamicMeta) {
      const SpaceId space(reader.C32());
      parsed.page = PageId{space, PageNo(reader.C32())};
    }
    parsed.body_offset = reader.offset();
    problem = WalkBody(parsed.type, &reader);
  }
  if (reader.failed()) {
    parsed.outcome = ParseOutcome::kNeedMore;
  } else if (problem != kNoProblem) {
    parsed.outcome = ParseOutcome::kCorrupt;
    parsed.problem = problem;
    parsed.problem_offset = reader.offset();
  } else {
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
