// SPDX-License-Identifier: MIT
#include "sim/cluster/compute_ports.h"

#include <algorithm>
#include <string>
#include <utility>

namespace redoubt::sim {
namespace {

constexpr Duration kReadDeadline = std::chrono::seconds(5);
constexpr Duration kRetry = std::chrono::milliseconds(50);
constexpr Duration kAppendDeadline = std::chrono::seconds(5);

}  // namespace

bool ClientPages::IsTrouble(const Status& status) const {
  switch (status.code()) {
    case StatusCode::kUnavailable:
    case StatusCode::kDeadlineExceeded:
      return true;
    case StatusCode::kIoError:
      // Disk errors were injected.
      return std::any_of(context_->page_servers.begin(), context_->page_servers.end(),
                         [this](const ServerPlace& place) {
                           return context_->world->DiskOf(place.node).error_count() > 0;
                         });
    case StatusCode::kBelowHorizon:
      // A page server that has not been told yet where the pages begin.
      return context_->horizon_set.size() < context_->page_servers.size();
    default:
      return false;
  }
}

Task<Result<SourcePage>> ClientPages::Fetch(PageId page, Lsn read_lsn, Lsn not_modified_since) {
  while (true) {
    const TimePoint deadline = runtime_->scheduler->Now() + kReadDeadline;
    const Result<FetchedPage> fetched =
        co_await client_->GetPage(page, read_lsn, not_modified_since, deadline);
    if (fetched.ok()) {
      SourcePage answer;
      answer.page_lsn = fetched->page_lsn;
      answer.image.assign(fetched->image.begin(), fetched->image.end());
      co_return answer;
    }
    const Status& status = fetched.status();
    if (!IsTrouble(status)) {
      const bool expected =
          status.code() == StatusCode::kNotFound || status.code() == StatusCode::kCancelled;
      if (!expected) {
        context_->findings.ReportLoss("C2", "page " + ToString(page) + " at LSN " +
                                                std::to_string(read_lsn.value()) +
                                                " cannot be read: " + status.ToString());
      }
      co_return status;
    }
    ++context_->reads_failed;
    co_await runtime_->scheduler->Sleep(kRetry);
  }
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
