// SPDX-License-Identifier: MIT
//
// Moves frozen batches to the store, oldest first, and flushes from time to time.
//
// One KvBatch holds the deltas, space events, dynamic metadata, time samples and the LSN that they
// reach (Rule 6): after a crash the store holds all of it or none, and redo is pulled again from
// there.
//
// Invariants: persisted <= written <= applied; feed->Persisted is told only what a flush covered.
// Suspends: on the blocking executor and the store. A full disk is waited for: the batch stays
// where it is, ingest is held back, and the log keeps the redo. Any other write error ends it:
// nothing is written after it.
#pragma once

#include <functional>
#include <memory>
#include <vector>

#include "common/runtime/sync.h"
#include "common/runtime/task_group.h"
#include "pageserver/log/redo_feed.h"
#include "pageserver/page/dynamic_meta.h"
#include "pageserver/page/volume_state.h"

namespace redoubt {

// What the store says of a volume's ingest.
struct IngestPosition {
  Lsn persisted;
  Lsn pull_from;
  uint32_t page_size = 0;
};
std::string EncodeIngestPosition(const IngestPosition& position);
Result<IngestPosition> DecodeIngestPosition(std::string_view value);

class BatchWriter {
 public:
  struct PageBytes {
    PageId page;
    uint32_t bytes;
    bool initializes;
  };
  // Hears, on the loop, what each written batch added to each page.
  using OnWritten = std::function<void(const std::vector<PageBytes>&)>;

  BatchWriter(VolumeState* state, RedoFeed* feed, TaskGroup* group);
  void set_on_written(OnWritten on_written) { on_written_ = std::move(on_written); }
  // `dynamic`: the state at the persisted LSN.
  void Restore(IngestPosition position, DynamicMetaTable dynamic);

  // Both run until the group stops. Spawn once each.
  Task<void> RunWrites();
  Task<void> RunFlushes();
  // Writes and flushes everything that is frozen. Only when both loops have ended.
  Task<Status> Drain();

  void Wake() { work_.NotifyAll(); }
  // Returns when a batch was written, or at the deadline.
  Task<void> WaitProgress(TimePoint deadline);
  bool healthy() const { return failure_.ok(); }
  const Status& failure() const { return failure_; }

 private:
  struct Encoded {
    KvBatch batch;
    std::vector<PageBytes> pages;
  };

  // kNoSpace: the batch is still the oldest.
  Task<Status> WriteOldest();
  Task<Status> Flush();
  bool FlushDue() const;
  // Remembers and logs how a write or a flush ended. `full`: what is known of that kind of call.
  void TakeOutcome(const Status& status, bool* full);
  static Encoded Encode(const PageVolumeOptions& options, const BatchSlot& slot,
                        DynamicMetaTable* dynamic);

  VolumeState* state_;
  RedoFeed* feed_;
  TaskGroup* group_;
  OnWritten on_written_;
  Condition work_;
  Condition progress_;
  std::shared_ptr<DynamicMetaTable> dynamic_;  // shared with the encode job
  IngestPosition written_;
  uint64_t unflushed_bytes_ = 0;
  TimePoint last_flush_{};
  // The disk was full at the last write, or flush.
  bool write_full_ = false;
  bool flush_full_ = false;
  Status failure_;
};

}  // namespace redoubt
