// SPDX-License-Identifier: MIT
//
// What the programs of one run share besides the simulated network: the truth, the checkers, and
// what the run wants from them. Programs reach it by pointer; it outlives the world.
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <set>
#include <string>
#include <string_view>
#include <vector>

#include "common/base/types.h"
#include "sim/cluster/log_truth.h"
#include "sim/oracle/acknowledged_redo.h"
#include "sim/oracle/epoch_fence.h"
#include "sim/oracle/final_pages.h"
#include "sim/oracle/findings.h"
#include "sim/oracle/kept_redo.h"
#include "sim/oracle/leak_check.h"
#include "sim/oracle/ledger.h"
#include "sim/oracle/lsn_order.h"
#include "sim/oracle/majority_copy.h"
#include "sim/oracle/page_content.h"
#include "sim/oracle/page_history.h"
#include "sim/oracle/persisted_position.h"
#include "sim/oracle/reference_recovery.h"
#include "sim/oracle/stored_content.h"
#include "sim/oracle/table_counters.h"
#include "sim/oracle/tablespaces.h"
#include "sim/oracle/time_map.h"
#include "sim/oracle/timeline.h"
#include "sim/runtime/sim_world.h"
#include "sim/workload/followed_server.h"
#include "sim/workload/local_database.h"
#include "sim/workload/model_compute.h"

namespace redoubt::sim {

// proto::ComputeMode, in its order.
enum class ComputeMode : uint8_t { kPagesOnly, kStream, kRead, kNowrite, kStateless };

// A scenario's ranges, resolved for one seed.
struct RunSettings {
  std::string volume = "main";
  bool rocksdb_store = false;  // else the in-memory one
  // 0: one server with every role.
  uint32_t log_servers = 0;
  uint32_t page_servers = 0;
  // The same on every replica of the volume.
  uint64_t volume_uid = 0;
  uint64_t redo_bytes_per_s = 100'000;
  int64_t burst_ns = 10'000'000;  // it comes in bursts, so far apart
  uint32_t page_size = 16384;
  uint32_t spaces = 3;
  uint32_t pages_per_space = 20;
  uint32_t catalogue_every = 0;  // 0: tables are no part of the run
  uint64_t chunk_bytes_max = 8192;
  int64_t read_interval_ns = 20'000'000;
  uint32_t impatient_percent = 0;  // of the reads, which give the server less time than they take
  int64_t neighbour_interval_ns = 0;  // of other volumes in the same page store; 0: there are none
  uint64_t page_batch_bytes = 64 << 10;
  int64_t page_flush_ns = 10'000'000'000;  // from one flush of a page store to the next
  uint64_t log_segment_bytes = 256 << 10;
  uint64_t log_tail_bytes = 64 << 10;
  uint32_t log_format = 0;  // with which servers are installed; 0: the newest
  uint64_t page_cache_bytes = 1 << 20;
  Lsn begin_lsn;
  // Computes in the place of a followed server.
  bool computes = false;
  ComputeMode compute_mode = ComputeMode::kPagesOnly;
  ModelComputeOptions compute;
  // A recording that is played instead of the model server's redo; empty: none.
  std::string recorded_redo;
};

// A server as clients know it.
struct ServerPlace {
  NodeId node = kWorldNode;
  std::string address;
  bool serves_pages = false;
};

// The database server that the settings ask for, writing to `history`.
std::unique_ptr<FollowedServer> MakeFollowedServer(const RunSettings& settings, RandomRoot* random,
                                                   PageHistory* history);

enum class Phase : uint8_t { kChaos, kCalm };

struct RunContext {
  RunContext(const RunSettings& run_settings, RandomRoot* random)
      : settings(run_settings),
        history(run_settings.page_size),
        server_model(MakeFollowedServer(run_settings, random, &history)),
        model(*server_model),
        final_pages(&findings),
        redo(&findings),
        fence(&findings),
        timeline(&findings, run_settings.page_size, run_settings.begin_lsn),
        ledger(&findings, run_settings.compute.bank.account_count,
               run_settings.compute.bank.opening_balance),
        reference(&findings, &timeline, run_settings.page_size),
        followed_log(&model, &redo),
        lineage_log(&timeline),
        truth(run_settings.computes ? static_cast<LogTruth*>(&lineage_log) : &followed_log),
        content(&findings,
                run_settings.computes ? static_cast<const PageTruth*>(&timeline) : &history),
        counters(&findings, facts()),
        tablespaces(&findings, facts()),
        times(&findings) {
    model.TellFinalPages(&final_pages);
  }
  RunContext(const RunContext&) = delete;
  RunContext& operator=(const RunContext&) = delete;

  RunSettings settings;
  Findings findings;
  PageHistory history;
  std::unique_ptr<FollowedServer> server_model;
  FollowedServer& model;
  FinalPages final_pages;
  AcknowledgedRedo redo;
  EpochFence fence;
  LeakCheck leaks{&findings};
  MajorityCopy majority{&findings};
  // What the log servers have that run and are not about to be filled up from nothing.
  std::function<MajorityCopy::Replicas()> log_replicas;
  KeptRedo kept{&findings};
  // Shows `kept` and `positions` what the servers hold and say now.
  std::function<void()> look_at_servers;
  // Of those that a writer has begun.
  Epoch NewestEpoch() const { return settings.computes ? timeline.newest_epoch() : fence.newest(); }
  // The writer of `epoch` was just told that everything below `lsn` is durable.
  void CheckMajority(Epoch epoch, Lsn lsn) {
    look_at_servers();
    const MajorityCopy::Replicas replicas = log_replicas();
    majority.Acknowledged(epoch, lsn, replicas);
    for (const MajorityCopy::Copy& copy : replicas.copies) {
      if (copy.commit > truth->begin_lsn()) {
        majority.Committed(copy, truth->LastEndAtOrBelow(copy.commit), replicas);
      }
    }
  }
  // Of computes.
  Timeline timeline;
  Ledger ledger;
  ReferenceRecovery reference;
  uint64_t recoveries = 0;
  uint64_t recoveries_cut_short = 0;
  // The standing compute has ended all its transactions and begins no more.
  bool drained = false;
  // Computes that were started last of all and have shown the whole database to the checkers.
  uint64_t audits_done = 0;

  // The files of a compute's machine, where it keeps some.
  LocalDatabase& LocalDatabaseOf(NodeId node) {
    return local_databases.try_emplace(node, timeline.begin()).first->second;
  }
  std::map<NodeId, LocalDatabase> local_databases;

  FollowedLog followed_log;
  LineageLog lineage_log;
  LogTruth* truth;  // one of the two
  PageContent content;
  // Of what is in no page; looked at where catalogue_every says that there is something.
  TableCounters counters;
  Tablespaces tablespaces;
  TimeMap times;
  const FactTruth* facts() const {
    return settings.computes ? static_cast<const FactTruth*>(&timeline) : &model;
  }

  // C6 of each page server's store.
  StoredContent& StoreOf(NodeId node) {
    return stores.try_emplace(node, &findings, "store " + std::to_string(node)).first->second;
  }
  std::map<NodeId, StoredContent> stores;
  // C4 of it.
  PersistedPosition& PositionOf(NodeId node) {
    return positions.try_emplace(node, &findings, "store " + std::to_string(node)).first->second;
  }
  std::map<NodeId, PersistedPosition> positions;

  SimWorld* world = nullptr;
  // With every role in one server they are the same one.
  std::vector<ServerPlace> log_servers;
  std::vector<ServerPlace> page_servers;
  Phase phase = Phase::kChaos;
  bool volume_created = false;  // a client was told so
  // Likewise, by these page servers, at these times: they can be read from then on.
  std::map<NodeId, int64_t> horizon_set;
  uint64_t reads_failed = 0;  // while faults were on: expected
  uint64_t writer_count = 0;  // writers that got an epoch
  uint64_t server_starts = 0;
  // Log servers among several whose disk was damaged at rest: they may refuse to start on it.
  std::set<NodeId> damaged_servers;
  // Servers whose disk was damaged at rest and not replaced yet. What such a page server gives must
  // be right; that it gives anything nobody asks.
  std::set<NodeId> rotten_servers;
  // Of servers whose configuration was changed: their sizes in percent of the scenario's.
  std::map<NodeId, uint64_t> size_percent;

  // Of servers that were upgraded, or downgraded again: as settings.log_format.
  std::map<NodeId, uint32_t> log_formats;
  uint32_t LogFormatOf(NodeId server) const {
    const auto set = log_formats.find(server);
    return set == log_formats.end() ? settings.log_format : set->second;
  }
  // Those that have run with the newest format on their present disk.
  std::set<NodeId> ran_newest_format;

  bool replicated() const { return log_servers.size() > 1; }
  // C4 of each server.
  LsnOrder& OrderOf(NodeId server) {
    return orders.try_emplace(server, &findings, replicated()).first->second;
  }
  std::map<NodeId, LsnOrder> orders;

  // What the final verification is doing; "done" when it is through.
  std::string verify_stage = "not begun";
  uint64_t verify_rounds_done = 0;
};

}  // namespace redoubt::sim
