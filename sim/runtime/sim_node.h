// SPDX-License-Identifier: MIT
//
// One incarnation's view of the world: the small halves of its Runtime (scheduler, blocking
// executor, wall clock, random numbers, event log). All are inert once the incarnation is dead.
#pragma once

#include <cstdint>
#include <functional>
#include <string_view>

#include "common/runtime/runtime.h"
#include "sim/runtime/seeded_stream.h"
#include "sim/runtime/sim_clock.h"
#include "sim/runtime/trace.h"

namespace redoubt::sim {

class SimWorld;

struct NodeIdentity {
  SimWorld* world = nullptr;
  NodeId node = kWorldNode;
  uint32_t incarnation = 0;

  bool alive() const;
  // For streams: the same node draws other numbers in each life.
  uint64_t entity() const { return (static_cast<uint64_t>(node) << 32) | incarnation; }
};

class SimScheduler : public Scheduler {
 public:
  // `clock` is the node's.
  SimScheduler(NodeIdentity self, const SimClock* clock) : self_(self), clock_(clock) {}
  TimePoint Now() const override;
  void Schedule(std::coroutine_handle<> handle) override;
  TimerId ScheduleAt(TimePoint when, std::coroutine_handle<> handle) override;
  bool CancelTimer(TimerId id) override;
  void Unschedule(std::coroutine_handle<> handle) override;

 private:
  NodeIdentity self_;
  const SimClock* clock_;
};

// The work runs on the loop, after it has cost virtual time. A node that dies meanwhile never runs
// it.
class SimBlockingExecutor : public BlockingExecutor {
 public:
  SimBlockingExecutor(NodeIdentity self, Scheduler* scheduler);
  Task<void> Run(std::function<void()> work) override;

 private:
  NodeIdentity self_;
  Scheduler* scheduler_;
  SeededStream cost_;
};

class SimWallClock : public WallClock {
 public:
  // `clock` is the node's.
  SimWallClock(NodeIdentity self, const SimClock* clock) : self_(self), clock_(clock) {}
  int64_t NowUnixNs() const override;

 private:
  NodeIdentity self_;
  const SimClock* clock_;
};

class SimRandom : public Random {
 public:
  explicit SimRandom(NodeIdentity self);
  uint64_t Next() override;

 private:
  NodeIdentity self_;
  SeededStream stream_;
};

class SimEventLog : public EventLog {
 public:
  explicit SimEventLog(NodeIdentity self) : self_(self) {}
  void Write(LogLevel level, std::string_view message) override;

 private:
  NodeIdentity self_;
};

// A clock's nanoseconds as the seam's type.
inline TimePoint ToTimePoint(int64_t time_ns) { return TimePoint(Duration(time_ns)); }
inline int64_t ToNs(TimePoint when) { return when.time_since_epoch().count(); }

}  // namespace redoubt::sim
