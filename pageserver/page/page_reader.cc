// SPDX-License-Identifier: MIT
#include "pageserver/page/page_reader.h"

#include <algorithm>
#include <utility>

#include "common/base/check.h"
#include "common/innodb/page_format.h"
#include "common/runtime/fault_point.h"

namespace redoubt {
namespace {

// A job on the blocking executor builds at most so many pages, so that one large read does not hold
// a thread for long.
constexpr size_t kPagesPerJob = 64;

std::string Text(Lsn lsn) { return std::to_string(lsn.value()); }

}  // namespace

Status PageReader::CheckSpace(SpaceId space, Lsn read_lsn) {
  const SpaceView& view = state_->spaces.View(space, read_lsn);
  if (view.known && !view.exists) {
    return NotFound("tablespace " + std::to_string(space.value()) + " does not exist at LSN " +
                    Text(read_lsn) +
                    (view.floor == Lsn{} ? "" : ", it was dropped at LSN " + Text(view.floor)));
  }
  if (view.unsupported()) {
    return Unsupported("tablespace " + std::to_string(space.value()) + " (" + view.path +
                       ") cannot be read from LSN " + Text(view.unsupported_from) +
                       " on: " + view.unsupported_reason);
  }
  return Status::Ok();
}

PageChainRequest PageReader::MakeRequest(PageId page, Lsn read_lsn) {
  PageChainRequest request;
  request.page = page;
  request.read_lsn = read_lsn;
  request.floor = state_->spaces.View(page.space, read_lsn).floor;
  const std::optional<LsnRange> hole = state_->spaces.HoleAt(page.space, read_lsn);
  request.hole_end = hole.has_value() ? hole->end : Lsn{};
  return request;
}

void PageReader::StartFromCache(PageChainRequest* request) {
  const PageCache::Entry* const entry = state_->cache->Find(state_->options.volume, request->page);
  if (entry == nullptr || entry->page_lsn > request->read_lsn ||
      entry->page_lsn <= request->floor) {
    return;
  }
  request->base = entry->image;
  request->base_lsn = entry->page_lsn;
  const bool any_base = REDOUBT_PLANTED(state_->runtime, cached_base_of_any_age);
  request->memory_is_complete =
      !request->memory.empty() &&
      (any_base || request->memory.front().first_end <= entry->valid_below);
}

PageRead PageReader::Judge(PageId page, Lsn read_lsn, PageChainResult* result) {
  PageRead read;
  if (result->status.ok() && result->image != nullptr && !result->unlogged) {
    read.page_lsn = result->page_lsn;
    read.image = std::move(result->image);
    return read;
  }
  const std::optional<LsnRange> hole = state_->spaces.HoleAt(page.space, read_lsn);
  if (result->wants_image && !hole.has_value()) {
    state_->wanting_images.insert(page.space);
  }
  if (hole.has_value() && (!result->status.ok() || result->unlogged)) {
    read.status = Status(StatusCode::kHole, "page " + ToString(page) + " at LSN " + Text(read_lsn) +
                                                " cannot be known: it was changed without redo "
                                                "between LSN " +
                                                Text(hole->start) + " and " + Text(hole->end));
    return read;
  }
  if (!result->status.ok()) {
    read.status = result->status;
    return read;
  }
  const SpaceView& view = state_->spaces.View(page.space, read_lsn);
  if (!view.known) {
    read.status = NotFound("tablespace " + std::to_string(page.space.value()) +
                           " is not known at LSN " + Text(read_lsn));
  } else if (!view.size_known || page.page_no.value() >= view.page_count) {
    read.status = NotFound("page " + ToString(page) + " lies beyond the end of its tablespace, " +
                           std::to_string(view.page_count) + " pages at LSN " + Text(read_lsn));
  }
  return read;
}

Task<std::vector<PageChainResult>> PageReader::Build(std::vector<PageChainRequest> requests) {
  auto shared = std::make_shared<const std::vector<PageChainRequest>>(std::move(requests));
  const std::shared_ptr<innodb::PageApplier> applier = state_->TakeApplier();
  auto work = [shared, applier, context = state_->ChainContext(),
               keep_alive = state_->KeepAlive()]() {
    PageChainReader reader(context, applier.get());
    std::vector<PageChainResult> results;
    results.reserve(shared->size());
    for (const PageChainRequest& request : *shared) {
      results.push_back(reader.Read(request));
    }
    return results;
  };
  std::vector<PageChainResult> results =
      co_await RunBlocking(state_->runtime->blocking, std::move(work));
  state_->ReturnApplier(applier);
  co_return results;
}

Task<void> PageReader::ReadMisses(const std::vector<PageId>* pages, std::vector<Miss>* misses,
                                  Lsn read_lsn, std::vector<PageRead>* reads) {
  for (size_t begin = 0; begin < misses->size(); begin += kPagesPerJob) {
    const size_t end = std::min(misses->size(), begin + kPagesPerJob);
    std::vector<PageChainRequest> requests;
    for (size_t i = begin; i < end; ++i) {
      Miss& miss = (*misses)[i];
      const PageId page = (*pages)[miss.index];
      PageChainRequest request = MakeRequest(page, read_lsn);
      state_->CollectMemory(page, request.floor, &request.memory);
      if (request.hole_end == Lsn{}) {
        StartFromCache(&request);
      }
      state_->Watch(page, &miss.watch);
      requests.push_back(std::move(request));
    }
    std::vector<bool> holes;
    for (const PageChainRequest& request : requests) {
      holes.push_back(request.hole_end != Lsn{});
    }
    std::vector<PageChainResult> results = co_await Build(std::move(requests));
    for (size_t i = begin; i < end; ++i) {
      const bool in_hole = holes[i - begin];
      Miss& miss = (*misses)[i];
      const PageId page = (*pages)[miss.index];
      state_->Unwatch(page, &miss.watch);
      PageChainResult& result = results[i - begin];
      const bool cacheable = result.status.ok() && result.image != nullptr && result.newest &&
                             !miss.watch.invalidated && !in_hole;
      if (cacheable && result.stored_delta_bytes > 2 * state_->options.chain_bytes_max &&
          state_->long_chains.size() < VolumeState::kLongChainsMax) {
        state_->long_chains.push_back(page);
      }
      PageRead read = Judge(page, read_lsn, &result);
      if (cacheable && read.status.ok()) {
        const bool late = REDOUBT_PLANTED(state_->runtime, cached_although_superseded);
        state_->cache->Insert(
            state_->options.volume, page,
            {read.image, read.page_lsn, late ? kMaxLsn : miss.watch.superseded_at});
      }
      (*reads)[miss.index] = std::move(read);
    }
  }
}

Task<std::vector<PageRead>> PageReader::Read(std::vector<PageId> pages, Lsn read_lsn) {
  REDOUBT_CHECK(read_lsn <= state_->applied.value());
  std::vector<PageRead> reads(pages.size());
  std::vector<Miss> misses;
  SpaceId checked_space;
  bool checked = false;
  Status space_status;
  Lsn floor;
  bool in_hole = false;
  for (size_t i = 0; i < pages.size(); ++i) {
    if (!checked || pages[i].space != checked_space) {
      checked_space = pages[i].space;
      checked = true;
      space_status = CheckSpace(checked_space, read_lsn);
      floor = state_->spaces.View(checked_space, read_lsn).floor;
      in_hole = state_->spaces.HoleAt(checked_space, read_lsn).has_value();
    }
    if (!space_status.ok()) {
      reads[i].status = space_status;
      continue;
    }
    const PageCache::Entry* const entry = state_->cache->Find(state_->options.volume, pages[i]);
    if (entry != nullptr && entry->Answers(read_lsn) && entry->page_lsn > floor && !in_hole)
        [[likely]] {
      state_->cache->CountHit();
      reads[i].page_lsn = entry->page_lsn;
      reads[i].image = entry->image;
      continue;
    }
    state_->cache->CountMiss();
    misses.push_back({i, {}});
  }
  if (!misses.empty()) {
    co_await ReadMisses(&pages, &misses, read_lsn, &reads);
  }
  co_return reads;
}

}  // namespace redoubt
