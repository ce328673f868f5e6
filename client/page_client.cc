// SPDX-License-Identifier: MIT
#include "client/page_client.h"

#include <algorithm>
#include <optional>
#include <string>
#include <utility>

#include "common/base/check.h"
#include "common/runtime/rpc/wire_message.h"

namespace redoubt {
namespace {

bool WorthRetrying(const Status& status) { return status.code() == StatusCode::kUnavailable; }

// Splits the answer into one result per page; all share the payload.
Result<std::vector<Result<FetchedPage>>> SplitPages(size_t wanted_count,
                                                    WithPayload<proto::GetPagesResponse> answer) {
  const proto::GetPagesResponse& message = answer.message;
  const auto buffer = std::make_shared<const Bytes>(std::move(answer.payload));
  if (static_cast<size_t>(message.pages_size()) != wanted_count) {
    return Corruption("GetPages: asked for " + std::to_string(wanted_count) + " pages, got " +
                      std::to_string(message.pages_size()));
  }
  std::vector<Result<FetchedPage>> pages;
  pages.reserve(wanted_count);
  size_t offset = 0;
  for (const proto::PageResult& result : message.pages()) {
    const Status status = FromProto(result.status());
    if (!status.ok()) {
      pages.emplace_back(status);
      continue;
    }
    if (buffer->size() - offset < message.page_size()) {
      return Corruption("GetPages: the payload ends inside an image");
    }
    FetchedPage page;
    page.page_lsn = Lsn(result.page_lsn());
    page.read_lsn = Lsn(message.read_lsn());
    page.image = ByteView(*buffer).subspan(offset, message.page_size());
    page.buffer = buffer;
    offset += message.page_size();
    pages.emplace_back(std::move(page));
  }
  if (offset != buffer->size()) {
    return Corruption("GetPages: bytes behind the last image");
  }
  return pages;
}

}  // namespace

struct PageClient::Waiting {
  explicit Waiting(Scheduler* scheduler) : finished(scheduler) {}
  PageId page;
  Lsn read_lsn;
  Lsn not_modified_since;
  TimePoint deadline{};
  std::optional<Result<FetchedPage>> result;
  Condition finished;
};

PageClient::PageClient(Runtime* runtime, Channel* channel, PageClientOptions options)
    : runtime_(runtime), client_(channel), options_(options), tasks_(runtime->scheduler) {
  REDOUBT_CHECK(options.batch_pages_max > 0);
  REDOUBT_CHECK(options.requests_max > 0);
}

PageClient::~PageClient() = default;

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
  while (!queue_.empty() && requests_running_ < options_.requests_max) {
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
    ++requests_running_;
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
  Result<std::vector<Result<FetchedPage>>> results = co_await GetPages(
      std::move(pages), batch.front()->read_lsn, batch.front()->not_modified_since, deadline);
  for (size_t i = 0; i < batch.size(); ++i) {
    if (results.ok()) {
      batch[i]->result.emplace(std::move((*results)[i]));
    } else {
      batch[i]->result.emplace(results.status());
    }
    batch[i]->finished.NotifyAll();
  }
  --requests_running_;
  Dispatch();
}

Task<Result<std::vector<Result<FetchedPage>>>> PageClient::GetPages(std::vector<PageId> pages,
                                                                    Lsn read_lsn,
                                                                    Lsn not_modified_since,
                                                                    TimePoint deadline) {
  while (!stopped_) {
    proto::GetPagesRequest request;
    request.set_volume_id(options_.volume.value());
    request.set_read_lsn(read_lsn.value());
    request.set_not_modified_since(not_modified_since.value());
    request.set_deadline_ms(DeadlineMs(runtime_->scheduler->Now(), deadline));
    for (const PageId& page : pages) {
      proto::PageRef* ref = request.add_pages();
      ref->set_space(page.space.value());
      ref->set_page_no(page.page_no.value());
    }
    ++requests_sent_;
    Result<WithPayload<proto::GetPagesResponse>> answer =
        co_await client_.GetPages(std::move(request), deadline);
    if (answer.ok()) {
      co_return SplitPages(pages.size(), std::move(*answer));
    }
    const TimePoint next = runtime_->scheduler->Now() + options_.retry_delay;
    if (!WorthRetrying(answer.status()) || next >= deadline) {
      co_return answer.status();
    }
    co_await tasks_.stop_event().Wait(next);
  }
  co_return Cancelled("page client is stopped");
}

Task<void> PageClient::Stop() {
  stopped_ = true;
  tasks_.Stop();
  for (const std::shared_ptr<Waiting>& waiting : queue_) {
    waiting->result.emplace(Cancelled("page client is stopped"));
    waiting->finished.NotifyAll();
  }
  queue_.clear();
  co_await tasks_.Join();
}

}  // namespace redoubt
