// SPDX-License-Identifier: MIT
#include "client/page_routing.h"

#include <algorithm>
#include <tuple>

namespace redoubt {
namespace {

// Ranks are compared only with each other.
int Gravity(const Status& status) {
  switch (status.code()) {
    case StatusCode::kOk:
      return 0;
    case StatusCode::kNotFound:
      return 1;
    case StatusCode::kUnsupported:
      return 3;
    case StatusCode::kBelowHorizon:
      return 4;
    case StatusCode::kHole:
      return 5;
    case StatusCode::kIoError:
      return 6;
    case StatusCode::kCorruption:
      return 7;
    default:
      return 2;
  }
}

struct Cost {
  bool avoided;
  bool behind;
  int64_t wait_ns;

  bool Beats(const Cost& other) const {
    return std::tuple(avoided, behind, wait_ns) <
           std::tuple(other.avoided, other.behind, other.wait_ns);
  }
  bool AsGoodAs(const Cost& best) const {
    return avoided == best.avoided && behind == best.behind && wait_ns <= 2 * best.wait_ns;
  }
};

}  // namespace

std::optional<size_t> ChooseReplica(const std::vector<ReplicaView>& replicas, Lsn needed,
                                    TimePoint now, uint64_t turn) {
  Lsn best_applied;
  for (const ReplicaView& replica : replicas) {
    if (!replica.excluded && replica.avoid_until <= now && replica.applied_known) {
      best_applied = std::max(best_applied, replica.applied);
    }
  }
  const Lsn wanted = needed <= best_applied ? needed
                     : best_applied.value() > kAppliedSlackBytes
                         ? Lsn(best_applied.value() - kAppliedSlackBytes)
                         : Lsn{};
  const auto cost_of = [&](const ReplicaView& replica) {
    return Cost{replica.avoid_until > now, replica.applied_known && replica.applied < wanted,
                replica.latency.count() * static_cast<int64_t>(replica.in_flight + 1)};
  };
  std::optional<Cost> best;
  for (const ReplicaView& replica : replicas) {
    if (!replica.excluded && (!best.has_value() || cost_of(replica).Beats(*best))) {
      best = cost_of(replica);
    }
  }
  for (size_t i = 0; i < replicas.size() && best.has_value(); ++i) {
    const size_t place = (turn + i) % replicas.size();
    if (!replicas[place].excluded && cost_of(replicas[place]).AsGoodAs(*best)) {
      return place;
    }
  }
  return std::nullopt;
}

void LatencyEstimate::Add(Duration sample) {
  if (mean_.count() == 0) {
    mean_ = std::max(sample, Duration(1));
    deviation_ = sample / 2;
    return;
  }
  const Duration error = sample > mean_ ? sample - mean_ : mean_ - sample;
  deviation_ += (error - deviation_) / 4;
  mean_ = std::max(mean_ + (sample - mean_) / 8, Duration(1));
}

AnswerKind KindOf(const Status& status) {
  switch (status.code()) {
    case StatusCode::kUnavailable:
    case StatusCode::kDeadlineExceeded:
    case StatusCode::kCancelled:
      return AnswerKind::kTrouble;
    case StatusCode::kCorruption:
    case StatusCode::kIoError:
      return AnswerKind::kDamage;
    default:
      return AnswerKind::kClaim;
  }
}

const Status& GraverOf(const Status& a, const Status& b) { return Gravity(b) > Gravity(a) ? b : a; }

}  // namespace redoubt
