// SPDX-License-Identifier: MIT
#include "sim/oracle/epoch_fence.h"

#include <algorithm>
#include <string>

namespace redoubt::sim {

void EpochFence::Promised(Epoch epoch, Lsn end) {
  if (promised_.contains(epoch)) {
    findings_->ReportLoss("C5", "epoch " + std::to_string(epoch.value()) + " was given out twice");
  }
  promised_[epoch] = end;
  // The answers of two Prepares may overtake each other; the log's end belongs to the epoch, not to
  // the moment of the answer.
  for (const auto& [older, lsn] : acknowledged_) {
    if (older < epoch && lsn > end) {
      findings_->ReportLoss("C5", "epoch " + std::to_string(epoch.value()) + " starts at " +
                                      std::to_string(end.value()) + ", but epoch " +
                                      std::to_string(older.value()) + " was told that " +
                                      std::to_string(lsn.value()) + " is durable");
    }
  }
}

void EpochFence::PromisedBy(std::string_view server, Epoch epoch) {
  Epoch& highest = promised_by_.try_emplace(std::string(server)).first->second;
  highest = std::max(highest, epoch);
}

Epoch EpochFence::HighestPromise(std::string_view server) const {
  const auto found = promised_by_.find(server);
  return found == promised_by_.end() ? Epoch() : found->second;
}

void EpochFence::ServerEpoch(std::string_view server, Epoch epoch, Epoch promised_before) {
  if (epoch < promised_before && HighestPromise(server) >= promised_before) {
    findings_->ReportLoss("C5", std::string(server) + " is at epoch " +
                                    std::to_string(epoch.value()) + ", but has promised epoch " +
                                    std::to_string(promised_before.value()));
  }
}

void EpochFence::Forget(std::string_view server) {
  const auto found = promised_by_.find(server);
  if (found != promised_by_.end()) {
    promised_by_.erase(found);
  }
}

void EpochFence::Acknowledged(Epoch epoch, Lsn lsn) {
  const auto newer = promised_.upper_bound(epoch);
  if (newer != promised_.end() && lsn > newer->second) {
    findings_->ReportLoss("C5", "epoch " + std::to_string(epoch.value()) +
                                    " was acknowledged up to " + std::to_string(lsn.value()) +
                                    " although epoch " + std::to_string(newer->first.value()) +
                                    " holds the log from " + std::to_string(newer->second.value()));
  }
  Lsn& highest = acknowledged_[epoch];
  highest = std::max(highest, lsn);
}

}  // namespace redoubt::sim
