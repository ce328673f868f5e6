// SPDX-License-Identifier: MIT
//
// The writing end of a volume's redo log: fences older writers, then streams chunks with many in
// flight and says how far they are durable.
//
//   Start (Prepare, EpochStart) -> [StartAt] -> Append* ... -> Stop
//
// Start makes an epoch stand: a majority of the log servers has promised it, holds everything that
// was ever acknowledged, and is cut back to the last whole mtr (epoch_negotiation.h). Each log
// server has a LogReplica (log_replica.h) that sends what the window holds from where that server's
// log ends, and after a lost connection asks the server for its end and goes on from there under
// the same epoch; a server that was away longer is filled up from another one. A chunk leaves the
// window when a majority of the members has it. acknowledged() is how far the log is durable (Rule
// 4).
//
// Failure is final: kStaleEpoch (a newer writer exists); with a single log server also kGap (its
// log ends below what the window still holds, or a chunk does not continue the log), kCorruption,
// kNotFound (volume deleted). It stops the writer; the caller makes a new one. Lost connections, a
// full disk, and with several servers anything that is wrong with one of them do not: they are
// tried again until Stop, and show only as acknowledged() standing still and last_problem().
//
// Invariants: acknowledged <= sent end of a majority <= next_lsn; window bytes <= window_bytes +
// one chunk. Suspends: Start, StartAt, Append (while the window is full), WaitAcknowledged, Stop.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "client/epoch_plan.h"
#include "common/base/result.h"
#include "common/base/types.h"
#include "common/runtime/rpc/channel.h"
#include "common/runtime/runtime.h"
#include "common/runtime/sync.h"
#include "common/runtime/task_group.h"

namespace redoubt {

class LogReplica;
class LogWindow;

struct LogWriterOptions {
  std::string volume;
  size_t window_bytes = 16 << 20;
  // An append that is not answered for so long counts as a lost connection.
  Duration append_timeout = std::chrono::seconds(30);
  // How long Start waits, twice, for the slowest of several log servers before it goes on without
  // it.
  Duration prepare_timeout = std::chrono::seconds(1);
  // A log server that was not sent anything for so long is asked whether it is still there, and
  // told again what is committed: an idle writer hears so of a newer one. Likewise one that cannot
  // be filled up now.
  Duration idle_probe = std::chrono::seconds(1);
  // How long Stop waits for log servers that do not answer.
  Duration farewell_timeout = std::chrono::milliseconds(500);
  Duration retry_delay_min = std::chrono::milliseconds(20);
  Duration retry_delay_max = std::chrono::seconds(1);
};

// Where Start found, or made, the log's end.
struct LogPosition {
  VolumeId volume;  // its number at the log server whose log was the longest
  Epoch epoch;
  Lsn end;                         // the next append starts here; Lsn{0}: empty, StartAt first
  std::vector<EpochStart> epochs;  // of this log; after Start the last one is `epoch` itself
};

struct RedoAppend {
  LsnRange range;  // data LSNs
  // Start of the first mtr that begins in the range; Lsn{0}: none begins here.
  Lsn first_mtr_lsn;
  // Wall clock of the source when range.end was its log's end; 0: unknown.
  int64_t source_time_unix_ns = 0;
  // Exactly ToSn(range.end) - ToSn(range.start) bytes, block frames stripped; at most 16 MiB.
  SharedPayload payload;
};

class LogWriter {
 public:
  // `addresses`: the log servers of the volume, all of them, "host:port"; an odd number.
  LogWriter(Runtime* runtime, std::vector<std::string> addresses, LogWriterOptions options);
  LogWriter(const LogWriter&) = delete;
  LogWriter& operator=(const LogWriter&) = delete;
  // Stop must have returned, unless the whole node is being destroyed.
  ~LogWriter();

  // Fences every older writer and begins to serve Append. `epoch` 0: one above the highest there
  // is. kStaleEpoch: `epoch` is not above what was promised. kNotFound: no such volume.
  // kInvalidArgument: the servers hold different volumes of that name. kUnavailable,
  // kDeadlineExceeded: no majority was reached; servers may have promised. After an error the
  // writer can only be stopped.
  Task<Result<LogPosition>> Start(Epoch epoch, TimePoint deadline);

  // Begins the log at `start`, or declares the hole [next_lsn, start); there is none, and nothing
  // is declared, when `start` is next_lsn. Waits until everything appended before is acknowledged.
  // Durable on a majority on OK; the next Append starts at `start`.
  Task<Status> StartAt(Lsn start, std::string reason, TimePoint deadline);

  // Takes the chunk into the window, waiting for room. OK does not mean durable: see
  // acknowledged(). kInvalidArgument: does not start at next_lsn(), no data LSNs, or a payload of
  // another length. kCorruption, kUnsupported: the payload is no redo. kDeadlineExceeded:
  // no room in time, the chunk was not taken. Otherwise
  // failure(). One Append at a time.
  Task<Status> Append(RedoAppend chunk, TimePoint deadline);

  // OK when everything below `lsn` is durable; kDeadlineExceeded; otherwise failure().
  Task<Status> WaitAcknowledged(Lsn lsn, TimePoint deadline);

  Lsn acknowledged() const;
  // End of the last whole mtr below acknowledged(): what page servers may apply.
  Lsn commit() const;
  // Where the next Append must start.
  Lsn next_lsn() const;
  size_t window_bytes_used() const;
  Epoch epoch() const { return position_.epoch; }
  VolumeId volume() const { return position_.volume; }
  // The volume's identity, the same on every server. After Start.
  uint64_t volume_uid() const { return plan_.volume_uid; }
  // Not OK once the writer has stopped for good.
  const Status& failure() const;
  // The last trouble that is being tried again (connection lost, disk full); OK when there is none
  // now.
  const Status& last_problem() const;

  // Tells the log servers that are there what is committed, or page servers would not hear of the
  // last mtrs before the next writer: `farewell_timeout` at most. What is not acknowledged may or
  // may not be on the servers. Append and WaitAcknowledged end at once.
  Task<void> Stop();

 private:
  struct Starting;

  Task<Status> WaitUntilEpochStands(TimePoint deadline);
  static Task<void> StartMember(LogWriter* writer, size_t member,
                                std::shared_ptr<Starting> starting, TimePoint deadline);

  Runtime* runtime_;
  LogWriterOptions options_;
  std::unique_ptr<LogWindow> window_;
  std::vector<std::unique_ptr<LogReplica>> replicas_;
  EpochPlan plan_;
  LogPosition position_;
  bool started_ = false;
  TaskGroup tasks_;  // StartAt at members that are late
};

}  // namespace redoubt
