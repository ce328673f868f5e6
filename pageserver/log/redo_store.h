// SPDX-License-Identifier: MIT
//
// The redo of one volume on disk: an append-only row of segment files (redo_segment.h) over the
// file-system seam.
//
// Why files and not families of the ordered store: one sync covers every append that waits (group
// commit), redo is written once instead of again at every compaction, and trimming is an unlink.
//
// Opening reads everything back and tells three ends apart:
//   clean end      the last record ends with the file
//   torn tail      bad bytes behind the last record, and nothing behind them claims that they were
//   synced:
//                  a crash in the middle of a write that was never acknowledged; they are ignored
//   damage         a record, a segment or the next segment's header proves that the bad bytes were
//   synced
//                  once: Open refuses with file and offset, because acknowledged redo is gone
// Nothing is ever appended behind a tail of an earlier life: a new segment begins there, and what a
// new segment's previous_end leaves out of the one before is void. Records that no later record
// claims to be durable (the last batch before a crash) may have been acknowledged, yet may live
// only in the page cache after a failed sync: Open writes them again into a new segment that
// appears under its name only when it is synced.
//
// Invariants: readable_from <= begin <= end; segments are consecutive in sequence and LSN.
// Crash: everything that an Append, StartAt or Seal returned OK for survives; what was being
// written survives whole, in part (a prefix of records) or not at all. Suspends: everything that
// touches a file. One of Open, Append, StartAt, Seal at a time; Read and TrimBelow may run beside
// them.
#pragma once

#include <cstdint>
#include <deque>
#include <memory>
#include <string>
#include <vector>

#include "common/base/result.h"
#include "common/base/types.h"
#include "common/runtime/runtime.h"
#include "pageserver/log/redo_segment.h"

namespace redoubt {

struct RedoStoreOptions {
  std::string directory;  // this volume's own
  VolumeId volume;
  uint64_t volume_uid = 0;
  // A segment that has reached this size is followed by a new one.
  uint64_t segment_bytes_max = 64 << 20;
};

class RedoStore {
 public:
  RedoStore(Runtime* runtime, RedoStoreOptions options);
  RedoStore(const RedoStore&) = delete;
  RedoStore& operator=(const RedoStore&) = delete;
  ~RedoStore();

  // Once, first. kCorruption: damage, or a log of another volume (file and offset named).
  // kUnsupported: a newer format. kIoError.
  Task<Status> Open();

  // Writes the chunks, in order, and syncs: durable on OK. The first must start at end().
  // kNoSpace: nothing of it counts; the next Append begins a new segment. kIoError: the disk failed
  // a write or a sync; nothing more is accepted until the store is opened anew (see stopped()).
  // `chunks` is borrowed until the task ends.
  Task<Status> Append(const std::vector<RedoChunk>* chunks);
  // Begins the log, or a new part of it behind a hole, at `start` >= end(). Durable on OK. As
  // Append.
  Task<Status> StartAt(Lsn start, std::string reason);
  // Writes down that everything up to end() is durable, so that damage before it is told from a
  // torn tail for certain. Nothing happens when nothing was appended since the last time.
  Task<Status> Seal();
  bool sealed() const { return sealed_ || active_ == nullptr; }

  // Whole chunks with end > from and end <= up_to, at most about bytes_max, at least one if there
  // is one. kCorruption: a record that was good when written is not any more. Requires from >=
  // readable_from().
  Task<Result<std::vector<RedoChunk>>> Read(Lsn from, size_t bytes_max, Lsn up_to);
  // Removes segments that lie wholly below `lsn`. The newest one stays.
  Task<Status> TrimBelow(Lsn lsn);

  // True until the first StartAt.
  bool empty() const { return segments_.empty(); }
  // Lowest LSN from which Read gives everything: begin(), or the start of the hole before it.
  Lsn readable_from() const { return empty() ? Lsn{} : segments_.front().previous_end; }
  Lsn begin() const { return empty() ? Lsn{} : segments_.front().start; }
  Lsn end() const { return empty() ? Lsn{} : segments_.back().end; }
  // Highest epoch of any record that Open read.
  Epoch recovered_epoch() const { return recovered_epoch_; }
  // Why nothing is accepted any more; OK normally.
  const Status& stopped() const { return stopped_; }
  uint64_t sync_count() const { return sync_count_; }

 private:
  struct IndexEntry {
    Lsn start;
    uint64_t offset;
  };
  struct Segment {
    uint64_t sequence = 0;
    Lsn previous_end;
    Lsn start;
    Lsn end;
    // Every kIndexStrideBytes or so the place of a record; the first record always.
    std::vector<IndexEntry> index;
  };
  struct TailScan;

  std::string PathOf(const Segment& segment) const;
  Task<Result<std::vector<SegmentName>>> ListSegments();
  Task<Status> RecoverSegments(std::vector<SegmentName> names);
  Task<Status> RecoverSegment(SegmentName name, const SegmentHeader* next, bool last,
                              TailScan* tail);
  Task<Result<SegmentHeader>> ReadHeader(SegmentName name);
  Task<Status> DropTornSegment(SegmentName name, Status why);
  Task<Status> RewriteUnproven(TailScan* tail);

  Task<Status> OpenActive(SegmentHeader header);
  Task<Status> WriteAndSync(bool new_segment);
  Task<Status> Abandon(bool new_segment, Status status);
  Status Stop(Status status);
  void EncodeRecord(const RedoChunk& chunk, uint64_t sequence, Lsn durable_end);
  SegmentHeader NextHeader(Lsn previous_end, Lsn start, std::string reason) const;
  void AddToIndex(Segment* segment, Lsn start, uint64_t offset);

  Runtime* runtime_;
  RedoStoreOptions options_;
  std::deque<Segment> segments_;
  // The segment that grows: the last one, or null when the next Append begins a new one.
  std::unique_ptr<File> active_;
  uint64_t active_bytes_ = 0;
  bool sealed_ = false;
  Bytes buffer_;  // what is being written
  Epoch recovered_epoch_;
  Status stopped_;
  uint64_t sync_count_ = 0;
};

}  // namespace redoubt
