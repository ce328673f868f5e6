// SPDX-License-Identifier: MIT
//
// A page server and a log in memory, of one piece, for tests of the model compute: keeps the redo
// that it is given, applies it with common/innodb, and fences by epoch. Can be made to misbehave.
#pragma once

#include <gtest/gtest.h>

#include <algorithm>
#include <map>
#include <memory>
#include <utility>
#include <vector>

#include "common/innodb/apply.h"
#include "common/innodb/mtr_assembler.h"
#include "sim/oracle/page_history.h"
#include "sim/oracle/timeline.h"
#include "sim/runtime/seeded_stream.h"
#include "sim/workload/compute_ports.h"

namespace redoubt::sim {

class MemoryStorage {
 public:
  MemoryStorage(RandomRoot* root, uint32_t page_size, Lsn begin)
      : random_(root, "storage", 0), page_size_(page_size), begin_(begin), acknowledged_(begin) {}

  // What goes wrong.
  bool forget_acknowledged = false;  // a takeover loses some
  bool stale_pages = false;          // some pages are given as they were an mtr ago
  bool fence = true;                 // else an old writer is told that all is well

  // The next epoch begins at the end of a whole mtr at or above what is acknowledged.
  std::vector<EpochMark> TakeOver() {
    const Lsn most = whole_end();
    Lsn start = most;
    for (const Lsn end : mtr_ends_) {
      const bool allowed = end >= LastEnd(acknowledged_) || forget_acknowledged;
      if (allowed && random_.Below(3) == 0) {
        start = end;
        break;
      }
    }
    redo_.resize(innodb::ToSn(start).value() - innodb::ToSn(begin_).value());
    acknowledged_ = start;
    Rebuild();
    history_.push_back({Epoch(history_.size() + 1), start});
    return history_;
  }
  Status Append(Epoch epoch, const LogChunk& chunk) {
    if (epoch != newest()) {
      return fence ? Status(StatusCode::kStaleEpoch, "fenced") : Status::Ok();
    }
    REDOUBT_CHECK(chunk.range.start == end());
    redo_.insert(redo_.end(), chunk.payload.begin(), chunk.payload.end());
    Ingest(chunk.payload);
    return Status::Ok();
  }
  // Something more becomes durable.
  void Sync() { acknowledged_ = end(); }
  bool IsOld(Epoch epoch) const { return epoch != newest(); }
  Lsn acknowledged() const { return acknowledged_; }
  PageVersion Read(PageId page, Lsn lsn) {
    ++reads_;
    const bool late = stale_pages && reads_ % 5 == 0;
    return pages_->At(page, late ? LastEnd(Lsn(LastEnd(lsn).value() - 1)) : lsn);
  }

 private:
  Epoch newest() const { return history_.empty() ? Epoch() : history_.back().epoch; }
  Lsn end() const { return innodb::AdvanceLsn(begin_, redo_.size()); }
  Lsn whole_end() const { return mtr_ends_.empty() ? begin_ : mtr_ends_.back(); }
  Lsn LastEnd(Lsn lsn) const {
    const auto after = std::upper_bound(mtr_ends_.begin(), mtr_ends_.end(), lsn);
    return after == mtr_ends_.begin() ? begin_ : *(after - 1);
  }
  void Rebuild() {
    pages_ = std::make_unique<PageHistory>(page_size_);
    images_.clear();
    mtr_ends_.clear();
    assembler_ = std::make_unique<innodb::MtrAssembler>(begin_);
    Ingest(redo_);
  }
  void Ingest(ByteView payload) {
    const auto sink = [this](const innodb::MtrView& mtr) -> Status {
      std::map<PageId, std::vector<innodb::RedoRecord>> by_page;
      for (const innodb::RedoRecord& record : mtr.records) {
        if (innodb::ChangesPage(record.type)) {
          by_page[record.page].push_back(record);
        }
      }
      for (const auto& [id, records] : by_page) {
        Bytes& image = images_[id];
        image.resize(page_size_);
        const auto applied =
            applier_.ApplyMtr(records, {mtr.start_lsn, mtr.end_lsn}, MutableByteView(image));
        if (!applied.ok()) {
          return applied.status();
        }
        pages_->Record(id, mtr.end_lsn, image);
      }
      mtr_ends_.push_back(mtr.end_lsn);
      return Status::Ok();
    };
    const Status status = assembler_->Feed(payload, sink);
    EXPECT_TRUE(status.ok()) << status.ToString();
  }

  SeededStream random_;
  uint32_t page_size_;
  Lsn begin_;
  Lsn acknowledged_;
  Bytes redo_;
  std::vector<Lsn> mtr_ends_;
  std::vector<EpochMark> history_;
  innodb::PageApplier applier_;
  std::map<PageId, Bytes> images_;
  std::unique_ptr<PageHistory> pages_;
  std::unique_ptr<innodb::MtrAssembler> assembler_;
  uint64_t reads_ = 0;
};

}  // namespace redoubt::sim
