// SPDX-License-Identifier: MIT
#include "sim/runtime/sim_node.h"

#include <algorithm>
#include <string>
#include <utility>

#include "sim/runtime/sim_world.h"

namespace redoubt::sim {
namespace {

// 2026-01-01T00:00:00Z: the world's beginning as wall clocks say it.
constexpr int64_t kWallEpochNs = 1'767'225'600'000'000'000;
// No run lasts so long: a hundred years.
constexpr int64_t kHorizonNs = 100LL * 365 * 86'400 * 1'000'000'000;

}  // namespace

bool NodeIdentity::alive() const { return world->IsAlive(node, incarnation); }

TimePoint SimScheduler::Now() const { return ToTimePoint(clock_->LocalNs(self_.world->now_ns())); }

void SimScheduler::Schedule(std::coroutine_handle<> handle) {
  self_.world->PushHandle(self_.node, self_.incarnation, self_.world->now_ns(), 0, handle);
}

Scheduler::TimerId SimScheduler::ScheduleAt(TimePoint when, std::coroutine_handle<> handle) {
  if (when == kNever) {
    return 0;
  }
  const int64_t now_ns = self_.world->now_ns();
  // Past deadlines may lie as far back as they like, and "never" ones as far ahead.
  const int64_t local_ns = std::clamp(ToNs(when), clock_->LocalNs(now_ns), kHorizonNs);
  const int64_t when_ns = std::max(clock_->WorldNs(local_ns), now_ns);
  return self_.world->PushHandle(self_.node, self_.incarnation, when_ns, local_ns, handle);
}

bool SimScheduler::CancelTimer(TimerId id) {
  // Timer 0 is kNever's: pending for ever.
  return id == 0 || self_.world->Cancel(id);
}

// The frames of a dying incarnation come by here as well: all its events are void already.
void SimScheduler::Unschedule(std::coroutine_handle<> handle) {
  if (self_.alive()) {
    self_.world->CancelResume(self_.node, self_.incarnation, handle);
  }
}

SimBlockingExecutor::SimBlockingExecutor(NodeIdentity self, Scheduler* scheduler)
    : self_(self), scheduler_(scheduler), cost_(&self.world->random(), "blocking", self.entity()) {}

Task<void> SimBlockingExecutor::Run(std::function<void()> work) {
  const SimOptions& options = self_.world->options();
  const auto extra =
      static_cast<int64_t>(cost_.Exponential(static_cast<uint64_t>(options.blocking_ns_mean)));
  self_.world->Record(self_.node, TraceKind::kBlockingWork, 0, 0);
  co_await scheduler_->Sleep(Duration(options.blocking_ns_min + extra));
  work();
}

int64_t SimWallClock::NowUnixNs() const {
  return kWallEpochNs + clock_->WallNs(self_.world->now_ns());
}

SimRandom::SimRandom(NodeIdentity self)
    : self_(self), stream_(&self.world->random(), "node", self.entity()) {}

uint64_t SimRandom::Next() {
  const uint64_t value = stream_.Next();
  self_.world->Record(self_.node, TraceKind::kRandomDraw, value, 0);
  return value;
}

void SimEventLog::Write(LogLevel level, std::string_view message) {
  if (self_.alive()) {
    std::string line(LogLevelName(level));
    line += ": ";
    line += message;
    self_.world->Logged(self_.node, std::move(line));
  }
}

}  // namespace redoubt::sim
