// SPDX-License-Identifier: MIT
//
// The follow loop of Tailer: from blocks on disk to appended chunks.
#include <algorithm>
#include <utility>

#include "client/dummy_redo.h"
#include "client/tail/tailer.h"
#include "common/base/check.h"
#include "common/innodb/log_block.h"
#include "common/innodb/page_format.h"

namespace redoubt::tail {
namespace {

// An mtr is a few MiB at most; the server's own log buffer bounds it.
constexpr size_t kPendingMax = 28 << 20;
constexpr Duration kIdleWait = std::chrono::milliseconds(500);
// How far back ALTER INSTANCE is looked for in the server's error log when its counter moved.
constexpr int64_t kSwitchMemoryNs = 60'000'000'000;
constexpr Duration kStopProbe = std::chrono::seconds(15);

std::string Text(Lsn lsn) { return std::to_string(lsn.value()); }

}  // namespace

void Tailer::Rewind(Lsn end) {
  assembler_.Reset(end);
  barriers_.clear();
  pending_.clear();
  pending_sent_ = 0;
}

void Tailer::ReleaseAcknowledged() {
  const Lsn acknowledged = sink_->acknowledged();
  if (acknowledged != Lsn{}) {
    registration_.Release(acknowledged);
  }
}

Lsn Tailer::HoleFloor() const { return horizon_ != Lsn{} ? horizon_ : follow_start_; }

Status Tailer::FirstFailure() const {
  REDOUBT_RETURN_IF_ERROR(sink_->failure());
  REDOUBT_RETURN_IF_ERROR(watch_.failure());
  REDOUBT_RETURN_IF_ERROR(registration_.failure());
  return import_failure_;
}

Task<Status> Tailer::Follow() {
  Lsn target = kMaxLsn;  // once a stop was asked for: how far to go
  TimePoint give_up = kNever;
  for (;;) {
    ReleaseAcknowledged();
    const Status failure = FirstFailure();
    if (!failure.ok()) {
      co_return failure;
    }
    if (stopping() && target == kMaxLsn) {
      give_up = runtime_->scheduler->Now() + options_.stop_patience;
      const Status status = co_await FindStopTarget(&target);
      if (!status.ok()) {
        co_return status;
      }
    }
    bool progress = false;
    const Status status = co_await FollowStep(&progress);
    if (!status.ok()) {
      co_return status;
    }
    const bool nothing_more = watch_.state() != SourceState::kUp &&
                              (watch_.state() != SourceState::kDown || dead_end_read_);
    if (stopping() && target != kMaxLsn && !progress &&
        (assembler_.fed_lsn() >= target || nothing_more || runtime_->scheduler->Now() > give_up)) {
      if (watch_.state() == SourceState::kUp && !import_running_) {
        const Status fetched = co_await unlogged_.CheckBuilds(/*now=*/true);
        co_return fetched;
      }
      co_return Status::Ok();
    }
    if (!progress) {
      const Duration pause = stopping() ? Duration(std::chrono::milliseconds(20)) : kIdleWait;
      co_await WaitForNews(pause);
    }
  }
}

// What is known to be flushed now; a server that is on its way down or up is waited for a while.
Task<Status> Tailer::FindStopTarget(Lsn* target) {
  phase_ = Phase::kStopping;
  const TimePoint deadline = runtime_->scheduler->Now() + kStopProbe;
  const uint64_t samples = watch_.sample_count();
  while (runtime_->scheduler->Now() < deadline) {
    watch_.PollNow();
    co_await WaitForNews(std::chrono::milliseconds(100));
    if (!watch_.failure().ok()) {
      co_return watch_.failure();
    }
    if ((watch_.state() == SourceState::kUp && watch_.sample_count() > samples) ||
        watch_.state() == SourceState::kDown) {
      break;
    }
  }
  *target = watch_.state() == SourceState::kUp ? watch_.sample().flushed : Lsn{};
  co_return Status::Ok();
}

Task<Status> Tailer::FollowStep(bool* progress) {
  Status status;
  switch (watch_.state()) {
    case SourceState::kUp:
      dead_end_read_ = false;
      if (generation_ != watch_.generation()) {
        status = co_await NewGeneration();
        *progress = generation_ == watch_.generation();
        break;
      }
      status = co_await WatchRedoSwitch();
      if (status.ok()) {
        status = co_await Pump(watch_.sample().flushed, progress);
      }
      break;
    case SourceState::kDown:
      if (!dead_end_read_) {
        status = co_await PumpDead(progress);
      }
      break;
    case SourceState::kUnknown:
    case SourceState::kUnreachable:
      break;
  }
  co_return status;
}

// The server was started anew, or we were: is it the same history, and are we at a place in it?
Task<Status> Tailer::NewGeneration() {
  const uint64_t generation = watch_.generation();
  const SourceSample sample = watch_.sample();
  const Lsn end = sink_->next_lsn();
  Status status = co_await CheckDatadir();
  if (!status.ok()) {
    co_return status;
  }
  if (sample.current < end) {
    co_return InvalidArgument(
        "the server's log ends at LSN " + Text(sample.current) + ", the volume's at " + Text(end) +
        ": the data directory was replaced by an older state; choose another --volume");
  }
  // Bytes behind the last whole mtr may have been written anew by the server's recovery.
  Rewind(end);
  const Result<RedoDirectory> directory = co_await reader_->Scan();
  if (!directory.ok()) {
    co_return directory.status();
  }
  if (directory->files.empty()) {
    co_return Status::Ok();  // being made; looked at again with the next step
  }
  if (reader_->log_uuid() != 0 && directory->log_uuid() != reader_->log_uuid()) {
    status = co_await Recreated(Lsn(directory->begin().value() + innodb::kLogBlockHeaderBytes));
  } else {
    reader_->Expect(directory->log_uuid());
    status = co_await CompareTail(end);
  }
  if (!status.ok()) {
    co_return status;
  }
  if (generation_ == 0 && !import_needed_) {
    status = co_await LookBack(end);
    if (!status.ok()) {
      co_return status;
    }
  }
  if (generation_ == 0 && newest_time_ns_ != 0) {
    const Result<bool> was_off = co_await RedoWasOffSince(newest_time_ns_);
    if (was_off.ok() && *was_off) {
      redo_was_off_ = true;
    }
  }
  alter_instance_count_ = sample.alter_instance_count;
  generation_ = generation;
  if (import_needed_ && !import_running_) {
    status = co_await StartImportTask(end);
  }
  co_return status;
}

// Whether the bytes before `end` in the server's redo are those that the volume holds.
Task<Status> Tailer::CompareTail(Lsn end) {
  constexpr uint64_t kHeader = innodb::kLogBlockHeaderBytes;
  Lsn from(innodb::AlignToBlock(end).value() + kHeader);
  if (from == end) {  // nothing in this block yet: the one before
    from = Lsn(from.value() - innodb::kLogBlockBytes);
  }
  if (from < innodb::kFirstDataLsn) {
    co_return Status::Ok();
  }
  Result<RedoRead> read = co_await reader_->Read(from, end);
  const std::string where = "the server's redo before LSN " + Text(end);
  if (!read.ok()) {
    if (read.status().code() != StatusCode::kCorruption) {
      co_return read.status();
    }
    std::string reason = where + " is not readable: " + read.status().message();
    const Status status = co_await BeginImport(std::move(reason));
    co_return status;
  }
  REDOUBT_CHECK(from <= end);
  if (read->payload.size() != innodb::PayloadBytes({from, end})) {
    co_return Status::Ok();  // in a file that is gone; whether the rest is there, reading on will
                             // tell
  }
  RedoAppend chunk;
  chunk.range = {from, end};
  chunk.payload = std::make_shared<const Bytes>(std::move(read->payload));
  const Status same = co_await sink_->Compare(std::move(chunk));
  if (same.code() == StatusCode::kCorruption) {
    std::string reason =
        where + " is not what the volume holds: the data directory was replaced by another state";
    const Status status = co_await BeginImport(std::move(reason));
    co_return status;
  }
  co_return Status::Ok();
}

// Another log set. After a clean shutdown at our end it continues where the old one ended, at the
// next block; then nothing was lost. What lies between is filled with dummy records, which mean
// nothing.
Task<Status> Tailer::Recreated(Lsn oldest) {
  const Lsn end = sink_->next_lsn();
  const Lsn next_block = innodb::NextBlockData(end);
  if (oldest != next_block) {
    std::string reason = "the redo log was made anew (it begins at LSN " + Text(oldest) +
                         ", we were at " + Text(end) + ")";
    const Status status = co_await BeginImport(std::move(reason));
    co_return status;
  }
  runtime_->log->Info("the redo log was made anew after a clean shutdown at LSN " + Text(end) +
                      "; it goes on at " + Text(oldest));
  RedoAppend filler;
  filler.range = {end, oldest};
  filler.first_mtr_lsn = end;
  filler.payload = std::make_shared<const Bytes>(DummyRedo(filler.range));
  const Status status = co_await sink_->Append(std::move(filler));
  if (!status.ok()) {
    co_return status;
  }
  Rewind(oldest);
  reader_->Expect(0);
  co_return Status::Ok();
}

// ALTER INSTANCE DISABLE INNODB REDO_LOG leaves no trace in the redo: only the status says so.
Task<Status> Tailer::WatchRedoSwitch() {
  const SourceSample sample = watch_.sample();
  if (!sample.redo_enabled && !redo_was_off_) {
    redo_was_off_ = true;
    runtime_->log->Error(
        "redo logging is DISABLED on the server: changes are not followed; all "
        "tablespaces are imported again when it is enabled");
  }
  if (sample.alter_instance_count != alter_instance_count_ && !redo_was_off_) {
    // It may have been off and on again between two looks.
    const int64_t since = std::max(sample.wall_ns - kSwitchMemoryNs, import_begun_ns_);
    const Result<bool> was_off = co_await RedoWasOffSince(since);
    if (!was_off.ok()) {
      co_return Status::Ok();  // asked again at the next step
    }
    redo_was_off_ = *was_off;
  }
  alter_instance_count_ = sample.alter_instance_count;
  if (redo_was_off_ && sample.redo_enabled) {
    std::string reason =
        "redo logging was switched off for a while: what changed meanwhile is not in the redo";
    const Status status = co_await BeginImport(std::move(reason));
    co_return status;
  }
  co_return Status::Ok();
}

// A server that died under us explains what cannot be read: the state decides.
bool Tailer::MayReadAgain(const Status& status) const {
  return status.code() == StatusCode::kUnavailable ||
         (status.code() == StatusCode::kCorruption && generation_ != watch_.generation());
}

Task<Status> Tailer::Pump(Lsn limit, bool* progress) {
  Result<RedoRead> read = co_await reader_->Read(assembler_.fed_lsn(), limit);
  if (!read.ok()) {
    co_return MayReadAgain(read.status()) ? Status::Ok() : read.status();
  }
  switch (read->end) {
    case RedoReadEnd::kGap: {
      std::string reason = "redo from LSN " + Text(assembler_.fed_lsn()) +
                           " on was recycled before it was read (the oldest is " + Text(read->lsn) +
                           ")";
      const Status status = co_await BeginImport(std::move(reason));
      *progress = true;
      co_return status;
    }
    case RedoReadEnd::kOtherLog:
      generation_ = 0;  // looked into with the next step
      co_return Status::Ok();
    case RedoReadEnd::kMore:
    case RedoReadEnd::kLimit:
    case RedoReadEnd::kTail:
      break;
  }
  *progress = !read->payload.empty();
  const Status status = co_await Consume(std::move(*read), false);
  co_return status;
}

Task<Status> Tailer::PumpDead(bool* progress) {
  // What a dead server has written is all there will ever be below its end; made durable here it
  // can be relied on like flushed redo.
  const Status synced = co_await reader_->SyncFiles();
  if (!synced.ok()) {
    runtime_->log->Warning("cannot sync the redo of the stopped server: " + synced.message());
    dead_end_read_ = true;
    co_return Status::Ok();
  }
  Rewind(sink_->next_lsn());
  bool whole = false;
  for (;;) {
    Result<RedoRead> read = co_await reader_->Read(assembler_.fed_lsn(), kMaxLsn);
    const Result<bool> open = co_await probe_->ServerHasFilesOpen();
    if (!open.ok() || *open) {
      watch_.PollNow();
      co_return Status::Ok();  // started meanwhile: what was read may be the new server's
    }
    if (!read.ok()) {
      runtime_->log->Warning("reading the stopped server's redo: " + read.status().message());
      break;
    }
    const RedoReadEnd end = read->end;
    const bool empty = read->payload.empty();
    if (end == RedoReadEnd::kGap || end == RedoReadEnd::kOtherLog) {
      // A hole and a new import, but those need the server.
      runtime_->log->Warning("the stopped server's redo from LSN " + Text(assembler_.fed_lsn()) +
                             " on was recycled before it was read (the oldest is " +
                             Text(read->lsn) + "); this is seen to when the server is back");
      break;
    }
    const Status status = co_await Consume(std::move(*read), true);
    if (!status.ok()) {
      co_return status;
    }
    ReleaseAcknowledged();
    *progress = true;
    if (end == RedoReadEnd::kTail || empty) {
      whole = true;
      break;
    }
  }
  Rewind(sink_->next_lsn());
  const bool clean = co_await WasShutDownCleanly();
  if (whole) {
    runtime_->log->Info(std::string("the server ") + (clean ? "was shut down cleanly" : "is down") +
                        "; its redo was read to the end, LSN " + Text(sink_->next_lsn()));
  }
  // After a crash the data files wait for recovery; what is missing is fetched when the server is
  // back.
  Status status;
  if (clean && !import_running_) {
    status = co_await unlogged_.FinishBuilds();
  }
  dead_end_read_ = true;
  co_return status;
}

// The system tablespace then carries the log's end (FIL_PAGE_FILE_FLUSH_LSN of page 0).
Task<bool> Tailer::WasShutDownCleanly() {
  const Result<std::unique_ptr<File>> file =
      co_await runtime_->files->Open(watch_.facts().system_file, OpenMode::kRead);
  if (!file.ok()) {
    co_return false;
  }
  uint8_t head[64];
  const Result<size_t> got = co_await (*file)->ReadAt(0, head);
  co_return got.ok() && *got == sizeof(head) &&
      LoadBe64(head + innodb::kPageFlushLsnOffset) == sink_->next_lsn().value();
}

Task<Status> Tailer::Consume(RedoRead read, bool dead) {
  if (read.payload.empty()) {
    co_return Status::Ok();
  }
  REDOUBT_CHECK(read.start == assembler_.fed_lsn());
  pending_.insert(pending_.end(), read.payload.begin(), read.payload.end());
  scan_.BeginBatch();
  const Status parsed = assembler_.Feed(
      read.payload, [this](const innodb::MtrView& mtr) { return scan_.Take(mtr, &barriers_); });
  if (!parsed.ok()) {
    co_return parsed;
  }
  for (size_t i = 0; i < barriers_.size(); ++i) {
    Barrier barrier = barriers_[i];
    Status status = co_await SendUpTo(barrier.mtr.start, dead);
    if (status.ok()) {
      status = co_await unlogged_.Handle(std::move(barrier), HoleFloor());
    }
    if (!status.ok()) {
      co_return status;
    }
  }
  barriers_.clear();
  const Status sent = co_await SendUpTo(assembler_.end_lsn(), dead);
  if (!sent.ok()) {
    co_return sent;
  }
  pending_.erase(pending_.begin(), pending_.begin() + static_cast<ptrdiff_t>(pending_sent_));
  pending_sent_ = 0;
  REDOUBT_CHECK(pending_.size() == assembler_.tail_bytes());
  if (pending_.size() > kPendingMax) {
    co_return Unsupported("an mtr of more than " + std::to_string(kPendingMax) +
                          " bytes begins at LSN " + Text(assembler_.end_lsn()));
  }
  co_return Status::Ok();
}

Task<Status> Tailer::SendUpTo(Lsn end, bool dead) {
  const Lsn start = sink_->next_lsn();
  REDOUBT_CHECK(start <= end);
  const size_t length = innodb::PayloadBytes({start, end});
  if (length == 0) {
    co_return Status::Ok();
  }
  REDOUBT_CHECK(pending_sent_ + length <= pending_.size());
  const auto from = pending_.begin() + static_cast<ptrdiff_t>(pending_sent_);
  RedoAppend chunk;
  chunk.range = {start, end};
  chunk.first_mtr_lsn = start;  // chunks begin and end between mtrs
  chunk.source_time_unix_ns = dead ? runtime_->wall_clock->NowUnixNs() : watch_.TimeOf(end);
  chunk.payload = std::make_shared<const Bytes>(from, from + static_cast<ptrdiff_t>(length));
  const Status status = co_await sink_->Append(std::move(chunk));
  if (status.ok()) {
    pending_sent_ += length;
    bytes_sent_ += length;
    REDOUBT_CHECK(sink_->next_lsn() == end);
  }
  co_return status;
}

}  // namespace redoubt::tail
