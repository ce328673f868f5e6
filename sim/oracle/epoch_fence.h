// SPDX-License-Identifier: MIT
//
// C5: one writer per epoch. Epochs only grow; once a writer was told "epoch e, the log ends at E",
// no append of an older epoch beyond E is ever acknowledged, and E is not below what the older ones
// were told is durable. What a server has promised it has promised for good.
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <map>
#include <string>
#include <string_view>

#include "common/base/types.h"
#include "sim/oracle/findings.h"

namespace redoubt::sim {

class EpochFence {
 public:
  explicit EpochFence(Findings* findings) : findings_(findings) {}

  // A Prepare was answered: the caller now holds `epoch`, the log ends at `end` (0: empty).
  void Promised(Epoch epoch, Lsn end);
  // The holder of `epoch` learnt that everything below `lsn` is durable.
  void Acknowledged(Epoch epoch, Lsn lsn);
  // `server` has promised `epoch`, whatever becomes of it: a promise outlives crashes.
  void PromisedBy(std::string_view server, Epoch epoch);
  Epoch HighestPromise(std::string_view server) const;
  // `server` says which epoch it has promised, asked when HighestPromise was `promised_before`.
  void ServerEpoch(std::string_view server, Epoch epoch, Epoch promised_before);
  // The server's disk was emptied or exchanged: it has forgotten its promises.
  void Forget(std::string_view server);
  // A writer was told that it is fenced.
  void Refused() { ++refused_count_; }
  uint64_t refused_count() const { return refused_count_; }
  Epoch newest() const { return promised_.empty() ? Epoch() : promised_.rbegin()->first; }
  size_t epoch_count() const { return promised_.size(); }

 private:
  Findings* findings_;
  std::map<Epoch, Lsn> promised_;
  std::map<Epoch, Lsn> acknowledged_;
  std::map<std::string, Epoch, std::less<>> promised_by_;
  uint64_t refused_count_ = 0;
};

}  // namespace redoubt::sim
