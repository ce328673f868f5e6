// SPDX-License-Identifier: MIT
//
// C1, at the moment of the promise: what a writer is told is acknowledged lies on a majority of the
// volume's log servers; and so does what a log server holds for committed, which ends a whole mtr.
// Losing it would take a rare crash; that it was promised too early can be seen at once.
// And a log server that lost its disk takes part again, with an empty log, only when a majority of
// the others has all that: else a majority with it in it might know nothing of it.
#pragma once

#include <algorithm>
#include <cstddef>
#include <string>
#include <vector>

#include "common/base/types.h"
#include "sim/oracle/findings.h"

namespace redoubt::sim {

class MajorityCopy {
 public:
  // Of a log server that can be looked at now.
  struct Copy {
    Lsn end;  // all synced bytes lie below
    Lsn commit;
    Epoch promised;
  };
  // `copies`: of the volume's `server_count` log servers those that run and never lost their disk.
  // The others may have it, or had it when they said so.
  struct Replicas {
    size_t server_count = 0;
    std::vector<Copy> copies;
  };

  explicit MajorityCopy(Findings* findings) : findings_(findings) {}

  // The writer of `epoch` was told that everything below `lsn` is durable. A server that promised a
  // newer epoch may have been cut back, by a writer that knows what counts: then nothing is judged.
  void Acknowledged(Epoch epoch, Lsn lsn, const Replicas& replicas) {
    const bool replaced = std::any_of(replicas.copies.begin(), replicas.copies.end(),
                                      [epoch](const Copy& copy) { return copy.promised > epoch; });
    acknowledged_before_ = epoch == epoch_ ? acknowledged_ : kMaxLsn;
    acknowledged_ = lsn;
    epoch_ = epoch;
    if (!replaced) {
      Expect(lsn, "was acknowledged to the writer of epoch " + std::to_string(epoch.value()),
             replicas);
    }
  }
  // The log server `copy` holds everything below its commit LSN for committed, in whatever epoch.
  // `last_mtr_end`: the last end of an mtr at or below it.
  void Committed(const Copy& copy, Lsn last_mtr_end, const Replicas& replicas) {
    Expect(copy.commit, "is committed at a log server", replicas);
    // One that lags, or was restarted, knows less: up to its end, or what was trimmed.
    const bool as_told = copy.commit < copy.end && copy.commit > acknowledged_before_;
    if (as_told && last_mtr_end != copy.commit) {
      findings_->ReportLoss("C1", "LSN " + std::to_string(copy.commit.value()) +
                                      " is committed at a log server, inside an mtr: the next " +
                                      "writer may cut it off");
    }
  }

  // A writer has given a log server its volume back that had lost its disk. `others`: as in
  // Replicas, without that one.
  void MadeAnew(Lsn acknowledged, const Replicas& others) {
    const size_t lacking = CountLacking(acknowledged, others.copies);
    if (others.server_count - 1 - lacking < others.server_count / 2 + 1) {
      findings_->ReportLoss("C1", "a log server that lost its disk is filled up again, yet " +
                                      std::to_string(lacking) + " of the others lack what was " +
                                      "acknowledged up to LSN " +
                                      std::to_string(acknowledged.value()));
    }
  }

 private:
  static size_t CountLacking(Lsn lsn, const std::vector<Copy>& copies) {
    return static_cast<size_t>(std::count_if(copies.begin(), copies.end(),
                                             [lsn](const Copy& copy) { return copy.end < lsn; }));
  }
  void Expect(Lsn lsn, const std::string& promise, const Replicas& replicas) {
    const size_t lacking = CountLacking(lsn, replicas.copies);
    if (replicas.server_count - lacking < replicas.server_count / 2 + 1) {
      findings_->ReportLoss("C1", "LSN " + std::to_string(lsn.value()) + " " + promise + ", yet " +
                                      std::to_string(lacking) + " of " +
                                      std::to_string(replicas.server_count) +
                                      " log servers do not have it");
    }
  }

  Findings* findings_;
  // The last two that the last writer was told.
  Epoch epoch_;
  Lsn acknowledged_;
  Lsn acknowledged_before_ = kMaxLsn;
};

}  // namespace redoubt::sim
