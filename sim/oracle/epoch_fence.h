// SPDX-License-Identifier: MIT
//
// C5: one writer per epoch. Epochs only grow; once a writer was told "epoch e, the log ends at E",
// no append of an older epoch beyond E is ever acknowledged, and E is not below what the older ones
// were told is durable.
#pragma once

#include <cstddef>
#include <cstdint>
#include <map>

#include "common/base/types.h"
#include "sim/oracle/findings.h"

namespace redoubt::sim {

class EpochFence {
 public:
  explicit EpochFence(Findings* findings) : findings_(findings) {}

  // A Prepare was answered: the caller now holds `epoch`, the log ends at `end` (0: empty).
  void Promised(Epoch epoch, Lsn end);
  // The holder of `epoch` learnt that everything below `lsn` is durable.
  void Acknowledged(Epoch epoch, Lsn lsn);
  // A writer was told that it is fenced.
  void Refused() { ++refused_count_; }
  uint64_t refused_count() const { return refused_count_; }
  Epoch newest() const { return promised_.empty() ? Epoch() : promised_.rbegin()->first; }
  size_t epoch_count() const { return promised_.size(); }

 private:
  Findings* findings_;
  std::map<Epoch, Lsn> promised_;
  std::map<Epoch, Lsn> acknowledged_;
  uint64_t refused_count_ = 0;
};

}  // namespace redoubt::sim
