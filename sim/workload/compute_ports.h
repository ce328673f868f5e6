// SPDX-License-Identifier: MIT
//
// What a model compute has instead of disks: somebody that serves pages and somebody that keeps
// redo.
#pragma once

#include "common/base/bytes.h"
#include "common/base/result.h"
#include "common/base/types.h"
#include "common/runtime/task.h"

namespace redoubt::sim {

struct SourcePage {
  Lsn page_lsn;  // 0: never written
  Bytes image;   // page_size bytes
};

class PageSource {
 public:
  virtual ~PageSource() = default;
  // The page at `read_lsn`; the caller knows that it has no change in (not_modified_since,
  // read_lsn]. Waits as long as it takes. kNotFound: its space is not known at `read_lsn`. Any
  // other error ends the compute.
  virtual Task<Result<SourcePage>> Fetch(PageId page, Lsn read_lsn, Lsn not_modified_since) = 0;
};

struct LogChunk {
  LsnRange range;
  Lsn first_mtr_lsn;  // of the first mtr that begins in it; 0: none
  Bytes payload;
};

class RedoSink {
 public:
  virtual ~RedoSink() = default;
  // Takes the chunk, which continues the one before; waits for room as long as it takes. OK does
  // not mean durable. An error is final.
  virtual Task<Status> Append(LogChunk chunk) = 0;
  // OK: everything below `lsn` is durable. An error is final.
  virtual Task<Status> WaitAcknowledged(Lsn lsn) = 0;
  virtual Lsn acknowledged() const = 0;
};

}  // namespace redoubt::sim
