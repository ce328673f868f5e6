// SPDX-License-Identifier: MIT
#include "client/page_client.h"

#include <algorithm>
#include <optional>
#include <utility>

#include "client/page_read.h"
#include "common/base/check.h"

namespace redoubt {

struct PageClient::Waiting {
  explicit Waiting(Scheduler* scheduler) : finished(scheduler) {}
  PageId page;
  Lsn read_lsn;
  Lsn not_modified_since;
  TimePoint deadline{};
  std::optional<Result<FetchedPage>> result;
  Condition finished;
};

PageClient::PageClient(Runtime* runtime, PageClientOptions options)
    : runtime_(runtime),
      options_(std::move(options)),
      identity_(std::make_unique<VolumeIdentity>()),
      hedge_budget_(options_.hedge_percent),
      tasks_(runtime->scheduler) {
  REDOUBT_CHECK(options_.batch_pages_max > 0);
  REDOUBT_CHECK(options_.batches_max > 0);
  REDOUBT_CHECK(options_.retry_delay_min.count() > 0);
  REDOUBT_CHECK(options_.hedge_delay_min <= options_.hedge_delay_max);
  identity_->name = options_.volume;
  identity_->uid = options_.volume_uid;
}

PageClient::PageClient(Runtime* runtime, std::vector<std::string> addresses,
                       PageClientOptions options)
    : PageClient(runtime, std::move(options)) {
  for (std::string& address : addresses) {
    replicas_.push_back(std::make_unique<PageReplica>(
        runtime, std::move(address), options_.connections_per_server, identity_.get()));
  }
  Begin();
}

PageClient::PageClient(Runtime* runtime, std::vector<Channel*> channels, PageClientOptions options)
    : PageClient(runtime, std::move(options)) {
  for (Channel* channel : channels) {
    replicas_.push_back(
        std::make_unique<PageReplica>(runtime, channel, VolumeId{}, identity_.get()));
  }
  Begin();
}

PageClient::PageClient(Runtime* runtime, Channel* channel, VolumeId volume,
                       PageClientOptions options)
    : PageClient(runtime, std::move(options)) {
  replicas_.push_back(std::make_unique<PageReplica>(runtime, channel, volume, identity_.get()));
  Begin();
}

PageClient::~PageClient() = default;

void PageClient::Begin() {
  REDOUBT_CHECK(!replicas_.empty());
  refreshing_.resize(replicas_.size());
  identity_->several_servers = replicas_.size() > 1;
  if (replicas_.size() > 1) {
    tasks_.Spawn(RefreshLoop());
  }
}

Task<Result<FetchedPage>> PageClient::GetPage(PageId page, Lsn read_lsn, Lsn not_modified_since,
                                              TimePoint deadline) {
  if (stopped_) {
    co_return Cancelled("page client is stopped");
  }
  const auto waiting = std::make_shared<Waiting>(runtime_->scheduler);
  waiting->page = page;
  waiting->read_lsn = read_lsn;
  waiting->not_modified_since = not_modified_since;
  waiting->deadline = deadline;
  queue_.push_back(waiting);
  Dispatch();
  while (!waiting->result.has_value()) {
    const bool woken = co_await waiting->finished.Wait(deadline);
    if (!woken && !waiting->result.has_value()) {
      std::erase(queue_, waiting);
      co_return DeadlineExceeded("page " + ToString(page) + ": no answer in time");
    }
  }
  co_return std::move(*waiting->result);
}

void PageClient::Dispatch() {
  while (!queue_.empty() && batches_running_ < options_.batches_max * replicas_.size()) {
    const Lsn read_lsn = queue_.front()->read_lsn;
    const Lsn not_modified_since = queue_.front()->not_modified_since;
    std::vector<std::shared_ptr<Waiting>> batch;
    std::deque<std::shared_ptr<Waiting>> rest;
    for (std::shared_ptr<Waiting>& waiting : queue_) {
      const bool fits = batch.size() < options_.batch_pages_max && waiting->read_lsn == read_lsn &&
                        waiting->not_modified_since == not_modified_since;
      if (fits) {
        batch.push_back(std::move(waiting));
      } else {
        rest.push_back(std::move(waiting));
      }
    }
    queue_ = std::move(rest);
    ++batches_running_;
    tasks_.Spawn(RunBatch(std::move(batch)));
  }
}

Task<void> PageClient::RunBatch(std::vector<std::shared_ptr<Waiting>> batch) {
  std::vector<PageId> pages;
  TimePoint deadline{};
  for (const std::shared_ptr<Waiting>& waiting : batch) {
    pages.push_back(waiting->page);
    deadline = std::max(deadline, waiting->deadline);
  }
  std::vector<Result<FetchedPage>> results;
  co_await RunPart(std::move(pages), batch.front()->read_lsn, batch.front()->not_modified_since,
                   deadline, &results);
  for (size_t i = 0; i < batch.size(); ++i) {
    batch[i]->result.emplace(std::move(results[i]));
    batch[i]->finished.NotifyAll();
  }
  --batches_running_;
  Dispatch();
}

Task<void> PageClient::RunPart(std::vector<PageId> pages, Lsn read_lsn, Lsn not_modified_since,
                               TimePoint deadline, std::vector<Result<FetchedPage>>* out) {
  const auto read =
      std::make_shared<Read>(this, std::move(pages), read_lsn, not_modified_since, deadline);
  co_await Read::Run(read);
  *out = read->Take();
}

Task<std::vector<Result<FetchedPage>>> PageClient::GetPages(std::vector<PageId> pages, Lsn read_lsn,
                                                            Lsn not_modified_since,
                                                            TimePoint deadline) {
  const size_t part_count =
      (pages.size() + options_.batch_pages_max - 1) / options_.batch_pages_max;
  std::vector<std::vector<Result<FetchedPage>>> parts(part_count);
  TaskGroup group(runtime_->scheduler);
  for (size_t i = 0; i < part_count; ++i) {
    const auto begin = pages.begin() + static_cast<ptrdiff_t>(i * options_.batch_pages_max);
    const auto end = pages.begin() + static_cast<ptrdiff_t>(std::min(
                                         pages.size(), (i + 1) * options_.batch_pages_max));
    group.Spawn(RunPart(std::vector<PageId>(begin, end), read_lsn, not_modified_since, deadline,
                        &parts[i]));
  }
  co_await group.Join();
  std::vector<Result<FetchedPage>> results;
  results.reserve(pages.size());
  for (std::vector<Result<FetchedPage>>& part : parts) {
    std::move(part.begin(), part.end(), std::back_inserter(results));
  }
  co_return results;
}

Task<Result<PageReplica::Reached>> PageClient::Reach(size_t i, TimePoint deadline) {
  Result<PageReplica::Reached> reached = co_await replicas_.at(i)->Reach(deadline);
  if (stopped_) {
    co_return Cancelled("page client is stopped");
  }
  co_return reached;
}

std::vector<size_t> PageClient::Order() const {
  std::vector<ReplicaView> views;
  for (const std::unique_ptr<PageReplica>& replica : replicas_) {
    views.push_back(replica->View());
  }
  std::vector<size_t> order;
  while (order.size() < views.size()) {
    order.push_back(ChooseReplica(views, kMaxLsn, runtime_->scheduler->Now(), turn_).value());
    views[order.back()].excluded = true;
  }
  return order;
}

// What is known of a replica that is never asked grows old: it would not be asked again after a
// failure, nor when it has caught up.
Task<void> PageClient::RefreshLoop() {
  uint64_t seen_requests = 0;
  while (!stopped_) {
    const TimePoint now = runtime_->scheduler->Now();
    if (counters_.requests > seen_requests) {
      seen_requests = counters_.requests;
      for (size_t i = 0; i < replicas_.size(); ++i) {
        if (!refreshing_[i] && replicas_[i]->heard_at() + options_.refresh_interval <= now) {
          refreshing_[i] = true;
          tasks_.Spawn(RefreshOne(i, now + options_.attempt_timeout));
        }
      }
    }
    co_await tasks_.stop_event().Wait(now + options_.refresh_interval);
  }
}

Task<void> PageClient::RefreshOne(size_t replica, TimePoint deadline) {
  const Status status = co_await replicas_[replica]->Refresh(deadline);
  if (!status.ok()) {
    runtime_->log->Debug("page server " + replicas_[replica]->name() + ": " + status.ToString());
  }
  refreshing_[replica] = false;
}

Task<void> PageClient::Stop() {
  stopped_ = true;
  tasks_.Stop();
  for (const std::shared_ptr<Waiting>& waiting : queue_) {
    waiting->result.emplace(Cancelled("page client is stopped"));
    waiting->finished.NotifyAll();
  }
  queue_.clear();
  for (const std::unique_ptr<PageReplica>& replica : replicas_) {
    co_await replica->Close();
  }
  co_await tasks_.Join();
}

}  // namespace redoubt
