// SPDX-License-Identifier: MIT
//
// Pulls committed redo, has it parsed and grouped off the loop, and merges the pieces into the open
// batch, where reads see them at once.
//
//   feed --chunks--> RedoGrouper (blocking executor, pieces <= 1 MiB) --pieces--> open batch (loop)
//
// Invariants:
//   - applied advances only to ends of whole mtrs, and only after everything below it can be read
//   - a log that begins, and has no redo yet, is applied up to its begin: what was imported is read
//   - a chunk that starts above the end of what was fed is a hole: parsing starts over at its first
//   mtr
// An unreadable record stops the ingest of this volume for good; reads up to applied go on.
// Suspends: on the feed, the parser, and while the writer or the materializer is behind.
#pragma once

#include <functional>
#include <memory>

#include "common/runtime/task_group.h"
#include "pageserver/log/redo_feed.h"
#include "pageserver/page/batch_writer.h"
#include "pageserver/page/redo_grouper.h"
#include "pageserver/page/volume_state.h"

namespace redoubt {

class Ingest {
 public:
  Ingest(VolumeState* state, RedoFeed* feed, BatchWriter* writer, TaskGroup* group);

  // What the store said: everything below `persisted` is there, pull from `pull_from`. {0, 0}:
  // nothing.
  void Restore(Lsn persisted, Lsn pull_from);
  // Runs until the group stops or redo cannot be read. Spawn once.
  Task<void> Run();
  // Hands the open batch to the writer, however small. Only when Run has ended, or from it.
  void FreezeOpen();

  // Asked before more redo is taken; false: the materializer is too far behind.
  void set_admission(std::function<bool()> admission) { admission_ = std::move(admission); }

 private:
  struct Parsed {
    Status status;
    std::unique_ptr<RedoPiece> piece;
  };

  // A stretch of one chunk's payload.
  struct Part {
    const RedoChunk* chunk;  // loop thread only
    std::shared_ptr<const Bytes> payload;
    size_t offset;
    size_t bytes;
    bool check;  // the chunk's first part: its checksum is still to be looked at
    bool last;   // of its chunk
    Lsn chunk_start = chunk->range.start;
    uint32_t payload_crc32c = chunk->payload_crc32c;
  };
  struct Cursor {
    size_t index = 0;
    size_t offset = 0;
    bool fresh = true;  // nothing of the chunk was taken yet
  };

  // Returns early when the group stops.
  Task<Status> TakeChunks(const std::vector<RedoChunk>* chunks);
  static std::vector<Part> Gather(const std::vector<RedoChunk>& chunks, Cursor* cursor);
  static Parsed Parse(const std::vector<Part>& parts, RedoGrouper* grouper);
  void EndChunk(const RedoChunk& chunk, Lsn fed);
  Status PrepareChunk(const RedoChunk& chunk, size_t* skip_bytes);
  void StartAt(Lsn first_mtr);
  void BeginAt(Lsn begin);
  void DeclareHole(const RedoChunk& chunk);
  void Merge(std::unique_ptr<RedoPiece> piece);
  void SampleTime(const RedoChunk& chunk);
  Task<void> MaybeFreeze(bool idle);
  Task<void> WaitForRoom();
  void Fail(const Status& status);

  VolumeState* state_;
  RedoFeed* feed_;
  BatchWriter* writer_;
  TaskGroup* group_;
  std::function<bool()> admission_;
  // Shared with the parse job, which may outlive a destroyed volume.
  std::shared_ptr<RedoGrouper> grouper_;  // null: waiting for a chunk in which an mtr begins
  Lsn fed_;                               // end of the redo that was fed or skipped; 0: none yet
  Lsn next_read_;  // end of the last chunk that was given: where the feed is asked to go on
  Lsn pull_from_;  // start of the chunk that holds the end of the last whole mtr
  bool ranges_changed_ = false;
  TimeSample window_;  // newest sample not handed on yet
  int64_t window_start_ns_ = 0;
};

}  // namespace redoubt
