// SPDX-License-Identifier: MIT
#include "client/tail/importer.h"

#include <algorithm>
#include <utility>

#include "client/tail/space_events.h"

namespace redoubt::tail {
namespace {

constexpr int kRoundsMax = 20;
constexpr Duration kAppliedPoll = std::chrono::milliseconds(100);

}  // namespace

Importer::Importer(Runtime* runtime, VolumeSink* sink, ServerWatch* watch, StreamScan* scan,
                   UnloggedPages* unlogged, SpaceCopier* copier, Event* stop)
    : runtime_(runtime),
      sink_(sink),
      watch_(watch),
      scan_(scan),
      unlogged_(unlogged),
      copier_(copier),
      stop_(stop) {}

Task<Status> Importer::Announce(Lsn lsn) {
  Result<std::vector<SpaceFile>> files = co_await unlogged_->ScanFiles();
  if (!files.ok()) {
    co_return files.status();
  }
  files_ = std::move(*files);
  announced_at_ = lsn;
  const Result<std::vector<proto::SpaceInfo>> before = co_await sink_->Spaces();
  if (!before.ok()) {
    co_return before.status();
  }
  std::vector<proto::SpaceEvent> events;
  std::set<uint32_t> present;
  progress_ = ImportProgress();
  progress_.running = true;
  scan_->Forget();
  unlogged_->Forget();
  done_.clear();
  page_lsn_max_ = lsn;
  for (const SpaceFile& file : files_) {
    const std::string path = PathInVolume(watch_->facts().datadir, file.path);
    present.insert(file.space.value());
    scan_->Know(file.space, path);
    events.push_back(PresentEvent(file, path, lsn));
    const std::string reason = UnsupportedReason(file.flags);
    if (!reason.empty()) {
      runtime_->log->Warning("tablespace " + path + " is not followed: " + reason);
      events.push_back(UnsupportedEvent(file.space, path, reason, lsn));
      done_.insert(file.space);
      continue;
    }
    ++progress_.spaces_total;
    progress_.bytes_total += uint64_t{file.page_count} * watch_->facts().page_size;
  }
  for (const proto::SpaceInfo& old : *before) {
    if (!present.contains(old.space())) {
      proto::SpaceEvent gone;
      gone.set_kind(proto::SpaceEvent::DELETED);
      gone.set_space(old.space());
      gone.set_lsn(lsn.value());
      gone.set_path(old.path());
      events.push_back(std::move(gone));
    }
  }
  runtime_->log->Info("import of " + std::to_string(progress_.spaces_total) + " tablespaces, " +
                      std::to_string(progress_.bytes_total >> 20) + " MiB, from LSN " +
                      std::to_string(lsn.value()));
  const Status status = co_await sink_->PutSpaces(std::move(events));
  co_return status;
}

Task<Status> Importer::CopyAll() {
  for (int round = 0; round < kRoundsMax; ++round) {
    const Status copied = co_await CopyRound(files_);
    if (!copied.ok()) {
      progress_.running = false;
      co_return copied;
    }
    Result<std::vector<SpaceFile>> again = co_await unlogged_->ScanFiles();
    if (!again.ok()) {
      progress_.running = false;
      co_return again.status();
    }
    files_.clear();
    for (SpaceFile& file : *again) {
      if (!done_.contains(file.space)) {
        files_.push_back(std::move(file));
      }
    }
    if (files_.empty()) {
      break;
    }
  }
  // Every image is at or below what is flushed now: a page reaches its file only after its redo.
  Lsn horizon = page_lsn_max_;
  const uint64_t samples = watch_->sample_count();
  while (watch_->state() == SourceState::kUp && watch_->sample_count() == samples &&
         !stop_->is_set()) {
    watch_->PollNow();
    const TimePoint deadline = runtime_->scheduler->Now() + std::chrono::milliseconds(200);
    co_await watch_->changed().Wait(deadline);
  }
  horizon = std::max(horizon, watch_->sample().flushed);
  Status status = co_await WaitApplied(horizon);
  if (status.ok()) {
    status = co_await sink_->SetHorizon(horizon);
  }
  progress_.running = false;
  if (status.ok()) {
    horizon_ = horizon;
    runtime_->log->Info("import complete: " + std::to_string(progress_.images) + " pages of " +
                        std::to_string(progress_.spaces_done) + " tablespaces, " +
                        std::to_string(torn_read_count_) +
                        " torn reads repeated; readable from LSN " +
                        std::to_string(horizon.value()) + " on");
  }
  co_return status;
}

Task<Status> Importer::CopyRound(std::vector<SpaceFile> files) {
  for (SpaceFile& file : files) {
    if (done_.contains(file.space)) {
      continue;
    }
    const Status status = co_await CopyOne(std::move(file));
    if (!status.ok()) {
      co_return status;
    }
  }
  co_return Status::Ok();
}

Task<Status> Importer::CopyOne(SpaceFile file) {
  const Lsn flushed = watch_->sample().flushed;
  const SpaceId space = file.space;
  const uint64_t size = uint64_t{file.page_count} * watch_->facts().page_size;
  const std::string path = PathInVolume(watch_->facts().datadir, file.path);
  if (scan_->Find(space) == nullptr) {
    const Status announced = co_await AnnounceLate(file);
    if (!announced.ok()) {
      co_return announced;
    }
  }
  if (!UnsupportedReason(file.flags).empty()) {
    done_.insert(space);
    co_return Status::Ok();
  }
  const Result<SpaceCopy> copy = co_await copier_->Copy(std::move(file));
  if (!copy.ok()) {
    co_return copy.status();
  }
  if (copy->vanished) {
    co_return Status::Ok();  // renamed: the next round finds it; dropped: redo tells
  }
  done_.insert(space);
  if (!copy->unsupported_reason.empty()) {
    runtime_->log->Warning("tablespace " + path + " is not followed: " + copy->unsupported_reason);
    std::vector<proto::SpaceEvent> events{
        UnsupportedEvent(space, path, copy->unsupported_reason, announced_at_)};
    const Status status = co_await sink_->PutSpaces(std::move(events));
    co_return status;
  }
  unlogged_->NoteRead(space, flushed);
  page_lsn_max_ = std::max(page_lsn_max_, copy->page_lsn_max);
  progress_.bytes_done += size;
  progress_.images += copy->image_count;
  torn_read_count_ += copy->torn_read_count;
  ++progress_.spaces_done;
  co_return Status::Ok();
}

// A file that was not there when the import began: made since (redo will say so, too) or missed
// because it was being renamed.
Task<Status> Importer::AnnounceLate(SpaceFile file) {
  std::string path = PathInVolume(watch_->facts().datadir, file.path);
  scan_->Know(file.space, path);
  std::vector<proto::SpaceEvent> events;
  const std::string reason = UnsupportedReason(file.flags);
  events.push_back(PresentEvent(file, path, announced_at_));
  if (!reason.empty()) {
    events.push_back(UnsupportedEvent(file.space, path, reason, announced_at_));
  }
  const Status status = co_await sink_->PutSpaces(std::move(events));
  co_return status;
}

Task<Status> Importer::WaitApplied(Lsn lsn) {
  for (;;) {
    const Result<proto::VolumeState> volume = co_await sink_->Look();
    if (volume.ok()) {
      if (volume->applied_lsn() >= lsn.value()) {
        co_return Status::Ok();
      }
      if (!volume->ingest_error().empty()) {
        co_return Corruption("the page server stopped ingesting: " + volume->ingest_error());
      }
    }
    const TimePoint next = runtime_->scheduler->Now() + kAppliedPoll;
    const bool stopped = co_await stop_->Wait(next);
    if (stopped) {
      co_return Cancelled("the import was stopped before its end; the next start does it again");
    }
  }
}

}  // namespace redoubt::tail
