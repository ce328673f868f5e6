// SPDX-License-Identifier: MIT
//
// Goal: a Task runs once, in order, with bounded stack, and destroying one anywhere frees all it
// holds. Method: coroutines of the shapes used in the code base on the deterministic scheduler;
// leaks and double frees are the sanitizers' to find.
#include "common/runtime/task.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "common/base/result.h"
#include "common/runtime/task_group.h"
#include "tests/common/runtime/test_scheduler.h"

namespace redoubt {
namespace {

using std::chrono::milliseconds;
using ::testing::ElementsAre;

// Counts how many of its kind are alive.
class Alive {
 public:
  explicit Alive(int* count) : count_(count) { ++*count_; }
  Alive(const Alive& other) : count_(other.count_) { ++*count_; }
  Alive& operator=(const Alive&) = delete;
  ~Alive() { --*count_; }

 private:
  int* count_;
};

Task<int> Immediately(int value) { co_return value; }

Task<int> AfterYield(TestScheduler* scheduler, int value) {
  co_await scheduler->Yield();
  co_return value;
}

Task<void> SumManyAwaits(int count, int64_t* sum) {
  for (int i = 0; i < count; ++i) {
    *sum += co_await Immediately(1);
  }
}

Task<void> SumManyResumes(TestScheduler* scheduler, int count, int64_t* sum) {
  for (int i = 0; i < count; ++i) {
    *sum += co_await AfterYield(scheduler, 1);
  }
}

// An await loop over tasks that end at once must not grow the stack, whether or not the compiler
// makes tail calls of symmetric transfers.
TEST(Task, AMillionImmediateAwaitsKeepTheStackBounded) {
  TestScheduler scheduler;
  TaskGroup group(&scheduler);
  int64_t sum = 0;
  group.Spawn(SumManyAwaits(1'000'000, &sum));
  scheduler.RunAll();
  EXPECT_EQ(sum, 1'000'000);
  EXPECT_EQ(group.running_count(), 0U);
}

TEST(Task, ManySuspendingAwaitsKeepTheStackBounded) {
  TestScheduler scheduler;
  TaskGroup group(&scheduler);
  int64_t sum = 0;
  group.Spawn(SumManyResumes(&scheduler, 200'000, &sum));
  scheduler.RunAll();
  EXPECT_EQ(sum, 200'000);
}

Task<int> Nested(TestScheduler* scheduler, int depth) {
  if (depth == 0) {
    co_await scheduler->Yield();
    co_return 0;
  }
  const int below = co_await Nested(scheduler, depth - 1);
  co_return below + 1;
}

Task<void> StoreNested(TestScheduler* scheduler, int depth, int* out) {
  *out = co_await Nested(scheduler, depth);
}

TEST(Task, ReturnsThroughDeepNesting) {
  TestScheduler scheduler;
  TaskGroup group(&scheduler);
  int depth = 0;
  group.Spawn(StoreNested(&scheduler, 500, &depth));
  scheduler.RunAll();
  EXPECT_EQ(depth, 500);
}

Task<Result<std::unique_ptr<std::string>>> MoveOnly(bool good) {
  if (!good) {
    co_return NotFound("nothing here");
  }
  co_return std::make_unique<std::string>("moved");
}

Task<void> TakeMoveOnly(std::string* text, Status* error) {
  Result<std::unique_ptr<std::string>> good = co_await MoveOnly(true);
  *text = **good;
  const Result<std::unique_ptr<std::string>> bad = co_await MoveOnly(false);
  *error = bad.status();
}

TEST(Task, CarriesMoveOnlyResultsAndErrors) {
  TestScheduler scheduler;
  TaskGroup group(&scheduler);
  std::string text;
  Status error;
  group.Spawn(TakeMoveOnly(&text, &error));
  scheduler.RunAll();
  EXPECT_EQ(text, "moved");
  EXPECT_EQ(error.code(), StatusCode::kNotFound);
}

Task<void> HoldThroughWait(TestScheduler* scheduler, Alive /*parameter*/, int* count) {
  const Alive local(count);
  co_await scheduler->SleepUntil(kNever);
}

Task<void> HoldAround(TestScheduler* scheduler, int* count) {
  const Alive local(count);
  co_await HoldThroughWait(scheduler, Alive(count), count);
}

TEST(Task, NeverStartedFreesItsParameters) {
  TestScheduler scheduler;
  int count = 0;
  {
    const Task<void> never = HoldThroughWait(&scheduler, Alive(&count), &count);
    EXPECT_EQ(count, 1);
  }
  EXPECT_EQ(count, 0);
}

TEST(Task, DestroyedWhileSuspendedFreesTheWholeChainAndItsTimer) {
  TestScheduler scheduler;
  int count = 0;
  {
    TaskGroup group(&scheduler);
    group.Spawn(HoldAround(&scheduler, &count));
    scheduler.RunReady();
    EXPECT_EQ(count, 4);  // two locals, the parameter, and the temporary it was made from
    EXPECT_EQ(scheduler.pending_timer_count(), 1U);
  }
  EXPECT_EQ(count, 0);
  EXPECT_EQ(scheduler.pending_timer_count(), 0U);
}

Task<void> CallWork(std::function<void()> work) {
  work();
  co_return;
}

Task<void> PassFunctions(int* count, int* calls) {
  for (int i = 0; i < 3; ++i) {
    const Alive held(count);
    std::function<void()> work = [held, calls] { ++*calls; };
    co_await CallWork(std::move(work));
  }
}

// GCC 12 has destroyed temporaries of an await expression twice; this is the shape in which
// blocking work is passed.
TEST(Task, FunctionParametersAreDestroyedOnce) {
  TestScheduler scheduler;
  TaskGroup group(&scheduler);
  int count = 0;
  int calls = 0;
  group.Spawn(PassFunctions(&count, &calls));
  scheduler.RunAll();
  EXPECT_EQ(calls, 3);
  EXPECT_EQ(count, 0);
}

Task<void> Note(TestScheduler* scheduler, milliseconds delay, int number, std::vector<int>* notes) {
  co_await scheduler->Sleep(delay);
  notes->push_back(number);
}

Task<void> JoinThenNote(TaskGroup* group, int number, std::vector<int>* notes) {
  co_await group->Join();
  notes->push_back(number);
}

TEST(TaskGroup, JoinReturnsAfterTheLastTask) {
  TestScheduler scheduler;
  TaskGroup group(&scheduler);
  TaskGroup joiners(&scheduler);
  std::vector<int> notes;
  group.Spawn(Note(&scheduler, milliseconds(20), 2, &notes));
  group.Spawn(Note(&scheduler, milliseconds(10), 1, &notes));
  joiners.Spawn(JoinThenNote(&group, 3, &notes));
  scheduler.RunAll();
  EXPECT_THAT(notes, ElementsAre(1, 2, 3));
}

TEST(TaskGroup, JoinOfAnEmptyGroupReturnsAtOnce) {
  TestScheduler scheduler;
  TaskGroup group(&scheduler);
  TaskGroup joiners(&scheduler);
  std::vector<int> notes;
  joiners.Spawn(JoinThenNote(&group, 1, &notes));
  scheduler.RunReady();
  EXPECT_THAT(notes, ElementsAre(1));
}

Task<void> SpawnAnother(TestScheduler* scheduler, TaskGroup* group, std::vector<int>* notes) {
  co_await scheduler->Yield();
  group->Spawn(Note(scheduler, milliseconds(5), 1, notes));
}

TEST(TaskGroup, JoinWaitsForTasksSpawnedMeanwhile) {
  TestScheduler scheduler;
  TaskGroup group(&scheduler);
  TaskGroup joiners(&scheduler);
  std::vector<int> notes;
  group.Spawn(SpawnAnother(&scheduler, &group, &notes));
  joiners.Spawn(JoinThenNote(&group, 2, &notes));
  scheduler.RunAll();
  EXPECT_THAT(notes, ElementsAre(1, 2));
}

TEST(TaskGroup, SpawnDoesNotRunTheTaskInsideTheCall) {
  TestScheduler scheduler;
  TaskGroup group(&scheduler);
  int64_t sum = 0;
  group.Spawn(SumManyAwaits(1, &sum));
  EXPECT_EQ(sum, 0);
  scheduler.RunReady();
  EXPECT_EQ(sum, 1);
}

Task<void> LoopUntilStopped(TestScheduler* scheduler, TaskGroup* group, int* rounds) {
  while (!group->stopping()) {
    ++*rounds;
    const TimePoint next = scheduler->Now() + milliseconds(100);
    co_await group->stop_event().Wait(next);
  }
}

TEST(TaskGroup, StopEndsASleepEarly) {
  TestScheduler scheduler;
  TaskGroup group(&scheduler);
  int rounds = 0;
  group.Spawn(LoopUntilStopped(&scheduler, &group, &rounds));
  scheduler.RunReady();
  scheduler.AdvanceTo(AtMs(100));
  scheduler.RunReady();
  EXPECT_EQ(rounds, 2);
  group.Stop();
  scheduler.RunReady();
  EXPECT_EQ(rounds, 2);
  EXPECT_EQ(group.running_count(), 0U);
  EXPECT_EQ(scheduler.pending_timer_count(), 0U);
}

}  // namespace
}  // namespace redoubt
