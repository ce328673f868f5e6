// SPDX-License-Identifier: MIT
//
// redoubt_reader: blocking reads, and reads whose completions the caller's threads fetch.
#include "client/abi/reader.h"

#include <algorithm>
#include <cstring>
#include <utility>

#include "common/base/check.h"

namespace redoubt::abi {
namespace {

struct ReadGroup {
  redoubt_reader* reader = nullptr;
  std::vector<redoubt_page_read*> reads;
  Lsn read_lsn;
  Lsn not_modified_since;
  TimePoint deadline{};
};

void FillIn(redoubt_page_read* read, const Result<FetchedPage>& page, uint32_t page_size) {
  Status status = page.status();
  if (page.ok() && page->image.size() != page_size) {
    status = Corruption("a page of " + std::to_string(page->image.size()) + " bytes was sent");
  }
  read->code = static_cast<int>(status.code());
  CopyText(status.message(), read->message, sizeof read->message);
  read->page_lsn = 0;
  read->read_lsn = 0;
  if (status.ok()) {
    std::memcpy(read->buffer, page->image.data(), page->image.size());
    read->page_lsn = page->page_lsn.value();
    read->read_lsn = page->read_lsn.value();
  }
}

Task<void> ReadAll(const ReadGroup* group) {
  PageClient* pages = group->reader->pages.get();
  const uint32_t page_size = group->reader->page_size;
  std::vector<PageId> ids;
  for (const redoubt_page_read* read : group->reads) {
    ids.push_back({SpaceId(read->space), PageNo(read->page_no)});
  }
  if (ids.size() == 1) {
    const Result<FetchedPage> page = co_await pages->GetPage(
        ids.front(), group->read_lsn, group->not_modified_since, group->deadline);
    FillIn(group->reads.front(), page, page_size);
    co_return;
  }
  const std::vector<Result<FetchedPage>> results = co_await pages->GetPages(
      std::move(ids), group->read_lsn, group->not_modified_since, group->deadline);
  for (size_t i = 0; i < results.size(); ++i) {
    FillIn(group->reads[i], results[i], page_size);
  }
}

Task<void> ReadAndComplete(std::shared_ptr<ReadGroup> group) {
  co_await ReadAll(group.get());
  redoubt_reader* const reader = group->reader;
  // Notified with the lock held: whoever closes the reader may free it as soon as it sees the last
  // completion.
  const Monitor::Lock lock(&reader->monitor);
  reader->done.insert(reader->done.end(), group->reads.begin(), group->reads.end());
  reader->waiting -= group->reads.size();
  reader->monitor.NotifyAll();
}

// Until a server was reached: the volume is there, and its page size known.
struct Opening {
  redoubt_reader* reader = nullptr;
  std::vector<std::string> addresses;
  PageClientOptions options;
  TimePoint deadline{};
  Status status;
};

Task<Status> SayOk() { co_return Status::Ok(); }

Task<void> Open(Runtime* runtime, Opening* opening) {
  redoubt_reader* reader = opening->reader;
  std::vector<std::string> addresses = opening->addresses;
  PageClientOptions options = opening->options;
  reader->pages = std::make_unique<PageClient>(runtime, std::move(addresses), std::move(options));
  ReplicaCall reached = [](PageReplica::Reached, TimePoint) { return SayOk(); };
  opening->status =
      co_await CallAnyReplica(runtime, reader->pages.get(), std::move(reached), opening->deadline);
  reader->page_size = reader->pages->identity().page_size;
  if (!opening->status.ok()) {
    co_await reader->pages->Stop();
    reader->pages = nullptr;
  }
}

Task<void> Stop(redoubt_reader* reader) { return reader->pages->Stop(); }

Task<void> Free(redoubt_reader* reader) {
  reader->pages = nullptr;
  co_return;
}

struct ReplicaWork {
  PageClient* pages = nullptr;
  ReplicaCall call;
  TimePoint deadline{};
  Status status;
};

Task<void> RunEvery(Runtime* runtime, ReplicaWork* work) {
  ReplicaCall call = work->call;
  work->status = co_await CallEveryReplica(runtime, work->pages, std::move(call), work->deadline);
}

Status CheckOptions(const redoubt_reader_options& options) {
  REDOUBT_RETURN_IF_ERROR(
      CheckStructSize(options.struct_size, sizeof options, "redoubt_reader_options"));
  if (options.page_server_count == 0 || options.connections_per_server == 0 ||
      options.batch_pages_max == 0) {
    return InvalidArgument(
        "page_server_count, connections_per_server and batch_pages_max must not be 0");
  }
  if (options.hedge_delay_min_us > options.hedge_delay_max_us) {
    return InvalidArgument("hedge_delay_min_us must not be above hedge_delay_max_us");
  }
  return Status::Ok();
}

Opening MakeOpening(const redoubt_reader_options& options) {
  Opening opening;
  opening.addresses.assign(options.page_servers, options.page_servers + options.page_server_count);
  opening.options.volume = ToString(options.volume);
  opening.options.volume_uid = options.volume_uid;
  opening.options.connections_per_server = options.connections_per_server;
  opening.options.batch_pages_max = options.batch_pages_max;
  opening.options.hedge_delay_min = std::chrono::microseconds(options.hedge_delay_min_us);
  opening.options.hedge_delay_max = std::chrono::microseconds(options.hedge_delay_max_us);
  opening.options.hedge_percent = options.hedge_percent;
  return opening;
}

// Both on the loop, where reads end: what no longer waits is counted.
Task<void> FillStatus(redoubt_reader* reader, redoubt_reader_status* status) {
  const PageClientCounters counters = reader->pages->counters();
  status->pages_read = counters.pages_read;
  status->pages_failed = counters.pages_failed;
  status->requests = counters.requests;
  status->failovers = counters.failovers;
  status->retry_rounds = counters.retry_rounds;
  status->hedges_sent = counters.hedges_sent;
  status->hedges_won = counters.hedges_won;
  status->hedges_refused = counters.hedges_refused;
  const Monitor::Lock lock(&reader->monitor);
  status->reads_waiting = reader->waiting;
  co_return;
}

}  // namespace

Status CallEvery(redoubt_reader* reader, ReplicaCall call, TimePoint deadline) {
  ReplicaWork work{reader->pages.get(), std::move(call), deadline, {}};
  reader->client->loop.Call([&work](Runtime* runtime) { return RunEvery(runtime, &work); });
  return work.status;
}

}  // namespace redoubt::abi

using redoubt::Lsn;
using redoubt::Monitor;
using redoubt::Runtime;
using redoubt::Status;
using redoubt::abi::DeadlineAfter;
using redoubt::abi::Finish;
using redoubt::abi::ReadGroup;

extern "C" {

void redoubt_reader_options_init(redoubt_reader_options* options) {
  *options = {};
  options->struct_size = sizeof *options;
  options->connections_per_server = 2;
  options->batch_pages_max = 64;
  options->hedge_delay_min_us = 5'000;
  options->hedge_delay_max_us = 250'000;
  options->hedge_percent = 10;
}

int redoubt_reader_open(redoubt_client* client, const redoubt_reader_options* options,
                        uint32_t timeout_ms, redoubt_reader** out, uint32_t* page_size,
                        redoubt_error* error) {
  const Status checked = redoubt::abi::CheckOptions(*options);
  if (!checked.ok()) {
    return Finish(checked, error);
  }
  auto reader = std::make_unique<redoubt_reader>(client);
  redoubt::abi::Opening opening = redoubt::abi::MakeOpening(*options);
  opening.reader = reader.get();
  opening.deadline = DeadlineAfter(timeout_ms);
  client->loop.Call([&opening](Runtime* runtime) { return redoubt::abi::Open(runtime, &opening); });
  if (opening.status.ok()) {
    ++client->handle_count;
    if (page_size != nullptr) {
      *page_size = reader->page_size;
    }
    *out = reader.release();
  }
  return Finish(opening.status, error);
}

int redoubt_reader_read(redoubt_reader* reader, redoubt_page_read* reads, size_t count,
                        uint64_t read_lsn, uint64_t not_modified_since, uint32_t timeout_ms,
                        redoubt_error* error) {
  ReadGroup group{reader, {}, Lsn(read_lsn), Lsn(not_modified_since), DeadlineAfter(timeout_ms)};
  for (size_t i = 0; i < count; ++i) {
    group.reads.push_back(&reads[i]);
  }
  if (count > 0) {
    reader->client->loop.Call([&group](Runtime*) { return redoubt::abi::ReadAll(&group); });
  }
  for (const redoubt_page_read* read : group.reads) {
    if (read->code != REDOUBT_OK) {
      return Finish(Status(static_cast<redoubt::StatusCode>(read->code), read->message), error);
    }
  }
  return Finish(Status::Ok(), error);
}

int redoubt_reader_submit(redoubt_reader* reader, redoubt_page_read* const* reads, size_t count,
                          uint64_t read_lsn, uint64_t not_modified_since, uint32_t timeout_ms,
                          redoubt_error* error) {
  if (count == 0) {
    return Finish(Status::Ok(), error);
  }
  auto group = std::make_shared<ReadGroup>();
  group->reader = reader;
  group->reads.assign(reads, reads + count);
  group->read_lsn = Lsn(read_lsn);
  group->not_modified_since = Lsn(not_modified_since);
  group->deadline = DeadlineAfter(timeout_ms);
  {
    const Monitor::Lock lock(&reader->monitor);
    if (reader->stopped) {
      return Finish(redoubt::Cancelled("the reader is stopped"), error);
    }
    reader->waiting += count;
  }
  reader->client->loop.Spawn([group](Runtime*) { return redoubt::abi::ReadAndComplete(group); });
  return Finish(Status::Ok(), error);
}

int redoubt_reader_next(redoubt_reader* reader, redoubt_page_read** done, size_t max, size_t* count,
                        uint32_t timeout_ms) {
  *count = 0;
  Monitor::Lock lock(&reader->monitor);
  const bool ready = lock.WaitUntil(DeadlineAfter(timeout_ms), [reader] {
    return !reader->done.empty() || (reader->stopped && reader->waiting == 0);
  });
  if (!ready) {
    return REDOUBT_DEADLINE_EXCEEDED;
  }
  if (reader->done.empty()) {
    return REDOUBT_CANCELLED;
  }
  *count = std::min(max, reader->done.size());
  std::copy_n(reader->done.begin(), *count, done);
  reader->done.erase(reader->done.begin(), reader->done.begin() + static_cast<ptrdiff_t>(*count));
  return REDOUBT_OK;
}

void redoubt_reader_stop(redoubt_reader* reader) {
  {
    const Monitor::Lock lock(&reader->monitor);
    if (std::exchange(reader->stopped, true)) {
      return;
    }
  }
  reader->client->loop.Call([reader](Runtime*) { return redoubt::abi::Stop(reader); });
  const Monitor::Lock lock(&reader->monitor);
  reader->monitor.NotifyAll();
}

void redoubt_reader_close(redoubt_reader* reader) {
  if (reader == nullptr) {
    return;
  }
  redoubt_reader_stop(reader);
  {
    Monitor::Lock lock(&reader->monitor);
    lock.WaitUntil(redoubt::kNever, [reader] { return reader->waiting == 0; });
  }
  redoubt_client* const client = reader->client;
  client->loop.Call([reader](Runtime*) { return redoubt::abi::Free(reader); });
  delete reader;
  --client->handle_count;
}

void redoubt_reader_get_status(redoubt_reader* reader, redoubt_reader_status* status) {
  reader->client->loop.Call(
      [reader, status](Runtime*) { return redoubt::abi::FillStatus(reader, status); });
}

}  // extern "C"
