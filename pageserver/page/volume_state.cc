// SPDX-License-Identifier: MIT
#include "pageserver/page/volume_state.h"

#include <utility>

#include "common/base/check.h"
#include "common/runtime/fault_point.h"

namespace redoubt {

VolumeState::VolumeState(Runtime* runtime_in, KvStore* store_in, PageCache* cache_in,
                         PageVolumeOptions options_in)
    : runtime(runtime_in),
      store(store_in),
      cache(cache_in),
      options(options_in),
      applied(runtime_in->scheduler),
      read_waits(runtime_in->scheduler),
      spaces(options_in.volume, options_in.page_size) {}

void VolumeState::CollectMemory(PageId page, Lsn above, std::vector<MemoryRun>* runs) const {
  const size_t before = runs->size();
  for (const std::shared_ptr<BatchSlot>& slot : frozen) {
    if (!REDOUBT_PLANTED(runtime, frozen_batch_not_read)) {
      slot->deltas.Collect(page, runs);
    }
  }
  if (open != nullptr) {
    open->deltas.Collect(page, runs);
  }
  size_t skip = before;
  while (skip < runs->size() && (*runs)[skip].last_end <= above) {
    ++skip;
  }
  runs->erase(runs->begin() + static_cast<ptrdiff_t>(before),
              runs->begin() + static_cast<ptrdiff_t>(skip));
}

std::vector<std::shared_ptr<const BatchSlot>> VolumeState::KeepAlive() const {
  std::vector<std::shared_ptr<const BatchSlot>> slots(frozen.begin(), frozen.end());
  slots.push_back(open);
  return slots;
}

void VolumeState::Unwatch(PageId page, PageWatch* watch) {
  const auto [begin, end] = watches_.equal_range(page);
  for (auto at = begin; at != end; ++at) {
    if (at->second == watch) {
      watches_.erase(at);
      return;
    }
  }
  REDOUBT_CHECK(false);
}

void VolumeState::Superseded(PageId page, Lsn end) {
  if (!REDOUBT_PLANTED(runtime, page_cache_not_invalidated)) {
    cache->Supersede(options.volume, page, end);
  }
  if (watches_.empty()) {
    return;
  }
  const auto [begin, last] = watches_.equal_range(page);
  for (auto at = begin; at != last; ++at) {
    if (end < at->second->superseded_at) {
      at->second->superseded_at = end;
    }
  }
}

void VolumeState::Invalidate(PageId page) {
  cache->Remove(options.volume, page);
  const auto [begin, end] = watches_.equal_range(page);
  for (auto at = begin; at != end; ++at) {
    at->second->invalidated = true;
  }
}

PageChainReader::Context VolumeState::ChainContext() const {
  PageChainReader::Context context;
  context.store = store;
  context.volume = options.volume;
  context.page_size = options.page_size;
  context.lost = ranges.holes();
  context.fault_points = runtime->fault_points;
  return context;
}

std::shared_ptr<innodb::PageApplier> VolumeState::TakeApplier() {
  if (appliers_.empty()) {
    return std::make_shared<innodb::PageApplier>();
  }
  std::shared_ptr<innodb::PageApplier> applier = std::move(appliers_.back());
  appliers_.pop_back();
  return applier;
}

void VolumeState::ReturnApplier(std::shared_ptr<innodb::PageApplier> applier) {
  appliers_.push_back(std::move(applier));
}

}  // namespace redoubt
