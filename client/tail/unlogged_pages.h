// SPDX-License-Identifier: MIT
//
// Fetches from the data files what redo does not say: pages of index builds, imported tablespaces,
// and any space of which the page server misses a base.
//
// For an index build the order is the proof: the server flushed the built pages before it logged
// MLOG_INDEX_LOAD; the caller has sent the redo below that record and sends the record itself only
// after Handle returned OK. So whoever dies in between, the record is met again and the pages are
// read again.
//
// A page that changed after the build may be read in a later state. Its image carries its own LSN;
// until there the page is a hole, which IMAGES_COMPLETE says.
#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <unordered_map>
#include <vector>

#include "client/tail/server_watch.h"
#include "client/tail/space_copier.h"
#include "client/tail/space_files.h"
#include "client/tail/sql_session.h"
#include "client/tail/stream_scan.h"
#include "client/tail/volume_sink.h"
#include "common/runtime/runtime.h"

namespace redoubt::tail {

class UnloggedPages {
 public:
  // Borrowed pointers outlive the object.
  UnloggedPages(Runtime* runtime, SqlConnector* connector, ServerWatch* watch, StreamScan* scan,
                SpaceCopier* copier, VolumeSink* sink);

  // Deals with a barrier; the redo below barrier.mtr.start was appended, nothing at or above it.
  // `hole_floor`: where a hole begins at the earliest when the build's begin is not known.
  Task<Status> Handle(Barrier barrier, Lsn hole_floor);

  // Index builds that nobody has seen end and that no row change pointed at: reads the spaces of
  // those that are committed by now.
  // Without `now` it asks less and less often about builds that do not come to an end (failed ones
  // never do).
  Task<Status> CheckBuilds(bool now);
  // The same for a server that was shut down cleanly: whatever was built is in its files.
  Task<Status> FinishBuilds();

  // The page server misses bases in these spaces. Reads each again once the server's checkpoint has
  // passed the LSN at which it was first asked for, and not too often.
  Task<Status> Satisfy(std::vector<SpaceId> spaces, Lsn hole_floor);

  // DISCARD + IMPORT of a table that nobody changed since: finds deleted spaces whose file is back.
  Task<Status> FindRevived();

  // The pages of `space` that were on disk when the log was flushed to `flushed` have been sent.
  void NoteRead(SpaceId space, Lsn flushed);
  void Forget();

  // Every tablespace file now, those that only the server can name included.
  Task<Result<std::vector<SpaceFile>>> ScanFiles();

  uint64_t spaces_read_count() const { return spaces_read_count_; }

 private:
  struct Wanted {
    Lsn asked_at;  // the log's end when it was first asked for
    TimePoint not_before{};
    Duration pause{};
  };
  struct Reading {
    bool found = false;
    SpaceFile file;
    SpaceCopy copy;
  };

  Task<Result<std::optional<SpaceFile>>> Locate(SpaceId space);
  Task<Result<Reading>> Read(SpaceId space);
  Task<Status> HandleIndexLoad(SpaceId space, Barrier barrier, Lsn hole_floor);
  Task<Status> HandleFullTextLoad(Barrier barrier, Lsn hole_floor);
  Task<Status> HandleAppeared(Barrier barrier);
  Task<Status> HandleUndoAppeared(Barrier barrier);
  Task<Status> HandleUnsupported(Barrier barrier);
  Task<Status> HandleBuildSuspected(Barrier barrier);
  Task<Status> FetchBySpace(std::vector<uint64_t> index_ids_all);
  // The pending builds in `space` (all spaces: nullopt) that are committed as far as is known now.
  Task<std::vector<uint64_t>> CommittedBuilds(std::optional<SpaceId> space);
  // Those of `index_ids` that the server says are committed. kUnavailable: no server answers.
  Task<Result<std::vector<uint64_t>>> AskForCommitted(std::vector<uint64_t> index_ids);
  // Questions begin anew when a build has begun since the last look.
  void NoteBuilds();
  Task<Status> FetchBuilds(SpaceId space, std::vector<uint64_t> index_ids, Lsn lsn, Lsn hole_start);
  Task<SourceServer*> Server();
  Task<Status> Complete(SpaceId space, Lsn lsn, Lsn hole_start);
  Task<Status> Unsupported(SpaceId space, Lsn lsn, std::string path, std::string reason);
  Task<Lsn> FlushedNow();
  Task<bool> InUse(SpaceId space);

  Runtime* runtime_;
  SqlConnector* connector_;
  ServerWatch* watch_;
  StreamScan* scan_;
  SpaceCopier* copier_;
  VolumeSink* sink_;
  // Per space: pages on disk at this flushed LSN were sent; and the highest page LSN among them.
  struct Covered {
    Lsn flushed;
    Lsn page_lsn_max;
  };
  std::unordered_map<SpaceId, Covered> covered_;
  std::map<SpaceId, Wanted> wanted_;
  std::map<SpaceId, uint32_t> seen_again_;  // deleted space -> polls in which its file was there
  uint64_t spaces_read_count_ = 0;
  // For questions about the dictionary. They may be slow, on a server with many tables or busy with
  // DDL: between two of them are twenty times what the last one took, yet not more than a second
  // and a tenth of the build's age. So a stretch of redo for which an index cannot be read grows by
  // no more than that.
  std::unique_ptr<SourceServer> server_;
  uint64_t server_generation_ = 0;
  bool asking_ = false;
  TimePoint ask_not_before_{};
  TimePoint newest_build_at_{};  // when it was seen
  TimePoint check_not_before_{};
  Duration check_pause_{};
  uint64_t builds_seen_ = 0;
};

}  // namespace redoubt::tail
