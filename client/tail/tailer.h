// SPDX-License-Identifier: MIT
//
// redotail's main task: follows one server into one volume until it is told to stop.
//
//   ServerWatch ──flushed LSN──► follow loop: read blocks ► whole mtrs ► barriers ► append
//   RedoRegistration ◄──acknowledged LSN──┘                      │
//   Importer (copy, while the redo is followed) ──images──► VolumeSink ◄── UnloggedPages
//
// Nothing is kept locally: where the log ends, whether the import was finished and whose server it
// is, the volume knows. What may be sent:
//   - only whole mtrs, and only below an LSN that the server reported as flushed; or, when the
//   server is
//     dead, below the end of its redo after that was synced here. So nothing sent can be used again
//     for other changes by the server, whatever crashes.
//   - a stream without gaps: redo that was recycled unread, recreated redo, redo that was switched
//   off, and a
//     volume whose last bytes are not the server's all end in a declared hole and a new import, or
//     in a refusal, never in silence.
//
// Crash: of this process, the page server or the server: the next run goes on at the volume's end.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "client/tail/importer.h"
#include "client/tail/redo_hold.h"
#include "client/tail/redo_reader.h"
#include "client/tail/redo_registration.h"
#include "client/tail/server_watch.h"
#include "client/tail/side_files.h"
#include "client/tail/source_probe.h"
#include "client/tail/space_copier.h"
#include "client/tail/sql_session.h"
#include "client/tail/stream_scan.h"
#include "client/tail/unlogged_pages.h"
#include "client/tail/volume_sink.h"
#include "common/innodb/mtr_assembler.h"
#include "common/runtime/runtime.h"
#include "common/runtime/sync.h"
#include "common/runtime/task_group.h"

namespace redoubt::tail {

struct TailerOptions {
  std::string datadir;  // absolute; must be the server's
  ServerWatchOptions watch;
  RedoRegistrationOptions registration;
  uint64_t import_bytes_per_second = 0;  // 0: unlimited
  Duration side_file_interval = std::chrono::seconds(5);
  Duration volume_interval = std::chrono::seconds(1);
  Duration progress_interval = std::chrono::seconds(10);
  // After a stop was asked for: how long to wait for the rest to be acknowledged.
  Duration stop_patience = std::chrono::seconds(30);
  bool quiet = false;
  std::string json_status_path;  // empty: none
};

class Tailer {
 public:
  // Borrowed pointers outlive the tailer.
  Tailer(Runtime* runtime, SqlConnector* connector, SourceProbe* probe, VolumeSink* sink,
         TailerOptions options);
  Tailer(const Tailer&) = delete;
  Tailer& operator=(const Tailer&) = delete;
  ~Tailer();

  // OK: stopped as asked, everything flushed was sent. Otherwise what ended it: kUnauthenticated
  // (user, password, privilege), kInvalidArgument (another server's volume, another data
  // directory), kUnsupported, kCorruption (redo), kStaleEpoch (somebody else writes the volume),
  // kDeadlineExceeded (stopped, but the page server did not take everything in time).
  Task<Status> Run(Event* stop);

 private:
  enum class Phase : uint8_t { kStarting, kImporting, kFollowing, kStopping };

  // Life.
  Task<Status> RunInside();
  Task<Status> WaitForServer();
  Task<Status> AssumeFactsFromDisk();
  Task<Status> CheckDatadir();
  Task<Result<Lsn>> OpenSink();
  Task<Status> FinishStop();
  Task<void> StopTasks();

  // Where to begin.
  Task<Status> Resume(Lsn end);
  Task<Result<proto::VolumeState>> LookWhenApplied(Lsn end, bool* stands_still);
  Task<Status> BeginImport(std::string reason);
  Task<Result<Lsn>> ImportStart();
  Task<Result<Lsn>> FindStart(SourceSample sample, Lsn volume_end);
  // Lets the scan see the redo before `end` that is still there: index builds that are under way.
  Task<Status> LookBack(Lsn end);
  Task<Status> StartImportTask(Lsn lsn);
  Task<Result<bool>> RedoWasOffSince(int64_t unix_ns);
  Task<void> ImportTask();
  Task<void> CancelImport();

  // Following.
  Task<Status> Follow();
  Task<Status> FollowStep(bool* progress);
  Task<Status> FindStopTarget(Lsn* target);
  Task<Status> NewGeneration();
  Task<Status> CompareTail(Lsn end);
  Task<Status> Recreated(Lsn oldest);
  Task<Status> WatchRedoSwitch();
  Task<Status> Pump(Lsn limit, bool* progress);
  Task<Status> PumpDead(bool* progress);
  Task<Status> Consume(RedoRead read, bool dead);
  Task<Status> SendUpTo(Lsn end, bool dead);
  Task<bool> WaitForNews(Duration longest);
  Task<bool> WasShutDownCleanly();
  void Rewind(Lsn end);
  void ReleaseAcknowledged();
  Lsn HoleFloor() const;
  bool MayReadAgain(const Status& status) const;
  Status FirstFailure() const;

  // Beside.
  Task<void> HoldLoop();
  Task<void> AbortWhenStopDrags();
  Task<void> VolumeLoop();
  Task<void> SideFileLoop();
  Task<void> ProgressLoop();
  Task<void> LookAtVolume(uint64_t round);
  Task<void> WriteJsonStatus();
  void LogProgress();
  std::string StatusJson() const;
  const char* PhaseName() const;

  bool stopping() const { return stop_->is_set(); }

  Runtime* runtime_;
  SqlConnector* connector_;
  SourceProbe* probe_;
  VolumeSink* sink_;
  TailerOptions options_;
  Event* stop_ = nullptr;

  ServerWatch watch_;
  RedoRegistration registration_;
  TaskGroup tasks_;         // watch, registration: run to the end
  TaskGroup volume_tasks_;  // volume, side files, progress
  TaskGroup import_tasks_;  // at most the import
  Event abort_;  // ends copies outside of the import, when even a stop cannot wait for them
  StreamScan scan_;
  SpaceCopier copier_;
  SpaceCopier import_copier_;
  UnloggedPages unlogged_;
  Importer importer_;
  SideFiles side_files_;

  Phase phase_ = Phase::kStarting;
  std::unique_ptr<RedoHold> hold_;  // outlives the reader
  std::unique_ptr<RedoReader> reader_;
  innodb::MtrAssembler assembler_;
  std::vector<Barrier> barriers_;
  Bytes pending_;  // payload that was read; from pending_sent_ on it was not sent yet
  size_t pending_sent_ = 0;
  uint64_t generation_ = 0;     // of the watch, that the position was checked against; 0: none
  bool dead_end_read_ = false;  // the dead server's redo was read to its end
  bool import_needed_ = false;
  bool import_running_ = false;
  Status import_failure_;
  uint64_t alter_instance_count_ = 0;
  bool redo_was_off_ = false;
  int64_t import_begun_ns_ = 0;
  Lsn horizon_;
  Lsn follow_start_;
  int64_t newest_time_ns_ = 0;  // of the volume, when this run began
  uint64_t bytes_sent_ = 0;
  uint64_t progress_bytes_ = 0;
  TimePoint progress_time_{};
  bool volume_reachable_ = true;
  bool watching_volume_ = false;
  std::string ingest_error_;  // as last reported
};

}  // namespace redoubt::tail
