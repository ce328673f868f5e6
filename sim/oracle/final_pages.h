// SPDX-License-Identifier: MIT
//
// C2 at the end of recorded redo: every page that is read there is what the real server left in its
// file, under the mask of common/innodb/README.md, "What may differ"; and all of them are read.
#pragma once

#include <map>
#include <set>

#include "common/base/bytes.h"
#include "common/base/types.h"
#include "sim/oracle/findings.h"

namespace redoubt::sim {

class FinalPages {
 public:
  explicit FinalPages(Findings* findings) : findings_(findings) {}

  // Where the recorded redo ends, and a page as the server left it.
  void SetEnd(Lsn end) { end_ = end; }
  void Add(PageId page, ByteView image);

  // A page was answered as of `read_lsn`; looked at only where that is the end.
  void Check(PageId page, Lsn read_lsn, ByteView image);
  // A verification is through: reports pages that were not read in it, and begins the next.
  void EndRound();
  uint64_t checked_count() const { return checked_count_; }

 private:
  Findings* findings_;
  Lsn end_;  // 0: nothing was recorded
  std::map<PageId, Bytes> pages_;
  std::set<PageId> checked_;  // in this round
  uint64_t checked_count_ = 0;
};

}  // namespace redoubt::sim
