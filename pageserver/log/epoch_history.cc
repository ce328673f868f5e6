// SPDX-License-Identifier: MIT
#include "pageserver/log/epoch_history.h"

#include <algorithm>
#include <string>

#include "common/base/check.h"
#include "common/innodb/log_block.h"

namespace redoubt {
namespace {

std::string Text(const EpochBegin& begin) {
  return "epoch " + std::to_string(begin.epoch.value()) + " at LSN " +
         std::to_string(begin.start.value());
}

// Where the epoch of entry `index` ends in a log that ends at `end`.
Lsn EndOf(const EpochHistory& history, size_t index, Lsn end) {
  return index + 1 < history.size() ? std::min(history[index + 1].start, end) : end;
}

}  // namespace

Status CheckHistory(const EpochHistory& history) {
  for (size_t i = 0; i < history.size(); ++i) {
    const EpochBegin& begin = history[i];
    if (begin.epoch == Epoch{} || (begin.start != Lsn{} && !innodb::IsDataLsn(begin.start))) {
      return InvalidArgument("the epoch history holds " + Text(begin) +
                             ": no epoch, or no data LSN");
    }
    if (i > 0 && (begin.epoch <= history[i - 1].epoch || begin.start < history[i - 1].start)) {
      return InvalidArgument("the epoch history holds " + Text(begin) + " behind " +
                             Text(history[i - 1]) + ": it must ascend");
    }
  }
  return Status::Ok();
}

Epoch LogEpochOf(const EpochHistory& history, Lsn end) {
  Epoch epoch;
  for (const EpochBegin& begin : history) {
    if (begin.start <= end) {
      epoch = begin.epoch;
    }
  }
  return epoch;
}

std::optional<EpochBegin> WrittenUnder(const EpochHistory& history, Lsn lsn) {
  std::optional<EpochBegin> found;
  for (const EpochBegin& begin : history) {
    if (begin.start < lsn) {
      found = begin;
    }
  }
  return found;
}

Result<std::optional<Lsn>> AgreedEnd(const EpochHistory& own, Lsn own_end,
                                     const EpochHistory& other) {
  REDOUBT_CHECK(!other.empty());
  std::optional<Lsn> agreed;
  bool parted = false;
  size_t i = 0;
  size_t j = 0;
  while (i < own.size() && j < other.size()) {
    if (own[i].epoch != other[j].epoch) {
      // An entry that lies before all that the other side remembers may only be forgotten there.
      const bool own_is_older = own[i].epoch < other[j].epoch;
      parted = parted || (own_is_older ? j : i) > 0;
      i += own_is_older ? 1 : 0;
      j += own_is_older ? 0 : 1;
      continue;
    }
    if (own[i].start != other[j].start) {
      return Corruption("the epoch histories contradict each other: " + Text(own[i]) + " here, " +
                        Text(other[j]) + " there");
    }
    if (parted) {
      return Corruption("the epoch histories contradict each other: both hold " + Text(own[i]) +
                        ", but not the same epochs before it");
    }
    const Lsn other_end = EndOf(other, j, other.back().start);
    agreed = std::min(EndOf(own, i, own_end), other_end);
    ++i;
    ++j;
  }
  return agreed;
}

}  // namespace redoubt
