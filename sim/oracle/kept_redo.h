// SPDX-License-Identifier: MIT
//
// C1 of a log server that is away: the others keep the redo that it lacks, whatever page roles have
// of it already, so that it comes back to a whole log. (Runs stay far below the number of bytes
// from which on a server that is away is not waited for.)
// Losing it shows only when nobody else is left to fill that server up; that it was trimmed too
// early can be seen at once.
#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <vector>

#include "common/base/types.h"
#include "sim/oracle/findings.h"

namespace redoubt::sim {

class KeptRedo {
 public:
  // Of a log server that can be looked at now.
  struct Log {
    std::string server;
    Lsn readable_from;  // what lies below was trimmed
    Lsn end;            // all synced bytes lie below; 0: the log has not begun
    bool whole;         // redo was appended to it, and it has all that was acknowledged
  };

  explicit KeptRedo(Findings* findings) : findings_(findings) {}

  // `logs`: of the volume's log servers those that run and never lost their disk. Of those that do
  // not run what was seen last counts. A log that is made anew takes what the others have when it
  // is; they need not wait for it until it was whole for the first time.
  void Observe(const std::vector<Log>& logs) {
    for (const Log& log : logs) {
      if (log.whole || ends_.contains(log.server)) {
        ends_[log.server] = log.end;
      }
    }
    for (const Log& log : logs) {
      for (const auto& [other, end] : ends_) {
        if (log.readable_from > end) {
          findings_->ReportLoss("C1", log.server + " has trimmed its log up to LSN " +
                                          std::to_string(log.readable_from.value()) + ", yet " +
                                          other + " has it up to " + std::to_string(end.value()) +
                                          " only");
        }
      }
    }
  }
  // The server dies, its disk stays: its log was synced up to `end` since it was seen last. 0: the
  // log was not there yet, what was seen last counts.
  void Died(const std::string& server, Lsn end) {
    const auto seen = ends_.find(server);
    if (seen != ends_.end() && end != Lsn()) {
      seen->second = end;
    }
  }
  // The server has lost its disk, so that it takes what there is; or nobody knows what it has until
  // it is seen again.
  void Forget(const std::string& server) { ends_.erase(server); }

 private:
  Findings* findings_;
  std::map<std::string, Lsn> ends_;
};

}  // namespace redoubt::sim
