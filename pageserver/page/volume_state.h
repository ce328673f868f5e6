// SPDX-License-Identifier: MIT
//
// What the parts of one volume share: the newest redo in memory, the space map, the readable
// ranges, and who reads what at this moment. Loop thread only, but for what a batch's comment says.
//
// Redo moves through it: open batch (parsed, readable) -> frozen batches (being written) -> store.
#pragma once

#include <deque>
#include <functional>
#include <memory>
#include <set>
#include <unordered_map>
#include <vector>

#include "common/innodb/apply.h"
#include "common/runtime/sync.h"
#include "pageserver/page/delta_batch.h"
#include "pageserver/page/page_cache.h"
#include "pageserver/page/page_chain.h"
#include "pageserver/page/page_volume.h"
#include "pageserver/page/readable_ranges.h"
#include "pageserver/page/space_map.h"

namespace redoubt {

struct TimeSample {
  int64_t time_unix_ns = 0;
  Lsn lsn;
};

// A batch and what else moves to the store with it. Everything but `deltas` is complete when
// frozen.
struct BatchSlot {
  explicit BatchSlot(Lsn start) : deltas(start) {}
  DeltaBatch deltas;
  std::vector<NewSpaceEvent> events;
  std::vector<TimeSample> times;
  Bytes ranges;   // encoded ReadableRanges when they changed
  Lsn pull_from;  // where to pull from after it: a chunk's start, at or below the batch's end
  TimePoint opened{};
};

// Marks a page that is being read, so that the result is not cached as newest when it no longer is.
struct PageWatch {
  Lsn superseded_at = kMaxLsn;
  bool invalidated = false;
};

class VolumeState {
 public:
  VolumeState(Runtime* runtime_in, KvStore* store_in, PageCache* cache_in,
              PageVolumeOptions options_in);

  // Every run of `page` that is in memory, ascending; *keep_alive gets what the runs borrow from.
  void CollectMemory(PageId page, Lsn above, std::vector<MemoryRun>* runs) const;
  std::vector<std::shared_ptr<const BatchSlot>> KeepAlive() const;

  void Watch(PageId page, PageWatch* watch) { watches_.emplace(page, watch); }
  void Unwatch(PageId page, PageWatch* watch);
  // Newer redo of `page` whose first mtr ends at `end` has arrived.
  void Superseded(PageId page, Lsn end);
  // An image of `page` was put: whatever was derived before may be wrong.
  void Invalidate(PageId page);

  PageChainReader::Context ChainContext() const;
  // An applier nobody uses now; back with ReturnApplier.
  std::shared_ptr<innodb::PageApplier> TakeApplier();
  void ReturnApplier(std::shared_ptr<innodb::PageApplier> applier);

  // Redo that was read but whose batch has not been handed to the writer.
  Status CheckReadable(Lsn read_lsn) const { return ranges.Check(read_lsn); }

  Runtime* const runtime;
  KvStore* const store;
  PageCache* const cache;
  const PageVolumeOptions options;

  LsnWatermark applied;
  size_t waiting_reads = 0;  // for `applied`
  Condition read_waits;      // notified when one more waits
  Lsn persisted;
  Lsn written;  // in the store, not yet flushed
  SpaceMap spaces;
  ReadableRanges ranges;
  Lsn durable_horizon;              // of ranges, what no restart takes back: so much may be said
  std::shared_ptr<BatchSlot> open;  // shared with reads on the blocking executor
  std::deque<std::shared_ptr<BatchSlot>> frozen;  // oldest first
  Status ingest_error;
  uint64_t ingested_bytes = 0;
  int64_t newest_time_unix_ns = 0;
  TimeSample newest_sample;  // not in any batch yet
  std::set<SpaceId> wanting_images;
  // Chains that a read found too long although nobody had counted them (after a restart, or an
  // image that replaced derived ones). At most kLongChainsMax; the materializer empties it.
  static constexpr size_t kLongChainsMax = 4096;
  std::vector<PageId> long_chains;

 private:
  std::unordered_multimap<PageId, PageWatch*> watches_;  // never iterated as a whole
  std::vector<std::shared_ptr<innodb::PageApplier>> appliers_;
};

}  // namespace redoubt
