// SPDX-License-Identifier: MIT
#include "sim/cluster/compute_start.h"

#include <algorithm>
#include <string>
#include <utility>
#include <vector>

#include "client/boot_bundle.h"
#include "client/dummy_redo.h"
#include "common/innodb/log_block.h"

namespace redoubt::sim {
namespace {

constexpr Duration kBundleDeadline = std::chrono::seconds(5);
constexpr Duration kRetry = std::chrono::milliseconds(50);

// The last one that stood before this one began.
Epoch PreviousEpoch(const LogPosition& position) {
  Epoch previous;
  for (const EpochStart& entry : position.epochs) {
    previous = entry.epoch < position.epoch ? std::max(previous, entry.epoch) : previous;
  }
  return previous;
}

std::string Text(Lsn lsn) { return std::to_string(lsn.value()); }

}  // namespace

TimePoint ComputeStart::Deadline() const { return runtime_->scheduler->Now() + kBundleDeadline; }

Task<Status> ComputeStart::Append(LogBuffer* redo) {
  while (redo->bytes() > 0) {
    LogChunk chunk = redo->Take(context_->settings.compute.chunk_bytes_max);
    const Status status = co_await log_->Append(std::move(chunk));
    if (!status.ok()) {
      co_return status;
    }
  }
  co_return Status::Ok();
}

Task<Status> ComputeStart::SendOwnRedo(LogPosition position, LocalDatabase* own) {
  own->Die();
  const Lsn there = std::max(position.end, context_->timeline.begin());
  // Whoever had it in between may have shown what is there without this machine's last redo.
  const bool replaced = PreviousEpoch(position) > own->epoch();
  if (own->end() < there || replaced) {
    runtime_->log->Info(
        "own files end at LSN " + Text(own->end()) + ", " +
        (replaced ? "another server has had the volume since" : "they are older than the volume") +
        ": restored as of LSN " + Text(there));
    own->Restore(there);
  }
  own->TakeEpoch(position.epoch);
  LogBuffer redo(there);
  for (const LocalDatabase::Mtr& mtr : own->Above(there)) {
    std::vector<Timeline::ChangedPage> changed;
    for (const auto& [page, image] : mtr.pages) {
      changed.push_back({page, image});
    }
    context_->timeline.Produced(position.epoch, mtr.end, mtr.redo, changed, mtr.facts);
    redo.Add(mtr.redo);
  }
  if (redo.bytes() > 0) {
    runtime_->log->Info("sends its own redo from LSN " + Text(there) + " to " + Text(own->end()));
  }
  const Status sent = co_await Append(&redo);
  if (!sent.ok()) {
    co_return sent;
  }
  // Nobody is to see what a takeover may still cut off.
  const Status durable = co_await log_->WaitAcknowledged(own->end());
  co_return durable;
}

Task<Status> ComputeStart::AfterTrouble(const Status& trouble, const char* what, Lsn lsn) {
  if (!writer_->failure().ok()) {
    co_return writer_->failure();
  }
  const bool again = IsReadTrouble(context_, trouble);
  if (!again && trouble.code() != StatusCode::kCancelled) {
    context_->findings.ReportLoss("C2", std::string(what) + " at LSN " + Text(lsn) +
                                            " cannot be read: " + trouble.ToString());
  }
  if (!again) {
    co_return trouble;
  }
  ++context_->reads_failed;
  co_await runtime_->scheduler->Sleep(kRetry);
  co_return Status::Ok();
}

template <typename Answer>
Task<Result<Answer>> ComputeStart::ReadBundle(Task<Result<Answer>> (*read)(Runtime*, PageClient*,
                                                                           Lsn, TimePoint),
                                              const char* what, Lsn lsn) {
  Result<Answer> answer = co_await read(runtime_, pages_, lsn, Deadline());
  while (!answer.ok()) {
    const Status again = co_await AfterTrouble(answer.status(), what, lsn);
    if (!again.ok()) {
      co_return again;
    }
    answer = co_await read(runtime_, pages_, lsn, Deadline());
  }
  co_return answer;
}

Status ComputeStart::CheckNewest(Epoch epoch, Lsn lsn) const {
  return context_->timeline.Superseded(epoch, lsn)
             ? Status(StatusCode::kStaleEpoch, "a newer writer began below " + Text(lsn))
             : Status::Ok();
}

Task<Status> ComputeStart::FillDirectory(Epoch epoch, Lsn* begin) {
  const Lsn next_block = innodb::NextBlockData(*begin);
  LogBuffer gap(*begin);
  for (const uint8_t dummy : DummyRedo({*begin, next_block})) {
    const ByteView mtr(&dummy, 1);
    const Lsn end = gap.Add(mtr);
    context_->timeline.Produced(epoch, end, mtr, {});
  }
  *begin = next_block;
  const Status appended = co_await Append(&gap);
  if (!appended.ok()) {
    co_return appended;
  }
  const Result<SpaceBundle> spaces = co_await ReadBundle(&ReadSpaces, "the boot bundle", *begin);
  if (!spaces.ok()) {
    co_return spaces.status();
  }
  const Status newest = CheckNewest(epoch, *begin);
  if (!newest.ok()) {
    co_return newest;
  }
  Tablespaces::Listed listed;
  for (size_t i = 0; i < spaces->first_pages.size(); ++i) {
    const proto::SpaceInfo& space = spaces->list.spaces(static_cast<int>(i));
    listed[SpaceId(space.space())] = {space.path(), space.page_count(), space.flags(),
                                      Lsn(space.created_lsn())};
    const Result<FetchedPage>& first = spaces->first_pages[i];
    PageAnswer answer;
    answer.page = {SpaceId(space.space()), PageNo(0)};
    answer.read_lsn = *begin;
    answer.status = first.status();
    if (first.ok()) {
      answer.page_lsn = first->page_lsn;
      answer.image = first->image;
    }
    context_->content.Check(answer);
  }
  if (context_->settings.catalogue_every > 0) {
    context_->tablespaces.CheckList(*begin, listed);
  }
  const Result<WithPayload<proto::SideFileListResponse>> files =
      co_await ReadBundle(&ReadSideFiles, "the side files", *begin);
  if (!files.ok()) {
    co_return files.status();
  }
  runtime_->log->Info("starts without files of its own at LSN " + Text(*begin) + ", with " +
                      std::to_string(listed.size()) + " tablespaces");
  co_return Status::Ok();
}

Task<Status> ComputeStart::ReadCounters(Epoch epoch, Lsn begin) {
  const Result<WithPayload<proto::DynamicMetaResponse>> counters =
      co_await ReadBundle(&ReadDynamicMeta, "dynamic metadata", begin);
  if (!counters.ok()) {
    co_return counters.status();
  }
  const Status newest = CheckNewest(epoch, begin);
  if (newest.ok()) {
    context_->counters.Check(begin, counters->payload, counters->message.table_count());
  }
  co_return newest;
}

}  // namespace redoubt::sim
