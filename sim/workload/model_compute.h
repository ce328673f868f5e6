// SPDX-License-Identifier: MIT
//
// A database server without disks, as far as Redoubt sees it: one life of it, under one epoch.
//
// It reads pages from a PageSource into a bounded pool, at max(boot LSN, flushed LSN), saying since
// when it has not changed them; changes them in mtrs; sends the redo to a RedoSink in chunks that
// may end anywhere; drops a changed page only when its change is durable; and tells a client that
// its transaction is committed only when the commit's mtr is. It writes nothing else. All it has is
// lost with it, unless its surroundings have a LocalDatabase: what it hands to the log is written
// there first.
//
// A new life sees only the pages at its boot LSN: it goes on with the setup, rolls back what was in
// flight, shows the whole database to the ledger (C9) and its pages to the reference recovery (C7),
// and then serves clients. Every page it reads is held against the timeline (C2, C3).
//
// Coroutines borrow `this`: the node dies, or Stop returns, before it goes.
#pragma once

#include <cstdint>
#include <functional>
#include <set>
#include <string>
#include <vector>

#include "common/base/result.h"
#include "common/runtime/runtime.h"
#include "common/runtime/sync.h"
#include "common/runtime/task_group.h"
#include "sim/oracle/ledger.h"
#include "sim/oracle/page_content.h"
#include "sim/oracle/reference_recovery.h"
#include "sim/oracle/timeline.h"
#include "sim/runtime/seeded_stream.h"
#include "sim/workload/bank_database.h"
#include "sim/workload/buffer_pool.h"
#include "sim/workload/catalogue_load.h"
#include "sim/workload/compute_ports.h"
#include "sim/workload/local_database.h"
#include "sim/workload/log_buffer.h"

namespace redoubt::sim {

struct ModelComputeOptions {
  BankOptions bank;  // slot_count: clients
  size_t pool_page_count = 64;
  size_t log_buffer_bytes = 64 << 10;
  uint64_t chunk_bytes_max = 4096;
  // Means. A client's pause between transfers; one between two mtrs of a transfer, now and then;
  // the log writer's between two chunks.
  uint64_t think_ns = 20'000'000;
  uint64_t step_ns = 1'000'000;
  uint64_t write_pause_ns = 500'000;
  uint32_t rollback_percent = 10;
  uint32_t lookup_percent = 10;
  uint32_t filler_percent = 50;
  // One of so many transfers goes with a change of tables; 0: none.
  uint32_t catalogue_every = 0;
};

// What a compute works with and whom it reports to. All outlive it.
struct ComputeSurroundings {
  Runtime* runtime = nullptr;
  PageSource* pages = nullptr;
  RedoSink* log = nullptr;
  Timeline* timeline = nullptr;
  PageContent* content = nullptr;
  Ledger* ledger = nullptr;
  ReferenceRecovery* reference = nullptr;
  Findings* findings = nullptr;
  LocalDatabase* local = nullptr;  // null: nothing outlives it
  // Its pages are as of what is committed: then they are its own, even when it was replaced.
  bool reads_committed = false;
};

class ModelCompute {
 public:
  // The timeline knows `epoch`. `boot`: it starts from the database as of boot.end, of which what
  // lies below boot.start is known to be durable. `entity`: for its random streams, differs between
  // lives.
  ModelCompute(ComputeSurroundings around, const ModelComputeOptions& options, RandomRoot* random,
               uint64_t entity, Epoch epoch, LsnRange boot);
  ModelCompute(const ModelCompute&) = delete;
  ModelCompute& operator=(const ModelCompute&) = delete;

  // Of a pool: else clients may wait for each other's pages.
  static size_t PoolPagesNeeded(uint32_t client_count);

  // Starts the log writer and recovers. OK: all that was in flight is rolled back, and that is
  // durable. An error is why this life is over.
  Task<Status> Recover();
  // Serves clients until Drain is called, or this life is over: the reason.
  Task<Status> Serve();
  // Clients end what they have begun, and begin nothing more.
  void Drain();
  // Everything again that Recover showed to the checkers, with no client at work.
  Task<Status> Verify();
  // Ends this life; clients learn nothing more.
  Task<void> Stop();

  bool recovered() const { return recovered_; }
  const Status& failure() const { return failure_; }
  Lsn flushed_lsn() const { return flushed_; }
  Lsn end_lsn() const { return log_.end_lsn(); }
  uint64_t pages_read() const { return pages_read_; }
  uint64_t pages_dropped() const { return pool_.dropped_count(); }
  uint64_t rolled_back_at_start() const { return rolled_back_at_start_; }

 private:
  using Body = std::function<Access(MiniTransaction*)>;

  // Runs `body`, fetching what it misses, until it is through; commits what it logged. kDone or
  // kNoRow in *outcome. Not OK: this life is over.
  Task<Status> RunMtr(Body body, Access* outcome);
  void Commit(MiniTransaction* mtr);
  void KeepLocally(Lsn end, const Bytes& redo, const std::vector<Timeline::ChangedPage>& changed,
                   const std::vector<RedoFact>& facts);
  Task<Status> Fetch(PageId page);
  Status TakeFetched(PageId page, const Result<SourcePage>& fetched);
  void Fail(Status why);

  Task<void> WriteLog();
  Task<void> WatchFlushed();
  void NoteFlushed();
  Task<Status> WaitDurable(Lsn lsn);

  Task<Status> SetUp();
  Task<Status> RollBack(uint32_t slot);
  Task<Status> RollBackAll();

  Task<void> Client(uint32_t slot);
  Task<Status> TransferOnce(uint32_t slot);
  Task<Status> RunTransfer(uint32_t slot, uint32_t id, Transfer transfer, bool roll_back);
  Task<Status> ChangeBalance(uint32_t slot, uint32_t account, uint64_t change);
  Task<Status> InsertRow(uint32_t slot, uint32_t id, uint64_t value);
  Task<Status> MaybeChangeFiller(uint32_t slot);
  Task<Status> LookUp(uint32_t slot);
  // What the redo up to the boot LSN says of tables, as a compute is told when it starts.
  void KnowCatalogue();
  Task<Status> MaybeChangeCatalogue();
  // Only the first page of a table is ever used.
  Access LogChange(const CatalogueLoad::Change& change, MiniTransaction* mtr);
  Task<void> Pause(uint32_t slot, uint64_t mean_ns);
  Transfer DrawTransfer(SeededStream* random) const;
  int64_t NowNs() const { return around_.runtime->scheduler->Now().time_since_epoch().count(); }

  ComputeSurroundings around_;
  ModelComputeOptions options_;
  Epoch epoch_;
  Lsn boot_lsn_;
  Lsn flushed_;
  SeededStream write_random_;
  std::vector<SeededStream> client_random_;
  BankDatabase bank_;
  CatalogueLoad catalogue_;
  BufferPool pool_;
  LogBuffer log_;
  std::set<PageId> fetching_;
  std::set<uint32_t> locked_accounts_;
  Status failure_;
  bool draining_ = false;
  bool changing_catalogue_ = false;  // one at a time
  bool recovered_ = false;
  uint32_t clients_running_ = 0;
  uint64_t pages_read_ = 0;
  uint64_t rolled_back_at_start_ = 0;
  Condition changed_;  // of anything that somebody here may wait for
  TaskGroup tasks_;
};

}  // namespace redoubt::sim
