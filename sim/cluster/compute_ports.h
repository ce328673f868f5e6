// SPDX-License-Identifier: MIT
//
// A model compute's pages and log, over the real client library. ClientPages reads page by page,
// as of the LSN that was asked for; BatchedPages as innodb-patch does.
#pragma once

#include <deque>
#include <memory>
#include <vector>

#include "client/log_writer.h"
#include "client/page_client.h"
#include "common/runtime/sync.h"
#include "common/runtime/task_group.h"
#include "sim/cluster/run_context.h"
#include "sim/workload/compute_ports.h"

namespace redoubt::sim {

// Both try for as long as the page servers cannot answer, as a patched server does: a read never
// fails for want of a connection.
class ClientPages : public PageSource {
 public:
  // All outlive it.
  ClientPages(Runtime* runtime, RunContext* context, PageClient* client)
      : runtime_(runtime), context_(context), client_(client) {}
  Task<Result<SourcePage>> Fetch(PageId page, Lsn read_lsn, Lsn not_modified_since) override;

 private:
  Runtime* runtime_;
  RunContext* context_;
  PageClient* client_;
};

// What waits at the same time leaves in one request, as of all that is committed, and is said to be
// unchanged since the newest change of any page of it.
class BatchedPages : public PageSource {
 public:
  // All outlive it. `read_timeout`: after it a page comes out of `own`, if there is one.
  BatchedPages(Runtime* runtime, RunContext* context, PageClient* client, const LogWriter* writer,
               const LocalDatabase* own, Duration read_timeout);
  Task<Result<SourcePage>> Fetch(PageId page, Lsn read_lsn, Lsn not_modified_since) override;
  // Joins the requests under way; the client was stopped.
  Task<void> Stop();

 private:
  struct Waiting;
  void SendWaiting();
  Task<void> Send(std::vector<std::shared_ptr<Waiting>> batch);

  Runtime* runtime_;
  RunContext* context_;
  PageClient* client_;
  const LogWriter* writer_;
  const LocalDatabase* own_;
  Duration read_timeout_;
  std::deque<std::shared_ptr<Waiting>> queue_;
  size_t batches_under_way_ = 0;
  TaskGroup tasks_;
};

// Its own files; what is not in them is as in the volume at their base, or, at the log's begin, was
// never written.
class OwnPages : public PageSource {
 public:
  // Both outlive it.
  OwnPages(const LocalDatabase* own, Lsn log_begin, PageSource* restored_from)
      : own_(own), log_begin_(log_begin), restored_from_(restored_from) {}
  Task<Result<SourcePage>> Fetch(PageId page, Lsn read_lsn, Lsn not_modified_since) override;

 private:
  const LocalDatabase* own_;
  Lsn log_begin_;
  PageSource* restored_from_;
};

class WriterLog : public RedoSink {
 public:
  WriterLog(Runtime* runtime, RunContext* context, LogWriter* writer)
      : runtime_(runtime), context_(context), writer_(writer) {}
  Task<Status> Append(LogChunk chunk) override;
  Task<Status> WaitAcknowledged(Lsn lsn) override;
  Lsn acknowledged() const override { return writer_->acknowledged(); }

 private:
  Runtime* runtime_;
  RunContext* context_;
  LogWriter* writer_;
  Lsn shown_;  // in the trace
};

// The same read of page servers may succeed later.
bool IsReadTrouble(RunContext* context, const Status& status);

}  // namespace redoubt::sim
