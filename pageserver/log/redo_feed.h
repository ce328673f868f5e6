// SPDX-License-Identifier: MIT
//
// How a page role gets redo: it pulls committed chunks from a log role. With --role=all the log
// role of the same process implements it; over the wire it is LogRead.
#pragma once

#include <cstdint>
#include <memory>
#include <vector>

#include "common/base/bytes.h"
#include "common/base/result.h"
#include "common/base/types.h"
#include "common/runtime/scheduler.h"
#include "common/runtime/task.h"

namespace redoubt {

// One accepted append: redo payload without block frames. payload.size() == ToSn(end) -
// ToSn(start).
struct RedoChunk {
  Epoch epoch;
  LsnRange range;
  // Where the first mtr that begins in the chunk begins; Lsn{0} when none does.
  Lsn first_mtr_lsn;
  uint32_t payload_crc32c = 0;
  // Source wall clock when range.end was the log's end; 0: unknown.
  int64_t source_time_unix_ns = 0;
  // Shared between the log's memory tail and the readers of the feed: neither outlives the other.
  std::shared_ptr<const Bytes> payload;
  // For the log only: what is committed as soon as this chunk is durable; at most range.end, an mtr
  // ends there. Lsn{0}: nothing follows from that alone.
  Lsn commit_when_durable;
};

struct FeedBatch {
  // In order. A chunk whose start lies above the end before it follows a hole that a writer
  // declared.
  std::vector<RedoChunk> chunks;
  Lsn commit_lsn;
  // Not 0, and no chunks: the log begins there, at the start of an mtr, and nothing was ever below;
  // that is committed.
  Lsn begins_at;
};

class RedoFeed {
 public:
  virtual ~RedoFeed() = default;
  // Committed chunks from `from` on, at most about `bytes_max` but at least one chunk; waits for
  // one until `deadline` and then returns none. Where `from` lies inside a chunk, the first one
  // begins below it. Of a chunk that is not committed to its end the last one is what is: the chunk
  // comes again, longer, with a later call. Where the log begins above `from` and has no redo yet
  // the answer says where, without waiting.
  // kBelowHorizon: trimmed. kCancelled: shutting down.
  virtual Task<Result<FeedBatch>> Read(Lsn from, size_t bytes_max, TimePoint deadline) = 0;
  // Everything below `lsn` is persisted by this reader: the log may trim it.
  virtual void Persisted(Lsn lsn) = 0;
};

}  // namespace redoubt
