// SPDX-License-Identifier: MIT
//
// One log server as a LogWriter sees it. First its promise (EpochNegotiation asks for it); then it
// runs by itself: connects, makes sure of the promise, begins the epoch there, fills the server up
// from another one when the window does not reach back far enough, sends what the window holds with
// many appends in flight, reports acknowledgements, and begins again after a loss.
//
// Requests of one connection are taken up by the server in the order in which they were sent, so
// appends are contiguous there without waiting for answers here.
//
// Among several members only a newer epoch ends the writer; anything else that is wrong with one
// member (its disk, its volume gone, bytes that do not fit) keeps that member out until it is
// mended. A single member's trouble is the writer's.
#pragma once

#include <cstddef>
#include <deque>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "client/epoch_plan.h"
#include "client/log_window.h"
#include "client/volume_client.h"
#include "common/base/result.h"
#include "common/base/types.h"
#include "common/runtime/rpc/rpc_channel.h"
#include "common/runtime/runtime.h"
#include "common/runtime/sync.h"
#include "common/runtime/task_group.h"

namespace redoubt {

// A chunk as a log server has it.
struct LogPiece {
  LsnRange range;
  Lsn first_mtr_lsn;
  int64_t source_time_unix_ns = 0;
  std::shared_ptr<const Bytes> bytes;  // of all pieces of an answer
  size_t offset = 0;

  ByteView payload() const;
};

class LogReplica {
 public:
  // `window` and `options` outlive the replica.
  LogReplica(Runtime* runtime, std::string address, size_t member, LogWindow* window,
             const LogWriterOptions* options);
  LogReplica(const LogReplica&) = delete;
  LogReplica& operator=(const LogReplica&) = delete;
  ~LogReplica();

  const std::string& address() const { return address_; }

  // Before Run, one at a time. The highest epoch that the server has promised.
  Task<Result<Epoch>> PromisedEpoch(TimePoint deadline);
  // Promise of the server; may be called again after an error. See LogWriter::Start.
  Task<Result<PromisedLog>> Prepare(Epoch epoch, TimePoint deadline);

  // OK: the server is still at `epoch`, promised to whoever holds it. kStaleEpoch: at another one.
  // kUnavailable: not connected, or the connection was lost.
  Task<Status> ConfirmPromise(Epoch epoch, TimePoint deadline);

  // What the server has from `from` on, also what is not committed yet. kStaleEpoch: it has
  // promised another epoch. kUnavailable: not connected.
  Task<Result<std::vector<LogPiece>>> ReadLog(Epoch epoch, Lsn from, size_t bytes_max,
                                              TimePoint deadline);
  // Its log, and who reads it. kUnavailable: not connected, or the connection was lost.
  Task<Result<proto::LogStatusResponse>> AskLog(TimePoint deadline);

  // Begins the epoch and streams. Once. `plan` and `members` (this one among them) outlive the
  // replica.
  void Run(const EpochPlan* plan, const std::vector<std::unique_ptr<LogReplica>>* members);
  // Sends what is new in the window, if the connection stands. Never suspends.
  void Pump();
  // This server has everything below `end`: whatever follows from that is told to all.
  void Acknowledge(Lsn end);
  // Retried over lost connections until the deadline; OK, too, when the window has begun there
  // without this member.
  Task<Status> StartAt(Lsn start, std::string reason, TimePoint deadline);
  // Answered by the server, if the connection stands, or given up at the deadline. Before Stop.
  Task<void> TellCommitAtLast(TimePoint deadline);
  Task<void> Stop();

 private:
  struct OtherLog {
    LogReplica* member = nullptr;
    proto::LogStatusResponse log;
  };
  struct InFlight {
    uint64_t request_id;
    Lsn end;
    size_t bytes;
  };

  Status CheckStillAt(Epoch epoch, const proto::LogStatusResponse& log) const;
  bool alone() const { return window_->member_count() == 1; }
  TimePoint CallDeadline() const;

  Task<Status> Connect(TimePoint deadline);
  Task<void> Disconnect();
  Task<void> MainLoop();
  // One connection's life: join, then stream until something goes wrong.
  Task<Status> Session();
  Task<Status> Join();
  Task<Status> FindVolume(TimePoint deadline);
  Task<Status> CreateVolume(TimePoint deadline);
  Task<bool> OthersConfirm(TimePoint deadline);
  Task<Status> MakeSureOfPromise();
  Task<Result<Lsn>> BeginEpoch();
  Task<Status> FillUp(Lsn* end);
  bool CanGiveFrom(const LogReplica* member, Lsn end) const;
  // Until another member can give redo from `end` on.
  Task<Status> WaitForSource(Lsn end, TimePoint give_up);
  LogReplica* SourceFor(Lsn end) const;
  Task<Status> CopyFrom(LogReplica* source, Lsn* end);
  // Of the others that serve now, and of those of them that answer soon, the log that reaches back
  // furthest; who reads any of them goes into readers_elsewhere_.
  Task<Result<OtherLog>> FurthestBack(Lsn end);
  // The log here begins, or begins anew, where that one does, unless that one has what is wanted.
  Task<Result<LogReplica*>> BeginAnew(Lsn* end);
  void NoteReaders(const proto::LogStatusResponse& log);
  Task<Status> AppendPiece(const LogPiece* piece, Lsn* end);
  Task<Status> SendStartAt(Lsn start, std::string reason, bool trimmed, TimePoint deadline);
  bool InWindow(Lsn end) const;
  Task<Status> ReceiveLoop();
  Task<Status> TellCommit(TimePoint deadline);
  void NotePagesWant(Lsn from);
  bool SendChunk(const WindowChunk& chunk);
  // What this server was told is behind what it should know.
  bool CommitDue() const;
  Task<void> CommitLoop();
  // What this server knows to be committed as soon as it has synced the chunk.
  Lsn CommitWith(const WindowChunk& chunk) const;
  void SendCommit();

  Runtime* runtime_;
  std::string address_;
  size_t member_;
  LogWindow* window_;
  const LogWriterOptions* options_;
  const EpochPlan* plan_ = nullptr;
  const std::vector<std::unique_ptr<LogReplica>>* members_ = nullptr;
  VolumeId volume_;  // this server's number; 0: not known yet
  Epoch promised_;   // by this server to this writer
  // Closed by the main loop only. Shared with calls of others that wait on it and may wake after
  // that.
  std::shared_ptr<RpcChannel> channel_;
  bool streaming_ = false;
  Lsn sent_;  // end of the last chunk given to channel_
  Lsn commit_told_;
  Lsn keep_told_;
  // Page roles that the others know, with the least that they are known to have persisted: told
  // with the next StartAt, because this server may not know them.
  std::map<std::string, Lsn> readers_elsewhere_;
  std::deque<InFlight> in_flight_;
  size_t in_flight_bytes_ = 0;
  Condition changed_;
  Condition commit_due_;
  TaskGroup tasks_;
};

}  // namespace redoubt
