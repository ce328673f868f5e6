// SPDX-License-Identifier: MIT
//
// A bounded pool of pages that writes nothing. A page may be dropped when its newest change is
// durable in the log (the flush rule: InnoDB would write it then), and when nobody uses it. Least
// recently used first.
//
// For a dropped page the pool remembers the LSN of its last change: who reads it again can say that
// nothing changed it since. That memory is bounded too; what it forgets it answers too high, never
// too low.
#pragma once

#include <cstddef>
#include <cstdint>
#include <map>
#include <vector>

#include "common/base/bytes.h"
#include "common/base/types.h"
#include "sim/oracle/timeline.h"
#include "sim/workload/model_page.h"

namespace redoubt::sim {

class BufferPool {
 public:
  struct Frame {
    explicit Frame(ModelPage its_page) : page(std::move(its_page)) {}
    ModelPage page;
    Lsn newest_lsn;  // end of the last mtr of this server that changed it; 0: clean since read
    uint64_t used = 0;
    uint32_t pin_count = 0;
  };

  // `boot_lsn`: no page has a change of this server below.
  BufferPool(size_t page_count_max, uint32_t page_size, Lsn boot_lsn)
      : page_count_max_(page_count_max), page_size_(page_size), boot_lsn_(boot_lsn) {}
  BufferPool(const BufferPool&) = delete;
  BufferPool& operator=(const BufferPool&) = delete;

  // Null: not here. Frames stay where they are until they are dropped.
  Frame* Find(PageId page);
  // Drops pages until `wanted` more fit; false when too few may go.
  bool MakeRoom(size_t wanted, Lsn flushed_lsn);
  Frame* AddRead(PageId page, ByteView image);
  // An empty page. Takes room whether there is some or not: MakeRoom gets it back later.
  Frame* AddNew(PageId page);
  // The page, which is not here, has no change of this server above.
  Lsn LastWritten(PageId page) const;

  std::vector<Timeline::ChangedPage> Pages() const;
  size_t page_count() const { return frames_.size(); }
  uint64_t dropped_count() const { return dropped_count_; }

 private:
  static constexpr size_t kLastWrittenMax = 64;
  void RememberWritten(PageId page, Lsn lsn);

  size_t page_count_max_;
  uint32_t page_size_;
  Lsn boot_lsn_;
  std::map<PageId, Frame> frames_;
  std::map<PageId, Lsn> last_written_;
  Lsn forgotten_written_;  // highest LSN that last_written_ had to forget
  uint64_t uses_ = 0;
  uint64_t dropped_count_ = 0;
};

}  // namespace redoubt::sim
