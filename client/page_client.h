// SPDX-License-Identifier: MIT
//
// Page reads of one volume over any number of page servers that have it (replicas).
//
//   batching   reads that wait while requests are under way, and want the same LSN, leave together
//              in the next one; a read alone leaves at once
//   routing    to a replica that has applied enough, as far as its answers told; of those to the
//              one with the least expected wait. A replica that failed lately comes last
//   hedging    when an answer takes unusually long, a second replica is asked as well; the first
//              good answer counts. Second requests are bounded to a share of all (hedge_percent)
//   failover   whatever one replica answers in place of a page, another one is asked before the
//              reader hears of it: servers lose disks (page not found), keep less (below the
//              horizon) or hold damaged copies
//   retries    when no replica could answer: with growing, jittered delays until the deadline
//
// When a read ends without its page:
//   - every replica has given a verdict (page_routing.h, AnswerKind): the gravest of them
//   - one has made a claim (not found, hole, below horizon, unsupported) and each of the others was
//     tried since: that claim. A server that is down does not hold up "there is no such page"
//   - damage is not final while a replica is left that may answer: that is waited out
//   - the deadline, with what was in the way
//
// Reads are idempotent: a read that was sent twice does no harm. Requests that were overtaken run
// out by themselves and are not looked at.
//
// Suspends: GetPage, GetPages, Reach, Stop.
#pragma once

#include <cstddef>
#include <cstdint>
#include <deque>
#include <memory>
#include <string>
#include <vector>

#include "client/page_replica.h"
#include "client/page_routing.h"
#include "common/base/result.h"
#include "common/base/types.h"
#include "common/runtime/rpc/channel.h"
#include "common/runtime/runtime.h"
#include "common/runtime/sync.h"
#include "common/runtime/task_group.h"

namespace redoubt {

struct PageClientOptions {
  std::string volume;       // name
  uint64_t volume_uid = 0;  // 0: whatever the first server has under that name
  size_t batch_pages_max = 64;
  // Batches under way at the same time, per replica, before further reads are gathered.
  size_t batches_max = 4;
  size_t connections_per_server = 2;
  Duration retry_delay_min = std::chrono::milliseconds(20);
  Duration retry_delay_max = std::chrono::seconds(1);
  // With several replicas: a request without an answer for so long counts as failed.
  Duration attempt_timeout = std::chrono::seconds(2);
  // A second replica is asked after the time that is unusual for the first one, within these
  // bounds.
  Duration hedge_delay_min = std::chrono::milliseconds(5);
  Duration hedge_delay_max = std::chrono::milliseconds(250);
  uint32_t hedge_percent = 10;  // second requests per 100 first ones; 0: none
  // While pages are read, a replica that was not heard of for so long is asked how far it is.
  Duration refresh_interval = std::chrono::milliseconds(200);
  // Whether the checksum in each image is looked at. A wrong one is that replica's damage.
  bool verify_images = true;
};

// Since the client was made.
struct PageClientCounters {
  uint64_t requests = 0;        // all of them, second ones too
  uint64_t failovers = 0;       // asked of another replica because one failed or had no page
  uint64_t retry_rounds = 0;    // every replica had been tried, and all were tried again
  uint64_t hedges_sent = 0;     // second requests because the first one took long
  uint64_t hedges_won = 0;      // ... whose answer came first
  uint64_t hedges_refused = 0;  // ... not sent because of the bound
  uint64_t pages_read = 0;
  uint64_t pages_failed = 0;  // reads that ended without a page
};

class PageClient {
 public:
  // `addresses`: the page servers that have the volume, at least one, "host:port".
  PageClient(Runtime* runtime, std::vector<std::string> addresses, PageClientOptions options);
  // Channels of somebody else, which outlive the client, to servers that have the volume; looked up
  // by name on each once, so no channel may lead to another server later.
  PageClient(Runtime* runtime, std::vector<Channel*> channels, PageClientOptions options);
  // One server, on which the volume has the number `volume`.
  PageClient(Runtime* runtime, Channel* channel, VolumeId volume, PageClientOptions options = {});
  PageClient(const PageClient&) = delete;
  PageClient& operator=(const PageClient&) = delete;
  // Stop must have returned, unless the whole node is being destroyed.
  ~PageClient();

  // read_lsn 0: the newest at the replica that answers: committed, as of the end of an mtr that it
  // has applied; FetchedPage::read_lsn says which. What it has persisted is in it, and what it gave
  // before in this life. Replicas differ, and nobody's own writes need be in it: who needs those
  // names an LSN. not_modified_since as in
  // GetPagesRequest, 0 for none. kDeadlineExceeded, kUnavailable: no replica could answer in time.
  // kBelowHorizon, kHole, kNotFound, kUnsupported, kCorruption, kIoError: as the file's head says.
  // kInvalidArgument: the servers hold another volume of that name. kCancelled: stopped.
  Task<Result<FetchedPage>> GetPage(PageId page, Lsn read_lsn, Lsn not_modified_since,
                                    TimePoint deadline);
  // Without gathering: one request for every batch_pages_max pages. One result per page, same
  // order; errors as GetPage.
  Task<std::vector<Result<FetchedPage>>> GetPages(std::vector<PageId> pages, Lsn read_lsn,
                                                  Lsn not_modified_since, TimePoint deadline);
  // For requests other than page reads: a channel to replica `i`, on which the volume was found,
  // and its number there. One attempt. Errors as GetPage.
  Task<Result<PageReplica::Reached>> Reach(size_t i, TimePoint deadline);
  // The replicas in the order in which they are worth asking now.
  std::vector<size_t> Order() const;
  // Ends everything that runs with kCancelled.
  Task<void> Stop();

  size_t replica_count() const { return replicas_.size(); }
  const PageReplica& replica(size_t i) const { return *replicas_.at(i); }
  // 0 until a server was reached, unless given.
  const VolumeIdentity& identity() const { return *identity_; }
  bool stopped() const { return stopped_; }
  const PageClientOptions& options() const { return options_; }
  // Set by Stop: a wait that ends early.
  Event& stop_event() { return tasks_.stop_event(); }
  const PageClientCounters& counters() const { return counters_; }

 private:
  class Read;
  struct Waiting;

  PageClient(Runtime* runtime, PageClientOptions options);
  void Begin();
  void Dispatch();
  Task<void> RunBatch(std::vector<std::shared_ptr<Waiting>> batch);
  Task<void> RunPart(std::vector<PageId> pages, Lsn read_lsn, Lsn not_modified_since,
                     TimePoint deadline, std::vector<Result<FetchedPage>>* out);
  Task<void> RefreshLoop();
  Task<void> RefreshOne(size_t replica, TimePoint deadline);

  Runtime* runtime_;
  PageClientOptions options_;
  std::unique_ptr<VolumeIdentity> identity_;
  std::vector<std::unique_ptr<PageReplica>> replicas_;
  std::vector<bool> refreshing_;
  HedgeBudget hedge_budget_;
  PageClientCounters counters_;
  uint64_t turn_ = 0;
  // Shared with the GetPage that waits, which may give up before its batch ends.
  std::deque<std::shared_ptr<Waiting>> queue_;
  size_t batches_running_ = 0;
  bool stopped_ = false;
  TaskGroup tasks_;
};

}  // namespace redoubt
