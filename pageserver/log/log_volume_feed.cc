// SPDX-License-Identifier: MIT
//
// LogVolume: reading and trimming.
#include <algorithm>
#include <utility>

#include "common/base/check.h"
#include "common/runtime/fault_point.h"
#include "pageserver/log/log_volume.h"

namespace redoubt {
namespace {

Status Trimmed(Lsn from, Lsn readable_from) {
  return {StatusCode::kBelowHorizon, "redo from " + std::to_string(from.value()) +
                                         " was trimmed, the log begins at " +
                                         std::to_string(readable_from.value())};
}

}  // namespace

Task<Result<std::vector<RedoChunk>>> LogVolume::ReadUpTo(Lsn from, size_t bytes_max, Lsn up_to) {
  if (from >= tail_.from()) {
    co_return tail_.Read(from, bytes_max, up_to);
  }
  Result<std::vector<RedoChunk>> stored = co_await store_.Read(from, bytes_max, up_to);
  co_return stored;
}

Task<Result<FeedBatch>> LogVolume::Read(Lsn from, size_t bytes_max, TimePoint deadline) {
  FeedBatch batch;
  while (!stopping_) {
    batch.commit_lsn =
        REDOUBT_PLANTED(runtime_, apply_above_commit) ? store_.end() : commit_.value();
    if (from < store_.readable_from()) {
      co_return Trimmed(from, store_.readable_from());
    }
    const uint64_t cut_count = cut_count_;
    const Lsn up_to =
        REDOUBT_PLANTED(runtime_, feed_beyond_commit) ? store_.end() : batch.commit_lsn;
    Result<std::vector<RedoChunk>> chunks = co_await ReadUpTo(from, bytes_max, up_to);
    if (cut_count != cut_count_) {
      continue;  // a file may have changed under the read
    }
    if (!chunks.ok()) {
      co_return chunks.status();
    }
    if (!chunks->empty()) {
      REDOUBT_CHECK(chunks->back().range.end <= batch.commit_lsn);  // the next writer may cut it
      batch.chunks = std::move(*chunks);
      co_return batch;
    }
    const Lsn begin = store_.declared_begin();
    if (from < begin && begin <= batch.commit_lsn) {
      batch.begins_at = begin;
      co_return batch;
    }
    const Lsn next = std::max(from, batch.commit_lsn);
    const bool reached = co_await commit_.WaitFor(Lsn(next.value() + 1), deadline);
    if (!reached && !stopping_) {
      batch.commit_lsn = commit_.value();
      co_return batch;
    }
  }
  co_return Cancelled("the server is stopping");
}

Task<Result<FeedBatch>> LogVolume::ReadForWriter(Epoch epoch, Lsn from, size_t bytes_max) {
  const Status promised = CheckPromise(epoch);
  if (!promised.ok()) {
    co_return promised;
  }
  if (from < store_.readable_from()) {
    co_return Trimmed(from, store_.readable_from());
  }
  const uint64_t cut_count = cut_count_;
  Result<std::vector<RedoChunk>> chunks = co_await ReadUpTo(from, bytes_max, store_.end());
  const Status still_promised = CheckPromise(epoch);
  if (!still_promised.ok()) {
    co_return still_promised;
  }
  if (starting_ || cut_count != cut_count_) {
    co_return Unavailable("the log is being started at another LSN");
  }
  if (!chunks.ok()) {
    co_return chunks.status();
  }
  FeedBatch batch;
  batch.commit_lsn = commit_.value();
  batch.chunks = std::move(*chunks);
  co_return batch;
}

Task<Status> LogVolume::NoteReader(std::string name, Lsn persisted) {
  co_await reading_.Acquire(1);
  const Status noted = co_await readers_.Note(std::move(name), persisted);
  reading_.Release(1);
  work_.NotifyAll();
  co_return noted;
}

Task<Status> LogVolume::AddReaders(Epoch epoch, std::map<std::string, Lsn> readers) {
  Status status = CheckEpoch(epoch);
  co_await reading_.Acquire(1);
  for (const auto& [name, persisted] : readers) {
    if (status.ok() && !readers_.readers().contains(name)) {
      std::string added = name;
      status = co_await readers_.Note(std::move(added), persisted);
    }
  }
  reading_.Release(1);
  work_.NotifyAll();
  co_return status;
}

Task<Status> LogVolume::ForgetReader(std::string name) {
  co_await reading_.Acquire(1);
  const Status forgotten = co_await readers_.Forget(std::move(name));
  reading_.Release(1);
  work_.NotifyAll();
  co_return forgotten;
}

std::optional<EpochBegin> LogVolume::WrittenUnder(Lsn lsn) const {
  return redoubt::WrittenUnder(fence_.history(), lsn);
}

void LogVolume::Persisted(Lsn lsn) {
  local_persisted_ = std::max(local_persisted_, lsn);
  tail_.DropBelow(lsn);
  NoteCommitted(lsn);
  work_.NotifyAll();
}

Lsn LogVolume::PagesWant() const {
  const Lsn wanted = readers_.readers().empty() ? kMaxLsn : readers_.lowest();
  return std::max(options_.has_page_role ? std::min(wanted, local_persisted_) : wanted, Lsn(1));
}

// With none known here everything is kept: the first one may still come. Of those that are known
// elsewhere only the writer hears; before it has said something in this epoch, or since the start,
// everything is kept, too.
Lsn LogVolume::PagesTarget() const {
  if (REDOUBT_PLANTED(runtime_, trim_ignores_readers)) {
    return options_.has_page_role ? std::min(commit_.value(), local_persisted_) : commit_.value();
  }
  const Lsn here = PagesWant();
  if (here == kMaxLsn) {
    return Lsn{};
  }
  const bool asks_writer = fence_.member_count() > 1 && pages_want_ != Lsn{};
  const Lsn anywhere = asks_writer ? std::min(here, pages_want_.value_or(Lsn{})) : here;
  return std::min(commit_.value(), anywhere);
}

Lsn LogVolume::LaggingTarget() const {
  if (fence_.member_count() <= 1 || keep_from_ == Lsn{} ||
      REDOUBT_PLANTED(runtime_, trim_ignores_members)) {
    return kMaxLsn;
  }
  const Lsn wanted = keep_from_.value_or(Lsn{});
  const uint64_t commit = commit_.value().value();
  const uint64_t bound = commit > options_.lag_bytes_max ? commit - options_.lag_bytes_max : 0;
  return std::max(wanted, Lsn(bound));
}

// A log server that is away for good must not fill the disks of the others.
void LogVolume::WarnOfLag() {
  const bool beyond = keep_from_.has_value() && keep_from_ != Lsn{} &&
                      *keep_from_ < std::min(PagesTarget(), LaggingTarget());
  if (beyond && !lag_warned_) {
    runtime_->log->Warning("redo log in " + options_.store.directory +
                           ": a log server of the volume wants redo from " + "LSN " +
                           std::to_string(keep_from_->value()) + " on, more than " +
                           std::to_string(options_.lag_bytes_max) +
                           " bytes behind; it is not kept any longer, and " +
                           "that log server will begin anew at what is kept. Is it gone for good?");
  }
  lag_warned_ = beyond;
}

Task<void> LogVolume::TrimLoop() {
  Lsn trimmed;
  while (!stopping_) {
    const Lsn target = TrimTarget();
    if (trimmed >= target) {
      co_await work_.Wait();
      continue;
    }
    WarnOfLag();
    co_await reading_.Acquire(1);
    const Status saved = co_await readers_.Save();
    reading_.Release(1);
    co_await layout_.Acquire(1);
    Status status = saved;
    if (status.ok()) {
      // A reader may have come, or gone back, meanwhile.
      status = co_await store_.TrimBelow(std::min(target, TrimTarget()));
    }
    layout_.Release(1);
    if (!status.ok()) {
      runtime_->log->Warning("old redo is not removed: " + status.ToString());
    }
    trimmed = target;
  }
}

}  // namespace redoubt
