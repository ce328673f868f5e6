// SPDX-License-Identifier: MIT
#include "sim/oracle/acknowledged_redo.h"

#include <algorithm>

namespace redoubt::sim {

void AcknowledgedRedo::Acknowledged(Lsn lsn) { acknowledged_ = std::max(acknowledged_, lsn); }

void AcknowledgedRedo::ServerEnd(Lsn end, Lsn acknowledged_before, std::string_view source) {
  if (end < acknowledged_before) {
    findings_->ReportLoss(
        "C1", std::string(source) + ": the log ends at " + std::to_string(end.value()) + ", but " +
                  std::to_string(acknowledged_before.value()) + " was acknowledged as durable");
  }
}

void AcknowledgedRedo::ReadBack(LsnRange range, ByteView given, ByteView produced) {
  if (given.size() != produced.size()) {
    findings_->Report("C1", "redo at " + std::to_string(range.start.value()) + " has " +
                                std::to_string(given.size()) + " bytes, " +
                                std::to_string(produced.size()) + " were acknowledged");
    return;
  }
  const auto [at, unused] = std::mismatch(given.begin(), given.end(), produced.begin());
  if (at != given.end()) {
    findings_->Report("C1", "redo at " + std::to_string(range.start.value()) +
                                " differs from what was acknowledged, at byte " +
                                std::to_string(at - given.begin()));
  }
}

}  // namespace redoubt::sim
