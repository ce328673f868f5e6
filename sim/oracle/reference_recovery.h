// SPDX-License-Identifier: MIT
//
// C7: what a writer recovers from the page server is what it would recover from the whole log. The
// log of the writer's lineage is applied from its begin with common/innodb, as a server's own crash
// recovery would; the pages in the recovered writer's buffer pool must be the same.
//
// Goes on from where it was when the lineage allows, else starts over.
#pragma once

#include <cstdint>
#include <map>
#include <span>
#include <string_view>

#include "common/base/bytes.h"
#include "common/base/types.h"
#include "common/innodb/apply.h"
#include "sim/oracle/findings.h"
#include "sim/oracle/timeline.h"

namespace redoubt::sim {

class ReferenceRecovery {
 public:
  // Both outlive it.
  ReferenceRecovery(Findings* findings, const Timeline* timeline, uint32_t page_size)
      : findings_(findings), timeline_(timeline), page_size_(page_size) {}

  // `pages`: what the writer of `epoch` holds as of `lsn`, the end of one of its mtrs or its
  // epoch's start. LSN and checksum fields do not count.
  void Check(Epoch epoch, Lsn lsn, std::span<const Timeline::ChangedPage> pages);
  uint64_t checked_count() const { return checked_count_; }

 private:
  // False: the log cannot be applied, which is reported.
  bool Apply(Epoch epoch, Lsn lsn);

  Findings* findings_;
  const Timeline* timeline_;
  uint32_t page_size_;
  innodb::PageApplier applier_;
  std::map<PageId, Bytes> pages_;
  Epoch epoch_;  // 0: nothing applied
  Lsn applied_;
  uint64_t checked_count_ = 0;
};

}  // namespace redoubt::sim
