// SPDX-License-Identifier: MIT
//
// Finds where one redo record ends. Lengths are implicit in the format: every body has to be
// walked, applied or not. Hot: no allocation, index info skipped by arithmetic.
//
//   record := type u8 (| 0x80), space c32, page no c32, body
//   exceptions: 31 (end of group) and 32 (dummy) are one byte; 62 is type, body
//
// Format: README.md, "Integers", "Record header", "Record types".
#pragma once

#include <cstddef>
#include <cstdint>

#include "common/base/bytes.h"
#include "common/base/status.h"
#include "common/base/types.h"
#include "common/innodb/redo_record.h"

namespace redoubt::innodb {

enum class ParseOutcome : uint8_t {
  kComplete,
  kNeedMore,  // nothing can be said before more bytes come
  kCorrupt,   // no continuation makes this a record
};

struct ParsedRecord {
  ParseOutcome outcome = ParseOutcome::kNeedMore;
  bool single = false;  // the flag 0x80: this record is its whole mtr
  RedoType type = RedoType::kDummy;
  PageId page;
  // Offsets into the bytes given; body is [body_offset, length).
  size_t body_offset = 0;
  size_t length = 0;
  // kCorrupt: what is wrong (static text) and where, relative to the bytes given.
  const char* problem = nullptr;
  size_t problem_offset = 0;
};

// Parses the record at the start of `bytes`; never reads beyond it. An answer other than kNeedMore
// is final: the same bytes with more behind them get the same one.
ParsedRecord ParseRecord(ByteView bytes);

// kCorruption "redo record type 67 (MLOG_REC_INSERT) of page 5:17 at LSN 123 is corrupt at byte 17:
// index log version 0". `lsn`: of the record's first byte.
Status ParseError(const ParsedRecord& parsed, ByteView bytes, Lsn lsn);

}  // namespace redoubt::innodb
