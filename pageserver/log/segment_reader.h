// SPDX-License-Identifier: MIT
//
// Reads the records of one segment file, one after the other, and says how it ended.
#pragma once

#include <cstdint>
#include <memory>
#include <string>

#include "common/base/bytes.h"
#include "common/base/result.h"
#include "common/runtime/file_system.h"
#include "common/runtime/task.h"
#include "pageserver/log/redo_segment.h"

namespace redoubt {

class SegmentReader {
 public:
  enum class Outcome {
    kRecord,
    kEnd,  // the file ends here, or holds nothing but zeroes from here on
    kBad,  // no valid record starts here: torn, damaged, or void
  };
  struct Item {
    Outcome outcome = Outcome::kEnd;
    uint64_t offset = 0;  // where the record, the end or the bad bytes start
    // kRecord; also what a kBad record says of itself when only its payload is wrong.
    Lsn durable_end;
    Lsn commit;
    RedoChunk chunk;           // range.empty() for a seal
    const char* problem = "";  // kBad
  };

  // `file` outlives the reader. `owner`: as in the segment's header.
  SegmentReader(File* file, uint64_t file_bytes, RecordOwner owner, uint64_t offset);

  // The next record, payload checked. Errors are those of the file.
  Task<Result<Item>> Next();
  uint64_t offset() const { return offset_; }

  // Searches [offset, end of file) for a valid record header that claims more than `lsn` to be
  // durable: then bytes below were synced once and are damaged now. Used only behind a bad record.
  Task<Result<bool>> ClaimsDurableBeyond(uint64_t offset, Lsn lsn);

 private:
  // Makes buffer_ hold [offset, offset + length) if the file does; the view is valid until the next
  // call.
  Task<Result<ByteView>> Peek(uint64_t offset, size_t length);

  // Whether [offset, end of file) is all zeroes.
  Task<Result<bool>> IsSpaceAhead(uint64_t offset);

  File* file_;
  uint64_t file_bytes_;
  RecordOwner owner_;
  uint64_t offset_;
  Bytes buffer_;
  uint64_t buffer_offset_ = 0;
};

}  // namespace redoubt
