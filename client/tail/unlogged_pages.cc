// SPDX-License-Identifier: MIT
#include "client/tail/unlogged_pages.h"

#include <algorithm>
#include <utility>

#include "common/innodb/page_format.h"

namespace redoubt::tail {
namespace {

constexpr Duration kWantedPauseMin = std::chrono::seconds(2);
constexpr Duration kCheckPauseMin = std::chrono::milliseconds(500);
constexpr Duration kCheckPauseMax = std::chrono::seconds(30);
constexpr Duration kWantedPauseMax = std::chrono::seconds(60);
// Between two questions about a build that has just begun; about older ones longer.
constexpr Duration kAskPauseMax = std::chrono::seconds(1);
// A question meets the locks of every table, of those that are altered, too.
constexpr uint32_t kLockWaitSeconds = 1;
// Polls of FindRevived (about two seconds apart) before a file that is back counts: DROP TABLE
// removes its file a moment after it has logged so.
constexpr uint32_t kRevivedPolls = 2;

std::string Hex16(uint64_t value) {
  static constexpr char kDigits[] = "0123456789abcdef";
  std::string text(16, '0');
  for (int i = 15; i >= 0; --i, value >>= 4) {
    text[static_cast<size_t>(i)] = kDigits[value & 15];
  }
  return text;
}

std::string Text(Lsn lsn) { return std::to_string(lsn.value()); }

proto::SpaceEvent Event(proto::SpaceEvent::Kind kind, SpaceId space, Lsn lsn) {
  proto::SpaceEvent event;
  event.set_kind(kind);
  event.set_space(space.value());
  event.set_lsn(lsn.value());
  return event;
}

}  // namespace

UnloggedPages::UnloggedPages(Runtime* runtime, SqlConnector* connector, ServerWatch* watch,
                             StreamScan* scan, SpaceCopier* copier, VolumeSink* sink)
    : runtime_(runtime),
      connector_(connector),
      watch_(watch),
      scan_(scan),
      copier_(copier),
      sink_(sink) {}

void UnloggedPages::Forget() {
  covered_.clear();
  wanted_.clear();
  seen_again_.clear();
}

void UnloggedPages::NoteRead(SpaceId space, Lsn flushed) {
  Covered& covered = covered_[space];
  covered.flushed = std::max(covered.flushed, flushed);
}

Task<Result<std::vector<SpaceFile>>> UnloggedPages::ScanFiles() {
  std::vector<std::string> named;
  if (watch_->state() == SourceState::kUp) {
    // A session of its own: the watch's is busy with samples.
    Result<std::unique_ptr<SqlSession>> session = co_await connector_->Connect();
    if (session.ok()) {
      SourceServer server(runtime_, std::move(*session));
      const Result<std::vector<SourceFile>> files = co_await server.Files();
      if (files.ok()) {
        for (const SourceFile& file : *files) {
          named.push_back(file.path);
        }
      } else {
        runtime_->log->Warning(
            "cannot ask the server for its data files (PROCESS privilege?); "
            "only its directories are searched: " +
            files.status().message());
      }
    }
  }
  Result<std::vector<SpaceFile>> found =
      co_await ScanSpaceFiles(runtime_, watch_->facts(), std::move(named));
  co_return found;
}

Task<Result<std::optional<SpaceFile>>> UnloggedPages::Locate(SpaceId space) {
  const KnownSpace* const known = scan_->Find(space);
  if (known != nullptr && !known->path.empty()) {
    std::string path = AbsolutePath(watch_->facts().datadir, known->path);
    const Result<std::optional<SpaceFile>> there =
        co_await LookAtSpaceFile(runtime_, std::move(path), watch_->facts().page_size);
    if (!there.ok()) {
      co_return there.status();
    }
    if (there->has_value() && (*there)->space == space) {
      co_return *there;
    }
  }
  const Result<std::vector<SpaceFile>> files = co_await ScanFiles();
  if (!files.ok()) {
    co_return files.status();
  }
  for (const SpaceFile& file : *files) {
    if (file.space == space) {
      co_return std::optional<SpaceFile>(file);
    }
  }
  co_return std::optional<SpaceFile>();
}

Task<Result<UnloggedPages::Reading>> UnloggedPages::Read(SpaceId space) {
  Reading reading;
  const Lsn flushed = watch_->sample().flushed;
  const Result<std::optional<SpaceFile>> file = co_await Locate(space);
  if (!file.ok()) {
    co_return file.status();
  }
  if (!file->has_value()) {
    co_return std::move(reading);
  }
  reading.file = **file;
  reading.copy.unsupported_reason = UnsupportedReason(reading.file.flags);
  if (reading.copy.unsupported_reason.empty()) {
    Result<SpaceCopy> copy = co_await copier_->Copy(reading.file);
    if (!copy.ok()) {
      co_return copy.status();
    }
    reading.copy = std::move(*copy);
  }
  reading.found = !reading.copy.vanished;
  ++spaces_read_count_;
  if (reading.found && reading.copy.unsupported_reason.empty()) {
    Covered& covered = covered_[space];
    covered.flushed = std::max(covered.flushed, flushed);
    covered.page_lsn_max = std::max(covered.page_lsn_max, reading.copy.page_lsn_max);
  }
  co_return std::move(reading);
}

Task<Lsn> UnloggedPages::FlushedNow() {
  const uint64_t before = watch_->sample_count();
  const TimePoint deadline = runtime_->scheduler->Now() + std::chrono::seconds(2);
  while (watch_->state() == SourceState::kUp && watch_->sample_count() == before &&
         runtime_->scheduler->Now() < deadline) {
    watch_->PollNow();
    co_await watch_->changed().Wait(deadline);
  }
  co_return watch_->sample().flushed;
}

Task<Status> UnloggedPages::Complete(SpaceId space, Lsn lsn, Lsn hole_start) {
  proto::SpaceEvent event = Event(proto::SpaceEvent::IMAGES_COMPLETE, space, lsn);
  event.set_hole_start_lsn(std::min(hole_start, lsn).value());
  std::vector<proto::SpaceEvent> events{std::move(event)};
  const Status status = co_await sink_->PutSpaces(std::move(events));
  co_return status;
}

Task<Status> UnloggedPages::Unsupported(SpaceId space, Lsn lsn, std::string path,
                                        std::string reason) {
  runtime_->log->Warning("tablespace " + path + " (space " + std::to_string(space.value()) +
                         ") is not followed from LSN " + Text(lsn) + " on: " + reason);
  proto::SpaceEvent event = Event(proto::SpaceEvent::UNSUPPORTED, space, lsn);
  event.set_path(path);
  event.set_reason(path + ": " + reason);
  std::vector<proto::SpaceEvent> events{std::move(event)};
  const Status status = co_await sink_->PutSpaces(std::move(events));
  co_return status;
}

Task<Status> UnloggedPages::Handle(Barrier barrier, Lsn hole_floor) {
  Status status;
  switch (barrier.kind) {
    case BarrierKind::kIndexLoad: {
      const SpaceId space = barrier.space;
      status = co_await HandleIndexLoad(space, std::move(barrier), hole_floor);
      break;
    }
    case BarrierKind::kFullTextLoad:
      status = co_await HandleFullTextLoad(std::move(barrier), hole_floor);
      break;
    case BarrierKind::kSpaceAppeared:
      status = co_await HandleAppeared(std::move(barrier));
      break;
    case BarrierKind::kBuildSuspected:
      status = co_await HandleBuildSuspected(std::move(barrier));
      break;
    case BarrierKind::kUnsupported:
      status = co_await HandleUnsupported(std::move(barrier));
      break;
  }
  co_return status;
}

Task<Status> UnloggedPages::HandleIndexLoad(SpaceId space, Barrier barrier, Lsn hole_floor) {
  const Lsn hole_start = barrier.hole_start != Lsn{} ? barrier.hole_start : hole_floor;
  Lsn complete_at = barrier.mtr.end;
  const auto covered = covered_.find(space);
  if (covered != covered_.end() && covered->second.flushed >= barrier.mtr.end) {
    complete_at = std::max(complete_at, covered->second.page_lsn_max);
    const Status status = co_await Complete(space, complete_at, hole_start);
    co_return status;
  }
  const Result<Reading> reading = co_await Read(space);
  if (!reading.ok()) {
    co_return reading.status();
  }
  if (!reading->found) {
    // Dropped or rebuilt since: what the build wrote existed from here until then, and is lost.
    const Lsn flushed = co_await FlushedNow();
    complete_at = std::max(complete_at, flushed);
    runtime_->log->Info("space " + std::to_string(space.value()) +
                        " was dropped soon after index " + std::to_string(barrier.index_id) +
                        " was built; its pages are unknown in [" + Text(hole_start) + ", " +
                        Text(complete_at) + ")");
  } else if (!reading->copy.unsupported_reason.empty()) {
    std::string path = PathInVolume(watch_->facts().datadir, reading->file.path);
    const Status status = co_await Unsupported(space, barrier.mtr.start, std::move(path),
                                               reading->copy.unsupported_reason);
    if (!status.ok()) {
      co_return status;
    }
  } else {
    complete_at = std::max(complete_at, reading->copy.page_lsn_max);
    runtime_->log->Info("index " + std::to_string(barrier.index_id) +
                        " was built without redo at LSN " + Text(barrier.mtr.start) + ": sent " +
                        std::to_string(reading->copy.image_count) + " pages of " +
                        reading->file.path);
  }
  const Status status = co_await Complete(space, complete_at, hole_start);
  co_return status;
}

Task<Status> UnloggedPages::HandleFullTextLoad(Barrier barrier, Lsn hole_floor) {
  // The auxiliary tables' trees are built unlogged, too, and have no INDEX_LOAD of their own. Their
  // files are called fts_<table id>_<index id>_index_<n>.ibd.
  const std::vector<SpaceId> auxiliary =
      scan_->SpacesWithPath("_" + Hex16(barrier.index_id) + "_index_");
  for (const SpaceId space : auxiliary) {
    Barrier part = barrier;
    const KnownSpace* const known = scan_->Find(space);
    part.hole_start = known == nullptr ? Lsn{} : known->created;
    const Status status = co_await HandleIndexLoad(space, std::move(part), hole_floor);
    scan_->EndBuildsIn(space);
    if (!status.ok()) {
      co_return status;
    }
  }
  // The table's own pages are told apart by their own INDEX_LOADs.
  const Status status = co_await Complete(barrier.space, barrier.mtr.end, barrier.mtr.start);
  co_return status;
}

// CREATE UNDO TABLESPACE logs every page of the new file, only not the file itself.
Task<Status> UnloggedPages::HandleUndoAppeared(Barrier barrier) {
  const Result<std::optional<SpaceFile>> file = co_await Locate(barrier.space);
  if (!file.ok()) {
    co_return file.status();
  }
  if (!file->has_value()) {
    co_return Status::Ok();  // dropped since
  }
  std::string path = PathInVolume(watch_->facts().datadir, (*file)->path);
  runtime_->log->Info("undo tablespace " + path + " (space " +
                      std::to_string(barrier.space.value()) + ") was created at LSN " +
                      Text(barrier.mtr.start));
  scan_->Know(barrier.space, path);
  proto::SpaceEvent event = Event(proto::SpaceEvent::PRESENT, barrier.space, barrier.mtr.start);
  event.set_path(std::move(path));
  event.set_flags((*file)->flags);
  std::vector<proto::SpaceEvent> events{std::move(event)};
  const Status status = co_await sink_->PutSpaces(std::move(events));
  co_return status;
}

Task<Status> UnloggedPages::HandleAppeared(Barrier barrier) {
  if (innodb::IsUndoSpace(barrier.space)) {
    const Status status = co_await HandleUndoAppeared(std::move(barrier));
    co_return status;
  }
  const Result<Reading> reading = co_await Read(barrier.space);
  if (!reading.ok()) {
    co_return reading.status();
  }
  if (!reading->found) {
    // Dropped since: its FILE_DELETE is still to come.
    const Lsn flushed = co_await FlushedNow();
    const Status status =
        co_await Complete(barrier.space, std::max(barrier.mtr.end, flushed), barrier.hole_start);
    co_return status;
  }
  std::string path = PathInVolume(watch_->facts().datadir, reading->file.path);
  runtime_->log->Info("tablespace " + path + " (space " + std::to_string(barrier.space.value()) +
                      ") appeared without a record at LSN " + Text(barrier.mtr.start) + ": sent " +
                      std::to_string(reading->copy.image_count) + " pages");
  scan_->Know(barrier.space, path);
  proto::SpaceEvent event = Event(proto::SpaceEvent::PRESENT, barrier.space, barrier.mtr.start);
  event.set_path(path);
  event.set_flags(reading->file.flags);
  event.set_page_count(reading->file.page_count);
  std::vector<proto::SpaceEvent> events{std::move(event)};
  Status status = co_await sink_->PutSpaces(std::move(events));
  if (status.ok() && !reading->copy.unsupported_reason.empty()) {
    status = co_await Unsupported(barrier.space, barrier.mtr.start, std::move(path),
                                  reading->copy.unsupported_reason);
  }
  if (status.ok()) {
    status = co_await Complete(barrier.space, std::max(barrier.mtr.end, reading->copy.page_lsn_max),
                               barrier.hole_start);
  }
  if (status.ok()) {
    // The import may not have flushed everything yet: once more when the checkpoint has passed.
    wanted_[barrier.space] = {watch_->sample().current, {}, kWantedPauseMin};
  }
  co_return status;
}

// A session for dictionary questions; nullptr: no server now.
Task<SourceServer*> UnloggedPages::Server() {
  if (watch_->state() != SourceState::kUp) {
    server_ = nullptr;
    co_return nullptr;
  }
  if (server_ == nullptr || server_generation_ != watch_->generation()) {
    server_ = nullptr;
    const uint64_t generation = watch_->generation();
    Result<std::unique_ptr<SqlSession>> session = co_await connector_->Connect();
    if (!session.ok()) {
      co_return nullptr;
    }
    auto server = std::make_unique<SourceServer>(runtime_, std::move(*session));
    const Status limited = co_await server->WaitForLocksAtMost(kLockWaitSeconds);
    if (!limited.ok()) {
      co_return nullptr;
    }
    server_ = std::move(server);
    server_generation_ = generation;
  }
  co_return server_.get();
}

Task<Result<std::vector<uint64_t>>> UnloggedPages::AskForCommitted(
    std::vector<uint64_t> index_ids) {
  for (bool again = false;; again = true) {
    SourceServer* const server = co_await Server();
    if (server == nullptr) {
      co_return Unavailable("no server to ask");
    }
    Result<std::vector<uint64_t>> committed = co_await server->CommittedIndexes(index_ids);
    if (again || committed.status().code() != StatusCode::kUnavailable) {
      co_return committed;
    }
    server_ = nullptr;
    co_await FlushedNow();  // by then the watch knows whether the server is gone
  }
}

void UnloggedPages::NoteBuilds() {
  if (builds_seen_ != scan_->builds_begun()) {
    builds_seen_ = scan_->builds_begun();
    newest_build_at_ = runtime_->scheduler->Now();
    ask_not_before_ = TimePoint{};
    check_pause_ = kCheckPauseMin;
    check_not_before_ = TimePoint{};
  }
}

Task<std::vector<uint64_t>> UnloggedPages::CommittedBuilds(std::optional<SpaceId> space) {
  while (asking_ && space.has_value()) {  // the stream waits for its answer, the timer does not
    co_await runtime_->scheduler->Sleep(std::chrono::milliseconds(2));
  }
  NoteBuilds();
  std::vector<uint64_t> ids;
  for (const auto& [index_id, build] : scan_->builds()) {
    if (!space.has_value() || build.space == *space) {
      ids.push_back(index_id);
    }
  }
  const TimePoint begin = runtime_->scheduler->Now();
  if (ids.empty() || asking_ || begin < ask_not_before_) {
    co_return std::vector<uint64_t>();
  }
  asking_ = true;
  Result<std::vector<uint64_t>> committed = co_await AskForCommitted(ids);
  asking_ = false;
  const TimePoint end = runtime_->scheduler->Now();
  ask_not_before_ =
      end + std::min(20 * (end - begin), kAskPauseMax + (end - newest_build_at_) / 10);
  if (committed.ok()) {
    co_return std::move(*committed);
  }
  // A dead server builds nothing any more; one that may not be asked is read when rows change. Any
  // other is asked again.
  const bool settled =
      space.has_value() && (watch_->state() == SourceState::kDown ||
                            committed.status().code() == StatusCode::kUnauthenticated);
  co_return settled ? ids : std::vector<uint64_t>();
}

Task<Status> UnloggedPages::FetchBuilds(SpaceId space, std::vector<uint64_t> index_ids, Lsn lsn,
                                        Lsn hole_start) {
  const Result<Reading> reading = co_await Read(space);
  if (!reading.ok()) {
    co_return reading.status();
  }
  for (const uint64_t index_id : index_ids) {
    scan_->EndBuild(index_id);
  }
  if (!reading->found) {
    co_return Status::Ok();  // dropped since; its record is on the way
  }
  if (!reading->copy.unsupported_reason.empty()) {
    std::string path = PathInVolume(watch_->facts().datadir, reading->file.path);
    const Status status =
        co_await Unsupported(space, lsn, std::move(path), reading->copy.unsupported_reason);
    co_return status;
  }
  runtime_->log->Info("index " + std::to_string(index_ids.front()) +
                      " was built without redo and without a record of it before LSN " + Text(lsn) +
                      ": sent " + std::to_string(reading->copy.image_count) + " pages of " +
                      reading->file.path);
  const Status status =
      co_await Complete(space, std::max(lsn, reading->copy.page_lsn_max), hole_start);
  co_return status;
}

Task<Status> UnloggedPages::HandleBuildSuspected(Barrier barrier) {
  std::vector<uint64_t> committed = co_await CommittedBuilds(barrier.space);
  if (committed.empty()) {
    co_return Status::Ok();  // still being built; an online build says when it ends
  }
  const Status status = co_await FetchBuilds(barrier.space, std::move(committed), barrier.mtr.start,
                                             barrier.hole_start);
  co_return status;
}

Task<Status> UnloggedPages::CheckBuilds(bool now) {
  NoteBuilds();
  if (!now && runtime_->scheduler->Now() < check_not_before_) {
    co_return Status::Ok();
  }
  std::vector<uint64_t> committed = co_await CommittedBuilds(std::nullopt);
  check_not_before_ = runtime_->scheduler->Now() + check_pause_;
  check_pause_ = std::min(check_pause_ * 2, kCheckPauseMax);
  const Status status = co_await FetchBySpace(std::move(committed));
  co_return status;
}

Task<Status> UnloggedPages::FinishBuilds() {
  std::vector<uint64_t> all;
  for (const auto& [index_id, build] : scan_->builds()) {
    all.push_back(index_id);
  }
  const Status status = co_await FetchBySpace(std::move(all));
  co_return status;
}

Task<Status> UnloggedPages::FetchBySpace(std::vector<uint64_t> index_ids_all) {
  std::map<SpaceId, std::vector<uint64_t>> by_space;
  for (const uint64_t index_id : index_ids_all) {
    const auto build = scan_->builds().find(index_id);
    if (build != scan_->builds().end()) {  // else the stream was faster
      by_space[build->second.space].push_back(index_id);
    }
  }
  for (const auto& [space, index_ids] : by_space) {
    Lsn started = sink_->next_lsn();
    for (const uint64_t index_id : index_ids) {
      const auto build = scan_->builds().find(index_id);
      started = build == scan_->builds().end() ? started : std::min(started, build->second.started);
    }
    const Status status = co_await FetchBuilds(space, index_ids, sink_->next_lsn(), started);
    if (!status.ok()) {
      co_return status;
    }
  }
  co_return Status::Ok();
}

Task<Status> UnloggedPages::HandleUnsupported(Barrier barrier) {
  const KnownSpace* const known = scan_->Find(barrier.space);
  std::string path = known == nullptr || known->path.empty()
                         ? "space " + std::to_string(barrier.space.value())
                         : known->path;
  const Status status = co_await Unsupported(barrier.space, barrier.mtr.start, std::move(path),
                                             std::move(barrier.reason));
  co_return status;
}

Task<Status> UnloggedPages::Satisfy(std::vector<SpaceId> spaces, Lsn hole_floor) {
  const TimePoint now = runtime_->scheduler->Now();
  for (const SpaceId space : spaces) {
    wanted_.try_emplace(space, Wanted{watch_->sample().current, now, kWantedPauseMin});
  }
  std::vector<SpaceId> due;
  for (const auto& [space, wanted] : wanted_) {
    if (now >= wanted.not_before && watch_->sample().checkpoint >= wanted.asked_at) {
      due.push_back(space);
    }
  }
  for (const SpaceId space : due) {
    const Result<Reading> reading = co_await Read(space);
    if (!reading.ok()) {
      co_return reading.status();
    }
    Lsn complete_at = co_await FlushedNow();
    if (reading->found) {
      complete_at = reading->copy.page_lsn_max;
      runtime_->log->Info("space " + std::to_string(space.value()) +
                          " was read again: the page server missed the base of a page; sent " +
                          std::to_string(reading->copy.image_count) + " pages");
    }
    const Status status = co_await Complete(space, complete_at, std::min(hole_floor, complete_at));
    if (!status.ok()) {
      co_return status;
    }
    const bool still = std::find(spaces.begin(), spaces.end(), space) != spaces.end();
    Wanted& wanted = wanted_[space];
    if (!still) {
      wanted_.erase(space);
    } else {  // the page server says at its next status whether that was enough
      wanted.asked_at = watch_->sample().current;
      wanted.pause = std::min(wanted.pause * 2, kWantedPauseMax);
      wanted.not_before = runtime_->scheduler->Now() + wanted.pause;
    }
  }
  co_return Status::Ok();
}

Task<bool> UnloggedPages::InUse(SpaceId space) {
  Result<std::unique_ptr<SqlSession>> session = co_await connector_->Connect();
  if (!session.ok()) {
    co_return false;
  }
  SourceServer server(runtime_, std::move(*session));  // the shared session may be busy
  const Result<bool> in_use = co_await server.SpaceInUse(space);
  co_return in_use.ok() && *in_use;
}

Task<Status> UnloggedPages::FindRevived() {
  std::vector<std::pair<SpaceId, KnownSpace>> candidates;
  for (const auto& [space, known] : scan_->recently_deleted()) {
    candidates.emplace_back(space, known);
  }
  for (auto& [space, known] : candidates) {
    std::string path = AbsolutePath(watch_->facts().datadir, known.path);
    const Result<std::optional<SpaceFile>> file =
        co_await LookAtSpaceFile(runtime_, std::move(path), watch_->facts().page_size);
    if (!file.ok() || !file->has_value() || (*file)->space != space) {
      seen_again_.erase(space);
      continue;
    }
    const KnownSpace* const now = scan_->Find(space);
    if (now == nullptr || !now->deleted || ++seen_again_[space] < kRevivedPolls) {
      continue;
    }
    seen_again_.erase(space);
    const bool in_use = co_await InUse(space);
    if (!in_use) {
      continue;
    }
    const Lsn at = sink_->next_lsn();
    Barrier barrier{BarrierKind::kSpaceAppeared, {at, at}, space, 0, now->deleted_lsn, "", 0};
    const Status status = co_await HandleAppeared(std::move(barrier));
    if (!status.ok()) {
      co_return status;
    }
  }
  co_return Status::Ok();
}

}  // namespace redoubt::tail
