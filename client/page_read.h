// SPDX-License-Identifier: MIT
//
// The life of one batch of page reads: rounds over the replicas until every page is there or its
// absence is certain. Part of PageClient.
//
//   round: ask the best replica that was not asked in this round; when it takes unusually long, a
//          second one as well; when it fails or has not every page, the next one for what is
//          missing
//   after a round without success: wait a little and begin again, until the deadline
//
// Shared by its requests: one that was overtaken, or outlives the deadline, ends later and finds
// that nobody looks any more.
#pragma once

#include <cstddef>
#include <memory>
#include <optional>
#include <vector>

#include "client/page_client.h"

namespace redoubt {

class PageClient::Read : public std::enable_shared_from_this<PageClient::Read> {
 public:
  Read(PageClient* client, std::vector<PageId> pages, Lsn read_lsn, Lsn not_modified_since,
       TimePoint deadline);

  // To the end; then Take.
  static Task<void> Run(std::shared_ptr<Read> read);
  std::vector<Result<FetchedPage>> Take();

 private:
  struct Request {
    size_t replica = 0;
    bool hedge = false;
    bool done = false;
    std::vector<size_t> places;  // of the pages that are asked for
  };
  struct Slot {
    std::optional<FetchedPage> page;
    std::vector<Status> verdicts;  // by replica; OK: none
    size_t verdict_count = 0;
    bool closed = false;  // no use to ask any more

    bool open() const { return !page.has_value() && !closed; }
  };

  Lsn needed() const;
  bool finished() const;
  size_t running_count() const;
  std::optional<size_t> NextReplica() const;
  Duration HedgeDelay(size_t replica) const;
  bool MayHedge(size_t first, size_t second) const;
  void Ask(size_t replica, bool hedge);
  static Task<void> RunRequest(std::shared_ptr<Read> read, std::shared_ptr<Request> request,
                               std::vector<PageId> pages, TimePoint deadline);
  void TakeAnswer(const Request& request, Result<std::vector<Result<FetchedPage>>> answer);
  void TakeVerdict(size_t place, size_t replica, const Status& status);
  // One round; true: the deadline has come, or the client stops.
  static Task<bool> RunRound(std::shared_ptr<Read> read);
  void CloseCertain();
  Status WhyNot(const Slot& slot) const;

  PageClient* client_;
  Runtime* runtime_;
  std::vector<PageId> pages_;
  Lsn read_lsn_;
  Lsn not_modified_since_;
  TimePoint deadline_;
  std::vector<Slot> slots_;
  // By replica: its last answer was that it has no such volume. One that lost its disk says so, and
  // knows nothing; only all of them together can say that there is none.
  std::vector<bool> without_volume_;
  std::vector<bool> asked_;                         // in this round, by replica
  std::vector<std::shared_ptr<Request>> requests_;  // of this round
  size_t request_count_ = 0;                        // ever
  Status trouble_;                                  // the last that was no verdict
  Condition changed_;
  bool over_ = false;
};

}  // namespace redoubt
