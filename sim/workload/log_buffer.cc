// SPDX-License-Identifier: MIT
#include "sim/workload/log_buffer.h"

#include <algorithm>

#include "common/base/check.h"
#include "common/innodb/log_block.h"

namespace redoubt::sim {

Lsn LogBuffer::Add(ByteView mtr) {
  REDOUBT_CHECK(!mtr.empty());
  mtr_starts_.push_back(end_);
  bytes_.insert(bytes_.end(), mtr.begin(), mtr.end());
  end_ = innodb::AdvanceLsn(end_, mtr.size());
  return end_;
}

LogChunk LogBuffer::Take(size_t bytes_max) {
  const size_t count = std::min(bytes_max, bytes());
  REDOUBT_CHECK(count > 0);
  LogChunk chunk;
  chunk.range = LsnRange{taken_, innodb::AdvanceLsn(taken_, count)};
  const auto from = bytes_.begin() + static_cast<ptrdiff_t>(first_);
  chunk.payload.assign(from, from + static_cast<ptrdiff_t>(count));
  if (!mtr_starts_.empty() && mtr_starts_.front() < chunk.range.end) {
    chunk.first_mtr_lsn = mtr_starts_.front();
  }
  while (!mtr_starts_.empty() && mtr_starts_.front() < chunk.range.end) {
    mtr_starts_.pop_front();
  }
  taken_ = chunk.range.end;
  first_ += count;
  if (bytes() == 0) {
    bytes_.clear();
    first_ = 0;
  }
  return chunk;
}

}  // namespace redoubt::sim
