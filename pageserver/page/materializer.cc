// SPDX-License-Identifier: MIT
#include "pageserver/page/materializer.h"

#include <algorithm>
#include <utility>

#include "common/base/check.h"
#include "common/runtime/fault_point.h"
#include "pageserver/storage/keys.h"

namespace redoubt {
namespace {

constexpr Duration kTick = std::chrono::milliseconds(500);
constexpr Duration kFullRetryWait = std::chrono::seconds(1);
constexpr size_t kPagesPerRound = 64;
// Above so many pages with chains the short ones are forgotten: bounds the memory of the count.
constexpr size_t kChainsMax = 2 << 20;

}  // namespace

Materializer::Materializer(VolumeState* state, PageReader* reader, TaskGroup* group)
    : state_(state), reader_(reader), group_(group), work_(state->runtime->scheduler) {}

uint32_t Materializer::SlotOf(PageId page) {
  uint32_t& slot = table_.FindOrAdd(page);
  if (slot == PageTable::kNone) {
    slot = static_cast<uint32_t>(chains_.size());
    chains_.push_back({page});
  }
  return slot;
}

void Materializer::TakeLongChains() {
  for (const PageId page : state_->long_chains) {
    const uint32_t slot = SlotOf(page);
    if (!chains_[slot].queued) {
      chains_[slot].queued = true;
      backlog_bytes_ += chains_[slot].bytes;
      queue_.push_back(slot);
    }
  }
  state_->long_chains.clear();
}

void Materializer::OnWritten(const std::vector<BatchWriter::PageBytes>& pages) {
  for (const BatchWriter::PageBytes& written : pages) {
    const uint32_t slot = SlotOf(written.page);
    Chain& chain = chains_[slot];
    backlog_bytes_ -= chain.queued ? chain.bytes : 0;
    chain.bytes = written.initializes ? written.bytes : chain.bytes + written.bytes;
    chain.values = written.initializes ? 1 : chain.values + 1;
    if (!chain.queued && (chain.bytes > state_->options.chain_bytes_max ||
                          chain.values > state_->options.chain_values_max)) {
      chain.queued = true;
      queue_.push_back(slot);
    }
    backlog_bytes_ += chain.queued ? chain.bytes : 0;
  }
  if (chains_.size() > kChainsMax && queue_.empty()) {
    ForgetShort();
  }
  if (!queue_.empty()) {
    work_.NotifyAll();
  }
}

void Materializer::ForgetShort() {
  table_.Clear();
  chains_.clear();
}

Task<void> Materializer::Run() {
  while (!group_->stopping()) {
    TakeLongChains();
    if (queue_.empty()) {
      co_await work_.Wait(state_->runtime->scheduler->Now() + kTick);
      continue;
    }
    const Status status = co_await MaterializeSome();
    if (status.code() == StatusCode::kNoSpace) {
      // The writer says so. What was built is built again when the chain has grown.
      co_await group_->stop_event().Wait(state_->runtime->scheduler->Now() + kFullRetryWait);
      continue;
    }
    if (!status.ok()) {
      state_->runtime->log->Error("materializer: " + status.ToString());
      co_return;  // the store takes no more writes; the writer says so to ingest
    }
  }
}

// A page that cannot be built (a hole, an unsupported space) drops out of the count until more redo
// for it is written; reads of it say why.
Task<Status> Materializer::MaterializeSome() {
  const Lsn read_lsn = state_->written;
  const size_t count = std::min(queue_.size(), kPagesPerRound);
  std::vector<PageChainRequest> requests;
  for (size_t i = 0; i < count; ++i) {
    Chain& chain = chains_[queue_.front()];
    queue_.pop_front();
    REDOUBT_CHECK(chain.queued);
    REDOUBT_CHECK(backlog_bytes_ >= chain.bytes);
    backlog_bytes_ -= chain.bytes;
    chain.queued = false;
    chain.bytes = 0;
    chain.values = 0;
    if (state_->ranges.Check(read_lsn).ok() &&
        reader_->CheckSpace(chain.page.space, read_lsn).ok()) {
      requests.push_back(reader_->MakeRequest(chain.page, read_lsn));
    }
  }
  std::sort(requests.begin(), requests.end(),
            [](const PageChainRequest& a, const PageChainRequest& b) { return a.page < b.page; });
  std::vector<PageId> pages;
  for (const PageChainRequest& request : requests) {
    pages.push_back(request.page);
  }
  std::vector<PageWatch> watches(pages.size());
  for (size_t i = 0; i < pages.size(); ++i) {
    state_->Watch(pages[i], &watches[i]);
  }
  std::vector<PageChainResult> results = co_await reader_->Build(std::move(requests));
  KvBatch batch;
  for (size_t i = 0; i < results.size(); ++i) {
    state_->Unwatch(pages[i], &watches[i]);
    // While a first import runs, bases are still on their way.
    if (results[i].wants_image && state_->ranges.horizon() != Lsn{}) {
      state_->wanting_images.insert(pages[i].space);
    }
    if (results[i].status.ok() && results[i].image != nullptr && results[i].delta_bytes > 0 &&
        !results[i].unlogged && !watches[i].invalidated) {
      const bool late = REDOUBT_PLANTED(state_->runtime, materialize_wrong_lsn);
      const Lsn image_lsn = late ? state_->written : results[i].page_lsn;
      batch.Put(KvFamily::kImage, ImageKey(state_->options.volume, pages[i], image_lsn),
                EncodeImage(ImageOrigin::kMaterialized, *results[i].image));
      if (REDOUBT_PLANTED(state_->runtime, materialize_drops_delta)) {
        batch.DeleteRange(KvFamily::kDelta, DeltaKey(state_->options.volume, pages[i], Lsn{}),
                          DeltaKey(state_->options.volume, pages[i], image_lsn));
      }
      if (REDOUBT_PLANTED(state_->runtime, materialize_drops_older_images)) {
        batch.DeleteRange(KvFamily::kImage,
                          ImageKey(state_->options.volume, pages[i], Lsn(image_lsn.value() - 1)),
                          ImageKey(state_->options.volume, pages[i], Lsn{}));
      }
      ++image_count_;
    }
  }
  co_return co_await state_->store->Write(std::move(batch));
}

}  // namespace redoubt
