// SPDX-License-Identifier: MIT
//
// C1: redo that a client was told is durable is there after any allowed fault, unchanged.
// Remembers, in perfect memory, the highest acknowledged LSN; whoever learns where the log ends, or
// reads redo back, says so here.
#pragma once

#include <string>
#include <string_view>

#include "common/base/bytes.h"
#include "common/base/types.h"
#include "sim/oracle/findings.h"

namespace redoubt::sim {

class AcknowledgedRedo {
 public:
  explicit AcknowledgedRedo(Findings* findings) : findings_(findings) {}

  // A client was told that everything below `lsn` is durable.
  void Acknowledged(Lsn lsn);
  // The server says that its log ends at `end`, asked when `acknowledged_before` was
  // acknowledged(). `source`: how that was learnt.
  void ServerEnd(Lsn end, Lsn acknowledged_before, std::string_view source);
  // Redo payload of `range` as the server gave it back, and as it was produced.
  void ReadBack(LsnRange range, ByteView given, ByteView produced);

  Lsn acknowledged() const { return acknowledged_; }

 private:
  Findings* findings_;
  Lsn acknowledged_;
};

}  // namespace redoubt::sim
