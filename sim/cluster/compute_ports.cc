// SPDX-License-Identifier: MIT
#include "sim/cluster/compute_ports.h"

#include <algorithm>
#include <string>
#include <utility>

#include "common/runtime/fault_point.h"

namespace redoubt::sim {
namespace {

constexpr Duration kReadDeadline = std::chrono::seconds(5);
constexpr Duration kRetry = std::chrono::milliseconds(50);
constexpr Duration kAppendDeadline = std::chrono::seconds(5);
// As innodb-patch.
constexpr size_t kBatchesMax = 4;
constexpr size_t kBatchPagesMax = 32;

}  // namespace

bool IsReadTrouble(RunContext* context, const Status& status) {
  switch (status.code()) {
    case StatusCode::kUnavailable:
    case StatusCode::kDeadlineExceeded:
      return true;
    case StatusCode::kIoError:
      // Disk errors were injected.
      return std::any_of(context->page_servers.begin(), context->page_servers.end(),
                         [context](const ServerPlace& place) {
                           return context->world->DiskOf(place.node).error_count() > 0;
                         });
    case StatusCode::kBelowHorizon:
      // A page server that has not been told yet where the pages begin.
      return context->horizon_set.size() < context->page_servers.size();
    default:
      return false;
  }
}

namespace {

Result<SourcePage> Answered(const Result<FetchedPage>& fetched, Lsn read_lsn) {
  SourcePage answer;
  answer.read_lsn = read_lsn;
  if (fetched.ok()) {
    answer.page_lsn = fetched->page_lsn;
    answer.image.assign(fetched->image.begin(), fetched->image.end());
  } else if (fetched.status().code() != StatusCode::kNotFound) {
    return fetched.status();
  }
  return answer;
}

void ReportUnreadable(RunContext* context, PageId page, Lsn read_lsn, const Status& status) {
  if (status.code() != StatusCode::kCancelled) {
    context->findings.ReportLoss("C2", "page " + ToString(page) + " at LSN " +
                                           std::to_string(read_lsn.value()) +
                                           " cannot be read: " + status.ToString());
  }
}

}  // namespace

Task<Result<SourcePage>> ClientPages::Fetch(PageId page, Lsn read_lsn, Lsn not_modified_since) {
  while (true) {
    const TimePoint deadline = runtime_->scheduler->Now() + kReadDeadline;
    const Result<FetchedPage> fetched =
        co_await client_->GetPage(page, read_lsn, not_modified_since, deadline);
    Result<SourcePage> answer = Answered(fetched, read_lsn);
    if (answer.ok()) {
      co_return answer;
    }
    if (!IsReadTrouble(context_, answer.status())) {
      ReportUnreadable(context_, page, read_lsn, answer.status());
      co_return answer;
    }
    ++context_->reads_failed;
    co_await runtime_->scheduler->Sleep(kRetry);
  }
}

struct BatchedPages::Waiting {
  Waiting(Scheduler* scheduler, PageId its_page, Lsn its_change)
      : page(its_page), not_modified_since(its_change), done(scheduler) {}
  PageId page;
  Lsn not_modified_since;
  Lsn read_lsn;
  Result<FetchedPage> fetched = Cancelled("not asked");
  Event done;
};

BatchedPages::BatchedPages(Runtime* runtime, RunContext* context, PageClient* client,
                           const LogWriter* writer, const LocalDatabase* own, Duration read_timeout)
    : runtime_(runtime),
      context_(context),
      client_(client),
      writer_(writer),
      own_(own),
      read_timeout_(read_timeout),
      tasks_(runtime->scheduler) {}

Task<Result<SourcePage>> BatchedPages::Fetch(PageId page, Lsn /*read_lsn*/,
                                             Lsn not_modified_since) {
  // Who was about to try again when it was stopped would wait for a batch that is never sent.
  while (!tasks_.stopping()) {
    const auto waiting = std::make_shared<Waiting>(runtime_->scheduler, page, not_modified_since);
    queue_.push_back(waiting);
    SendWaiting();
    co_await waiting->done.Wait();
    Result<SourcePage> answer = Answered(waiting->fetched, waiting->read_lsn);
    if (answer.ok()) {
      co_return answer;
    }
    if (!IsReadTrouble(context_, answer.status())) {
      ReportUnreadable(context_, page, waiting->read_lsn, answer.status());
      co_return answer;
    }
    ++context_->reads_failed;
    const Bytes* const image = own_ == nullptr ? nullptr : own_->Page(page);
    if (image != nullptr) {
      runtime_->log->Info("page " + ToString(page) +
                          " is read out of own files: " + answer.status().ToString());
      co_return SourcePage{Lsn(), *image, Lsn(), true};
    }
    co_await runtime_->scheduler->Sleep(kRetry);
  }
  co_return Cancelled("reads of pages were stopped");
}

void BatchedPages::SendWaiting() {
  while (!queue_.empty() && batches_under_way_ < kBatchesMax && !tasks_.stopping()) {
    std::vector<std::shared_ptr<Waiting>> batch;
    while (!queue_.empty() && batch.size() < kBatchPagesMax) {
      batch.push_back(std::move(queue_.front()));
      queue_.pop_front();
    }
    ++batches_under_way_;
    tasks_.Spawn(Send(std::move(batch)));
  }
}

Task<void> BatchedPages::Send(std::vector<std::shared_ptr<Waiting>> batch) {
  std::vector<PageId> pages;
  Lsn changed;
  for (const std::shared_ptr<Waiting>& one : batch) {
    pages.push_back(one->page);
    changed = std::max(changed, one->not_modified_since);
  }
  // The mistake would be innodb-patch's, so it is made here.
  FaultPoints* const plants = runtime_->fault_points;
  const bool uncommitted = plants != nullptr && plants->Planted("reads_uncommitted");
  const Lsn up_to = uncommitted ? writer_->next_lsn() : writer_->commit();
  const Lsn read_lsn = std::max(up_to, changed);
  const TimePoint deadline = runtime_->scheduler->Now() + read_timeout_;
  const std::vector<Result<FetchedPage>> fetched =
      co_await client_->GetPages(std::move(pages), read_lsn, changed, deadline);
  --batches_under_way_;
  for (size_t i = 0; i < batch.size(); ++i) {
    batch[i]->read_lsn = read_lsn;
    batch[i]->fetched = fetched[i];
    batch[i]->done.Set();
  }
  SendWaiting();
}

Task<void> BatchedPages::Stop() {
  tasks_.Stop();
  co_await tasks_.Join();
  for (const std::shared_ptr<Waiting>& one : std::exchange(queue_, {})) {
    one->done.Set();
  }
}

Task<Result<SourcePage>> OwnPages::Fetch(PageId page, Lsn read_lsn, Lsn /*not_modified_since*/) {
  const Bytes* const image = own_->Page(page);
  if (image != nullptr || own_->base() == log_begin_) {
    co_return SourcePage{Lsn(), image == nullptr ? Bytes() : *image, read_lsn, true};
  }
  const Result<SourcePage> restored =
      co_await restored_from_->Fetch(page, own_->base(), own_->base());
  co_return restored;
}

Task<Status> WriterLog::Append(LogChunk chunk) {
  RedoAppend append;
  append.range = chunk.range;
  append.first_mtr_lsn = chunk.first_mtr_lsn;
  append.payload = std::make_shared<const Bytes>(std::move(chunk.payload));
  while (true) {
    append.source_time_unix_ns = runtime_->wall_clock->NowUnixNs();
    context_->times.Offered(append.range, append.source_time_unix_ns);
    RedoAppend once = append;
    const TimePoint deadline = runtime_->scheduler->Now() + kAppendDeadline;
    const Status status = co_await writer_->Append(std::move(once), deadline);
    if (status.ok()) {
      context_->times.Taken(writer_->epoch(), append.range, append.source_time_unix_ns);
    }
    if (status.code() != StatusCode::kDeadlineExceeded) {
      co_return status;
    }
  }
}

Task<Status> WriterLog::WaitAcknowledged(Lsn lsn) {
  const Status status = co_await writer_->WaitAcknowledged(lsn, kNever);
  if (status.ok() && writer_->acknowledged() > shown_) {
    shown_ = writer_->acknowledged();
    context_->world->Record(kWorldNode, TraceKind::kOperation, shown_.value(), 0,
                            "acknowledged LSN");
    context_->CheckMajority(writer_->epoch(), shown_);
    context_->times.Acknowledged(writer_->epoch(),
                                 std::min(shown_, context_->timeline.acknowledged()));
  }
  co_return status;
}

}  // namespace redoubt::sim
