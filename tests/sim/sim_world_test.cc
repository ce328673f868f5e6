// SPDX-License-Identifier: MIT
#include "sim/runtime/sim_world.h"

#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "common/runtime/sync.h"
#include "common/runtime/task_group.h"
#include "tests/sim/sim_test_util.h"

namespace redoubt::sim {
namespace {

struct Log {
  std::vector<int> entries;
};

Task<void> SleepAndNote(Runtime* runtime, Log* log, int64_t ns, int value) {
  co_await runtime->scheduler->Sleep(Duration(ns));
  log->entries.push_back(value);
}

Task<void> SpawnAtSameTime(Runtime* runtime, Log* log) {
  TaskGroup group(runtime->scheduler);
  for (int i = 0; i < 8; ++i) {
    group.Spawn(SleepAndNote(runtime, log, 1000, i));
  }
  co_await group.Join();
}

std::vector<int> OrderOf(uint64_t seed) {
  TestWorld test(seed);
  Log log;
  const NodeId node = test.world.AddNode("a");
  test.world.StartNode(node, Program([&](Runtime* r) { return SpawnAtSameTime(r, &log); }));
  test.RunFor(kSecond);
  return log.entries;
}

// Events of one instant come in an order that the seed decides, and only the seed.
TEST(SimWorld, PermutesEventsOfOneInstantBySeed) {
  const std::vector<int> first = OrderOf(1);
  EXPECT_EQ(first.size(), 8U);
  EXPECT_EQ(first, OrderOf(1));
  bool differs = false;
  for (uint64_t seed = 2; seed < 10; ++seed) {
    differs = differs || OrderOf(seed) != first;
  }
  EXPECT_TRUE(differs);
}

Task<void> TimeStandsStill(Runtime* runtime, Log* log) {
  const TimePoint before = runtime->scheduler->Now();
  co_await runtime->scheduler->Yield();
  log->entries.push_back(runtime->scheduler->Now() == before ? 1 : 0);
  co_await runtime->scheduler->Sleep(Duration(5 * kSecond));
  log->entries.push_back(runtime->scheduler->Now() - before == Duration(5 * kSecond) ? 1 : 0);
}

TEST(SimWorld, MovesTimeOnlyByWaiting) {
  TestWorld test;
  Log log;
  const NodeId node = test.world.AddNode("a");
  test.world.StartNode(node, Program([&](Runtime* r) { return TimeStandsStill(r, &log); }));
  test.RunFor(10 * kSecond);
  EXPECT_EQ(log.entries, (std::vector<int>{1, 1}));
  EXPECT_EQ(test.world.now_ns(), 10 * kSecond);
}

Task<void> YieldForEver(Runtime* runtime, const bool* stop) {
  while (!*stop) {
    co_await runtime->scheduler->Yield();
  }
}

Task<void> SetOnce(bool* stop) {
  *stop = true;
  co_return;
}

Task<void> SpinAgainstOther(Runtime* runtime, bool* stop) {
  TaskGroup group(runtime->scheduler);
  group.Spawn(YieldForEver(runtime, stop));
  group.Spawn(SetOnce(stop));
  co_await group.Join();
}

// A coroutine that yields in a loop lets everything that was ready run.
TEST(SimWorld, YieldStarvesNobody) {
  for (uint64_t seed = 1; seed < 50; ++seed) {
    TestWorld test(seed);
    bool stop = false;
    const NodeId node = test.world.AddNode("a");
    test.world.StartNode(node, Program([&](Runtime* r) { return SpinAgainstOther(r, &stop); }));
    test.world.RunUntil(kSecond, nullptr, 20);
    EXPECT_TRUE(stop) << "seed " << seed;
  }
}

struct Guard {
  explicit Guard(Log* log) : log_(log) {}
  Guard(const Guard&) = delete;
  Guard& operator=(const Guard&) = delete;
  ~Guard() { log_->entries.push_back(-1); }
  Log* log_;
};

Task<void> WaitWithGuard(Runtime* runtime, Log* log) {
  const Guard guard(log);
  co_await runtime->scheduler->Sleep(Duration(kSecond));
  log->entries.push_back(1);
}

// A kill destroys the frames at once; what was scheduled for the dead incarnation never runs, also
// when the node is started again before it would have.
TEST(SimWorld, KillDestroysTasksAndDropsTheirEvents) {
  TestWorld test;
  Log first;
  Log second;
  const NodeId node = test.world.AddNode("a");
  test.world.StartNode(node, Program([&](Runtime* r) { return WaitWithGuard(r, &first); }));
  test.RunFor(kSecond / 2);
  EXPECT_TRUE(first.entries.empty());
  test.world.KillNode(node, KillKind::kPower, CrashPolicy::kClean);
  EXPECT_EQ(first.entries, (std::vector<int>{-1}));
  EXPECT_FALSE(test.world.IsUp(node));
  test.world.StartNode(node, Program([&](Runtime* r) { return WaitWithGuard(r, &second); }));
  EXPECT_EQ(test.world.IncarnationOf(node), 2U);
  test.RunFor(3 * kSecond);
  EXPECT_EQ(first.entries, (std::vector<int>{-1}));
  EXPECT_EQ(second.entries, (std::vector<int>{1, -1}));
}

Task<void> KillSelf(Runtime* runtime, SimWorld* world, Log* log) {
  co_await runtime->scheduler->Yield();
  world->KillNode(0, KillKind::kPower, CrashPolicy::kClean);
  log->entries.push_back(1);  // the kill waits for the present event
  co_await runtime->scheduler->Yield();
  log->entries.push_back(2);
}

TEST(SimWorld, NodeKilledFromItsOwnCodeDiesAfterThePresentEvent) {
  TestWorld test;
  Log log;
  const NodeId node = test.world.AddNode("a");
  test.world.StartNode(node, Program([&](Runtime* r) { return KillSelf(r, &test.world, &log); }));
  test.RunFor(kSecond);
  EXPECT_EQ(log.entries, (std::vector<int>{1}));
  EXPECT_FALSE(test.world.IsUp(node));
}

// A paused node does nothing until the pause ends, and then goes on where it was.
TEST(SimWorld, PauseDelaysEverythingOfTheNode) {
  TestWorld test;
  Log log;
  const NodeId node = test.world.AddNode("a");
  test.world.StartNode(node,
                       Program([&](Runtime* r) { return SleepAndNote(r, &log, kSecond, 1); }));
  test.world.PauseNode(node, 3 * kSecond);
  test.RunFor(2 * kSecond);
  EXPECT_TRUE(log.entries.empty());
  test.RunFor(3 * kSecond);
  EXPECT_EQ(log.entries, (std::vector<int>{1}));
}

Task<void> WaitForEvent(Event* event, Log* log, TimePoint deadline) {
  const Guard guard(log);
  co_await event->Wait(deadline);
  log->entries.push_back(1);
}

// Leaves with a task that was woken, and one that was spawned, and neither was resumed yet.
Task<void> LeaveWithResumesPending(Runtime* runtime, Log* log, bool* left) {
  Event event(runtime->scheduler);
  TaskGroup group(runtime->scheduler);
  group.Spawn(WaitForEvent(&event, log, kNever));
  co_await runtime->scheduler->Sleep(Duration(kSecond));
  event.Set();
  group.Spawn(WaitForEvent(&event, log, kNever));
  *left = true;
}

// A frame that goes while its resume is on the way takes the resume back: the queue holds nothing
// that could be resumed when the frames have gone.
TEST(SimWorld, DestroyedFramesTakeBackTheirPendingResumes) {
  for (uint64_t seed = 1; seed < 20; ++seed) {
    TestWorld test(seed);
    Log log;
    bool left = false;
    const NodeId node = test.world.AddNode("a");
    test.world.StartNode(
        node, Program([&](Runtime* r) { return LeaveWithResumesPending(r, &log, &left); }));
    test.world.RunUntil(2 * kSecond, [&] { return left; }, kEventLimit);
    EXPECT_EQ(log.entries, (std::vector<int>{-1})) << "seed " << seed;
    const uint64_t executed = test.world.executed_count();
    test.RunFor(2 * kSecond);
    EXPECT_EQ(test.world.executed_count(), executed) << "seed " << seed;
  }
}

Task<void> LeaveAtTheSameTime(Runtime* runtime, Log* log) {
  Event event(runtime->scheduler);
  TaskGroup group(runtime->scheduler);
  group.Spawn(WaitForEvent(&event, log, runtime->scheduler->Now() + Duration(kSecond)));
  co_await runtime->scheduler->Sleep(Duration(kSecond));
}

// A timer that fired while its node was paused waits in the queue under another id, which its owner
// does not know: it is taken back all the same. Which of the two goes first the seed decides.
TEST(SimWorld, DestroyedFramesTakeBackTimersThatFiredDuringAPause) {
  uint64_t left_first = 0;
  for (uint64_t seed = 1; seed < 40; ++seed) {
    TestWorld test(seed);
    Log log;
    const NodeId node = test.world.AddNode("a");
    test.world.StartNode(node, Program([&](Runtime* r) { return LeaveAtTheSameTime(r, &log); }));
    test.RunFor(kSecond / 2);
    test.world.PauseNode(node, 3 * kSecond);
    test.world.RunUntil(5 * kSecond, [&] { return !log.entries.empty(); }, kEventLimit);
    if (log.entries == std::vector<int>{-1}) {
      ++left_first;
      const uint64_t executed = test.world.executed_count();
      test.RunFor(5 * kSecond);
      EXPECT_EQ(test.world.executed_count(), executed) << "seed " << seed;
    }
  }
  EXPECT_GT(left_first, 0U);
  EXPECT_LT(left_first, 39U);
}

Task<void> RunWork(Runtime* runtime, Log* log) {
  const TimePoint before = runtime->scheduler->Now();
  std::function<void()> work = [log] { log->entries.push_back(1); };
  co_await runtime->blocking->Run(std::move(work));
  log->entries.push_back(runtime->scheduler->Now() > before ? 2 : 3);
}

TEST(SimWorld, BlockingWorkCostsVirtualTime) {
  TestWorld test;
  Log log;
  const NodeId node = test.world.AddNode("a");
  test.world.StartNode(node, Program([&](Runtime* r) { return RunWork(r, &log); }));
  test.RunFor(kSecond);
  EXPECT_EQ(log.entries, (std::vector<int>{1, 2}));
}

TEST(EventQueue, CancelledEventsDoNotHappenAndDoNotPileUp) {
  EventQueue queue;
  int ran = 0;
  for (int i = 0; i < 100'000; ++i) {
    EventQueue::Event event;
    event.time_ns = 1'000'000 + i;
    event.callback = [&ran] { ++ran; };
    const EventQueue::EventId id = queue.Push(std::move(event), static_cast<uint32_t>(i));
    if (i % 100 != 0) {
      EXPECT_TRUE(queue.Cancel(id));
      EXPECT_FALSE(queue.Cancel(id));
    }
  }
  EXPECT_EQ(queue.pending_count(), 1000U);
  EventQueue::Event event;
  int64_t last = 0;
  while (queue.Pop(INT64_MAX, &event)) {
    EXPECT_GT(event.time_ns, last);
    last = event.time_ns;
    event.callback();
  }
  EXPECT_EQ(ran, 1000);
}

// Streams do not disturb each other: drawing from one leaves the other's values as they were.
TEST(SeededStream, StreamsAreIndependent) {
  RandomRoot root(7);
  SeededStream a(&root, "a", 1);
  SeededStream b(&root, "b", 1);
  const uint64_t first = b.Next();
  RandomRoot again(7);
  SeededStream a2(&again, "a", 1);
  SeededStream b2(&again, "b", 1);
  for (int i = 0; i < 10; ++i) {
    EXPECT_NE(a2.Next(), 0U);
  }
  EXPECT_EQ(b2.Next(), first);
  EXPECT_NE(a.Next(), first);
  EXPECT_EQ(again.draw_count(), 11U);
  EXPECT_FALSE(b2.Chance(0));
  EXPECT_EQ(again.draw_count(), 11U);
}

TEST(SeededStream, ExponentialHasItsMean) {
  RandomRoot root(3);
  SeededStream stream(&root, "x", 0);
  uint64_t sum = 0;
  for (int i = 0; i < 100'000; ++i) {
    sum += stream.Exponential(1000);
  }
  EXPECT_NEAR(static_cast<double>(sum) / 100'000, 1000, 60);
}

}  // namespace
}  // namespace redoubt::sim
