// SPDX-License-Identifier: MIT
//
// The first half of an epoch's start: promises of a majority, and from them where the new epoch
// begins.
//
//   1. the epoch: above everything that the members have promised
//   2. PREPARE at all members; a majority of promises fences every older writer, and one of that
//      majority has everything that was ever acknowledged
//   3. the donor: highest (log epoch, end). The new epoch begins at the end of its last whole mtr:
//      what follows is half an mtr, which means nothing
//   4. a majority still holds its promise, now that all is known
//
// What the members do with it (cut back, fill up) is LogReplica's part.
#pragma once

#include <memory>
#include <vector>

#include "client/epoch_plan.h"
#include "client/log_replica.h"
#include "common/base/result.h"
#include "common/runtime/runtime.h"

namespace redoubt {

struct NegotiatedEpoch {
  EpochPlan plan;
  VolumeId volume;  // the donor's number
};

// `epoch` 0: chosen here. `replicas` outlive the task and run nothing else meanwhile.
// `round_timeout`: how long a round of questions (1, 2, 4) waits for those who do not answer; a
// majority is enough to go on.
// kStaleEpoch: a newer writer exists. kNotFound: no majority has the volume. kInvalidArgument: the
// members hold different volumes of that name. kCorruption, kIoError: so many members are damaged
// that no majority is left. kUnsupported: the donor's last redo cannot be parsed. kUnavailable,
// kDeadlineExceeded: no majority answered, though one may later; some may have promised.
Task<Result<NegotiatedEpoch>> NegotiateEpoch(
    Runtime* runtime, const std::vector<std::unique_ptr<LogReplica>>* replicas, Epoch epoch,
    Duration round_timeout, TimePoint deadline);

}  // namespace redoubt
