// SPDX-License-Identifier: MIT
//
// Which writer generation wrote which part of a log, and what follows from two such histories. Pure
// functions: nothing here suspends or touches a file.
//
// A history lists {epoch, start}: the log of `epoch` is the log before it up to `start`, and what
// that writer appended from there. An epoch is begun by one writer only, with one history, and a
// replica that takes the history over first cuts its log back to where both agree. Therefore two
// logs whose histories share an entry hold the same bytes below its start, and behind it as far as
// both have bytes of that epoch.
//
// Invariants of a history: epochs rise strictly, starts never fall. Entries may start above the end
// of the log beside them: that replica is being back-filled.
#pragma once

#include <cstddef>
#include <optional>
#include <vector>

#include "common/base/result.h"
#include "common/base/types.h"

namespace redoubt {

struct EpochBegin {
  Epoch epoch;
  Lsn start;
  friend bool operator==(const EpochBegin&, const EpochBegin&) = default;
};
using EpochHistory = std::vector<EpochBegin>;

// Older entries are forgotten beyond so many.
inline constexpr size_t kEpochHistoryMax = 1024;

// kInvalidArgument unless the entries rise as above and each start is 0 (the log had not begun) or
// a data LSN.
Status CheckHistory(const EpochHistory& history);

// The epoch of the last entry that starts at or below `end`; 0: none.
Epoch LogEpochOf(const EpochHistory& history, Lsn end);

// The entry under which the byte just below `lsn` was written: the last one that starts below it.
// Of what is committed it is the same on every replica. nullopt: forgotten, or there is none.
std::optional<EpochBegin> WrittenUnder(const EpochHistory& history, Lsn lsn);

// Up to where a log that ends at `own_end` with history `own` holds the same bytes as the log that
// `other` describes, whose last entry's start is its end. nullopt: the histories have no entry in
// common, so nothing is known. Either side may have forgotten its oldest entries. kCorruption: the
// histories contradict each other (one epoch with two starts, or a shared entry behind different
// ones), which no sound replica can have.
Result<std::optional<Lsn>> AgreedEnd(const EpochHistory& own, Lsn own_end,
                                     const EpochHistory& other);

}  // namespace redoubt
