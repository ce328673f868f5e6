// SPDX-License-Identifier: MIT
#include "sim/runtime/sim_node.h"

#include <algorithm>
#include <string>
#include <utility>

#include "sim/runtime/sim_world.h"

namespace redoubt::sim {
namespace {

// 2026-01-01T00:00:00Z: where every simulated wall clock starts.
constexpr int64_t kWallEpochNs = 1'767'225'600'000'000'000;

}  // namespace

bool NodeIdentity::alive() const { return world->IsAlive(node, incarnation); }

TimePoint SimScheduler::Now() const { return ToTimePoint(self_.world->now_ns()); }

void SimScheduler::Schedule(std::coroutine_handle<> handle) {
  self_.world->PushHandle(self_.node, self_.incarnation, self_.world->now_ns(), handle);
}

Scheduler::TimerId SimScheduler::ScheduleAt(TimePoint when, std::coroutine_handle<> handle) {
  if (when == kNever) {
    return 0;
  }
  const int64_t when_ns = std::max(ToNs(when), self_.world->now_ns());
  return self_.world->PushHandle(self_.node, self_.incarnation, when_ns, handle);
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
  return kWallEpochNs + self_.world->now_ns() + *offset_ns_;
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
    self_.world->Record(self_.node, TraceKind::kLog, 0, 0, std::move(line));
  }
}

}  // namespace redoubt::sim
