// SPDX-License-Identifier: MIT
#include "sim/oracle/lsn_order.h"

#include <algorithm>

namespace redoubt::sim {

namespace {

std::string Text(Lsn lsn) { return std::to_string(lsn.value()); }

}  // namespace

void LsnOrder::Compare(std::string_view name, Lsn before, Lsn now) {
  if (now < before) {
    findings_->ReportLoss("C4", std::string(name) + " LSN went back from " +
                                    std::to_string(before.value()) + " to " +
                                    std::to_string(now.value()));
  }
}

void LsnOrder::BeginLife(uint32_t life) {
  if (life == life_) {
    return;
  }
  if (learns_commit_) {
    highest_.commit = Lsn();
  }
  newest_in_life_ = Lsn();
  life_ = life;
}

void LsnOrder::Newest(const NewestRead& read) {
  BeginLife(read.answered_in);
  const std::string where = "a read at LSN 0 was answered as of " + Text(read.read_lsn);
  if (read.read_lsn != read.mtr_end) {
    findings_->Report(
        "C2", where + ", where no mtr ends; the last one before ended at " + Text(read.mtr_end));
  }
  // An answer may have been on its way when the server died.
  const bool one_life = read.asked_in == read.answered_in;
  if (read.asked_after > answered_) {
    if (read.read_lsn < highest_.persisted) {
      findings_->ReportLoss(
          "C2", where + ", but up to " + Text(highest_.persisted) + " was persisted before");
    }
    if (one_life && read.read_lsn < newest_in_life_) {
      findings_->Report("C2", where + ", an earlier one as of " + Text(newest_in_life_));
    }
  }
  answered_ = tickets_;
  if (one_life) {
    newest_in_life_ = std::max(newest_in_life_, read.read_lsn);
  }
}

void LsnOrder::Observe(uint64_t asked_after, uint32_t life, const ServerPositions& seen) {
  BeginLife(life);
  const bool ordered = seen.persisted <= seen.applied && seen.applied <= seen.commit;
  if (!ordered) {
    findings_->Report("C4", "persisted " + std::to_string(seen.persisted.value()) + ", applied " +
                                std::to_string(seen.applied.value()) + ", commit " +
                                std::to_string(seen.commit.value()) + " are out of order");
  }
  if (asked_after > answered_) {
    // Everything observed so far was answered before this was asked.
    Compare("commit", highest_.commit, seen.commit);
    Compare("persisted", highest_.persisted, seen.persisted);
    Compare("horizon", highest_.horizon, seen.horizon);
  }
  answered_ = tickets_;
  highest_.commit = std::max(highest_.commit, seen.commit);
  highest_.persisted = std::max(highest_.persisted, seen.persisted);
  highest_.applied = std::max(highest_.applied, seen.applied);
  highest_.horizon = std::max(highest_.horizon, seen.horizon);
}

}  // namespace redoubt::sim
