// SPDX-License-Identifier: MIT
//
// The newest redo of a volume in memory, by page: pieces merged on the loop, read at once, later
// written to the store as one batch and dropped.
//
// Two phases: open (loop thread only: Merge and Collect) and frozen (immutable: any thread may read
// it). Invariant: the pieces are contiguous, [range().start, range().end).
#pragma once

#include <memory>
#include <vector>

#include "common/base/types.h"
#include "pageserver/page/page_table.h"
#include "pageserver/page/redo_piece.h"
#include "pageserver/storage/kv_store.h"

namespace redoubt {

// One page's redo from one piece; `value` is borrowed from the batch.
struct MemoryRun {
  Lsn base;
  Lsn first_end;
  Lsn last_end;
  bool initializes = false;
  ByteView value;
};

class DeltaBatch {
 public:
  explicit DeltaBatch(Lsn start) : range_{start, start} {}

  // Requires piece->range.start == range().end.
  void Merge(std::unique_ptr<const RedoPiece> piece);
  // Appends the page's runs, ascending.
  void Collect(PageId page, std::vector<MemoryRun>* runs) const;
  bool Contains(PageId page) const { return table_.Find(page) != PageTable::kNone; }
  // Appends the pages of `space` from `first` on, unordered.
  void CollectPages(SpaceId space, PageNo first, std::vector<PageNo>* pages) const;

  // Delta values for the store, in key order. `on_page(PageId, bytes, initializes)` hears of each.
  template <typename OnPage>
  void ToStore(VolumeId volume, KvBatch* out, OnPage&& on_page) const {
    for (const uint32_t page_no : SortedPages()) {
      const Page& page = pages_[page_no];
      bool initializes = false;
      std::string value = Encode(page, &initializes);
      on_page(page.id, value.size(), initializes);
      PutDelta(volume, page, std::move(value), out);
    }
  }

  LsnRange range() const { return range_; }
  uint64_t payload_bytes() const { return payload_bytes_; }
  bool empty() const { return range_.start == range_.end; }
  size_t page_count() const { return pages_.size(); }
  const std::vector<std::unique_ptr<const RedoPiece>>& pieces() const { return pieces_; }

 private:
  struct Node {
    const PageRun* run;
    const RedoPiece* piece;
    uint32_t next;  // index into nodes_, or PageTable::kNone
  };
  struct Page {
    PageId id;
    uint32_t first;
    uint32_t last;
  };

  std::vector<uint32_t> SortedPages() const;
  std::string Encode(const Page& page, bool* initializes) const;
  void PutDelta(VolumeId volume, const Page& page, std::string value, KvBatch* out) const;

  LsnRange range_;
  uint64_t payload_bytes_ = 0;
  std::vector<std::unique_ptr<const RedoPiece>> pieces_;
  PageTable table_;  // -> pages_
  std::vector<Page> pages_;
  std::vector<Node> nodes_;
};

}  // namespace redoubt
