// SPDX-License-Identifier: MIT
#include "client/replica_calls.h"

#include <algorithm>
#include <utility>

namespace redoubt {
namespace {

// Growing, jittered delays between attempts.
class Pause {
 public:
  Pause(Runtime* runtime, PageClient* pages)
      : runtime_(runtime), pages_(pages), delay_(pages->options().retry_delay_min) {}

  // False: no further attempt fits before the deadline.
  Task<bool> Next(TimePoint deadline) {
    const auto jitter = static_cast<int64_t>(
        runtime_->random->Below(static_cast<uint64_t>(delay_.count()) / 2 + 1));
    const TimePoint next = runtime_->scheduler->Now() + delay_ - Duration(jitter);
    if (next >= deadline) {
      co_return false;
    }
    delay_ = std::min(delay_ * 2, pages_->options().retry_delay_max);
    co_await pages_->stop_event().Wait(next);
    co_return !pages_->stopped();
  }

 private:
  Runtime* runtime_;
  PageClient* pages_;
  Duration delay_;
};

Task<Status> CallOne(PageClient* pages, size_t replica, const ReplicaCall* call,
                     TimePoint deadline) {
  const Result<PageReplica::Reached> reached = co_await pages->Reach(replica, deadline);
  if (!reached.ok()) {
    co_return reached.status().WithContext(pages->replica(replica).name());
  }
  const Status status = co_await (*call)(*reached, deadline);
  co_return status.WithContext(pages->replica(replica).name());
}

}  // namespace

Task<Status> CallAnyReplica(Runtime* runtime, PageClient* pages, ReplicaCall call,
                            TimePoint deadline) {
  // Long enough to wait for redo to be applied, short enough to leave a server that hangs.
  constexpr Duration kAttemptMax = std::chrono::seconds(5);
  Pause pause(runtime, pages);
  for (;;) {
    Status verdict;
    Status trouble;
    const std::vector<size_t> order = pages->Order();
    for (const size_t replica : order) {
      const TimePoint until = order.size() == 1
                                  ? deadline
                                  : std::min(deadline, runtime->scheduler->Now() + kAttemptMax);
      const Status status = co_await CallOne(pages, replica, &call, until);
      if (status.ok() || pages->stopped()) {
        co_return status;
      }
      if (KindOf(status) == AnswerKind::kTrouble) {
        trouble = status;
      } else {
        verdict = GraverOf(verdict, status);
      }
    }
    if (trouble.ok()) {
      co_return verdict;
    }
    const bool again = co_await pause.Next(deadline);
    if (!again) {
      co_return pages->stopped() ? Cancelled("the reader is stopped") : GraverOf(trouble, verdict);
    }
  }
}

Task<Status> CallEveryReplica(Runtime* runtime, PageClient* pages, ReplicaCall call,
                              TimePoint deadline) {
  for (size_t replica = 0; replica < pages->replica_count(); ++replica) {
    Pause pause(runtime, pages);
    for (;;) {
      const Status status = co_await CallOne(pages, replica, &call, deadline);
      if (status.ok()) {
        break;
      }
      // Trouble is also a page server that is a log server and has not begun the writer's epoch
      // yet.
      if (pages->stopped() || KindOf(status) != AnswerKind::kTrouble) {
        co_return status;
      }
      const bool again = co_await pause.Next(deadline);
      if (!again) {
        co_return status;
      }
    }
  }
  co_return Status::Ok();
}

}  // namespace redoubt
