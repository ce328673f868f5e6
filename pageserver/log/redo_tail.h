// SPDX-License-Identifier: MIT
//
// The newest chunks of a log in memory, up to a number of bytes, so that a page role that keeps up
// never makes the log read its disk. Plain state, never suspends.
//
// Invariant: chunks are consecutive except for declared holes; whatever lies in [from(), end) is
// here.
#pragma once

#include <cstddef>
#include <deque>
#include <vector>

#include "common/base/types.h"
#include "pageserver/log/redo_feed.h"

namespace redoubt {

class RedoTail {
 public:
  explicit RedoTail(size_t bytes_max) : bytes_max_(bytes_max) {}

  // Empty, holding everything from `lsn` on.
  void Reset(Lsn lsn);
  void Push(RedoChunk chunk);
  // Forgets chunks that end at or below `lsn`: nobody will ask for them again.
  void DropBelow(Lsn lsn);
  // Everything from this LSN on is here.
  Lsn from() const { return from_; }
  // The chunks with end > lsn and start < up_to, of the last one the part below up_to; at most
  // about bytes_max but one if there is one, none if lsn >= up_to. Requires lsn >= from().
  std::vector<RedoChunk> Read(Lsn lsn, size_t bytes_max, Lsn up_to) const;
  // The chunk that is exactly `range`; null when there is none here.
  const RedoChunk* Find(LsnRange range) const;
  size_t bytes() const { return bytes_; }

 private:
  void DropFirst();
  std::deque<RedoChunk>::const_iterator FirstEndingAbove(Lsn lsn) const;

  size_t bytes_max_;
  size_t bytes_ = 0;
  Lsn from_;
  std::deque<RedoChunk> chunks_;
};

}  // namespace redoubt
