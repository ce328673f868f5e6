// SPDX-License-Identifier: MIT
//
// One log server elsewhere, as a page role sees one volume of it: its connection, the volume's
// number there, and what it said last.
//
// A log server is trusted with a volume only under the volume's uid, which every request carries:
// one with another server's disk, or with another volume of that name, refuses. What it sends is
// checked before it is handed on, so that damage on one server never reaches the pages while
// another one has the bytes.
//
// Suspends: Ask, Read, Leave, Close. Several calls may run side by side.
#pragma once

#include <cstdint>
#include <optional>
#include <string>

#include "common/base/result.h"
#include "common/base/types.h"
#include "common/runtime/rpc/reconnecting_channel.h"
#include "common/runtime/runtime.h"
#include "pageserver/log/epoch_history.h"
#include "pageserver/log/redo_feed.h"

namespace redoubt {

// Which volume, and who reads it.
struct RemoteVolume {
  std::string name;
  uint64_t uid = 0;
  std::string reader;
};

// What a log server said of the volume.
struct LogServerState {
  bool asked = false;                                         // an Ask has ended
  Status problem{StatusCode::kUnavailable, "not asked yet"};  // OK: the last Ask was answered
  // Of the last Ask that was answered.
  Lsn readable_from;
  Lsn end;
  Lsn commit;
  Epoch epoch;  // promised
};

struct ReadAnswer {
  FeedBatch batch;
  // Of the last byte of the last chunk; nullopt: the server does not know.
  std::optional<EpochBegin> written_under;
};

class LogServerLink {
 public:
  LogServerLink(Runtime* runtime, std::string address, RemoteVolume volume,
                ReconnectingChannelOptions options);
  LogServerLink(const LogServerLink&) = delete;
  LogServerLink& operator=(const LogServerLink&) = delete;

  const std::string& address() const { return channel_.address(); }
  const LogServerState& state() const { return state_; }

  // Tells what the reader has persisted and brings state() up to date; the promised epoch.
  // kInvalidArgument: the server holds another volume of that name. kNotFound: it has none.
  // Otherwise as Channel::Call, or what the server refuses with.
  Task<Result<Epoch>> Ask(Lsn persisted, TimePoint deadline);
  // Committed chunks, sound and in order, each ending above `from`; the first may begin below it.
  // The server waits for the first one until `wait_until`, the answer is waited for until
  // `deadline`. `under`: what an earlier answer said of the bytes below `from`.
  // kBelowHorizon: trimmed there. kCorruption: damaged, or no replica of the log that was read.
  // kUnavailable: also while Ask has not found the volume.
  Task<Result<ReadAnswer>> Read(Lsn from, size_t bytes_max, Lsn persisted,
                                std::optional<EpochBegin> under, TimePoint wait_until,
                                TimePoint deadline);
  // The reader will not come back.
  Task<Status> Leave(TimePoint deadline);
  // Ends running calls with kUnavailable and refuses later ones.
  Task<void> Close();

 private:
  Task<Result<VolumeId>> FindVolume(TimePoint deadline);
  // An answer that did not come in time: the connection may be dead.
  void NoteOutcome(const Status& status);
  Task<Result<Epoch>> AskStatus(Lsn persisted, bool leaves, TimePoint deadline);

  Runtime* runtime_;
  RemoteVolume volume_;
  ReconnectingChannel channel_;
  VolumeId id_;  // the volume's number there; 0: not known
  LogServerState state_;
};

}  // namespace redoubt
