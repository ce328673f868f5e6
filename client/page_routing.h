// SPDX-License-Identifier: MIT
//
// Which page server to ask, when to ask a second one as well, and what an answer that is no page is
// worth. Plain functions and state: nothing here suspends or sends.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <vector>

#include "common/base/status.h"
#include "common/base/types.h"
#include "common/runtime/scheduler.h"

namespace redoubt {

// A page server as routing sees it.
struct ReplicaView {
  bool excluded = false;  // asked already, or has nothing more to say
  bool applied_known = false;
  Lsn applied;              // if known
  TimePoint avoid_until{};  // failed or was overtaken lately
  Duration latency{};       // of a read; 0: not known
  size_t in_flight = 0;
};

// A replica whose known applied LSN is at most so far below the best one counts as being as good:
// what is known is a little old.
inline constexpr uint64_t kAppliedSlackBytes = 1 << 20;

// In this order: not avoided, not behind, the least expected wait (latency times requests in
// flight; up to twice the least is as good, so that equal servers share the work), then round robin
// by `turn`. Behind is a replica that has not applied `needed` while another one has; where none
// has, one that is more than kAppliedSlackBytes below the best. nullopt: all are excluded.
std::optional<size_t> ChooseReplica(const std::vector<ReplicaView>& replicas, Lsn needed,
                                    TimePoint now, uint64_t turn);

// How long reads of one server take: smoothed mean and mean deviation, as TCP does for its
// retransmission timer.
class LatencyEstimate {
 public:
  void Add(Duration sample);
  // Makes a server that was slow worth another try after a while.
  void Fade() { mean_ = mean_ * 3 / 4; }
  Duration mean() const { return mean_; }
  // Longer than this is unusual: mean + 4 deviations; 0: nothing is known.
  Duration unusual() const { return mean_ + 4 * deviation_; }

 private:
  Duration mean_{};
  Duration deviation_{};
};

// Bounds second requests to a share of the first ones: every first request earns `percent` of one,
// at most kSavedMax are saved up.
class HedgeBudget {
 public:
  static constexpr uint32_t kSavedMax = 10;
  explicit HedgeBudget(uint32_t percent) : percent_(percent) {}
  void Earn() { saved_ = saved_ + percent_ > kFull ? kFull : saved_ + percent_; }
  // False: not now.
  bool Take() {
    if (saved_ < 100) {
      return false;
    }
    saved_ -= 100;
    return true;
  }

 private:
  static constexpr uint32_t kFull = kSavedMax * 100;
  uint32_t percent_;
  uint32_t saved_ = kFull;
};

// What a status says that came in place of a page.
enum class AnswerKind : uint8_t {
  kTrouble,  // of the moment: not reached, no answer in time, behind, stopping. May pass
  kDamage,   // of that server: its disk or its copy. Another one may have the page
  kClaim,    // about the page, the LSN or the request: true everywhere unless that server lost data
};
AnswerKind KindOf(const Status& status);

// Of two verdicts of different servers the one to tell: what says that a page exists and cannot be
// had outweighs what says that there is none.
const Status& GraverOf(const Status& a, const Status& b);

}  // namespace redoubt
