// SPDX-License-Identifier: MIT
//
// From redo as InnoDB's log writer frames it, 512-byte blocks whose last one is written again while
// it fills, to the payload that only grows. Pure: for one writer's stream.
//
// Invariant: what is accepted continues at next_lsn(), byte for byte as the blocks say.
#pragma once

#include "common/base/bytes.h"
#include "common/base/result.h"
#include "common/base/types.h"

namespace redoubt {

struct StrippedRedo {
  LsnRange range;     // data LSNs; empty: nothing new in the blocks
  Lsn first_mtr_lsn;  // of the first mtr that is known to begin in it; Lsn{0}: none
  Bytes payload;
};

// The two ways to say that a block is full as the one data LSN.
Lsn NormaliseEnd(Lsn lsn);

class BlockStripper {
 public:
  // The stream continues at `next`, a data LSN.
  void Reset(Lsn next);
  Lsn next_lsn() const { return next_lsn_; }

  // Checks the blocks from `block_start` on, whose data ends at `end`, and takes what is new;
  // changes nothing here. kInvalidArgument: sizes and LSNs do not fit. kGap: they start behind
  // next_lsn(). kCorruption: a block is not what its place or checksum says, or differs from what
  // was accepted. kUnsupported: a block without checksum, or encrypted.
  Result<StrippedRedo> Strip(ByteView blocks, Lsn block_start, Lsn end) const;
  // The redo was taken.
  void Accept(const StrippedRedo& redo);

 private:
  Status CheckShape(size_t size, Lsn block_start, Lsn end) const;
  Status TakeBlock(ByteView block, Lsn block_lsn, bool last, StrippedRedo* redo) const;

  Lsn next_lsn_;
  // What was accepted of the block that next_lsn() lies in.
  Lsn tail_begin_;
  Bytes tail_;
};

}  // namespace redoubt
