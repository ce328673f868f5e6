// SPDX-License-Identifier: MIT
//
// One volume on one simulated machine, fed from memory: the workbench of the page role's tests.
#pragma once

#include <gtest/gtest.h>

#include <algorithm>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "common/base/crc32c.h"
#include "common/innodb/log_block.h"
#include "common/innodb/page_format.h"
#include "pageserver/page/page_cache.h"
#include "pageserver/page/page_volume.h"
#include "pageserver/storage/memory_kv_store.h"
#include "sim/workload/redo_encoder.h"
#include "tests/contract/node_harness.h"

namespace redoubt {

// Redo that was committed; outlives the machine that reads it.
class MemoryFeed final : public RedoFeed {
 public:
  explicit MemoryFeed(NodeHarness* node) : node_(node) {}

  void Append(LsnRange range, Lsn first_mtr, ByteView payload, int64_t time_unix_ns = 0) {
    RedoChunk chunk;
    chunk.range = range;
    chunk.first_mtr_lsn = first_mtr;
    chunk.payload = std::make_shared<const Bytes>(payload.begin(), payload.end());
    chunk.payload_crc32c = Crc32c(payload);
    chunk.source_time_unix_ns = time_unix_ns;
    ASSERT_EQ(payload.size(), innodb::PayloadBytes(range));
    chunks_.push_back(std::move(chunk));
  }

  Task<Result<FeedBatch>> Read(Lsn from, size_t bytes_max, TimePoint deadline) override {
    Scheduler* const scheduler = node_->runtime()->scheduler;
    for (;;) {
      FeedBatch batch;
      size_t bytes = 0;
      for (const RedoChunk& chunk : chunks_) {
        if (chunk.range.end > from && (bytes == 0 || bytes + chunk.payload->size() <= bytes_max)) {
          batch.chunks.push_back(chunk);
          bytes += chunk.payload->size();
        }
      }
      if (!batch.chunks.empty()) {
        EXPECT_TRUE(from == Lsn{} || batch.chunks.front().range.start >= from)
            << "the feed was asked for the middle of a chunk";
        batch.commit_lsn = chunks_.back().range.end;
        co_return batch;
      }
      if (scheduler->Now() >= deadline) {
        co_return batch;
      }
      co_await scheduler->Sleep(std::chrono::milliseconds(1));
    }
  }
  void Persisted(Lsn lsn) override {
    EXPECT_GE(lsn, persisted_);
    persisted_ = lsn;
  }
  Lsn persisted() const { return persisted_; }
  void CorruptLast() { chunks_.back().payload_crc32c ^= 1; }
  // What the log role may do once it was told so.
  void Trim() {
    while (!chunks_.empty() && chunks_.front().range.end <= persisted_) {
      chunks_.erase(chunks_.begin());
    }
  }

 private:
  NodeHarness* node_;
  std::vector<RedoChunk> chunks_;
  Lsn persisted_;
};

class VolumeWorld {
 public:
  explicit VolumeWorld(uint64_t seed = 1) : node(seed), feed(&node) {
    options.volume = VolumeId(7);
    options.batch_bytes = 16 << 10;
    options.chain_bytes_max = 2 << 10;
    options.flush_bytes = 64 << 10;
    options.batch_age_max = std::chrono::milliseconds(200);
    options.flush_interval = std::chrono::milliseconds(500);
  }
  ~VolumeWorld() {
    volume.reset();
    store.reset();
  }

  void Open() {
    Result<std::unique_ptr<KvStore>> opened =
        node.Await(MemoryKvStore::Open(node.runtime(), "/data/pages"));
    ASSERT_TRUE(opened.ok()) << opened.status().ToString();
    store = std::move(opened).value();
    cache = std::make_unique<PageCache>(cache_bytes);
    volume = std::make_unique<PageVolume>(node.runtime(), store.get(), cache.get(), &feed, options);
    const Status started = node.Await(volume->Start());
    ASSERT_TRUE(started.ok()) << started.ToString();
  }
  void Close() {
    node.Await(volume->Stop());
    volume.reset();
    ASSERT_TRUE(node.Await(store->Close()).ok());
    store.reset();
  }
  void CrashAndOpen(sim::CrashPolicy policy) {
    volume.reset();
    store.reset();
    node.Kill(policy);
    node.Start();
    Open();
  }
  TimePoint Soon() { return node.runtime()->scheduler->Now() + std::chrono::seconds(20); }
  void WaitApplied(Lsn lsn) {
    const Status status = node.Await(volume->WaitApplied(lsn, Soon()));
    ASSERT_TRUE(status.ok()) << status.ToString();
  }

  Result<std::vector<PageRead>> Get(std::vector<PageId> pages, Lsn lsn) {
    return node.Await(volume->GetPages(std::move(pages), lsn, Lsn{}, Soon()));
  }
  PageRead GetOne(PageId page, Lsn lsn) {
    Result<std::vector<PageRead>> reads = Get({page}, lsn);
    PageRead read;
    if (!reads.ok()) {
      read.status = reads.status();
      return read;
    }
    return std::move(reads->front());
  }
  Status PutEvent(SpaceEventIn event) {
    std::vector<SpaceEventIn> events;
    events.push_back(std::move(event));
    return node.Await(volume->PutSpaceEvents(std::move(events)));
  }
  Status PutImage(PageId page, Lsn lsn, ByteView bytes) {
    std::vector<PageImageIn> images;
    images.push_back({page, lsn, bytes});
    return node.Await(volume->PutImages(std::move(images)));
  }

  NodeHarness node;
  MemoryFeed feed;
  size_t cache_bytes = 1 << 20;
  PageVolumeOptions options;
  std::unique_ptr<KvStore> store;
  std::unique_ptr<PageCache> cache;
  std::unique_ptr<PageVolume> volume;
};

// Lays mtrs one after the other and hands them to a feed as one chunk each time.
class RedoWriter {
 public:
  RedoWriter(MemoryFeed* feed, Lsn start) : feed_(feed), end_(start), sent_(start) {}

  // The mtr's [start, end).
  LsnRange Add(sim::MtrEncoder* mtr) { return AddBytes(mtr->Finish()); }
  LsnRange AddBytes(const Bytes& group) {
    const Lsn start = end_;
    pending_.insert(pending_.end(), group.begin(), group.end());
    end_ = innodb::AdvanceLsn(end_, group.size());
    return {start, end_};
  }
  void Send(int64_t time_unix_ns = 0) {
    feed_->Append({sent_, end_}, sent_, pending_, time_unix_ns);
    pending_.clear();
    sent_ = end_;
  }
  void SkipTo(Lsn lsn) {
    ASSERT_TRUE(pending_.empty());
    end_ = lsn;
    sent_ = lsn;
  }
  Lsn end() const { return end_; }

 private:
  MemoryFeed* feed_;
  Lsn end_;
  Lsn sent_;
  Bytes pending_;
};

inline Bytes StampedPage(PageId id, uint32_t page_size, Lsn lsn, uint8_t fill) {
  Bytes page(page_size, fill);
  StoreBe32(page.data() + innodb::kPageNoOffset, id.page_no.value());
  StoreBe32(page.data() + innodb::kPageSpaceIdOffset, id.space.value());
  StoreBe16(page.data() + innodb::kPageTypeOffset, innodb::kPageTypeSys);
  innodb::StampPage(page, lsn);
  return page;
}

}  // namespace redoubt
