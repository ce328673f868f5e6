// SPDX-License-Identifier: MIT
//
// What a compute does between taking the log over and its recovery, in the order in which
// innodb-patch does it (rdb0ps.cc: boot, rdb0wal.cc: wal_start), and what the answers are checked
// against.
//
// Suspends: all functions. An error ends this life of the compute.
#pragma once

#include "client/log_writer.h"
#include "client/page_client.h"
#include "sim/cluster/compute_ports.h"
#include "sim/cluster/run_context.h"

namespace redoubt::sim {

class ComputeStart {
 public:
  // All outlive it.
  ComputeStart(Runtime* runtime, RunContext* context, LogWriter* writer, PageClient* pages,
               WriterLog* log)
      : runtime_(runtime), context_(context), writer_(writer), pages_(pages), log_(log) {}

  // With files of its own: sends what the log servers lack of their redo, as far as it is whole,
  // and waits until that is durable. A machine whose files are older than the volume, or whose
  // volume another server has had since, gets a copy of the volume instead.
  Task<Status> SendOwnRedo(LogPosition position, LocalDatabase* own);
  // Without: a gap up to the next block, so that new redo files can begin there, which is *begin
  // then; the tablespaces and the files beside them as of there.
  Task<Status> FillDirectory(Epoch epoch, Lsn* begin);
  // Behind that: the counters that are in no page.
  Task<Status> ReadCounters(Epoch epoch, Lsn begin);

 private:
  Task<Status> Append(LogBuffer* redo);
  // What `read`, one of boot_bundle.h, answers; again while only trouble is in the way.
  template <typename Answer>
  Task<Result<Answer>> ReadBundle(Task<Result<Answer>> (*read)(Runtime*, PageClient*, Lsn,
                                                               TimePoint),
                                  const char* what, Lsn lsn);
  // The next try, or why there is none.
  Task<Status> AfterTrouble(const Status& trouble, const char* what, Lsn lsn);
  // A newer writer began below `lsn`: what page servers say there is not about this one's log.
  Status CheckNewest(Epoch epoch, Lsn lsn) const;
  TimePoint Deadline() const;

  Runtime* runtime_;
  RunContext* context_;
  LogWriter* writer_;
  PageClient* pages_;
  WriterLog* log_;
};

}  // namespace redoubt::sim
