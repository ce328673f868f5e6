// SPDX-License-Identifier: MIT
//
// C4: what a server has said about its positions stays true over restarts.
//   - commit LSN, persisted LSN and horizon never go back
//   - persisted <= applied <= commit
// C2 of a read at LSN 0 ("the newest"): it is as of the end of an mtr of the log that counts, not
// below anything that the server had said to be persisted, nor, in one life of it, below what such
// a read was answered as of, before this one was asked for.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "common/base/types.h"
#include "sim/oracle/findings.h"

namespace redoubt::sim {

struct ServerPositions {
  Lsn horizon;
  Lsn persisted;
  Lsn applied;
  Lsn commit;
};

class LsnOrder {
 public:
  // With `learns_commit` the server is one of several log servers, or follows them: how much is
  // committed it is told, and after a restart it may know less.
  LsnOrder(Findings* findings, bool learns_commit)
      : findings_(findings), learns_commit_(learns_commit) {}

  // Observations in the order of their requests: `asked_after` is a ticket taken before the request
  // was sent, so that an answer which was overtaken by another is not held against the server.
  // `life`: counts the server's starts.
  uint64_t TakeTicket() { return ++tickets_; }
  void Observe(uint64_t asked_after, uint32_t life, const ServerPositions& seen);
  // The server answered a read at LSN 0 as of `read_lsn`; the end of the last mtr at or below that
  // is `mtr_end`. `asked_in`, `answered_in`: its lives then.
  struct NewestRead {
    uint64_t asked_after = 0;
    uint32_t asked_in = 0;
    uint32_t answered_in = 0;
    Lsn read_lsn;
    Lsn mtr_end;
  };
  void Newest(const NewestRead& read);
  // The server's disk is empty again.
  void Wiped() {
    highest_ = ServerPositions();
    newest_in_life_ = Lsn();
  }
  const ServerPositions& highest() const { return highest_; }

 private:
  void Compare(std::string_view name, Lsn before, Lsn now);
  void BeginLife(uint32_t life);

  Findings* findings_;
  bool learns_commit_;
  uint32_t life_ = 0;
  uint64_t tickets_ = 0;
  uint64_t answered_ = 0;  // highest ticket taken when an answer came
  ServerPositions highest_;
  Lsn newest_in_life_;
};

}  // namespace redoubt::sim
