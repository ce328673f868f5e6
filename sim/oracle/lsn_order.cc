// SPDX-License-Identifier: MIT
#include "sim/oracle/lsn_order.h"

#include <algorithm>

namespace redoubt::sim {

void LsnOrder::Compare(std::string_view name, Lsn before, Lsn now) {
  if (now < before) {
    findings_->ReportLoss("C4", std::string(name) + " LSN went back from " +
                                    std::to_string(before.value()) + " to " +
                                    std::to_string(now.value()));
  }
}

void LsnOrder::Observe(uint64_t asked_after, uint32_t life, const ServerPositions& seen) {
  if (learns_commit_ && life != life_) {
    highest_.commit = Lsn();
  }
  life_ = life;
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
