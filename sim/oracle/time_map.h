// SPDX-License-Identifier: MIT
//
// C2 of time: the LSN that a server names for a second of the source's clock is one where the log
// ended then. Redo comes in chunks that are stamped with the source's wall clock, which may jump
// either way.
//   - the stamp that the answer goes by is not later than the time that was asked for
//   - a chunk with that stamp reaches the LSN, or was cut off there by a new writer; the stamp may
//     be half a second newer than the chunk's: chunks that fill up a log server are joined, bear
//     the stamp of their end, and are given to page servers as far as they are committed
//   - it is not older than any chunk that the server had applied, that can never be cut off, and
//     whose stamp lies a second before the asked time: page servers keep one stamp of half a
//     second, and so does a log server that is filled up
#pragma once

#include <cstdint>
#include <map>
#include <set>
#include <utility>
#include <vector>

#include "common/base/types.h"
#include "sim/oracle/findings.h"

namespace redoubt::sim {

class TimeMap {
 public:
  explicit TimeMap(Findings* findings) : findings_(findings) {}

  // The writer of `epoch` goes on at `lsn`: what lay behind is cut off.
  void EpochBegun(Epoch epoch, Lsn lsn);
  // The writer of `epoch` is about to give a chunk with this stamp to the log.
  void Offered(LsnRange range, int64_t time_unix_ns);
  // It was taken. What a writer that was replaced has taken need not last.
  void Taken(Epoch epoch, LsnRange range, int64_t time_unix_ns);
  // The writer was told that everything below `lsn`, the end of an mtr, is durable.
  void Acknowledged(Epoch epoch, Lsn lsn);

  struct Answer {
    int64_t asked = 0;
    Lsn applied_before;       // of the server, before it was asked, in the same life of it
    bool before_all = false;  // it said that the time lies before all that it knows
    Lsn lsn;
    int64_t sample = 0;
  };
  void Check(const Answer& answer);
  // Stamps of redo that is durable, oldest redo first.
  const std::vector<std::pair<int64_t, Lsn>>& durable() const { return durable_; }
  uint64_t checked_count() const { return checked_count_; }

 private:
  struct Chunk {
    LsnRange range;
    int64_t time = 0;
  };
  Findings* findings_;
  std::multimap<int64_t, LsnRange> offered_;      // by stamp
  std::map<Epoch, std::vector<Chunk>> waiting_;   // taken and not durable yet, in order
  std::vector<std::pair<int64_t, Lsn>> durable_;  // stamp, end of the chunk
  Epoch newest_;
  std::set<Lsn> cuts_;
  uint64_t checked_count_ = 0;
};

}  // namespace redoubt::sim
