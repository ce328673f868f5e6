// SPDX-License-Identifier: MIT
//
// Clients that read: ReaderProgram asks for random pages at random LSNs all the time;
// VerifierProgram runs once the faults are over and looks at everything.
#pragma once

#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "client/page_client.h"
#include "client/volume_client.h"
#include "common/runtime/rpc/reconnecting_channel.h"
#include "common/runtime/runtime.h"
#include "sim/cluster/run_context.h"
#include "sim/runtime/seeded_stream.h"
#include "sim/runtime/sim_world.h"

namespace redoubt::sim {

// What both do at one server: find the volume, read pages or redo and hand them to the checkers.
class ReadingClient {
 public:
  ReadingClient(Runtime* runtime, RunContext* context, ServerPlace server, uint64_t entity);

  // Waits until the volume is there and, at a page server, readable.
  Task<void> FindVolume();
  // VolumeStatus, checked. `deadline_ns` from now.
  Task<Status> CheckStatus(int64_t deadline_ns);
  // From now on it may also read by way of all page servers: routed to one, with second requests
  // and other ones' answers, as a compute does.
  void RouteOverAll();
  struct PageRequest {
    std::vector<PageId> pages;
    Lsn read_lsn;  // 0: newest
    Lsn not_modified_since;
    bool routed = false;  // else from this server
  };
  // Reads and checks every answer. The status of the request.
  Task<Status> CheckPages(PageRequest request, int64_t deadline_ns);
  // Reads the log from its begin and compares it with what was acknowledged. kUnavailable: it does
  // not have all of that yet.
  Task<Status> CheckLog(int64_t deadline_ns);
  Task<Status> WaitApplied(Lsn lsn, int64_t deadline_ns);
  // Asks for the newest redo there is, applied or not, and gives the server only `patience_ms` to
  // have it: the answer comes long before this client gives up, and must be right or no answer.
  Task<Status> CheckImpatiently(PageId page, uint32_t patience_ms, int64_t deadline_ns);

  // catalogue_reader.cc: what the server says besides pages, each checked.
  // Counters and corrupted indexes at the LSN.
  Task<Status> CheckCounters(Lsn lsn, int64_t deadline_ns);
  // Tablespaces there; pages at the end and behind the end of one; all pages of another.
  Task<Status> CheckTablespaces(Lsn lsn, int64_t deadline_ns);
  // The LSN at a time.
  Task<Status> CheckTime(int64_t deadline_ns);
  // One of these three, by its own draw.
  Task<Status> CheckCatalogue(int64_t deadline_ns);

  Lsn RandomLsn();
  std::vector<PageId> RandomPages(uint64_t count_max);
  SeededStream& random() { return random_; }

 private:
  TimePoint In(int64_t ns) const { return runtime_->scheduler->Now() + Duration(ns); }
  // What may be answered while faults are on: the same request later has to succeed.
  // `asked_ns`: the world's time when it was asked; `servers`: who may have answered.
  bool IsTrouble(const Status& status, int64_t asked_ns,
                 const std::vector<ServerPlace>& servers) const;
  // It was a page server without its disk's content then, or has a damaged one: nobody has to find
  // anything there.
  bool IsBeingBuilt(int64_t asked_ns, const ServerPlace& server) const;
  // Errors were injected, and this client has lived since before everything was healed.
  bool DiskMayFail(const ServerPlace& server) const;
  // What a read at LSN 0 was answered as of; `read` says when it was asked.
  void CheckNewest(LsnOrder::NewestRead read, int64_t asked_ns,
                   const std::vector<Result<FetchedPage>>& results);
  struct Asked {
    int64_t at_ns;
    int64_t deadline_ns;  // from then
    bool of_all;          // page servers, else of this one
  };
  void CheckDamage(PageId page, Lsn read_lsn, const Status& status, Asked asked);
  void CheckPage(PageId page, const PageRequest& request, const Result<FetchedPage>& fetched);
  // What an answer that is no OK says of the server; `what` was asked for.
  Status TakeRefusal(const Status& status, const std::string& what, int64_t asked_ns);
  Task<Status> CheckBorder(SpaceId space, Lsn lsn, int64_t deadline_ns);
  Task<Status> CheckScan(SpaceId space, Lsn lsn, int64_t deadline_ns);

  Runtime* runtime_;
  RunContext* context_;
  ServerPlace server_;
  bool born_in_chaos_;
  SeededStream random_;
  SeededStream catalogue_random_;
  ReconnectingChannel channel_;
  VolumeClient client_;
  VolumeId volume_;
  std::unique_ptr<PageClient> pages_;
  std::unique_ptr<PageClient> routed_pages_;  // null: it only reads from its own server
};

class ReaderProgram : public NodeProgram {
 public:
  // Reads from `server`.
  ReaderProgram(Runtime* runtime, RunContext* context, ServerPlace server, uint64_t entity)
      : runtime_(runtime),
        context_(context),
        client_(runtime, context, std::move(server), entity),
        route_(&context->world->random(), "reader-route", entity) {}
  Task<void> Run() override;
  void Describe(NodeState* state) const override { state->role = 'R'; }

 private:
  Runtime* runtime_;
  RunContext* context_;
  ReadingClient client_;
  SeededStream route_;
};

// Waits until all redo is acknowledged and every server has caught up; reads every page at the end
// and many at random LSNs from every page server, and the log from every log server; then sets
// verify_stage to "done" and counts the round.
class VerifierProgram : public NodeProgram {
 public:
  VerifierProgram(Runtime* runtime, RunContext* context, uint64_t entity)
      : runtime_(runtime), context_(context), entity_(entity) {}
  Task<void> Run() override;
  void Describe(NodeState* state) const override { state->role = 'R'; }

 private:
  void Stage(std::string stage);
  // Both at once where one server has every role.
  Task<void> VerifyServer(ServerPlace server, bool pages, bool log);
  Task<void> ReadEverything(ReadingClient* client);
  Task<void> ReadCatalogue(ReadingClient* client);

  Runtime* runtime_;
  RunContext* context_;
  uint64_t entity_;
  std::vector<std::unique_ptr<ReadingClient>> clients_;  // of the servers looked at so far
};

}  // namespace redoubt::sim
