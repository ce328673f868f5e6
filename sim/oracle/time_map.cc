// SPDX-License-Identifier: MIT
#include "sim/oracle/time_map.h"

#include <algorithm>
#include <cstddef>
#include <string>

namespace redoubt::sim {
namespace {

// Of stamps that a page server collects, and that a log server is filled up with as one.
constexpr int64_t kWindowNs = 1'000'000'000;
// Of stamps of chunks that are joined to fill up a log server.
constexpr int64_t kJoinedNs = 500'000'000;

}  // namespace

void TimeMap::Offered(LsnRange range, int64_t time_unix_ns) {
  offered_.emplace(time_unix_ns, range);
}

void TimeMap::EpochBegun(Epoch epoch, Lsn lsn) {
  cuts_.insert(lsn);
  newest_ = std::max(newest_, epoch);
  for (auto& [older, waiting] : waiting_) {
    if (older < epoch) {
      std::erase_if(waiting, [lsn](const Chunk& chunk) { return chunk.range.end > lsn; });
    }
  }
}

void TimeMap::Taken(Epoch epoch, LsnRange range, int64_t time_unix_ns) {
  if (epoch >= newest_) {
    waiting_[epoch].push_back({range, time_unix_ns});
  }
}

void TimeMap::Acknowledged(Epoch epoch, Lsn lsn) {
  std::vector<Chunk>& waiting = waiting_[epoch];
  size_t count = 0;
  while (count < waiting.size() && waiting[count].range.end <= lsn) {
    durable_.emplace_back(waiting[count].time, waiting[count].range.end);
    ++count;
  }
  waiting.erase(waiting.begin(), waiting.begin() + static_cast<ptrdiff_t>(count));
}

void TimeMap::Check(const Answer& answer) {
  ++checked_count_;
  const std::string where = "the LSN at time " + std::to_string(answer.asked) + ": ";
  const std::string given = std::to_string(answer.lsn.value()) + " of time " +
                            std::to_string(answer.sample) + " is given";
  if (!answer.before_all) {
    const auto first = offered_.lower_bound(answer.sample - kJoinedNs);
    const auto last = offered_.upper_bound(answer.sample);
    const bool cut = cuts_.contains(answer.lsn);
    const bool was_there = std::any_of(first, last, [&answer, cut](const auto& chunk) {
      return (cut || chunk.second.start < answer.lsn) && answer.lsn <= chunk.second.end;
    });
    if (answer.sample > answer.asked) {
      findings_->Report("C2", where + given + ", which is later");
      return;
    }
    if (!was_there) {
      findings_->Report("C2", where + given + ", the log did not end there then");
      return;
    }
  }
  for (const auto& [time, end] : durable_) {
    const bool must_know = end <= answer.applied_before && time <= answer.asked - kWindowNs;
    const bool older = answer.sample < time && answer.lsn < end;
    if (must_know && (answer.before_all || older)) {
      findings_->ReportLoss("C2", where + (answer.before_all ? "none is known" : given) +
                                      ", yet the log ended at " + std::to_string(end.value()) +
                                      " at " + std::to_string(time));
      return;
    }
  }
}

}  // namespace redoubt::sim
