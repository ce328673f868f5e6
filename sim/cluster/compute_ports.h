// SPDX-License-Identifier: MIT
//
// A model compute's pages and log, over the real client library.
#pragma once

#include "client/log_writer.h"
#include "client/page_client.h"
#include "sim/cluster/run_context.h"
#include "sim/workload/compute_ports.h"

namespace redoubt::sim {

// Tries for as long as the page servers cannot answer, as a patched server does: a read never fails
// for want of a connection.
class ClientPages : public PageSource {
 public:
  // All outlive it.
  ClientPages(Runtime* runtime, RunContext* context, PageClient* client)
      : runtime_(runtime), context_(context), client_(client) {}
  Task<Result<SourcePage>> Fetch(PageId page, Lsn read_lsn, Lsn not_modified_since) override;

 private:
  // The same read may succeed later.
  bool IsTrouble(const Status& status) const;

  Runtime* runtime_;
  RunContext* context_;
  PageClient* client_;
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

}  // namespace redoubt::sim
