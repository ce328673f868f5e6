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
//   - begin <= commit = synced end <= accepted end (a quorum of one: what is synced here is
//   committed)
//   - no append of an epoch below the promise is accepted (Rule 3), nor of one that was not begun
// Crash: as RedoStore and EpochFence. Suspends: everything that returns a Task.
#pragma once

#include <cstddef>
#include <cstdint>
#include <deque>
#include <memory>
#include <string>
#include <vector>

#include "common/base/result.h"
#include "common/base/types.h"
#include "common/runtime/runtime.h"
#include "common/runtime/sync.h"
#include "common/runtime/task_group.h"
#include "pageserver/log/epoch_fence.h"
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
};

struct PreparedEpoch {
  Epoch epoch;
  Lsn end;  // Lsn{0}: the log has not begun
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

struct AppendOutcome {
  Status status;
  Lsn end;  // synced end
  Lsn commit;
};

struct LogVolumeStatus {
  Lsn begin;
  Lsn end;
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
  std::shared_ptr<Ticket> BeginAppend(RedoChunk chunk);
  // Waits until the append is durable or refused. kNoSpace, kIoError: the disk; kCorruption: a
  // retry with other bytes than the first time; otherwise as BeginAppend.
  Task<AppendOutcome> FinishAppend(std::shared_ptr<Ticket> ticket);

  // Begins the log at `start` or declares the hole [end, start). Durable on OK.
  // kStaleEpoch; kInvalidArgument: below the end, or no data LSN.
  Task<Status> StartAt(Epoch epoch, Lsn start, std::string reason);

  // RedoFeed. A `from` inside a chunk gives that whole chunk.
  Task<Result<FeedBatch>> Read(Lsn from, size_t bytes_max, TimePoint deadline) override;
  void Persisted(Lsn lsn) override;

  // OK when `epoch` is the writer whom this log obeys and it still takes redo. kStaleEpoch,
  // kInvalidArgument (never prepared, not begun), kIoError (disk failed).
  Status CheckEpoch(Epoch epoch) const;

  LogVolumeStatus status() const;

 private:
  Status CheckPromise(Epoch epoch) const;
  Status CheckBegin(const EpochStartIn& begin) const;
  Task<Status> DoBeginEpoch(EpochStartIn* begin);
  Status CheckAppend(const RedoChunk& chunk) const;
  Task<void> FlushLoop();
  Task<void> FlushBatch();
  Task<void> TrimLoop();
  Task<Status> CompareWithStored(const RedoChunk* chunk);
  Task<Status> WaitIdle();

  Runtime* runtime_;
  LogVolumeOptions options_;
  RedoStore store_;
  EpochFence fence_;
  RedoTail tail_;
  // End of what was taken into the order; >= commit_.value().
  Lsn accepted_end_;
  LsnWatermark commit_;
  std::deque<std::shared_ptr<Ticket>> pending_;
  bool flushing_ = false;
  // A StartAt or BeginEpoch is under way; no append is taken meanwhile.
  bool starting_ = false;
  // A promise that is being made; as good as promised for everyone below it.
  Epoch fencing_;
  bool stopping_ = false;
  uint64_t append_count_ = 0;
  Lsn trim_to_;
  Condition work_;  // pending_, trim_to_ or stopping_ changed
  Condition idle_;  // the flusher has nothing left
  // One Prepare, BeginEpoch or StartAt at a time; they wait for the flusher.
  Semaphore order_;
  TaskGroup tasks_;
};

}  // namespace redoubt
