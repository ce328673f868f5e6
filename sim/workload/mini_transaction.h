// SPDX-License-Identifier: MIT
//
// A mini-transaction: reads and changes pages of the pool that nobody may drop meanwhile. What it
// logs becomes one mtr. Never suspends: when a page is not in the pool, it says which, having
// changed nothing yet, and is run again once the page is there.
#pragma once

#include <optional>
#include <set>

#include "common/base/types.h"
#include "sim/workload/buffer_pool.h"
#include "sim/workload/redo_encoder.h"

namespace redoubt::sim {

// How an access to the database went.
enum class Access : uint8_t {
  kDone,
  kMissingPage,  // MiniTransaction::missing()
  kNoRow,        // or, for an insert, that the row is there already
  kBroken,       // the pages contradict each other
};

class MiniTransaction {
 public:
  explicit MiniTransaction(BufferPool* pool) : pool_(pool) {}
  MiniTransaction(const MiniTransaction&) = delete;
  MiniTransaction& operator=(const MiniTransaction&) = delete;
  ~MiniTransaction();

  // Null: not in the pool; noted.
  const ModelPage* Read(PageId page);
  // A page that this mini-transaction has read or made, to change it.
  ModelPage* Change(PageId page);
  // A page that did not exist.
  ModelPage* Make(PageId page);

  PageId missing() const { return *missing_; }
  // Before the next try. Nothing may have been changed.
  void Restart();

  MtrEncoder* log() { return &log_; }
  bool changed() const { return !log_.empty(); }
  const std::set<PageId>& changed_pages() const { return changed_; }

 private:
  void Pin(PageId page, BufferPool::Frame* frame);

  BufferPool* pool_;
  std::set<PageId> pinned_;
  std::set<PageId> changed_;
  std::optional<PageId> missing_;
  MtrEncoder log_;
};

}  // namespace redoubt::sim
