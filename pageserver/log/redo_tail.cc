// SPDX-License-Identifier: MIT
#include "pageserver/log/redo_tail.h"

#include <algorithm>
#include <utility>

#include "common/base/check.h"
#include "pageserver/log/redo_segment.h"

namespace redoubt {
namespace {

// What a chunk costs beside its payload.
constexpr size_t kChunkOverheadBytes = 160;

size_t CostOf(const RedoChunk& chunk) { return chunk.payload->size() + kChunkOverheadBytes; }

}  // namespace

void RedoTail::Reset(Lsn lsn) {
  chunks_.clear();
  bytes_ = 0;
  from_ = lsn;
}

void RedoTail::Push(RedoChunk chunk) {
  REDOUBT_CHECK(chunk.payload != nullptr);
  REDOUBT_CHECK(chunks_.empty() ? chunk.range.start >= from_
                                : chunk.range.start >= chunks_.back().range.end);
  bytes_ += CostOf(chunk);
  chunks_.push_back(std::move(chunk));
  while (bytes_ > bytes_max_ && chunks_.size() > 1) {
    DropFirst();
  }
}

void RedoTail::DropBelow(Lsn lsn) {
  while (!chunks_.empty() && chunks_.front().range.end <= lsn) {
    DropFirst();
  }
}

void RedoTail::DropFirst() {
  bytes_ -= CostOf(chunks_.front());
  from_ = chunks_.front().range.end;
  chunks_.pop_front();
}

std::deque<RedoChunk>::const_iterator RedoTail::FirstEndingAbove(Lsn lsn) const {
  return std::upper_bound(chunks_.begin(), chunks_.end(), lsn,
                          [](Lsn wanted, const RedoChunk& c) { return wanted < c.range.end; });
}

std::vector<RedoChunk> RedoTail::Read(Lsn lsn, size_t bytes_max, Lsn up_to) const {
  REDOUBT_CHECK(lsn >= from_);
  std::vector<RedoChunk> chunks;
  if (lsn >= up_to) {
    return chunks;
  }
  size_t bytes = 0;
  for (auto at = FirstEndingAbove(lsn); at != chunks_.end() && bytes < bytes_max; ++at) {
    if (at->range.start >= up_to) {
      break;
    }
    bytes += at->payload->size();
    chunks.push_back(at->range.end <= up_to ? *at : HeadOf(*at, up_to));
  }
  return chunks;
}

const RedoChunk* RedoTail::Find(LsnRange range) const {
  const auto found = FirstEndingAbove(range.start);
  return found != chunks_.end() && found->range == range ? &*found : nullptr;
}

}  // namespace redoubt
