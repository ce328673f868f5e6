// SPDX-License-Identifier: MIT
//
// Redo of whole mtrs on its way out, cut into chunks anywhere, as a server's log writer does.
#pragma once

#include <cstddef>
#include <deque>

#include "common/base/bytes.h"
#include "common/base/types.h"
#include "sim/workload/compute_ports.h"

namespace redoubt::sim {

class LogBuffer {
 public:
  // `start`: a data LSN, where the first mtr begins.
  explicit LogBuffer(Lsn start) : taken_(start), end_(start) {}

  // The mtr's end.
  Lsn Add(ByteView mtr);
  // The first `bytes_max` bytes, or all when there are fewer. There must be some.
  LogChunk Take(size_t bytes_max);

  Lsn end_lsn() const { return end_; }
  size_t bytes() const { return bytes_.size() - first_; }

 private:
  Lsn taken_;  // begin of what is left
  Lsn end_;
  Bytes bytes_;
  size_t first_ = 0;  // in bytes_
  std::deque<Lsn> mtr_starts_;
};

}  // namespace redoubt::sim
