// SPDX-License-Identifier: MIT
//
// Which LSNs of a volume can be read: from a horizon on, except where redo was lost.
//
//   ranges  [start, end]: complete history; the last one is open (end = max) unless redo was lost
//   since lost    (known_until, resumes_at]: mtrs that end in it are unknown
//
// A hole closes the open range; only a new import (SetHorizon) opens the next one.
// Invariants: ranges and holes ascend and do not overlap.
#pragma once

#include <string>
#include <vector>

#include "common/base/bytes.h"
#include "common/base/status.h"
#include "common/base/types.h"

namespace redoubt {

class ReadableRanges {
 public:
  // kBelowHorizon or kHole, naming the LSNs; OK when complete history covers `read_lsn`.
  Status Check(Lsn read_lsn) const;
  // History is complete from `horizon` on (an import ended).
  void SetHorizon(Lsn horizon);
  // Redo in [known_until, resumes_at) will never come. False when that is known already.
  bool AddHole(Lsn known_until, Lsn resumes_at);

  Lsn horizon() const { return horizon_; }
  // [known_until, resumes_at)
  const std::vector<LsnRange>& holes() const { return holes_; }

  Bytes Encode() const;
  // kCorruption.
  Status Decode(ByteView bytes);

 private:
  struct Range {
    Lsn start;
    Lsn end;  // inclusive; kMaxLsn: open
  };
  Lsn horizon_;
  std::vector<Range> ranges_ = {{Lsn{}, kMaxLsn}};
  std::vector<LsnRange> holes_;
};

}  // namespace redoubt
