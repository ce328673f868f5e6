// SPDX-License-Identifier: MIT
//
// The redo of one volume from log servers elsewhere: what feeds a page role that has no log of its
// own.
//
// Every log server is asked every half a second for its state; that also tells it how far this
// reader has persisted, so that none of them trims what is still needed here. Redo is pulled from
// one of them, with a request that waits there for more. Another one takes its place when it does
// not answer in time, answers late, refuses, sends damage, has trimmed or does not have what is
// wanted, or when another one knows of a higher commit LSN. One that failed is left alone for a
// while that doubles; one that failed or was late comes after all that did not, unless those have
// had nothing for `hunger_max`, until a read from it is good again. When answers are late
// everywhere they are waited for longer and asked to be smaller, so that slow ways still get there.
//
// What makes a change safe:
//   - only committed bytes are ever given, and what is committed is the same on every log server;
//     one with a lower commit LSN gives nothing until it has caught up
//   - a position is a byte: log servers cut the same bytes into different chunks, and the first
//     chunk of another one may begin below the wanted LSN or in the middle of an mtr. Whoever reads
//     skips what it has and goes on in the middle of the mtr
//   - each answer says under which epoch its last bytes were written; the next log server must know
//     the same of them
// One that has persisted nothing reads nothing before a majority of the log servers knows its name:
// so one of every majority does, and whoever loses its disk is told of it by the writer.
// kBelowHorizon is answered only when every log server has been heard and none has the redo any
// more.
//
// Suspends: Read, CheckWriter, Leave, Stop.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "common/runtime/sync.h"
#include "common/runtime/task_group.h"
#include "pageserver/log/log_server_link.h"
#include "pageserver/log/redo_feed.h"

namespace redoubt {

struct RemoteFeedOptions {
  std::vector<std::string> log_servers;  // "host:port", all of the volume's
  RemoteVolume volume;
  Duration ask_interval = std::chrono::milliseconds(500);
  // A log server waits so long for redo before it answers that there is none.
  Duration read_wait = std::chrono::milliseconds(200);
  // An answer that is later counts as none; the time doubles up to _max for one that let it pass.
  Duration answer_timeout = std::chrono::seconds(2);
  Duration answer_timeout_max = std::chrono::seconds(10);
  // An answer that is later, when there is something to answer, is late.
  Duration late_after = std::chrono::milliseconds(500);
  // Redo is known to be there, and the log servers that are in order have not had it for so long.
  Duration hunger_max = std::chrono::seconds(1);
  Duration retry_delay_min = std::chrono::milliseconds(100);
  Duration retry_delay_max = std::chrono::seconds(10);
};

struct RemoteFeedStatus {
  Lsn commit;                  // the highest that any log server told
  Lsn readable_from;           // the lowest that any log server that answers now can give
  Epoch epoch;                 // the highest that any log server has promised
  std::string source;          // address; empty: none
  std::string problem;         // why no redo comes although there is some; empty otherwise
  uint64_t refused_count = 0;  // answers that were not believed: damage, another log or volume
};

class RemoteFeed final : public RedoFeed {
 public:
  RemoteFeed(Runtime* runtime, RemoteFeedOptions options);
  RemoteFeed(const RemoteFeed&) = delete;
  RemoteFeed& operator=(const RemoteFeed&) = delete;
  // Stop must have returned, unless the whole node is being destroyed.
  ~RemoteFeed() override;

  // RedoFeed. Everything below the first `from` counts as persisted. While no log server can give
  // anything it waits like for a quiet log; status() says why.
  Task<Result<FeedBatch>> Read(Lsn from, size_t bytes_max, TimePoint deadline) override;
  void Persisted(Lsn lsn) override;

  // OK when a majority of the log servers is now at `epoch`, and none that answers at a newer one.
  // kStaleEpoch: one is. kInvalidArgument: a majority answers, and is not at it. kUnavailable: no
  // majority answers.
  Task<Status> CheckWriter(Epoch epoch);
  // Tells the log servers that this reader will not come back, as far as they answer.
  Task<void> Leave();

  RemoteFeedStatus status() const;

  // The first half of Stop: a Read that waits ends with kCancelled, and so do later ones. Never
  // suspends.
  void Shutdown();
  Task<void> Stop();

 private:
  struct Source {
    Source(Runtime* runtime, std::string address, RemoteVolume volume,
           ReconnectingChannelOptions options)
        : link(runtime, std::move(address), std::move(volume), options) {}
    LogServerLink link;
    // Of what it was asked to read; a failed Ask stands in link.state().
    Status failure;
    bool late = false;
    bool knows_reader = false;  // it was told of this reader, once at least
    Duration retry_delay{};
    TimePoint retry_at{};
    Duration answer_timeout{};
    size_t bytes_max = 0;
    bool in_order() const { return failure.ok() && !late; }
  };
  struct Poll;

  void Begin(Lsn persisted);
  Task<void> AskLoop(size_t index);
  static Task<void> AskOnce(RemoteFeed* feed, size_t index, std::shared_ptr<Poll> poll);
  // Whether redo is kept for this reader, whichever log servers lose their disks.
  bool IsKnown() const;
  bool Usable(const Source& source, Lsn from) const;
  // The lower, the better; sources of one rank are as good.
  int RankOf(const Source& source, Lsn from) const;
  // Where to read next; nullopt: nowhere now.
  std::optional<size_t> Choose(Lsn from) const;
  void Delivered(size_t index, Lsn from, const ReadAnswer& answer);
  // An answer did not come in time: what is asked next is smaller and waited for longer.
  void BePatient(Source* source) const;
  bool HungryFor(Duration duration) const;
  Task<Result<FeedBatch>> ReadFrom(size_t index, Lsn from, size_t bytes_max, TimePoint deadline);
  void Blame(size_t index, Status status);
  // Not OK: all log servers were heard, and none will ever have it.
  Status GoneEverywhere(Lsn from) const;
  std::string WhyNot(const Source& source, Lsn from) const;
  void Complain(Lsn from);
  TimePoint NextTry(TimePoint deadline) const;
  TimePoint AnswerDeadline(const Source& source) const;

  Runtime* runtime_;
  RemoteFeedOptions options_;
  std::vector<std::unique_ptr<Source>> sources_;
  std::optional<size_t> current_;
  std::optional<size_t> told_source_;  // the one that the log named last
  bool dry_ = false;                   // the current one had nothing when it was last asked
  std::optional<TimePoint> hungry_since_;
  size_t preferred_ = 0;  // where the search begins
  bool begun_ = false;
  Lsn persisted_;
  bool had_nothing_ = false;  // when it began
  Lsn commit_;
  // What the answer that ended at `known_end_` said of its last bytes.
  Lsn known_end_;
  std::optional<EpochBegin> written_under_;
  std::string problem_;
  uint64_t refused_count_ = 0;
  Condition changed_;  // a log server was heard
  TaskGroup tasks_;
};

}  // namespace redoubt
