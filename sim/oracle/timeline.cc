// SPDX-License-Identifier: MIT
#include "sim/oracle/timeline.h"

#include <algorithm>
#include <iterator>
#include <utility>

#include "common/base/check.h"
#include "common/innodb/log_block.h"

namespace redoubt::sim {
namespace {

std::string Text(Epoch epoch) { return "epoch " + std::to_string(epoch.value()); }
std::string Text(Lsn lsn) { return std::to_string(lsn.value()); }

}  // namespace

struct Timeline::Branch {
  Branch(Epoch its_epoch, Lsn its_start, uint32_t page_size)
      : epoch(its_epoch), start(its_start), acknowledged(its_start), pages(page_size) {}

  Lsn end() const { return mtr_ends.empty() ? start : mtr_ends.back(); }

  Epoch epoch;
  Lsn start;
  Lineage lineage;  // the last segment is this branch, without an end
  std::vector<Lsn> mtr_ends;
  Bytes redo;
  Lsn acknowledged;
  PageHistory pages;  // the versions that this writer made
  std::vector<RedoFact> facts;
};

Timeline::Timeline(Findings* findings, uint32_t page_size, Lsn begin)
    : findings_(findings), page_size_(page_size), begin_(begin), acknowledged_(begin) {
  REDOUBT_CHECK(innodb::IsDataLsn(begin));
}

Timeline::~Timeline() = default;

const Timeline::Branch* Timeline::newest() const {
  return branches_.empty() ? nullptr : branches_.rbegin()->second.get();
}

Timeline::Lineage Timeline::Follow(const std::vector<EpochMark>& history) const {
  Lineage lineage;
  for (size_t i = 0; i < history.size(); ++i) {
    const Lsn from = std::max(history[i].start, begin_);
    const Lsn to = i + 1 < history.size() ? std::max(history[i + 1].start, begin_) : kMaxLsn;
    const auto it = branches_.find(history[i].epoch);
    const Branch* branch = it == branches_.end() ? nullptr : it->second.get();
    if (from < to) {
      lineage.push_back(Segment{branch, LsnRange{from, to}});
    }
  }
  return lineage;
}

Lsn Timeline::LastEnd(const Lineage& lineage, Lsn lsn, Lsn begin) {
  for (size_t i = lineage.size(); i-- > 0;) {
    const Segment& segment = lineage[i];
    if (segment.branch == nullptr || segment.range.start >= lsn) {
      continue;
    }
    const std::vector<Lsn>& ends = segment.branch->mtr_ends;
    const auto after = std::upper_bound(ends.begin(), ends.end(), std::min(lsn, segment.range.end));
    if (after != ends.begin() && *(after - 1) > segment.range.start) {
      return *(after - 1);
    }
    // The epoch began here, at the end of an mtr: that was checked.
    return segment.range.start;
  }
  return begin;
}

Lsn Timeline::CommonEnd(const Lineage& a, const Lineage& b, Lsn begin) {
  Lsn common = begin;
  for (size_t i = 0; i < a.size() && i < b.size(); ++i) {
    const bool same = a[i].branch == b[i].branch && a[i].range.start == b[i].range.start;
    if (!same) {
      break;
    }
    common = std::min(a[i].range.end, b[i].range.end);
    if (a[i].range.end != b[i].range.end) {
      break;
    }
  }
  return common;
}

Lsn Timeline::CommonEnd(Epoch a, Epoch b) const {
  return CommonEnd(branches_.at(a)->lineage, branches_.at(b)->lineage, begin_);
}

void Timeline::CheckHeld(std::string_view checker, const Branch& older, const Branch& newer) {
  const Lsn durable = LastEnd(older.lineage, older.acknowledged, begin_);
  const Lsn held = CommonEnd(older.lineage, newer.lineage, begin_);
  if (durable <= held) {
    return;
  }
  Lost(checker, Text(older.epoch) + " was told that " + Text(older.acknowledged) +
                    " is durable, but " + Text(newer.epoch) + ", which starts at " +
                    Text(newer.start) + ", shares its log only up to " + Text(held));
}

void Timeline::CheckHistory(const std::vector<EpochMark>& history) {
  const EpochMark own = history.back();
  for (size_t i = 0; i + 1 < history.size(); ++i) {
    const bool ascends =
        history[i].epoch < history[i + 1].epoch && history[i].start <= history[i + 1].start;
    if (!ascends) {
      Lost("C5",
           Text(own.epoch) + " has a history that does not ascend at " + Text(history[i].epoch));
    }
  }
  for (const auto& [epoch, branch] : branches_) {
    if (epoch >= own.epoch) {
      continue;
    }
    const auto same = [other = branch.get(), this](const EpochMark& mark) {
      return mark.epoch == other->epoch && std::max(mark.start, begin_) == other->start;
    };
    if (std::none_of(history.begin(), history.end(), same)) {
      Lost("C5", Text(own.epoch) + " does not know that " + Text(epoch) + " began at " +
                     Text(branch->start));
    }
  }
  Lineage before = Follow(history);
  if (!before.empty() && before.back().range.end == kMaxLsn) {
    before.pop_back();
  }
  const Lsn start = std::max(own.start, begin_);
  for (const Segment& segment : before) {
    if (segment.branch == nullptr) {
      Lost("C5", Text(own.epoch) + " continues redo from " + Text(segment.range.start) +
                     " that nobody wrote");
    }
  }
  const Lsn whole = LastEnd(before, start, begin_);
  if (whole != start) {
    Lost("C5", Text(own.epoch) + " starts at " + Text(start) +
                   ", in the middle of an mtr or behind the log that it continues, whose last mtr "
                   "ends at " +
                   Text(whole));
  }
}

void Timeline::EpochBegun(std::vector<EpochMark> history) {
  REDOUBT_CHECK(!history.empty());
  const EpochMark own = history.back();
  if (branches_.contains(own.epoch)) {
    Lost("C5", Text(own.epoch) + " was given out twice");
    return;
  }
  CheckHistory(history);
  auto branch = std::make_unique<Branch>(own.epoch, std::max(own.start, begin_), page_size_);
  Branch* added = branch.get();
  branches_.emplace(own.epoch, std::move(branch));
  added->lineage = Follow(history);
  for (const auto& [epoch, other] : branches_) {
    if (epoch < own.epoch) {
      CheckHeld("C1", *other, *added);
    } else if (epoch > own.epoch) {
      CheckHeld("C1", *added, *other);  // late news: what it began with is durable
    }
  }
  acknowledged_ = std::max(acknowledged_, added->start);
}

void Timeline::Produced(Epoch epoch, Lsn end, ByteView redo, std::span<const ChangedPage> pages,
                        std::vector<RedoFact> facts) {
  Branch& branch = *branches_.at(epoch);
  REDOUBT_CHECK(!redo.empty());
  REDOUBT_CHECK(end == innodb::AdvanceLsn(branch.end(), redo.size()));
  branch.mtr_ends.push_back(end);
  branch.redo.insert(branch.redo.end(), redo.begin(), redo.end());
  for (const ChangedPage& changed : pages) {
    branch.pages.Record(changed.page, end, changed.image);
    if (known_pages_.insert(changed.page).second) {
      pages_.push_back(changed.page);
    }
  }
  for (RedoFact& fact : facts) {
    REDOUBT_CHECK(fact.end == end);
    if (fact.kind == RedoFact::Kind::kDrop) {
      branch.pages.DropSpace(fact.space, end);
    }
    branch.facts.push_back(std::move(fact));
  }
  ++mtr_count_;
}

void Timeline::Acknowledged(Epoch epoch, Lsn lsn) {
  Branch& branch = *branches_.at(epoch);
  if (lsn > branch.end()) {
    Lost("C1", Text(epoch) + " was told that " + Text(lsn) + " is durable, but wrote only up to " +
                   Text(branch.end()));
    return;
  }
  branch.acknowledged = std::max(branch.acknowledged, lsn);
  for (auto it = branches_.upper_bound(epoch); it != branches_.end(); ++it) {
    CheckHeld("C5", branch, *it->second);  // it was replaced before it was told
  }
  acknowledged_ = std::max(acknowledged_, LastEnd(branch.lineage, lsn, begin_));
}

void Timeline::ReadBack(LsnRange range, ByteView given) {
  range.end = std::min(range.end, end());
  if (range.empty()) {
    return;
  }
  if (range.start < begin_ || given.size() < innodb::PayloadBytes(range)) {
    Lost("C1", "the log gives " + std::to_string(given.size()) + " bytes at " + Text(range.start) +
                   " up to " + Text(range.end));
    return;
  }
  const Bytes produced = Redo(newest_epoch(), range);
  const auto [at, unused] = std::mismatch(produced.begin(), produced.end(), given.begin());
  if (at != produced.end()) {
    findings_->Report("C1", "redo at " + Text(range.start) + " differs from the lineage of " +
                                Text(newest_epoch()) + " at byte " +
                                std::to_string(at - produced.begin()));
  }
}

PageVersion Timeline::AtIn(const Lineage& lineage, PageId page, Lsn lsn) const {
  for (size_t i = lineage.size(); i-- > 0;) {
    const Segment& segment = lineage[i];
    if (segment.branch == nullptr || segment.range.start >= lsn) {
      continue;
    }
    const Lsn bound = std::min(lsn, segment.range.end);
    if (segment.branch->pages.VersionAt(page, bound) != Lsn()) {
      return segment.branch->pages.At(page, bound);
    }
    if (segment.branch->pages.DroppedAt(page.space, bound) != Lsn()) {
      break;
    }
  }
  return {Lsn(), Bytes(page_size_)};
}

PageVersion Timeline::At(PageId page, Lsn lsn) const {
  return branches_.empty() ? PageVersion{Lsn(), Bytes(page_size_)}
                           : AtIn(newest()->lineage, page, lsn);
}

PageVersion Timeline::AtUnder(Epoch epoch, PageId page, Lsn lsn) const {
  return AtIn(branches_.at(epoch)->lineage, page, lsn);
}

std::vector<RedoFact> Timeline::FactsUpTo(Lsn lsn) const {
  std::vector<RedoFact> facts;
  const Branch* branch = newest();
  if (branch == nullptr) {
    return facts;
  }
  for (const Segment& segment : branch->lineage) {
    if (segment.branch == nullptr) {
      continue;
    }
    const Lsn bound = std::min(lsn, segment.range.end);
    const std::vector<RedoFact>& all = segment.branch->facts;
    std::copy_if(all.begin(), all.end(), std::back_inserter(facts),
                 [bound](const RedoFact& fact) { return fact.end <= bound; });
  }
  return facts;
}

bool Timeline::Superseded(Epoch epoch, Lsn lsn) const {
  const auto newer = branches_.upper_bound(epoch);
  return std::any_of(newer, branches_.end(),
                     [lsn](const auto& entry) { return entry.second->start < lsn; });
}

bool Timeline::CutsAcknowledged(Epoch epoch) const {
  const Lsn start = branches_.at(epoch)->start;
  return std::any_of(branches_.begin(), branches_.lower_bound(epoch),
                     [start](const auto& entry) { return entry.second->acknowledged > start; });
}

Epoch Timeline::newest_epoch() const { return branches_.empty() ? Epoch() : newest()->epoch; }

Lsn Timeline::end() const { return branches_.empty() ? begin_ : newest()->end(); }

Lsn Timeline::LastEndAtOrBelow(Lsn lsn) const {
  return branches_.empty() ? begin_ : LastEnd(newest()->lineage, lsn, begin_);
}

Bytes Timeline::Redo(Epoch epoch, LsnRange range) const {
  Bytes redo;
  for (const Segment& segment : branches_.at(epoch)->lineage) {
    if (segment.branch == nullptr) {
      continue;
    }
    const Branch& branch = *segment.branch;
    const Lsn from = std::max(range.start, segment.range.start);
    const Lsn to = std::min({range.end, segment.range.end, branch.end()});
    if (from < to) {
      const auto first =
          branch.redo.begin() + static_cast<ptrdiff_t>(innodb::PayloadBytes({branch.start, from}));
      redo.insert(redo.end(), first,
                  first + static_cast<ptrdiff_t>(innodb::PayloadBytes({from, to})));
    }
  }
  return redo;
}

}  // namespace redoubt::sim
