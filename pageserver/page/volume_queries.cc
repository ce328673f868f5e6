// SPDX-License-Identifier: MIT
#include "pageserver/page/volume_queries.h"

#include <algorithm>
#include <memory>
#include <set>

#include "common/innodb/page_format.h"
#include "pageserver/page/dynamic_meta.h"
#include "pageserver/storage/keys.h"

namespace redoubt {
namespace {

// Page numbers of `prefix` (a space) in one family, from `first` on, at most `pages_max`.
Status CollectStored(const KvStore& store, KvFamily family, VolumeId volume, SpaceId space,
                     PageNo first, size_t pages_max, std::set<PageNo>* pages) {
  const std::string prefix = SpacePrefix(volume, space);
  const std::unique_ptr<KvIterator> at = store.NewIterator(family);
  size_t found = 0;
  at->Seek(PagePrefix(volume, {space, first}));
  while (at->Valid() && at->key().starts_with(prefix) && found < pages_max) {
    const PageNo page_no = DecodeDeltaKey(at->key())->page.page_no;
    pages->insert(page_no);
    ++found;
    // Most pages have few keys: stepping is cheaper than seeking.
    int steps = 0;
    const std::string page_prefix = PagePrefix(volume, {space, page_no});
    while (at->Valid() && at->key().starts_with(page_prefix)) {
      if (++steps > 8) {
        at->Seek(PrefixEnd(page_prefix));
        break;
      }
      at->Next();
    }
  }
  return at->status();
}

}  // namespace

std::vector<SpaceState> VolumeQueries::ListSpaces(Lsn read_lsn) {
  std::vector<SpaceState> states;
  for (const SpaceId space : state_->spaces.Spaces()) {
    const SpaceView& view = state_->spaces.View(space, read_lsn);
    if (!view.exists || innodb::IsTemporarySpace(space)) {
      continue;
    }
    SpaceState state;
    state.space = space;
    state.path = view.path;
    state.page_count = view.page_count;
    state.flags = view.flags;
    state.unsupported_reason = view.unsupported_reason;
    state.unsupported_from = view.unsupported_from;
    state.created = view.created;
    states.push_back(std::move(state));
  }
  return states;
}

Task<Result<Bytes>> VolumeQueries::DynamicMeta(Lsn read_lsn, uint32_t* table_count) {
  DynamicMetaTable recent;
  auto take = [&recent, read_lsn](const BatchSlot& slot) {
    for (const auto& piece : slot.deltas.pieces()) {
      for (const DynamicMetaNote& note : piece->dynamic) {
        if (note.end <= read_lsn) {
          recent.Fold(note.meta);
        }
      }
    }
  };
  for (const std::shared_ptr<BatchSlot>& slot : state_->frozen) {
    take(*slot);
  }
  take(*state_->open);
  auto work = [store = state_->store, volume = state_->options.volume, read_lsn,
               table = std::move(recent)]() mutable -> Result<DynamicMetaTable> {
    REDOUBT_RETURN_IF_ERROR(table.Load(*store, volume, read_lsn));
    return std::move(table);
  };
  Result<DynamicMetaTable> table = co_await RunBlocking(state_->runtime->blocking, std::move(work));
  if (!table.ok()) {
    co_return table.status();
  }
  *table_count = table->table_count();
  co_return table->Records();
}

Task<Result<std::pair<Lsn, int64_t>>> VolumeQueries::LsnAtTime(int64_t time_unix_ns) {
  TimeSample best;
  auto take = [&best, time_unix_ns](const TimeSample& sample) {
    if (sample.time_unix_ns != 0 && sample.time_unix_ns <= time_unix_ns &&
        sample.time_unix_ns >= best.time_unix_ns) {
      best = sample;
    }
  };
  for (const std::shared_ptr<BatchSlot>& slot : state_->frozen) {
    std::for_each(slot->times.begin(), slot->times.end(), take);
  }
  std::for_each(state_->open->times.begin(), state_->open->times.end(), take);
  take(state_->newest_sample);
  auto work = [store = state_->store, volume = state_->options.volume,
               time_unix_ns]() -> Result<TimeSample> {
    std::string time;
    AppendKeyU64(&time, static_cast<uint64_t>(time_unix_ns));
    const std::string prefix = MetaKey(volume, MetaKind::kTime);
    const std::unique_ptr<KvIterator> at = store->NewIterator(KvFamily::kMeta);
    at->SeekForPrev(MetaKey(volume, MetaKind::kTime, time));
    REDOUBT_RETURN_IF_ERROR(at->status());
    if (!at->Valid() || !at->key().starts_with(prefix)) {
      return TimeSample();
    }
    return TimeSample{static_cast<int64_t>(LoadKeyU64(at->key(), prefix.size())),
                      Lsn(LoadKeyU64(at->value(), 0))};
  };
  const Result<TimeSample> stored = co_await RunBlocking(state_->runtime->blocking, work);
  if (!stored.ok()) {
    co_return stored.status();
  }
  take(*stored);
  if (best.time_unix_ns == 0) {
    co_return Status(StatusCode::kBelowHorizon,
                     "the time lies before the first redo of which the time is known");
  }
  co_return std::pair<Lsn, int64_t>(best.lsn, best.time_unix_ns);
}

Task<Result<std::vector<PageNo>>> VolumeQueries::ListPages(SpaceId space, PageNo first,
                                                           uint32_t pages_max, bool* done) {
  std::vector<PageNo> in_memory;
  for (const std::shared_ptr<BatchSlot>& slot : state_->frozen) {
    slot->deltas.CollectPages(space, first, &in_memory);
  }
  state_->open->deltas.CollectPages(space, first, &in_memory);
  auto work = [store = state_->store, volume = state_->options.volume, space, first, pages_max,
               in_memory = std::move(in_memory)]() -> Result<std::vector<PageNo>> {
    std::set<PageNo> pages(in_memory.begin(), in_memory.end());
    for (const KvFamily family : {KvFamily::kImage, KvFamily::kDelta}) {
      REDOUBT_RETURN_IF_ERROR(
          CollectStored(*store, family, volume, space, first, pages_max + size_t{1}, &pages));
    }
    return std::vector<PageNo>(pages.begin(), pages.end());
  };
  Result<std::vector<PageNo>> pages =
      co_await RunBlocking(state_->runtime->blocking, std::move(work));
  if (pages.ok()) {
    *done = pages->size() <= pages_max;
    pages->resize(std::min<size_t>(pages->size(), pages_max));
  }
  co_return pages;
}

Task<Result<ScanOutcome>> VolumeQueries::Scan(SpaceId space, Lsn read_lsn, PageNo first,
                                              uint32_t pages_max) {
  REDOUBT_CO_RETURN_IF_ERROR(reader_->CheckSpace(space, read_lsn));
  ScanOutcome outcome;
  Result<std::vector<PageNo>> pages = co_await ListPages(space, first, pages_max, &outcome.done);
  if (!pages.ok()) {
    co_return pages.status();
  }
  std::vector<PageChainRequest> requests;
  for (const PageNo page_no : *pages) {
    PageChainRequest request = reader_->MakeRequest({space, page_no}, read_lsn);
    state_->CollectMemory(request.page, request.floor, &request.memory);
    requests.push_back(std::move(request));
  }
  std::vector<PageChainResult> results = co_await reader_->Build(std::move(requests));
  for (size_t i = 0; i < results.size(); ++i) {
    PageRead read = reader_->Judge({space, (*pages)[i]}, read_lsn, &results[i]);
    // Pages that were never written at this LSN are left out.
    const bool absent =
        read.image == nullptr && (read.status.ok() || read.status.code() == StatusCode::kNotFound);
    if (!absent) {
      outcome.pages.push_back({(*pages)[i], std::move(read)});
    }
  }
  if (!pages->empty()) {
    outcome.next_page_no = PageNo(pages->back().value() + 1);
  }
  co_return outcome;
}

}  // namespace redoubt
