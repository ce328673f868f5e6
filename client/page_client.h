// SPDX-License-Identifier: MIT
//
// Page reads of one volume with batching: reads that wait while a request is under way, and want
// the same LSN, leave together in the next one. A read alone leaves at once.
//
// Suspends: GetPage, GetPages, Stop. Reads are idempotent: a lost connection is tried again until
// the deadline.
#pragma once

#include <cstddef>
#include <cstdint>
#include <deque>
#include <memory>
#include <vector>

#include "client/volume_client.h"
#include "common/base/result.h"
#include "common/base/types.h"
#include "common/runtime/rpc/channel.h"
#include "common/runtime/runtime.h"
#include "common/runtime/sync.h"
#include "common/runtime/task_group.h"

namespace redoubt {

struct PageClientOptions {
  VolumeId volume;
  size_t batch_pages_max = 64;
  // Requests under way at the same time before further reads are gathered.
  size_t requests_max = 4;
  Duration retry_delay = std::chrono::milliseconds(20);
};

struct FetchedPage {
  Lsn page_lsn;  // end of the last mtr in the image; 0: never written (image of zeroes)
  Lsn read_lsn;  // the LSN that was read at
  // page_size bytes inside `buffer`, which the pages of one batch share.
  ByteView image;
  std::shared_ptr<const Bytes> buffer;
};

class PageClient {
 public:
  // `channel` outlives the client.
  PageClient(Runtime* runtime, Channel* channel, PageClientOptions options);
  PageClient(const PageClient&) = delete;
  PageClient& operator=(const PageClient&) = delete;
  // Stop must have returned, unless the whole node is being destroyed.
  ~PageClient();

  // read_lsn 0: the newest applied. not_modified_since as in GetPagesRequest, 0 for none.
  // kDeadlineExceeded, kUnavailable; kBelowHorizon, kHole, kNotFound, kCorruption as the server
  // says.
  Task<Result<FetchedPage>> GetPage(PageId page, Lsn read_lsn, Lsn not_modified_since,
                                    TimePoint deadline);
  // One request, no gathering; one result per page, same order.
  Task<Result<std::vector<Result<FetchedPage>>>> GetPages(std::vector<PageId> pages, Lsn read_lsn,
                                                          Lsn not_modified_since,
                                                          TimePoint deadline);
  Task<void> Stop();

  uint64_t requests_sent() const { return requests_sent_; }

 private:
  struct Waiting;

  void Dispatch();
  Task<void> RunBatch(std::vector<std::shared_ptr<Waiting>> batch);

  Runtime* runtime_;
  VolumeClient client_;
  PageClientOptions options_;
  // Shared with the GetPage that waits, which may give up before its batch ends.
  std::deque<std::shared_ptr<Waiting>> queue_;
  size_t requests_running_ = 0;
  uint64_t requests_sent_ = 0;
  bool stopped_ = false;
  TaskGroup tasks_;
};

}  // namespace redoubt
