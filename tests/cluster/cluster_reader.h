// SPDX-License-Identifier: MIT
//
// The reading half: pages of one page server at LSNs that are known to be durable, each answer held
// against the truth at once (C2, C3), and the server's positions for the chronicle.
#pragma once

#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "client/page_client.h"
#include "client/volume_client.h"
#include "common/base/status.h"
#include "common/runtime/rpc/reconnecting_channel.h"
#include "common/runtime/runtime.h"
#include "common/runtime/sync.h"
#include "sim/oracle/page_content.h"
#include "sim/runtime/seeded_stream.h"
#include "tests/cluster/chronicle.h"
#include "tests/cluster/cluster.h"

namespace redoubt::cluster {

class ClusterReader {
 public:
  // All outlive it.
  ClusterReader(Runtime* runtime, const ClusterOptions* options, Truth* truth, Chronicle* chronicle,
                std::string server);
  ClusterReader(const ClusterReader&) = delete;
  ClusterReader& operator=(const ClusterReader&) = delete;
  // Close must have returned.
  ~ClusterReader();

  // Waits until the volume is there and readable. kDeadlineExceeded.
  Task<Status> FindVolume(TimePoint deadline);
  // Asks for its positions and notes them.
  Task<Status> NotePositions();
  // Waits until everything below `lsn` can be read.
  Task<Status> WaitApplied(Lsn lsn, TimePoint deadline);
  // Reads pages at `lsn` and checks them. What a server under faults may answer is its status.
  Task<Status> CheckPages(std::vector<PageId> pages, Lsn lsn, TimePoint deadline);
  // Random pages at a random LSN up to `durable`.
  Task<Status> CheckRandomPages(Lsn durable, TimePoint deadline);
  // Reads until stopped; `durable` tells up to where.
  Task<void> ReadUntil(Event* stop, std::function<Lsn()> durable);
  Task<void> Close();

  const std::string& server() const { return channel_.address(); }
  uint64_t pages_checked() const { return content_.checked_count(); }

 private:
  Lsn RandomLsn(Lsn durable);
  void CheckPage(PageId page, Lsn lsn, Result<FetchedPage> fetched);

  Runtime* runtime_;
  const ClusterOptions* options_;
  Truth* truth_;
  Chronicle* chronicle_;
  sim::SeededStream random_;
  sim::Findings findings_;  // each goes into the chronicle
  sim::PageContent content_;
  ReconnectingChannel channel_;
  VolumeClient client_;
  VolumeId volume_;
  std::unique_ptr<PageClient> pages_;
  uint64_t pages_seen_ = 0;
};

}  // namespace redoubt::cluster
