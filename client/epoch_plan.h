// SPDX-License-Identifier: MIT
//
// Where a new epoch begins and what leads there: chosen once by its writer, the same for every log
// server. And what a log server tells when it promises an epoch.
#pragma once

#include <cstdint>
#include <vector>

#include "common/base/types.h"

namespace redoubt {

struct EpochStart {
  Epoch epoch;
  Lsn start;
};

struct EpochPlan {
  Epoch epoch;
  Lsn start;  // Lsn{0}: the log has not begun anywhere
  // Ascending; the last one is {epoch, start}.
  std::vector<EpochStart> history;
  uint64_t volume_uid = 0;
};

// The log of a server that has promised `epoch`.
struct PromisedLog {
  VolumeId volume;
  Epoch epoch;
  Lsn begin;
  Lsn end;  // Lsn{0}: not begun
  Lsn commit;
  Lsn last_mtr;  // the last place at which an mtr is known to begin; Lsn{0}: none
  uint64_t volume_uid = 0;
  std::vector<EpochStart> epochs;

  // The epoch to which the log's last bytes belong: a server that is being filled up holds the
  // history before the bytes.
  Epoch log_epoch() const {
    Epoch newest;
    for (const EpochStart& entry : epochs) {
      if (entry.start <= end) {
        newest = entry.epoch;
      }
    }
    return newest;
  }
};

}  // namespace redoubt
