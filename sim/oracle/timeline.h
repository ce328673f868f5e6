// SPDX-License-Identifier: MIT
//
// The truth when writers die and LSNs are used again: what each epoch's writer has produced, and
// which of it counts.
//
// Each epoch's writer continues the log at the epoch's start with whole mtrs of its own; an older
// writer that still lives goes on from its own end. So the log is a tree whose branches are kept
// for ever. A new epoch names the epochs that lead to it and where each began: its lineage. The
// lineage of the newest epoch is the truth for everything at or below what was acknowledged.
//
// C1: what was acknowledged under any epoch lies in the lineage of every newer one, whole mtrs byte
// for byte (half an mtr means nothing). C5: an epoch is given out once; it begins at the end of a
// whole mtr of what it continues; every epoch that stood is in the lineage of the newer ones;
// nothing is acknowledged to an older writer that the newer lineage does not hold.
#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <set>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "common/base/bytes.h"
#include "common/base/types.h"
#include "sim/oracle/findings.h"
#include "sim/oracle/page_history.h"
#include "sim/oracle/page_truth.h"
#include "sim/oracle/redo_facts.h"

namespace redoubt::sim {

struct EpochMark {
  Epoch epoch;
  Lsn start;
};

class Timeline : public PageTruth, public FactTruth {
 public:
  // `begin`: a data LSN, where the log begins. `findings` outlives it.
  Timeline(Findings* findings, uint32_t page_size, Lsn begin);
  Timeline(const Timeline&) = delete;
  Timeline& operator=(const Timeline&) = delete;
  ~Timeline() override;

  // A writer was told that `history`'s last epoch stands: the log ends, and is durable, where it
  // starts. Starts below the log's begin mean its begin. Called before the writer appends.
  void EpochBegun(std::vector<EpochMark> history);
  struct ChangedPage {
    PageId page;
    ByteView image;  // after the mtr; LSN and checksum fields do not count
  };
  // The writer of a begun epoch has ended an mtr at `end`; `redo` is the whole group.
  void Produced(Epoch epoch, Lsn end, ByteView redo, std::span<const ChangedPage> pages,
                std::vector<RedoFact> facts = {});
  // The writer was told that everything below `lsn` is durable.
  void Acknowledged(Epoch epoch, Lsn lsn);
  // Payload of `range` as a server gave it back. What lies at or above the newest lineage's end is
  // not looked at.
  void ReadBack(LsnRange range, ByteView given);

  // By the newest lineage.
  PageVersion At(PageId page, Lsn lsn) const override;
  // By the lineage of a begun epoch: what its writer knows, replaced or not.
  PageVersion AtUnder(Epoch epoch, PageId page, Lsn lsn) const;
  std::vector<RedoFact> FactsUpTo(Lsn lsn) const override;
  // A newer epoch began below `lsn`: what a writer of `epoch` knows there is not the truth.
  bool Superseded(Epoch epoch, Lsn lsn) const;
  // An older writer knows redo behind the start of `epoch`, which has begun, to be durable. When
  // nothing is wrong that is half an mtr, which the takeover has cut off.
  bool CutsAcknowledged(Epoch epoch) const;
  Lsn begin() const { return begin_; }
  // Of the newest lineage; begin() before the first epoch.
  Lsn end() const;
  Epoch newest_epoch() const;
  // Highest end of a whole mtr that any writer knows to be durable.
  Lsn acknowledged() const { return acknowledged_; }
  // End of the last mtr of the newest lineage at or below `lsn`.
  Lsn LastEndAtOrBelow(Lsn lsn) const;
  // Every page that any writer ever changed, in the order in which they came.
  const std::vector<PageId>& Pages() const { return pages_; }
  // Payload of [range.start, range.end) in the lineage of a begun epoch.
  Bytes Redo(Epoch epoch, LsnRange range) const;
  // Up to here the two begun epochs have the same history.
  Lsn CommonEnd(Epoch a, Epoch b) const;
  uint64_t mtr_count() const { return mtr_count_; }
  size_t epoch_count() const { return branches_.size(); }

 private:
  struct Branch;
  // What one epoch contributed to a lineage. `branch` null: nobody was told that it stood.
  struct Segment {
    const Branch* branch = nullptr;
    LsnRange range;
  };
  using Lineage = std::vector<Segment>;

  Lineage Follow(const std::vector<EpochMark>& history) const;
  PageVersion AtIn(const Lineage& lineage, PageId page, Lsn lsn) const;
  static Lsn LastEnd(const Lineage& lineage, Lsn lsn, Lsn begin);
  static Lsn CommonEnd(const Lineage& a, const Lineage& b, Lsn begin);
  void CheckHeld(std::string_view checker, const Branch& older, const Branch& newer);
  void CheckHistory(const std::vector<EpochMark>& history);
  void Lost(std::string_view checker, std::string what) {
    findings_->ReportLoss(checker, std::move(what));
  }
  const Branch* newest() const;

  Findings* findings_;
  uint32_t page_size_;
  Lsn begin_;
  std::map<Epoch, std::unique_ptr<Branch>> branches_;
  Lsn acknowledged_;
  uint64_t mtr_count_ = 0;
  std::vector<PageId> pages_;
  std::set<PageId> known_pages_;
};

}  // namespace redoubt::sim
