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
  Lsn page_lsn;      // 0: never written
  Bytes image;       // page_size bytes; empty: the page's space is not known
  Lsn read_lsn;      // as of which this was asked for
  bool own = false;  // out of the compute's own files
};

class PageSource {
 public:
  virtual ~PageSource() = default;
  // The page at `read_lsn`, or at another LSN that shows the same, for the caller knows that it has
  // no change above `not_modified_since`. Waits as long as it takes. An error ends the compute.
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
