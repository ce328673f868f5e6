// SPDX-License-Identifier: MIT
//
// The base copy of a running server: every page of every persistent tablespace, read while the redo
// is followed from a point before the copy, so that together they give every state from the copy's
// end on.
//
//   1. Announce: PRESENT (or UNSUPPORTED) for each space, DELETED for those that the volume knew
//   and that are
//      gone
//   2. Copy each file; then look again for files that were renamed or made meanwhile, until there
//   is none
//   3. horizon = max(flushed LSN after the copy, highest page LSN copied): every later state is
//   known
//   4. when the page role has applied that far: SetHorizon
//
// Crash: nothing is kept; as long as no horizon covers the log's begin the next run copies again.
#pragma once

#include <cstdint>
#include <set>
#include <string>
#include <vector>

#include "client/tail/server_watch.h"
#include "client/tail/space_copier.h"
#include "client/tail/stream_scan.h"
#include "client/tail/unlogged_pages.h"
#include "client/tail/volume_sink.h"
#include "common/runtime/runtime.h"
#include "common/runtime/sync.h"

namespace redoubt::tail {

struct ImportProgress {
  bool running = false;
  uint64_t bytes_total = 0;
  uint64_t bytes_done = 0;
  uint64_t images = 0;
  uint32_t spaces_done = 0;
  uint32_t spaces_total = 0;
};

class Importer {
 public:
  // Borrowed pointers outlive the importer. `stop` ends it with kCancelled.
  Importer(Runtime* runtime, VolumeSink* sink, ServerWatch* watch, StreamScan* scan,
           UnloggedPages* unlogged, SpaceCopier* copier, Event* stop);

  // Step 1, as of `lsn`, and tells `scan` what is there. Before the first chunk from there is sent.
  Task<Status> Announce(Lsn lsn);
  // Steps 2 to 4. Redo must be followed meanwhile by somebody else.
  Task<Status> CopyAll();

  const ImportProgress& progress() const { return progress_; }
  Lsn horizon() const { return horizon_; }

 private:
  Task<Status> CopyRound(std::vector<SpaceFile> files);
  Task<Status> CopyOne(SpaceFile file);
  Task<Status> AnnounceLate(SpaceFile file);
  Task<Status> WaitApplied(Lsn lsn);

  Runtime* runtime_;
  VolumeSink* sink_;
  ServerWatch* watch_;
  StreamScan* scan_;
  UnloggedPages* unlogged_;
  SpaceCopier* copier_;
  Event* stop_;
  std::vector<SpaceFile> files_;
  std::set<SpaceId> done_;
  ImportProgress progress_;
  Lsn page_lsn_max_;
  Lsn horizon_;
  Lsn announced_at_;
  uint64_t torn_read_count_ = 0;
};

}  // namespace redoubt::tail
