// SPDX-License-Identifier: MIT
#include "pageserver/log/log_volume.h"

#include <algorithm>
#include <utility>

#include "common/base/check.h"
#include "common/base/crc32c.h"
#include "common/innodb/log_block.h"
#include "common/runtime/fault_point.h"

namespace redoubt {
namespace {

std::string Text(Lsn lsn) { return std::to_string(lsn.value()); }
std::string Text(Epoch epoch) { return std::to_string(epoch.value()); }

}  // namespace

struct LogVolume::Ticket {
  explicit Ticket(Scheduler* scheduler) : finished(scheduler) {}
  RedoChunk chunk;
  // The bytes lie below the end already: compare instead of write.
  bool is_retry = false;
  bool done = false;
  Status status;
  Condition finished;
};

LogVolume::LogVolume(Runtime* runtime, LogVolumeOptions options)
    : runtime_(runtime),
      options_(std::move(options)),
      store_(runtime, options_.store),
      fence_(runtime, options_.store.directory, options_.store.volume_uid),
      readers_(runtime, options_.store.directory, options_.store.volume_uid),
      tail_(options_.tail_bytes_max),
      commit_(runtime->scheduler),
      work_(runtime->scheduler),
      idle_(runtime->scheduler),
      order_(runtime->scheduler, 1),
      layout_(runtime->scheduler, 1),
      reading_(runtime->scheduler, 1),
      tasks_(runtime->scheduler) {}

LogVolume::~LogVolume() = default;

Task<Status> LogVolume::Start() {
  const Status opened = co_await store_.Open();
  if (!opened.ok()) {
    co_return opened;
  }
  const Status fenced = co_await fence_.Open();
  if (!fenced.ok()) {
    co_return fenced;
  }
  if (store_.recovered_epoch() > fence_.begun()) {
    co_return Corruption("the log in " + options_.store.directory + " holds redo of epoch " +
                         Text(store_.recovered_epoch()) + ", yet the epoch file knows only epoch " +
                         Text(fence_.begun()) + ": the file was lost");
  }
  const Status named = co_await readers_.Open();
  if (!named.ok()) {
    co_return named;
  }
  accepted_end_ = store_.end();
  tail_.Reset(store_.end());
  // What was trimmed was committed. What page roles elsewhere have persisted was, too, but perhaps
  // not as it lies here: this log may end with bytes that the others never had.
  told_commit_ = REDOUBT_PLANTED(runtime_, restart_commits_all)
                     ? store_.end()
                     : std::max(store_.recovered_commit(), store_.readable_from());
  if (fence_.member_count() == 1) {
    told_commit_ = std::max(told_commit_, store_.declared_start());
  }
  AdvanceCommit();
  tasks_.Spawn(FlushLoop());
  tasks_.Spawn(TrimLoop());
  co_return Status::Ok();
}

Task<void> LogVolume::Stop() {
  stopping_ = true;
  tasks_.Stop();
  work_.NotifyAll();
  commit_.CancelWaits();
  co_await tasks_.Join();
  // A cut or a start at another LSN that is under way ends first; no other one begins.
  co_await order_.Acquire(1);
  const Status sealed = co_await store_.Seal(commit_.value());
  if (!sealed.ok()) {
    runtime_->log->Warning("no clean end of the redo log: " + sealed.ToString());
  }
  order_.Release(1);
}

Status LogVolume::CheckPromise(Epoch epoch) const {
  if (stopping_) {
    return Unavailable("the server is stopping");
  }
  const Epoch fence = std::max(fence_.promised(), fencing_);
  if (epoch < fence) {
    return {StatusCode::kStaleEpoch,
            "epoch " + Text(epoch) + " is over, this server has promised epoch " + Text(fence)};
  }
  if (epoch > fence_.promised() || epoch == Epoch{}) {
    return InvalidArgument("epoch " + Text(epoch) + " was never prepared at this server");
  }
  return Status::Ok();
}

Status LogVolume::CheckEpoch(Epoch epoch) const {
  if (REDOUBT_PLANTED(runtime_, skip_epoch_check)) {
    return store_.stopped();
  }
  REDOUBT_RETURN_IF_ERROR(CheckPromise(epoch));
  if (starting_) {
    return Unavailable("the log is being started at another LSN");
  }
  if (epoch != fence_.begun()) {
    return InvalidArgument("epoch " + Text(epoch) +
                           " was not begun here: LOG_EPOCH_START comes after LOG_PREPARE");
  }
  return store_.stopped();
}

std::string LogVolume::Name() const {
  return "volume " + std::to_string(options_.store.volume.value());
}

Task<Status> LogVolume::WaitIdle() {
  while (flushing_ || !pending_.empty()) {
    co_await idle_.Wait();
  }
  co_return store_.stopped();
}

Task<Result<PreparedEpoch>> LogVolume::Prepare(Epoch epoch) {
  co_await order_.Acquire(1);
  const Epoch wanted = epoch == Epoch{} ? Epoch(fence_.promised().value() + 1) : epoch;
  const bool again = REDOUBT_PLANTED(runtime_, same_epoch_twice) && wanted == fence_.promised();
  Status status;
  if (stopping_) {
    status = Unavailable("the server is stopping");
  } else if (wanted <= fence_.promised() && !again) {
    status = Status(StatusCode::kStaleEpoch, "epoch " + std::to_string(wanted.value()) +
                                                 " is not above the promised epoch " +
                                                 std::to_string(fence_.promised().value()));
  } else {
    // From here on the old writer is refused. What was accepted of it still counts and lies below
    // the end that is answered.
    fencing_ = wanted;
    status = co_await WaitIdle();
  }
  if (status.ok() && !again) {
    status = co_await fence_.Promise(wanted);
  }
  order_.Release(1);
  if (!status.ok()) {
    co_return status;
  }
  runtime_->log->Info(Name() + ": epoch " + Text(wanted) + " promised, the log ends at LSN " +
                      Text(store_.end()));
  PreparedEpoch prepared;
  prepared.epoch = wanted;
  prepared.end = store_.end();
  prepared.begin = store_.readable_from();
  prepared.commit = commit_.value();
  prepared.last_mtr = store_.last_mtr_lsn();
  prepared.history = fence_.history();
  co_return prepared;
}

Status LogVolume::CheckBegin(const EpochStartIn& begin) const {
  REDOUBT_RETURN_IF_ERROR(CheckPromise(begin.epoch));
  const EpochBegin last{begin.epoch, begin.start};
  if (begin.history.empty() || begin.history.back() != last) {
    return InvalidArgument("the history of epoch " + Text(begin.epoch) +
                           " does not end with its start at LSN " + Text(begin.start));
  }
  if (begin.history.size() > kEpochHistoryMax + 1) {
    return InvalidArgument("the history of epoch " + Text(begin.epoch) + " has " +
                           std::to_string(begin.history.size()) + " entries, at most " +
                           std::to_string(kEpochHistoryMax) + " are kept");
  }
  if (begin.member_count != 1 && begin.member_count != 3 && begin.member_count != 5) {
    return InvalidArgument("a volume has 1, 3 or 5 log servers, not " +
                           std::to_string(begin.member_count));
  }
  REDOUBT_RETURN_IF_ERROR(CheckHistory(begin.history));
  const bool begun = fence_.begun() == begin.epoch;
  if (begun && (fence_.history().back() != last || fence_.member_count() != begin.member_count)) {
    return InvalidArgument("epoch " + Text(begin.epoch) + " was begun here at LSN " +
                           Text(fence_.history().back().start) + " with " +
                           std::to_string(fence_.member_count()) + " log servers already");
  }
  return store_.stopped();
}

Task<Result<Lsn>> LogVolume::BeginEpoch(EpochStartIn begin) {
  co_await order_.Acquire(1);
  Status status = CheckBegin(begin);
  if (status.ok() && fence_.begun() != begin.epoch) {
    status = co_await WaitIdle();
    if (status.ok()) {
      starting_ = true;
      status = co_await DoBeginEpoch(&begin);
      starting_ = false;
      work_.NotifyAll();
    }
  }
  order_.Release(1);
  if (!status.ok()) {
    co_return status;
  }
  co_return store_.end();
}

// Cuts first, so that a crash in between leaves a shorter log under the former history: as if the
// replica had never had the rest.
Task<Status> LogVolume::DoBeginEpoch(EpochStartIn* begin) {
  runtime_->log->Info(Name() + ": epoch " + Text(begin->epoch) + " begins at LSN " +
                      Text(begin->start));
  const Result<std::optional<Lsn>> agreed =
      AgreedEnd(fence_.history(), store_.end(), begin->history);
  if (!agreed.ok()) {
    co_return agreed.status();
  }
  // A log that could not begin anew (StartAt) may have let go of what was committed here.
  const Lsn committed = std::min(commit_.value(), store_.end());
  // What is committed belongs to every later log, also when both sides have forgotten why.
  const Lsn keep = REDOUBT_PLANTED(runtime_, cut_ignores_history)
                       ? begin->start
                       : std::min(agreed->value_or(committed), begin->start);
  if (keep < committed) {
    co_return Corruption("epoch " + Text(begin->epoch) + " starts at LSN " + Text(begin->start) +
                         " and shares this log only up to LSN " + Text(keep) +
                         ", yet everything up to LSN " + Text(commit_.value()) +
                         " is committed here: committed redo would be lost");
  }
  const Status cut = co_await CutBackTo(keep);
  if (!cut.ok()) {
    co_return cut;
  }
  const Status begun = co_await fence_.Begin(std::move(begin->history), begin->member_count);
  if (begun.ok()) {
    // The former writer may have told of bytes that never came here.
    told_commit_ = commit_.value();
    keep_from_.reset();  // the new writer will say
    pages_want_.reset();
    AdvanceCommit();
  }
  co_return begun;
}

Task<Status> LogVolume::CutBackTo(Lsn keep) {
  if (REDOUBT_PLANTED(runtime_, no_tail_truncation)) {
    co_return Status::Ok();
  }
  const bool cuts = keep < store_.end();
  if (cuts) {
    runtime_->log->Info("redo log in " + options_.store.directory + ": what lies behind LSN " +
                        Text(keep) + " up to LSN " + Text(store_.end()) +
                        " was never committed and is cut off");
  }
  co_await layout_.Acquire(1);
  cut_count_ += cuts ? 1 : 0;
  // Also when nothing is to be cut: a refused append must not come back with a power cut, as redo
  // of the new epoch.
  const Status cut = co_await store_.TruncateTo(keep);
  layout_.Release(1);
  if (!cuts) {
    co_return cut;
  }
  if (!REDOUBT_PLANTED(runtime_, tail_survives_cut)) {
    tail_.Reset(store_.end());
  }
  accepted_end_ = store_.end();
  REDOUBT_CHECK(!cut.ok() || store_.end() <= keep);
  REDOUBT_CHECK(store_.end() >= std::min(commit_.value(), keep));
  co_return cut;
}

void LogVolume::AdvanceCommit() {
  const Lsn end = store_.end();
  const Lsn reached = std::min(told_commit_, end);
  if (reached > commit_.value()) {
    commit_.Advance(reached);
    work_.NotifyAll();
  }
}

void LogVolume::Take(const WriterTold& told) {
  told_commit_ = std::max(told_commit_, told.commit);
  if (keep_from_ != told.keep_from || pages_want_ != told.pages_want) {
    keep_from_ = told.keep_from;
    pages_want_ = told.pages_want;
    work_.NotifyAll();
  }
  AdvanceCommit();
}

// What is committed is given to page roles up to there, so it must be a place in the redo.
Status LogVolume::CheckTold(const WriterTold& told) {
  for (const Lsn lsn : {told.commit, told.mtr_end}) {
    if (lsn != Lsn{} && !innodb::IsDataLsn(lsn)) {
      return InvalidArgument("mtrs cannot end at " + Text(lsn) + ", it is no data LSN");
    }
  }
  return Status::Ok();
}

Status LogVolume::Commit(Epoch epoch, WriterTold told) {
  REDOUBT_RETURN_IF_ERROR(CheckEpoch(epoch));
  REDOUBT_RETURN_IF_ERROR(CheckTold(told));
  Take(told);
  return Status::Ok();
}

void LogVolume::NoteCommitted(Lsn lsn) {
  told_commit_ = std::max(told_commit_, lsn);
  AdvanceCommit();
}

Status LogVolume::CheckAppend(const RedoChunk& chunk, const WriterTold& told) const {
  REDOUBT_RETURN_IF_ERROR(CheckEpoch(chunk.epoch));
  const LsnRange range = chunk.range;
  if (!innodb::IsDataLsn(range.start) || !innodb::IsDataLsn(range.end) || range.empty()) {
    return InvalidArgument("[" + Text(range.start) + ", " + Text(range.end) +
                           ") is no range of data LSNs");
  }
  if (chunk.payload->size() != innodb::PayloadBytes(range)) {
    return InvalidArgument("append at " + Text(range.start) + " carries " +
                           std::to_string(chunk.payload->size()) + " bytes, its LSNs span " +
                           std::to_string(innodb::PayloadBytes(range)));
  }
  if (chunk.first_mtr_lsn != Lsn{} &&
      (!innodb::IsDataLsn(chunk.first_mtr_lsn) || !range.Contains(chunk.first_mtr_lsn))) {
    return InvalidArgument("first mtr at " + Text(chunk.first_mtr_lsn) + " lies outside of [" +
                           Text(range.start) + ", " + Text(range.end) + ")");
  }
  REDOUBT_RETURN_IF_ERROR(CheckTold(told));
  if (told.mtr_end > range.end) {
    return InvalidArgument("an mtr is said to end at " + Text(told.mtr_end) + ", beyond [" +
                           Text(range.start) + ", " + Text(range.end) + ")");
  }
  if (Crc32c(*chunk.payload) != chunk.payload_crc32c) {
    return Corruption("append at " + Text(range.start) +
                      ": the payload does not have the checksum that its sender computed");
  }
  if (range.start > accepted_end_ || store_.empty()) {
    return {StatusCode::kGap, store_.empty() ? "the log has not begun: StartAt comes first"
                                             : "append starts at " + Text(range.start) +
                                                   ", the log ends at " + Text(accepted_end_)};
  }
  return Status::Ok();
}

std::shared_ptr<LogVolume::Ticket> LogVolume::BeginAppend(RedoChunk chunk, WriterTold told) {
  REDOUBT_CHECK(chunk.payload != nullptr);
  auto ticket = std::make_shared<Ticket>(runtime_->scheduler);
  ++append_count_;
  ticket->status = CheckAppend(chunk, told);
  ticket->done = !ticket->status.ok();
  ticket->chunk = std::move(chunk);
  if (ticket->done) {
    return ticket;
  }
  Take(told);
  if (ticket->chunk.range.start < accepted_end_) {
    ticket->is_retry = true;
    return ticket;
  }
  ticket->chunk.commit_when_durable = fence_.member_count() == 1 ? told.mtr_end : Lsn{};
  accepted_end_ = ticket->chunk.range.end;
  pending_.push_back(ticket);
  work_.NotifyAll();
  return ticket;
}

Task<AppendOutcome> LogVolume::FinishAppend(std::shared_ptr<Ticket> ticket) {
  if (ticket->is_retry) {
    // What it repeats may still be on its way to the disk.
    if (!REDOUBT_PLANTED(runtime_, retry_answered_early)) {
      ticket->status = co_await WaitIdle();
    }
    if (ticket->status.ok() && !REDOUBT_PLANTED(runtime_, retry_answered_early)) {
      ticket->status = co_await CompareWithStored(&ticket->chunk);
    }
    ticket->done = true;
  }
  while (!ticket->done) {
    co_await ticket->finished.Wait();
  }
  AppendOutcome outcome;
  outcome.status = ticket->status;
  outcome.end = store_.end();
  outcome.commit = commit_.value();
  co_return outcome;
}

// The chunk starts below the end. OK: it lies wholly below and its bytes are the stored ones.
Task<Status> LogVolume::CompareWithStored(const RedoChunk* chunk) {
  const LsnRange range = chunk->range;
  const Status gap(StatusCode::kGap, "append starts at " + Text(range.start) +
                                         ", the log ends at " + Text(store_.end()));
  const RedoChunk* same = tail_.Find(range);
  if (same != nullptr && *same->payload == *chunk->payload) {
    co_return Status::Ok();
  }
  if (range.start < store_.begin() || range.start >= store_.end()) {
    co_return gap;
  }
  Result<std::vector<RedoChunk>> stored =
      co_await store_.Read(range.start, innodb::PayloadBytes(range), store_.end());
  if (!stored.ok()) {
    co_return stored.status();
  }
  const uint64_t base = innodb::ToSn(range.start).value();
  Lsn compared = range.start;
  for (const RedoChunk& old : *stored) {
    if (old.range.start > compared) {
      co_return gap;  // a hole: nothing to compare with
    }
    const Lsn until = std::min(old.range.end, range.end);
    const uint64_t from_sn = innodb::ToSn(compared).value();
    const size_t length = innodb::ToSn(until).value() - from_sn;
    const auto old_begin = old.payload->begin() +
                           static_cast<ptrdiff_t>(from_sn - innodb::ToSn(old.range.start).value());
    const auto new_begin = chunk->payload->begin() + static_cast<ptrdiff_t>(from_sn - base);
    if (!std::equal(new_begin, new_begin + static_cast<ptrdiff_t>(length), old_begin)) {
      co_return Corruption("append of [" + Text(range.start) + ", " + Text(range.end) +
                           ") repeats LSNs that the log holds with other bytes");
    }
    compared = until;
    if (compared == range.end) {
      co_return Status::Ok();
    }
  }
  co_return gap;
}

Task<void> LogVolume::FlushLoop() {
  TimePoint idle_since = runtime_->scheduler->Now();
  while (!stopping_ || !pending_.empty()) {
    if (!pending_.empty()) {
      co_await FlushBatch();
      idle_since = runtime_->scheduler->Now();
      continue;
    }
    idle_.NotifyAll();
    if (starting_ || store_.sealed(commit_.value())) {
      co_await work_.Wait();
      continue;
    }
    const TimePoint seal_at = idle_since + options_.seal_after;
    if (runtime_->scheduler->Now() < seal_at) {
      co_await work_.Wait(seal_at);
      continue;
    }
    flushing_ = true;
    const bool too_far = REDOUBT_PLANTED(runtime_, seal_commits_end);
    const Lsn seal_commit = too_far ? store_.end() : commit_.value();
    const Status sealed = co_await store_.Seal(seal_commit);
    flushing_ = false;
    idle_since = runtime_->scheduler->Now();
    if (!sealed.ok()) {
      runtime_->log->Warning("the end of the redo log is not marked: " + sealed.ToString());
    }
  }
  idle_.NotifyAll();
}

// Writes what waits, up to the bound of a batch, with one sync, and answers for it.
Task<void> LogVolume::FlushBatch() {
  flushing_ = true;
  std::vector<std::shared_ptr<Ticket>> batch;
  std::vector<RedoChunk> chunks;
  size_t bytes = 0;
  while (!pending_.empty() && bytes < options_.batch_bytes_max) {
    bytes += pending_.front()->chunk.payload->size();
    chunks.push_back(pending_.front()->chunk);
    batch.push_back(std::move(pending_.front()));
    pending_.pop_front();
  }
  const Status status = co_await store_.Append(&chunks, commit_.value());
  flushing_ = false;
  if (status.ok()) {
    for (RedoChunk& chunk : chunks) {
      told_commit_ = std::max(told_commit_, chunk.commit_when_durable);
      tail_.Push(std::move(chunk));
    }
    AdvanceCommit();
  } else {
    // What follows in the order has lost its predecessor.
    runtime_->log->Error("redo was not accepted: " + status.ToString());
    std::move(pending_.begin(), pending_.end(), std::back_inserter(batch));
    pending_.clear();
    accepted_end_ = store_.end();
  }
  for (const std::shared_ptr<Ticket>& ticket : batch) {
    ticket->status = status;
    ticket->done = true;
    ticket->chunk.payload = nullptr;
    ticket->finished.NotifyAll();
  }
}

Task<Status> LogVolume::StartAt(Epoch epoch, Lsn start, std::string reason, bool trimmed) {
  co_await order_.Acquire(1);
  Status status = CheckEpoch(epoch);
  if (status.ok()) {
    status = co_await WaitIdle();
  }
  // The epoch may have changed hands only through Prepare, which waits for order_.
  if (status.ok() && (!innodb::IsDataLsn(start) || start < store_.end())) {
    status = InvalidArgument("the log cannot start at " + Text(start) + ", it ends at " +
                             Text(store_.end()));
  }
  if (status.ok()) {
    starting_ = true;
    const bool had_begun = !store_.empty();
    const bool anew = had_begun && trimmed && start > store_.end();
    if (anew) {
      runtime_->log->Warning("redo log in " + options_.store.directory + " ends at LSN " +
                             Text(store_.end()) +
                             ", and the other log servers have trimmed up to "
                             "LSN " +
                             Text(start) + ": it begins anew there");
    }
    co_await layout_.Acquire(1);
    cut_count_ += anew ? 1 : 0;
    status = co_await store_.StartAt(start, std::move(reason), trimmed);
    layout_.Release(1);
    starting_ = false;
    if (!status.ok()) {
      accepted_end_ = store_.end();
      tail_.Reset(store_.end());
    }
    if (status.ok()) {
      if (!had_begun || anew) {
        tail_.Reset(anew ? start : Lsn{});
      }
      REDOUBT_CHECK(accepted_end_ <= store_.end());
      accepted_end_ = store_.end();
      // A majority has what the only log server has.
      if (trimmed || fence_.member_count() == 1) {
        told_commit_ = std::max(told_commit_, start);
      }
      AdvanceCommit();
    }
  }
  order_.Release(1);
  co_return status;
}

LogVolumeStatus LogVolume::status() const {
  LogVolumeStatus status;
  status.begin = store_.begin();
  status.keep_from = keep_from_.value_or(Lsn{});
  status.pages_want = pages_want_.value_or(Lsn{});
  status.readable_from = store_.readable_from();
  status.end = store_.end();
  status.commit = commit_.value();
  status.epoch = fence_.promised();
  status.stopped = store_.stopped();
  status.sync_count = store_.sync_count();
  status.append_count = append_count_;
  return status;
}

}  // namespace redoubt
