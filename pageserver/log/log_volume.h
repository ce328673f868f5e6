// SPDX-License-Identifier: MIT
//
// The log role of one volume: one writer at a time, appended redo durable before it is
// acknowledged, fed to page roles.
//
// An append goes: BeginAppend (checks, takes its place in the order; never suspends) -> the flusher
// writes everything that waits with one sync -> FinishAppend returns. So the caller keeps the order
// of a connection by calling BeginAppend as requests come in, and many small appends share a sync.
//
// Invariants:
//   - commit <= synced end <= accepted end. Commit is what the writer told, since only the writer
//     hears a majority; the only log server of a volume is one, so it commits by itself up to the
//     last whole mtr that an append ends, which the writer says with it, when that is synced
//   - nothing below the commit LSN is ever cut off again, and readers see nothing above it
//   - redo is trimmed only below what every page role that reads here has persisted, and every one
//     that reads at the volume's other log servers; and, up to a number of bytes, below what each
//     of those has: only the writer hears them all, and says so
//   - no append of an epoch below the promise is accepted (Rule 3), nor of one that was not begun
// Crash: as RedoStore, EpochFence and ReaderTable; of the commit LSN a lower bound is known again.
// Suspends: everything that returns a Task.
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <deque>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "common/base/result.h"
#include "common/base/types.h"
#include "common/runtime/runtime.h"
#include "common/runtime/sync.h"
#include "common/runtime/task_group.h"
#include "pageserver/log/epoch_fence.h"
#include "pageserver/log/reader_table.h"
#include "pageserver/log/redo_feed.h"
#include "pageserver/log/redo_store.h"
#include "pageserver/log/redo_tail.h"

namespace redoubt {

struct LogVolumeOptions {
  RedoStoreOptions store;
  // Bound of the chunks kept in memory for the feed.
  size_t tail_bytes_max = 32 << 20;
  // One write and sync covers at most about so much.
  size_t batch_bytes_max = 4 << 20;
  // A log that was not appended to for so long marks its end (RedoStore::Seal).
  Duration seal_after = std::chrono::seconds(1);
  // Redo that only a log server that lags behind or is away still wants is kept up to about so
  // much.
  uint64_t lag_bytes_max = uint64_t{16} << 30;
  // A page role of this process reads here; nothing is trimmed before it said what it persisted.
  bool has_page_role = true;
};

struct PreparedEpoch {
  Epoch epoch;
  Lsn end;       // Lsn{0}: the log has not begun
  Lsn begin;     // lowest LSN from which everything can be read
  Lsn commit;    // as far as it is known here
  Lsn last_mtr;  // the last LSN at which an mtr is known to begin; Lsn{0}: none
  EpochHistory history;
};

// The second half of an epoch's start: which log the epoch goes on from.
struct EpochStartIn {
  Epoch epoch;
  Lsn start;  // Lsn{0}: the log has not begun anywhere
  // Ends with {epoch, start}.
  EpochHistory history;
  uint32_t member_count = 1;
};

// What only the writer knows, who hears all log servers of the volume.
struct WriterTold {
  // A majority holds everything below it, and a whole mtr ends there. A value below a former one
  // changes nothing.
  Lsn commit;
  // A log server that lags behind, or is away, still wants redo from here on; Lsn{0}: none does.
  Lsn keep_from = {};
  // With an append: the last mtr that is whole with it ends here; Lsn{0}: not known.
  Lsn mtr_end = {};
  // The page roles that the volume's log servers know need redo from here on; Lsn{0}: the writer
  // does not know.
  Lsn pages_want = {};
};

struct AppendOutcome {
  Status status;
  Lsn end;  // synced end
  Lsn commit;
};

struct LogVolumeStatus {
  Lsn begin;
  Lsn keep_from;      // what the writer asked to keep; Lsn{0}: nothing
  Lsn pages_want;     // as the writer told; Lsn{0}: nothing yet, or it does not know
  Lsn readable_from;  // Lsn{0}: nothing was trimmed
  Lsn end;            // synced
  Lsn commit;
  Epoch epoch;     // promised
  Status stopped;  // OK: appends are accepted
  uint64_t sync_count = 0;
  uint64_t append_count = 0;
};

class LogVolume final : public RedoFeed {
 public:
  // What FinishAppend waits for. Opaque to callers.
  struct Ticket;

  LogVolume(Runtime* runtime, LogVolumeOptions options);
  LogVolume(const LogVolume&) = delete;
  LogVolume& operator=(const LogVolume&) = delete;
  ~LogVolume() override;

  // Recovers what is on disk. Errors: RedoStore::Open, EpochFence::Open.
  Task<Status> Start();
  // Refuses new work, finishes accepted appends, marks a clean end. Readers end with kCancelled.
  Task<void> Stop();

  // Fences every writer below. `epoch` 0: promised + 1. kStaleEpoch: not above the promise.
  // kIoError, kNoSpace: the promise could not be made durable. Once OK is returned no append of an
  // older epoch will be acknowledged, and `end` covers every one that was. Appends of the new epoch
  // are taken once it was begun.
  Task<Result<PreparedEpoch>> Prepare(Epoch epoch);
  // Begins the promised epoch: cuts the log back to where it agrees with `begin.history`, at most
  // to its start, takes the history over, and answers where the log ends now. Durable on OK;
  // repeating it changes nothing.
  //   kStaleEpoch: a newer epoch is promised
  //   kInvalidArgument: the epoch was not promised, was begun otherwise, or the history is none
  //   kCorruption: the histories contradict each other, or the cut would take away committed redo
  //   kIoError, kNoSpace: not begun; the log may be cut already, which is harmless
  Task<Result<Lsn>> BeginEpoch(EpochStartIn begin);

  // Checks the chunk and takes it into the order of appends.
  //   kStaleEpoch: not the promised epoch      kInvalidArgument: LSNs, length
  //   kCorruption: the payload's checksum      kGap: does not start at the end of the log
  // A chunk below the end becomes a comparison with what is stored, done by FinishAppend.
  // `told`: as for Commit; not looked at when the chunk is refused. Its mtr_end counts when the
  // chunk is durable, if this is the only log server; kInvalidArgument: above the chunk's end.
  std::shared_ptr<Ticket> BeginAppend(RedoChunk chunk, WriterTold told);
  // Waits until the append is durable or refused. kNoSpace, kIoError: the disk; kCorruption: a
  // retry with other bytes than the first time; otherwise as BeginAppend.
  Task<AppendOutcome> FinishAppend(std::shared_ptr<Ticket> ticket);

  // Begins the log at `start` or declares the hole [end, start). Durable on OK.
  // `trimmed`: below `start` there is no hole, other log servers have trimmed it since every page
  // role has it; so what this log holds, all of it below `start`, is of no use either and removed.
  // kStaleEpoch; kInvalidArgument: below the end, or no data LSN.
  Task<Status> StartAt(Epoch epoch, Lsn start, std::string reason, bool trimmed);
  // Page roles that other log servers know, by name, and what each has persisted, for a log that is
  // about to begin here: those that are not known here are, from now on. Errors: CheckEpoch,
  // ReaderTable::Note; some may be known then.
  Task<Status> AddReaders(Epoch epoch, std::map<std::string, Lsn> readers);
  // What the writer of `epoch` says. As CheckEpoch; kInvalidArgument: no data LSN.
  Status Commit(Epoch epoch, WriterTold told);
  // The page role of this process, which gets its redo from this log alone, holds everything below
  // `lsn`: so it was committed.
  void NoteCommitted(Lsn lsn);

  // RedoFeed, for the page role of this process.
  Task<Result<FeedBatch>> Read(Lsn from, size_t bytes_max, TimePoint deadline) override;
  void Persisted(Lsn lsn) override;
  // A page role elsewhere, about to read, holds everything below `persisted`. Errors:
  // ReaderTable::Note.
  Task<Status> NoteReader(std::string name, Lsn persisted);
  // That page role will not come back: redo is no longer kept for it. Errors: ReaderTable::Forget.
  Task<Status> ForgetReader(std::string name);
  // The epoch under which the byte just below `lsn` was written (epoch_history.h).
  std::optional<EpochBegin> WrittenUnder(Lsn lsn) const;
  // For the writer of a promised epoch, who fills up other log servers: what is synced, committed
  // or not. Never waits: no chunk when there is none. kStaleEpoch, kInvalidArgument: not the
  // promised epoch. kBelowHorizon: trimmed. kUnavailable: the log is being cut, try again.
  Task<Result<FeedBatch>> ReadForWriter(Epoch epoch, Lsn from, size_t bytes_max);

  // The page roles that are known here need redo from here on; kMaxLsn: none is known. Never
  // Lsn{0}.
  Lsn PagesWant() const;

  // OK when `epoch` is the writer whom this log obeys and it still takes redo. kStaleEpoch,
  // kInvalidArgument (never prepared, not begun), kIoError (disk failed).
  Status CheckEpoch(Epoch epoch) const;

  LogVolumeStatus status() const;
  const std::map<std::string, Lsn>& readers() const { return readers_.readers(); }

 private:
  std::string Name() const;  // in the log
  Status CheckPromise(Epoch epoch) const;
  Status CheckBegin(const EpochStartIn& begin) const;
  Task<Status> DoBeginEpoch(EpochStartIn* begin);
  Task<Status> CutBackTo(Lsn keep);
  static Status CheckTold(const WriterTold& told);
  void Take(const WriterTold& told);
  void AdvanceCommit();
  Task<Result<std::vector<RedoChunk>>> ReadUpTo(Lsn from, size_t bytes_max, Lsn up_to);
  // Below this no page role needs redo any more, here or elsewhere.
  Lsn PagesTarget() const;
  // Below this no log server does, as far as it may ask for it.
  Lsn LaggingTarget() const;
  Lsn TrimTarget() const { return std::min(PagesTarget(), LaggingTarget()); }
  void WarnOfLag();
  Status CheckAppend(const RedoChunk& chunk, const WriterTold& told) const;
  Task<void> FlushLoop();
  Task<void> FlushBatch();
  Task<void> TrimLoop();
  Task<Status> CompareWithStored(const RedoChunk* chunk);
  Task<Status> WaitIdle();

  Runtime* runtime_;
  LogVolumeOptions options_;
  RedoStore store_;
  EpochFence fence_;
  ReaderTable readers_;
  RedoTail tail_;
  // End of what was taken into the order; >= store_.end().
  Lsn accepted_end_;
  LsnWatermark commit_;
  // What the writer of the begun epoch told; may lie above the end.
  Lsn told_commit_;
  // What the writer said last; nullopt: nothing yet in this epoch or since the start.
  std::optional<Lsn> keep_from_;
  std::optional<Lsn> pages_want_;
  bool lag_warned_ = false;
  std::deque<std::shared_ptr<Ticket>> pending_;
  bool flushing_ = false;
  // A StartAt or BeginEpoch is under way; no append is taken meanwhile.
  bool starting_ = false;
  // A promise that is being made; as good as promised for everyone below it.
  Epoch fencing_;
  bool stopping_ = false;
  uint64_t append_count_ = 0;
  // Counts the times that the log was cut back: what was read meanwhile may be void.
  uint64_t cut_count_ = 0;
  Lsn local_persisted_;  // of the page role of this process
  Condition work_;       // pending_, commit_, TrimTarget() or stopping_ changed
  Condition idle_;       // the flusher has nothing left
  // One Prepare, BeginEpoch or StartAt at a time; they wait for the flusher.
  Semaphore order_;
  // One TrimBelow or TruncateTo at a time.
  Semaphore layout_;
  // One use of readers_ at a time.
  Semaphore reading_;
  TaskGroup tasks_;
};

}  // namespace redoubt
