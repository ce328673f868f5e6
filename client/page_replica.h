// SPDX-License-Identifier: MIT
//
// One page server as a PageClient sees it: several connections, the volume's number there, how far
// it has applied, how it has behaved.
//
// Numbers of volumes differ from server to server, and may mean another volume once a server has
// lost its disk. So the volume is looked up by its name on every connection before the first read
// on it, its uid is compared, and an answer counts only if it came on the connection on which the
// volume was found.
//
// Suspends: GetPages, Refresh, Close.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "client/page_routing.h"
#include "client/volume_client.h"
#include "common/base/result.h"
#include "common/base/types.h"
#include "common/runtime/rpc/reconnecting_channel.h"
#include "common/runtime/runtime.h"
#include "common/runtime/sync.h"

namespace redoubt {

// Which volume is read; shared by all replicas of one client.
struct VolumeIdentity {
  std::string name;
  uint64_t uid = 0;        // 0: not known yet; the first server that answers tells it
  uint32_t page_size = 0;  // 0: not known yet
  // Then one of which no import has finished is not read from: what it has not got yet looks like
  // pages that were never written.
  bool several_servers = false;
};

struct FetchedPage {
  Lsn page_lsn;  // end of the last mtr in the image; 0: never written (image of zeroes)
  Lsn read_lsn;  // the LSN that was read at
  // page_size bytes inside `buffer`, which the pages of one answer share.
  ByteView image;
  std::shared_ptr<const Bytes> buffer;
};

class PageReplica {
 public:
  // Connections of its own. `identity` outlives the replica.
  PageReplica(Runtime* runtime, std::string address, size_t connection_count,
              VolumeIdentity* identity);
  // A channel of somebody else's that outlives the replica. `volume` 0: looked up by name once.
  PageReplica(Runtime* runtime, Channel* channel, VolumeId volume, VolumeIdentity* identity);
  PageReplica(const PageReplica&) = delete;
  PageReplica& operator=(const PageReplica&) = delete;
  ~PageReplica();

  const std::string& name() const { return name_; }

  // One request; one result per page, same order. kUnavailable, kDeadlineExceeded: not reached.
  // kNotFound: no such volume there. kInvalidArgument: another volume of that name. kCorruption:
  // the answer is none; per page also: the image's checksum is wrong (`verify`). Otherwise what the
  // server says.
  Task<Result<std::vector<Result<FetchedPage>>>> GetPages(std::vector<PageId> pages, Lsn read_lsn,
                                                          Lsn not_modified_since, bool verify,
                                                          TimePoint deadline);
  // Asks how far the server has applied. The status is kept, too, as its behaviour.
  Task<Status> Refresh(TimePoint deadline);
  // A channel to the server on which the volume was found, and its number there, for requests other
  // than page reads. As GetPages. Valid until Close.
  struct Reached {
    Channel* channel;
    VolumeId volume;
  };
  Task<Result<Reached>> Reach(TimePoint deadline);

  // Another server answered what this one was asked first.
  void NoteOvertaken();
  bool ever_read() const { return latency_.mean().count() > 0; }
  Lsn applied() const { return applied_; }
  Duration unusual_latency() const { return latency_.unusual(); }
  TimePoint heard_at() const { return heard_at_; }
  uint64_t failure_count() const { return failure_count_; }
  ReplicaView View() const;

  // Ends running requests with kUnavailable (of its own connections only).
  Task<void> Close();

 private:
  // One connection and what is known to hold on it.
  struct Lane {
    explicit Lane(Scheduler* scheduler) : finding(scheduler, 1) {}
    Channel* channel = nullptr;
    std::unique_ptr<ReconnectingChannel> owned;
    VolumeId volume;             // 0: to be looked up
    uint64_t connection_no = 0;  // on which it was found
    bool readable = true;        // some import has finished there
    size_t in_flight = 0;
    Semaphore finding;
  };

  Lane* LeastBusyLane();
  static bool Found(const Lane& lane);
  Task<Status> FindVolume(Lane* lane, TimePoint deadline);
  Task<Status> AskForVolume(Lane* lane, TimePoint deadline);
  void NoteFailure();
  void NoteAnswer(Lsn applied, TimePoint asked_at);

  Runtime* runtime_;
  std::string name_;
  VolumeIdentity* identity_;
  std::vector<std::unique_ptr<Lane>> lanes_;
  bool applied_known_ = false;
  Lsn applied_;
  LatencyEstimate latency_;
  TimePoint heard_at_{};
  TimePoint avoid_until_{};
  Duration avoid_for_{};
  size_t in_flight_ = 0;
  uint64_t failure_count_ = 0;
};

}  // namespace redoubt
