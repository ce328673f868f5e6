// SPDX-License-Identifier: MIT
//
// Keeps chains short (Rule 8): when the redo of a page above its newest image passes a bound, the
// page is built in the background and its image stored.
//
// Counts are of redo written to the store since the page's newest image or initialisation; they
// start at zero when a volume opens, so a restart may let a chain grow to twice the bound once.
// Falling behind is visible (backlog_bytes) and holds back ingest (KeepsUp).
#pragma once

#include <cstdint>
#include <deque>
#include <vector>

#include "common/runtime/task_group.h"
#include "pageserver/page/batch_writer.h"
#include "pageserver/page/page_reader.h"
#include "pageserver/page/page_table.h"
#include "pageserver/page/volume_state.h"

namespace redoubt {

class Materializer {
 public:
  Materializer(VolumeState* state, PageReader* reader, TaskGroup* group);

  void OnWritten(const std::vector<BatchWriter::PageBytes>& pages);
  bool KeepsUp() const { return backlog_bytes_ <= state_->options.chain_backlog_bytes_max; }
  // Runs until the group stops. Spawn once.
  Task<void> Run();

  // Redo in chains that are longer than the bound.
  uint64_t backlog_bytes() const { return backlog_bytes_; }
  uint64_t image_count() const { return image_count_; }

 private:
  struct Chain {
    PageId page;
    uint32_t bytes = 0;
    uint32_t values = 0;  // keys in the store
    bool queued = false;
  };
  Task<Status> MaterializeSome();
  uint32_t SlotOf(PageId page);
  void TakeLongChains();
  void ForgetShort();

  VolumeState* state_;
  PageReader* reader_;
  TaskGroup* group_;
  Condition work_;
  PageTable table_;  // -> chains_
  std::vector<Chain> chains_;
  std::deque<uint32_t> queue_;  // chains over the bound, oldest first
  uint64_t backlog_bytes_ = 0;
  uint64_t image_count_ = 0;
};

}  // namespace redoubt
