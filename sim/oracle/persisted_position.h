// SPDX-License-Identifier: MIT
//
// C4 at the moment of the promise: what a page role says it has persisted is in its store, and a
// flush has covered it. The log may be trimmed up to there from then on; losing it would take a
// power cut before the next flush.
#pragma once

#include <algorithm>
#include <cstdint>
#include <map>
#include <string>

#include "common/base/types.h"
#include "sim/oracle/findings.h"

namespace redoubt::sim {

// Of one store, which may hold several volumes.
class PersistedPosition {
 public:
  // `name`: whose store, for messages.
  PersistedPosition(Findings* findings, std::string name)
      : findings_(findings), name_(std::move(name)) {}

  // The store was opened.
  void Opened() { durable_.clear(); }
  // It holds everything of the volume up to `lsn`: it was found so, or a flush covered it.
  void Durable(VolumeId volume, Lsn lsn) { durable_[volume] = std::max(durable_[volume], lsn); }
  // The page role says so of the volume.
  void Told(VolumeId volume, Lsn persisted) {
    if (persisted > durable_[volume]) {
      findings_->ReportLoss("C4", name_ + " is said to hold everything up to LSN " +
                                      std::to_string(persisted.value()) + ", flushed is " +
                                      std::to_string(durable_[volume].value()));
    }
  }

 private:
  Findings* findings_;
  std::string name_;
  std::map<VolumeId, Lsn> durable_;
};

}  // namespace redoubt::sim
