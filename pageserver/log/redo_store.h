// SPDX-License-Identifier: MIT
//
// The redo of one volume on disk: an append-only row of segment files (redo_segment.h) over the
// file-system seam.
//
// Why files and not families of the ordered store: one sync covers every append that waits (group
// commit), redo is written once instead of again at every compaction, and trimming is an unlink.
//
// Opening reads everything back and tells three ends apart:
//   clean end      the last record ends with the file, or nothing but zeroes lies behind it
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
// appears under its name only when it is synced. A newest segment that has nothing else, and whose
// header may be no better, is replaced by it.
//
// A small append that makes its file longer writes zeroes behind its record, which the next ones
// overwrite: a sync of bytes that change neither the file's size nor its blocks is one write of the
// device, and none of the file system's journal (README.md of pageserver: "Space ahead"). So the
// end of a log is told by its records alone: what follows the last one is zero, or was never
// acknowledged. Old bytes cannot stand there, as no file is used twice and none grows after a cut.
//
// Cutting the log back (TruncateTo) removes what is void, newest first. Bytes that were cut off
// must never be read again under the log's later history, so whatever is void behind the part of a
// segment that counts is cut from its file before the next segment, whose header makes it void, is
// removed.
//
// Invariants: readable_from <= begin <= end; segments are consecutive in sequence and LSN.
// Crash: everything that an Append, StartAt or Seal returned OK for survives; what was being
// written survives whole, in part (a prefix of records) or not at all. A TruncateTo that was not
// finished leaves a log that is longer than was asked for, never one that lacks bytes below, nor
// one with bytes that an earlier TruncateTo took away. Suspends: everything that touches a file.
// One of Open, Append, StartAt, Seal, TruncateTo at a time; Read may run beside them, TrimBelow
// beside all but TruncateTo.
#pragma once

#include <algorithm>
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
  // So many zeroes are written behind a small append that makes the file longer; 0: none.
  uint64_t space_ahead_bytes = 1 << 20;
  // The segments that are written have this version, and none that is newer is opened: so a server
  // that knows no newer one can take over. kSegmentVersionOldest to kSegmentVersion.
  uint32_t format_version = kSegmentVersion;
};

class RedoStore {
 public:
  RedoStore(Runtime* runtime, RedoStoreOptions options);
  RedoStore(const RedoStore&) = delete;
  RedoStore& operator=(const RedoStore&) = delete;
  ~RedoStore();

  // Once, first. kCorruption: damage, or a log of another volume (file and offset named).
  // kUnsupported: a newer format than this server knows, or keeps to. kIoError.
  Task<Status> Open();

  // Writes the chunks, in order, and syncs: durable on OK. The first must start at end().
  // kNoSpace: nothing of it counts; the next Append begins a new segment. kIoError: the disk failed
  // a write or a sync; nothing more is accepted until the store is opened anew (see stopped()).
  // `chunks` is borrowed until the task ends. `commit`: the commit LSN as far as it is known; a
  // record also tells its chunk's commit_when_durable.
  Task<Status> Append(const std::vector<RedoChunk>* chunks, Lsn commit);
  // Begins the log, or a new part of it behind a hole, at `start` >= end(). Durable on OK. As
  // Append. `trimmed`: what lies below `start` is no hole but was trimmed elsewhere, so that
  // readers from below are told so; all that is here, which ends below `start`, is removed first. A
  // crash in between leaves the log with a shorter end, or empty.
  Task<Status> StartAt(Lsn start, std::string reason, bool trimmed);
  // Writes down that everything up to end() is durable, so that damage before it is told from a
  // torn tail for certain, and the commit LSN. Nothing happens when both are known on disk.
  Task<Status> Seal(Lsn commit);
  bool sealed(Lsn commit) const {
    return active_ == nullptr || (sealed_ && sealed_commit_ >= commit);
  }
  // Forgets what lies at or above `lsn`: afterwards the log ends at `lsn`, or at the start of the
  // declared hole that contains it, or is empty when it began above. Of a record that crosses `lsn`
  // the head stays. Durable on OK, also when the log ends there already: no crash brings back then
  // what an Append had written that was refused. kNoSpace: the log is longer than asked for, try
  // again. kIoError: as Append. Requires lsn >= readable_from().
  Task<Status> TruncateTo(Lsn lsn);

  // The chunks with end > from and start < up_to, of the last one the part below up_to; at most
  // about bytes_max but one if there is one, none if from >= up_to. kCorruption: a record that was
  // good when written is not any more. Requires from >= readable_from().
  Task<Result<std::vector<RedoChunk>>> Read(Lsn from, size_t bytes_max, Lsn up_to);
  // Removes segments that lie wholly below `lsn`, to which nothing will be cut back. The newest one
  // stays, and the newest one in which an mtr is known to begin below.
  Task<Status> TrimBelow(Lsn lsn);

  // True until the first StartAt.
  bool empty() const { return segments_.empty(); }
  // Lowest LSN from which Read gives everything: begin(), or the start of the hole before it.
  Lsn readable_from() const { return empty() ? Lsn{} : segments_.front().previous_end; }
  Lsn begin() const { return empty() ? Lsn{} : segments_.front().start; }
  Lsn end() const { return empty() ? Lsn{} : segments_.back().end; }
  // Highest epoch of any record that Open read.
  Epoch recovered_epoch() const { return recovered_epoch_; }
  // Highest commit LSN that any record that Open read knows of.
  Lsn recovered_commit() const { return recovered_commit_; }
  // begin(), if the log was told to begin there and nothing was trimmed; else 0.
  Lsn declared_begin() const { return readable_from() < begin() ? begin() : Lsn{}; }
  // Where the log was last told to begin or to go on behind a hole (StartAt); 0: never, or trimmed.
  Lsn declared_start() const;
  // The last LSN at which an mtr is known to begin; 0: none is.
  Lsn last_mtr_lsn() const;
  // Why nothing is accepted any more; OK normally.
  const Status& stopped() const { return stopped_; }
  uint64_t sync_count() const { return sync_count_; }

 private:
  struct IndexEntry {
    Lsn start;
    uint64_t offset;
  };
  struct Segment {
    RecordOwner owner;
    Lsn previous_end;
    Lsn start;
    Lsn end;
    // The first and the last one that a record of the segment tells of; a hole's end is one too.
    Lsn first_mtr;
    Lsn last_mtr;
    // `lsn`: where one begins; 0: not known of any.
    void NoteMtr(Lsn lsn) {
      first_mtr = first_mtr == Lsn{} ? lsn : first_mtr;
      last_mtr = std::max(last_mtr, lsn);
    }
    // What lies behind `last` is cut off; 0: no begin is left.
    void CutMtrs(Lsn last) {
      first_mtr = std::min(first_mtr, last);
      last_mtr = last;
    }
    // Every kIndexStrideBytes or so the place of a record; the first record always.
    std::vector<IndexEntry> index;
  };
  struct TailScan;
  // Where a segment's records reach an LSN, or would pass it.
  struct CutPoint {
    uint64_t offset = 0;  // in the file: what starts here ends above the LSN
    Lsn at;               // LSN of that offset
    Lsn last_mtr;         // below the LSN
    RedoChunk head;       // of the record that crosses the LSN; no payload: none does
  };

  std::string PathOf(const Segment& segment) const;
  Task<Result<std::vector<SegmentName>>> ListSegments();
  Task<Status> RecoverSegments(std::vector<SegmentName> names);
  Task<Status> RecoverSegment(SegmentName name, const SegmentHeader* next, bool last,
                              TailScan* tail);
  Task<Result<SegmentHeader>> ReadHeader(SegmentName name);
  Task<Status> DropTornSegment(SegmentName name, Status why);
  Task<Status> RewriteUnproven(TailScan* tail);

  Task<Status> SettleEnd();
  Task<Status> RemoveLastSegment();
  Task<Status> CutLastSegment(Lsn lsn);
  Task<Result<CutPoint>> FindCut(const Segment* segment, Lsn lsn);
  Task<Status> CutFile(std::string path, uint64_t bytes);

  Segment NewSegment(const SegmentHeader& header) const;
  bool HoldsLastMtrBelow(Lsn lsn) const;
  // Writes buffer_, header and all, as `segment`'s file: it appears whole and durable, or not.
  Task<Status> WriteWholeSegment(const Segment* segment);
  Task<Status> OpenActive(SegmentHeader header);
  uint64_t SpaceAhead() const;
  Task<Status> WriteBuffer();
  Task<Status> WriteAndSync(bool new_segment, uint64_t space_ahead);
  Task<Status> Abandon(bool new_segment, Status status);
  Status Stop(Status status);
  void EncodeRecord(const RedoChunk& chunk, const RecordOwner& owner, Lsn durable_end, Lsn commit);
  SegmentHeader NextHeader(Lsn previous_end, Lsn start, std::string reason) const;
  void AddToIndex(Segment* segment, Lsn start, uint64_t offset);

  Runtime* runtime_;
  RedoStoreOptions options_;
  std::deque<Segment> segments_;
  // The segment that grows: the last one, or null when the next Append begins a new one.
  std::unique_ptr<File> active_;
  uint64_t active_bytes_ = 0;   // up to the last record's end
  uint64_t written_bytes_ = 0;  // of the file, all durable; what lies behind active_bytes_ is zero
  // No crash shows anything behind end() but what is being written. One may while a file was cut or
  // removed without a sync: by an Append that found the disk full, in this life or an earlier one.
  // The next segment's header makes that void; SettleEnd removes it for good.
  bool settled_ = false;
  // Where the last segment's records end, while its file may hold more than them.
  uint64_t settled_bytes_ = UINT64_MAX;
  bool sealed_ = false;
  Lsn sealed_commit_;
  Bytes buffer_;  // what is being written
  Epoch recovered_epoch_;
  Lsn recovered_commit_;
  Status stopped_;
  uint64_t sync_count_ = 0;
};

}  // namespace redoubt
