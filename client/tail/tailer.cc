// SPDX-License-Identifier: MIT
#include "client/tail/tailer.h"

#include <algorithm>
#include <utility>

#include "common/base/check.h"
#include "common/innodb/log_file.h"
#include "common/innodb/page_format.h"

namespace redoubt::tail {
namespace {

constexpr Duration kRetryInterval = std::chrono::milliseconds(500);
constexpr Duration kRegistrationPatience = std::chrono::seconds(5);
constexpr Duration kGroupStartPatience = std::chrono::seconds(5);
constexpr Duration kCheckpointPoll = std::chrono::milliseconds(100);
constexpr uint64_t kLookBackBytes = 64 << 20;
constexpr Duration kImportRetryInterval = std::chrono::seconds(5);
constexpr Duration kHoldInterval = std::chrono::seconds(1);

std::string Text(Lsn lsn) { return std::to_string(lsn.value()); }

SpaceCopierOptions CopierOptions(uint64_t bytes_per_second) {
  SpaceCopierOptions options;
  options.bytes_per_second_max = bytes_per_second;
  return options;
}

bool MayPass(const Status& status) {
  return status.code() == StatusCode::kUnavailable ||
         status.code() == StatusCode::kDeadlineExceeded || status.code() == StatusCode::kIoError ||
         status.code() == StatusCode::kNotFound;
}

// The value of "server-uuid=..." in an auto.cnf.
std::string ServerUuidIn(const std::string& text) {
  constexpr std::string_view kKey = "server-uuid=";
  const size_t at = text.find(kKey);
  if (at == std::string::npos) {
    return "";
  }
  const size_t begin = at + kKey.size();
  return text.substr(begin, text.find_first_of(" \r\n", begin) - begin);
}

}  // namespace

Tailer::Tailer(Runtime* runtime, SqlConnector* connector, SourceProbe* probe, VolumeSink* sink,
               TailerOptions options)
    : runtime_(runtime),
      connector_(connector),
      probe_(probe),
      sink_(sink),
      options_(std::move(options)),
      watch_(runtime, connector, probe, options_.watch),
      registration_(runtime, connector, &watch_, options_.registration),
      tasks_(runtime->scheduler),
      volume_tasks_(runtime->scheduler),
      import_tasks_(runtime->scheduler),
      abort_(runtime->scheduler),
      copier_(runtime, sink, &abort_, CopierOptions(0)),
      import_copier_(runtime, sink, &import_tasks_.stop_event(),
                     CopierOptions(options_.import_bytes_per_second)),
      unlogged_(runtime, connector, &watch_, &scan_, &copier_, sink),
      importer_(runtime, sink, &watch_, &scan_, &unlogged_, &import_copier_,
                &import_tasks_.stop_event()),
      side_files_(runtime, sink),
      assembler_(innodb::kFirstDataLsn) {}

Tailer::~Tailer() = default;

Task<Status> Tailer::Run(Event* stop) {
  stop_ = stop;
  tasks_.Spawn(watch_.Run(&tasks_));
  Status status = co_await RunInside();
  if (stopping() && (status.ok() || status.code() == StatusCode::kCancelled)) {
    phase_ = Phase::kStopping;
    status = co_await FinishStop();
  }
  co_await StopTasks();
  co_await sink_->Close();
  co_return status;
}

Task<Status> Tailer::RunInside() {
  const Status ready = co_await WaitForServer();
  if (!ready.ok()) {
    co_return ready;
  }
  const SourceFacts& facts = watch_.facts();
  copier_.set_page_size(facts.page_size);
  import_copier_.set_page_size(facts.page_size);
  const auto can_give_up = [this] { return watch_.state() == SourceState::kUp; };
  copier_.set_can_give_up(can_give_up);
  import_copier_.set_can_give_up(can_give_up);
  hold_ = std::make_unique<RedoHold>(runtime_, facts.redo_directory);
  reader_ = std::make_unique<RedoReader>(runtime_, facts.redo_directory, hold_.get());
  bool begun = false;
  while (!stopping()) {
    const Result<Lsn> end = co_await OpenSink();
    if (!end.ok()) {
      co_return end.status();
    }
    if (!begun) {
      begun = true;
      tasks_.Spawn(registration_.Run(&tasks_));
      volume_tasks_.Spawn(HoldLoop());
      volume_tasks_.Spawn(ProgressLoop());
      volume_tasks_.Spawn(AbortWhenStopDrags());
    }
    Status status;
    if (*end == Lsn{}) {
      std::string reason = "first import";
      status = co_await BeginImport(std::move(reason));
    } else {
      status = co_await Resume(*end);
    }
    if (status.ok()) {
      if (!watching_volume_) {
        watching_volume_ = true;
        volume_tasks_.Spawn(VolumeLoop());
        volume_tasks_.Spawn(SideFileLoop());
      }
      status = co_await Follow();
    }
    if (status.ok() || status.code() != StatusCode::kGap) {
      co_return status;
    }
    runtime_->log->Warning("the volume's log ends elsewhere than it did (" + status.message() +
                           "); starting over from its end");
  }
  co_return Status::Ok();
}

Task<Status> Tailer::WaitForServer() {
  TimePoint report_at{};
  while (!stopping()) {
    if (!watch_.failure().ok()) {
      co_return watch_.failure();
    }
    if (watch_.state() == SourceState::kUp) {
      const Status status = co_await CheckDatadir();
      co_return status;
    }
    if (watch_.state() == SourceState::kDown) {
      const Status status = co_await AssumeFactsFromDisk();
      if (status.ok()) {
        runtime_->log->Info("the server is down; going on with what is on its disk");
        co_return status;
      }
    }
    if (runtime_->scheduler->Now() >= report_at && watch_.state() != SourceState::kUnknown) {
      report_at = runtime_->scheduler->Now() + std::chrono::seconds(10);
      runtime_->log->Info("waiting for the server: " + watch_.problem().message());
    }
    co_await WaitForNews(kRetryInterval);
  }
  co_return Cancelled("stopped before the server was reached");
}

// The server must be the one whose files we read.
Task<Status> Tailer::CheckDatadir() {
  const std::string& theirs = watch_.facts().datadir;
  if (theirs == options_.datadir) {
    co_return Status::Ok();
  }
  const Result<FileInfo> a = co_await runtime_->files->Stat(theirs);
  const Result<FileInfo> b = co_await runtime_->files->Stat(options_.datadir);
  if (!a.ok() || !b.ok() || a->inode != b->inode) {
    co_return InvalidArgument("the server's data directory is " + theirs + ", not " +
                              options_.datadir + "; give its own with --datadir");
  }
  co_return Status::Ok();
}

Task<Status> Tailer::AssumeFactsFromDisk() {
  SourceFacts facts;
  facts.datadir = options_.datadir;
  facts.system_file = options_.datadir + "/ibdata1";
  facts.redo_directory = options_.datadir + "/" + innodb::kLogDirectoryName;
  const Result<FileInfo> redo = co_await runtime_->files->Stat(facts.redo_directory);
  if (!redo.ok()) {
    co_return redo.status();
  }
  const Result<std::unique_ptr<File>> system =
      co_await runtime_->files->Open(facts.system_file, OpenMode::kRead);
  if (!system.ok()) {
    co_return system.status();
  }
  uint8_t head[64];
  const Result<size_t> got = co_await (*system)->ReadAt(0, head);
  if (!got.ok() || *got < sizeof(head)) {
    co_return got.ok() ? Corruption(facts.system_file + " is too short") : got.status();
  }
  facts.page_size = innodb::DecodeFspHeader(head).flags.page_size();
  const std::string auto_cnf_path = options_.datadir + "/auto.cnf";
  const Result<std::unique_ptr<File>> auto_cnf =
      co_await runtime_->files->Open(auto_cnf_path, OpenMode::kRead);
  if (!auto_cnf.ok()) {
    co_return auto_cnf.status();
  }
  Bytes text(1024);
  const Result<size_t> length = co_await (*auto_cnf)->ReadAt(0, text);
  if (!length.ok()) {
    co_return length.status();
  }
  facts.server_uuid = ServerUuidIn(std::string(AsText(ByteView(text).first(*length))));
  if (facts.server_uuid.empty() || !innodb::IsPageSize(facts.page_size)) {
    co_return Corruption(options_.datadir + " does not say whose it is");
  }
  watch_.Assume(std::move(facts));
  co_return Status::Ok();
}

Task<Result<Lsn>> Tailer::OpenSink() {
  for (int attempt = 0; !stopping(); ++attempt) {
    SourceIdentity identity{watch_.facts().server_uuid, watch_.facts().page_size};
    const Result<Lsn> end = co_await sink_->Open(std::move(identity));
    if (end.ok() || !MayPass(end.status())) {
      co_return end;
    }
    if (attempt % 20 == 0) {
      runtime_->log->Warning("waiting for the page server: " + end.status().message());
    }
    const TimePoint next = runtime_->scheduler->Now() + kRetryInterval;
    co_await stop_->Wait(next);
  }
  co_return Cancelled("stopped before the page server was reached");
}

// Waits until the page role has seen all that the log holds: only then does it know of every hole.
Task<Result<proto::VolumeState>> Tailer::LookWhenApplied(Lsn end, bool* stands_still) {
  uint64_t applied = 0;
  TimePoint moved_at = runtime_->scheduler->Now();
  while (!stopping()) {
    const Result<proto::VolumeState> volume = co_await sink_->Look();
    const TimePoint now = runtime_->scheduler->Now();
    if (volume.ok()) {
      if (volume->applied_lsn() >= end.value() || !volume->ingest_error().empty()) {
        co_return volume;
      }
      if (volume->applied_lsn() > applied) {
        applied = volume->applied_lsn();
        moved_at = now;
      } else if (now - moved_at > std::chrono::seconds(10)) {
        *stands_still = true;
        co_return volume;
      }
    } else if (!MayPass(volume.status())) {
      co_return volume.status();
    } else {
      moved_at = now;
    }
    const TimePoint next = now + std::chrono::milliseconds(100);
    co_await stop_->Wait(next);
  }
  co_return Cancelled("stopped");
}

Task<Status> Tailer::Resume(Lsn end) {
  bool stands_still = false;
  const Result<proto::VolumeState> volume = co_await LookWhenApplied(end, &stands_still);
  if (!volume.ok()) {
    co_return volume.status();
  }
  if (!volume->ingest_error().empty()) {
    runtime_->log->Error("the page server does not ingest this volume any more: " +
                         volume->ingest_error());
  }
  horizon_ = Lsn(volume->horizon_lsn());
  newest_time_ns_ = static_cast<int64_t>(volume->newest_time_unix_ns());
  import_needed_ = horizon_ == Lsn{} || stands_still;
  for (const proto::LsnRangeProto& hole : volume->holes()) {
    import_needed_ = import_needed_ || hole.end_lsn() > horizon_.value();
  }
  const Result<std::vector<proto::SpaceInfo>> spaces = co_await sink_->Spaces();
  if (!spaces.ok()) {
    co_return spaces.status();
  }
  scan_.Forget();
  for (const proto::SpaceInfo& space : *spaces) {
    scan_.Know(SpaceId(space.space()), space.path());
  }
  runtime_->log->Info("going on at LSN " + Text(end) + " with " + std::to_string(spaces->size()) +
                      " tablespaces" + (import_needed_ ? "; the import was not finished" : ""));
  Rewind(end);
  follow_start_ = end;
  generation_ = 0;
  if (import_needed_ && !import_running_ && watch_.state() == SourceState::kUp) {
    const Status status = co_await StartImportTask(end);
    co_return status;
  }
  phase_ = import_running_ ? Phase::kImporting : Phase::kFollowing;
  co_return Status::Ok();
}

Task<Result<bool>> Tailer::RedoWasOffSince(int64_t unix_ns) {
  Result<std::unique_ptr<SqlSession>> session = co_await connector_->Connect();
  if (!session.ok()) {
    co_return session.status();
  }
  SourceServer server(runtime_, std::move(*session));
  const Result<std::optional<int64_t>> at = co_await server.RedoEnabledAgainAt();
  if (!at.ok()) {
    // Without SELECT on performance_schema only what is seen live is seen.
    runtime_->log->Debug("cannot read performance_schema.error_log: " + at.status().message());
    co_return false;
  }
  co_return at->has_value() && **at > unix_ns;
}

Task<Status> Tailer::BeginImport(std::string reason) {
  co_await CancelImport();
  phase_ = Phase::kStarting;
  runtime_->log->Warning("import needed: " + reason);
  registration_.Restart();
  while (watch_.state() != SourceState::kUp || !watch_.sample().redo_enabled) {
    if (stopping()) {
      co_return Cancelled("stopped before the import could begin");
    }
    if (!watch_.failure().ok()) {
      co_return watch_.failure();
    }
    co_await WaitForNews(kRetryInterval);
  }
  generation_ = watch_.generation();
  const TimePoint patience = runtime_->scheduler->Now() + kRegistrationPatience;
  const bool registered = co_await registration_.WaitRegistered(patience);
  if (!registration_.failure().ok()) {
    co_return registration_.failure();
  }
  if (!registered) {
    runtime_->log->Warning("importing without protection against recycled redo");
  }
  reader_->Expect(0);
  const Result<Lsn> start = co_await ImportStart();
  if (!start.ok()) {
    co_return start.status();
  }
  const Status begun = co_await sink_->StartAt(*start, reason);
  if (!begun.ok()) {
    co_return begun;
  }
  Rewind(*start);
  follow_start_ = *start;
  side_files_.Forget();
  alter_instance_count_ = watch_.sample().alter_instance_count;
  redo_was_off_ = false;
  import_begun_ns_ = runtime_->wall_clock->NowUnixNs();
  const Status status = co_await StartImportTask(*start);
  co_return status;
}

// Where an mtr begins at or before the first one behind the checkpoint: what earlier ones changed
// is in the data files. A volume that has redo is never gone on with at its very end: what was lost
// there must be a hole, also where the server's LSN has not moved meanwhile.
Task<Result<Lsn>> Tailer::ImportStart() {
  const TimePoint late_at = runtime_->scheduler->Now() + kGroupStartPatience;
  const Lsn volume_end = sink_->next_lsn();
  bool reported = false;
  while (!stopping()) {
    if (!watch_.failure().ok()) {
      co_return watch_.failure();
    }
    const SourceSample sample = watch_.sample();
    if (sample.current < volume_end) {
      co_return InvalidArgument(
          "the server's log ends at LSN " + Text(sample.current) + ", the volume's at " +
          Text(volume_end) +
          ": the data directory was replaced by an older state; choose another --volume");
    }
    const bool late = runtime_->scheduler->Now() >= late_at;
    if (sample.checkpoint > volume_end) {
      const Result<Lsn> start = co_await FindStart(sample, volume_end);
      if (start.ok() ||
          (start.status().code() != StatusCode::kNotFound && !MayReadAgain(start.status()))) {
        co_return start;
      }
      // An idle server: its log ends at the checkpoint, where the next mtr will begin.
      if (late && sample.checkpoint == sample.current && innodb::IsDataLsn(sample.checkpoint)) {
        co_return sample.checkpoint;
      }
    }
    if (late && !reported && sample.checkpoint <= volume_end) {
      reported = true;
      runtime_->log->Warning("the import waits: the server's checkpoint, LSN " +
                             Text(sample.checkpoint) + ", must come behind LSN " +
                             Text(volume_end) + ", where the volume ends");
    }
    watch_.PollNow();
    const TimePoint next = runtime_->scheduler->Now() + kCheckpointPoll;
    co_await stop_->Wait(next);
  }
  co_return Cancelled("stopped before the import could begin");
}

// The lowest mtr boundary behind `volume_end` that a walk from the checkpoint's block on comes to.
// kNotFound: no such mtr is flushed yet.
Task<Result<Lsn>> Tailer::FindStart(SourceSample sample, Lsn volume_end) {
  const Result<Lsn> group = co_await reader_->FindGroupStart(sample.checkpoint);
  if (!group.ok() || *group > volume_end) {
    co_return group;
  }
  innodb::MtrAssembler assembler(*group);
  Lsn start;
  while (start == Lsn{} && assembler.fed_lsn() < sample.flushed) {
    const Result<RedoRead> read = co_await reader_->Read(assembler.fed_lsn(), sample.flushed);
    if (!read.ok()) {
      co_return read.status();
    }
    if (read->payload.empty()) {
      break;
    }
    const Status walked =
        assembler.Feed(read->payload, [&start, volume_end](const innodb::MtrView& mtr) {
          start = start == Lsn{} && mtr.end_lsn > volume_end ? mtr.end_lsn : start;
          return Status::Ok();
        });
    if (!walked.ok()) {
      co_return walked;
    }
  }
  co_return start != Lsn{}
      ? Result<Lsn>(start)
      : NotFound("no mtr ends between LSN " + Text(volume_end) + " and " + Text(sample.flushed));
}

Task<Status> Tailer::LookBack(Lsn end) {
  const Result<RedoDirectory> directory = co_await reader_->Scan();
  if (!directory.ok() || directory->files.empty()) {
    co_return directory.status();
  }
  const Lsn oldest(end.value() - std::min(end.value(), kLookBackBytes));
  Result<Lsn> start = co_await reader_->FindGroupStart(std::max(directory->begin(), oldest));
  if (!start.ok() || *start >= end) {
    co_return Status::Ok();  // nothing older is there
  }
  innodb::MtrAssembler assembler(*start);
  std::vector<Barrier> past;
  while (assembler.fed_lsn() < end && !stopping()) {
    const Result<RedoRead> read = co_await reader_->Read(assembler.fed_lsn(), end);
    if (!read.ok() || read->payload.empty()) {
      break;  // recycled meanwhile: this was only to know more
    }
    scan_.BeginBatch();
    const Status taken = assembler.Feed(read->payload, [this, &past](const innodb::MtrView& mtr) {
      past.clear();
      return scan_.Take(mtr, &past);
    });
    if (!taken.ok()) {
      break;
    }
  }
  // A young server's redo still holds how its dictionary was made: many trees in a tablespace that
  // held rows by then. The import has them all, and INNODB_INDEXES never lists them.
  scan_.EndBuildsBefore(innodb::kDictionarySpace, horizon_ != Lsn{} ? horizon_ : end);
  co_return Status::Ok();
}

Task<Status> Tailer::StartImportTask(Lsn lsn) {
  REDOUBT_CHECK(!import_running_);
  import_needed_ = true;
  Status announced = co_await importer_.Announce(lsn);
  if (announced.ok()) {
    announced = co_await LookBack(lsn);
  }
  if (!announced.ok()) {
    co_return announced;
  }
  import_running_ = true;
  phase_ = Phase::kImporting;
  import_tasks_.Spawn(ImportTask());
  co_return Status::Ok();
}

Task<void> Tailer::ImportTask() {
  for (;;) {
    const Status status = co_await importer_.CopyAll();
    if (status.ok()) {
      horizon_ = importer_.horizon();
      import_needed_ = false;
      phase_ = Phase::kFollowing;
      break;
    }
    if (status.code() == StatusCode::kCancelled || import_tasks_.stopping()) {
      break;
    }
    if (!MayPass(status)) {
      import_failure_ = status.WithContext("import");
      break;
    }
    runtime_->log->Warning("import: " + status.ToString() + "; trying again");
    const TimePoint next = runtime_->scheduler->Now() + kImportRetryInterval;
    co_await import_tasks_.stop_event().Wait(next);
  }
  import_running_ = false;
}

Task<void> Tailer::CancelImport() {
  import_tasks_.Stop();
  co_await import_tasks_.Join();
  import_tasks_.stop_event().Reset();
  import_failure_ = Status::Ok();
}

Task<bool> Tailer::WaitForNews(Duration longest) {
  const TimePoint deadline = runtime_->scheduler->Now() + longest;
  const bool woken = co_await watch_.changed().Wait(deadline);
  co_return woken;
}

// Unread files stay open: a server that shuts down ends our registration and recycles them.
Task<void> Tailer::HoldLoop() {
  uint64_t let_go_count = 0;
  while (!volume_tasks_.stopping()) {
    const Lsn needed = std::max(sink_->acknowledged(), follow_start_);
    if (registration_.let_go_count() != let_go_count) {
      let_go_count = registration_.let_go_count();
      hold_->Release(kMaxLsn);
    }
    hold_->Release(needed);
    if (registration_.registered() || watch_.state() == SourceState::kUnreachable) {
      const Status status = co_await hold_->Take(needed);
      if (!status.ok()) {
        runtime_->log->Debug("keeping unread redo files open: " + status.message());
      }
    }
    const SourceState state = watch_.state();
    const TimePoint next = runtime_->scheduler->Now() + kHoldInterval;
    while (watch_.state() == state && runtime_->scheduler->Now() < next &&
           !volume_tasks_.stopping()) {
      co_await WaitForNews(next - runtime_->scheduler->Now());
    }
  }
}

// A tablespace that is being read must not hold up a stop for ever.
Task<void> Tailer::AbortWhenStopDrags() {
  while (!stopping() && !volume_tasks_.stopping()) {
    const TimePoint next = runtime_->scheduler->Now() + kRetryInterval;
    co_await volume_tasks_.stop_event().Wait(next);
  }
  const TimePoint deadline = runtime_->scheduler->Now() + options_.stop_patience;
  co_await volume_tasks_.stop_event().Wait(deadline);
  abort_.Set();
}

// Everything was sent; waits until it is durable.
Task<Status> Tailer::FinishStop() {
  co_await CancelImport();
  if (import_needed_) {
    runtime_->log->Warning("the import was not finished; the next start begins it again");
  }
  const Lsn end = sink_->next_lsn();
  const TimePoint deadline = runtime_->scheduler->Now() + options_.stop_patience;
  while (sink_->acknowledged() < end && sink_->failure().ok()) {
    if (runtime_->scheduler->Now() >= deadline) {
      co_return DeadlineExceeded("stopped, but the page server has acknowledged only up to LSN " +
                                 Text(sink_->acknowledged()) + " of " + Text(end) +
                                 "; the next start sends the rest");
    }
    co_await runtime_->scheduler->Sleep(std::chrono::milliseconds(5));
  }
  runtime_->log->Info("stopped: everything up to LSN " + Text(end) + " is in the volume");
  co_return sink_->failure();
}

Task<void> Tailer::StopTasks() {
  sink_->Interrupt();
  abort_.Set();
  co_await CancelImport();
  volume_tasks_.Stop();
  tasks_.Stop();
  watch_.PollNow();
  co_await volume_tasks_.Join();
  co_await tasks_.Join();
  co_await WriteJsonStatus();
}

}  // namespace redoubt::tail
