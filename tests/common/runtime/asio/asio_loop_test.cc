// SPDX-License-Identifier: MIT
//
// Goal: the production loop keeps the seam's promises: order, time, blocking work, stop signals,
// entropy. Method: real threads, clocks and signals; the timer heap is held against a model under
// random operations.
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <signal.h>
#include <unistd.h>

#include <array>
#include <atomic>
#include <condition_variable>
#include <cstdio>
#include <map>
#include <mutex>
#include <set>
#include <string>
#include <thread>
#include <vector>

#include "common/base/hash.h"
#include "common/runtime/asio/event_loop.h"
#include "common/runtime/asio/timer_queue.h"
#include "common/runtime/task_group.h"
#include "tests/common/runtime/asio/world_test_support.h"

namespace redoubt {
namespace {

using std::chrono::milliseconds;
using ::testing::ElementsAre;
using ::testing::HasSubstr;

// Addresses that stand for coroutines which are never resumed.
std::coroutine_handle<> HandleOf(uint64_t number) {
  static std::array<char, 1000> places;
  return std::coroutine_handle<>::from_address(&places.at(number));
}

TEST(TimerQueue, AgreesWithAModelUnderRandomOperations) {
  for (uint64_t seed = 0; seed < 50; ++seed) {
    uint64_t state = HashMix(seed, 7);
    const auto draw = [&state](uint64_t bound) {
      state = HashMix(state, 3);
      return state % bound;
    };
    TimerQueue queue;
    std::map<std::pair<TimePoint, uint64_t>, Scheduler::TimerId> model;
    std::vector<std::pair<Scheduler::TimerId, std::pair<TimePoint, uint64_t>>> ids;
    uint64_t added = 0;
    for (int step = 0; step < 500; ++step) {
      const uint64_t choice = draw(4);
      if (choice < 2) {
        const TimePoint when(milliseconds(draw(20)));
        const uint64_t number = added++;
        const Scheduler::TimerId id = queue.Add(when, HandleOf(number));
        model[{when, number}] = id;
        ids.push_back({id, {when, number}});
      } else if (choice == 2 && !ids.empty()) {
        const auto& [id, key] = ids[draw(ids.size())];
        ASSERT_EQ(queue.Cancel(id), model.erase(key) > 0);
      } else if (!model.empty()) {
        const auto first = model.begin();
        ASSERT_EQ(queue.earliest(), first->first.first);
        ASSERT_EQ(queue.PopEarliest(), HandleOf(first->first.second));
        model.erase(first);
      }
      ASSERT_EQ(queue.empty(), model.empty());
    }
  }
}

Task<void> SleepThenNote(Scheduler* scheduler, TimePoint when, int number,
                         std::vector<int>* notes) {
  co_await scheduler->SleepUntil(when);
  REDOUBT_CHECK(scheduler->Now() >= when);
  notes->push_back(number);
}

Task<void> TimersInOrder(Runtime* runtime, std::vector<int>* notes) {
  Scheduler* const scheduler = runtime->scheduler;
  TaskGroup group(scheduler);
  const TimePoint base = scheduler->Now() + milliseconds(5);
  group.Spawn(SleepThenNote(scheduler, base + milliseconds(20), 4, notes));
  group.Spawn(SleepThenNote(scheduler, base + milliseconds(10), 2, notes));
  group.Spawn(SleepThenNote(scheduler, base, 1, notes));
  group.Spawn(SleepThenNote(scheduler, base + milliseconds(10), 3, notes));
  co_await group.Join();
}

TEST(EventLoop, TimersFireInOrderAndNotEarly) {
  AsioWorld world(QuietOptions());
  std::vector<int> notes;
  RunIn(&world, TimersInOrder(&world.runtime(), &notes));
  EXPECT_THAT(notes, ElementsAre(1, 2, 3, 4));
}

Task<void> ExpectDeadlineEndsWait(Runtime* runtime) {
  Event never(runtime->scheduler);
  const TimePoint start = runtime->scheduler->Now();
  const bool set = co_await never.Wait(start + milliseconds(20));
  EXPECT_FALSE(set);
  const Duration waited = runtime->scheduler->Now() - start;
  EXPECT_GE(waited, milliseconds(20));
  EXPECT_LT(waited, std::chrono::seconds(5));
}

// Notes its number when the pass ends.
class NoteAtEndOfPass final : public EventLoop::Deferred {
 public:
  NoteAtEndOfPass(EventLoop* loop, int number, std::vector<int>* notes)
      : number_(number), notes_(notes) {
    loop->AtEndOfPass(this);
  }
  void Begin() override { notes_->push_back(number_); }

 private:
  int number_;
  std::vector<int>* notes_;
};

// A sleep ends in a later pass than it began in.
Task<void> DeferSome(EventLoop* loop, std::vector<int>* notes) {
  NoteAtEndOfPass first(loop, 1, notes);
  {
    NoteAtEndOfPass forgotten(loop, 2, notes);
  }
  NoteAtEndOfPass third(loop, 3, notes);
  EXPECT_TRUE(notes->empty());
  co_await loop->Sleep(milliseconds(1));
  EXPECT_THAT(*notes, ElementsAre(1, 3));
  co_await loop->Sleep(milliseconds(1));
  EXPECT_EQ(notes->size(), 2U);
  loop->Stop();
}

TEST(EventLoop, WhatIsDeferredBeginsOnceAfterThePass) {
  EventLoop loop;
  std::vector<int> notes;
  {
    TaskGroup group(&loop);
    group.Spawn(DeferSome(&loop, &notes));
    loop.Run();
  }
  EXPECT_EQ(notes.size(), 2U);
}

// A task that yields for ever does not keep the others from waiting for their sockets.
Task<void> YieldUntilNoted(EventLoop* loop, const std::vector<int>* notes) {
  while (notes->empty()) {
    co_await loop->Yield();
  }
  loop->Stop();
}

TEST(EventLoop, WhatIsDeferredBeginsThoughSomebodyIsAlwaysReady) {
  EventLoop loop;
  std::vector<int> notes;
  {
    TaskGroup group(&loop);
    NoteAtEndOfPass note(&loop, 1, &notes);
    group.Spawn(YieldUntilNoted(&loop, &notes));
    loop.Run();
  }
  EXPECT_THAT(notes, ElementsAre(1));
}

TEST(EventLoop, WaitEndsAtItsDeadline) {
  AsioWorld world(QuietOptions());
  RunIn(&world, ExpectDeadlineEndsWait(&world.runtime()));
}

// A timer that is re-armed earlier, cancelled and re-armed later again.
Task<void> ManyDeadlines(Runtime* runtime) {
  Scheduler* const scheduler = runtime->scheduler;
  for (int i = 0; i < 2000; ++i) {
    Event event(scheduler);
    event.Set();
    const bool set = co_await event.Wait(scheduler->Now() + std::chrono::seconds(100));
    EXPECT_TRUE(set);
    if (i % 500 == 0) {
      co_await scheduler->Sleep(milliseconds(1));
    }
  }
}

TEST(EventLoop, CancelledDeadlinesDoNotKeepRunWaiting) {
  AsioWorld world(QuietOptions());
  RunIn(&world, ManyDeadlines(&world.runtime()));
}

Task<void> YieldUntil(Scheduler* scheduler, const bool* done, int64_t* rounds) {
  while (!*done) {
    ++*rounds;
    co_await scheduler->Yield();
  }
}

Task<void> SleepBesideYields(Runtime* runtime) {
  TaskGroup group(runtime->scheduler);
  bool done = false;
  int64_t rounds = 0;
  group.Spawn(YieldUntil(runtime->scheduler, &done, &rounds));
  co_await runtime->scheduler->Sleep(milliseconds(5));
  done = true;
  co_await group.Join();
  EXPECT_GT(rounds, 10);
}

TEST(EventLoop, ALoopOfYieldsDoesNotStarveTimers) {
  AsioWorld world(QuietOptions());
  RunIn(&world, SleepBesideYields(&world.runtime()));
}

Task<int> ReturnCode(Runtime* runtime, int code) {
  co_await runtime->scheduler->Yield();
  co_return code;
}

TEST(AsioWorld, RunReturnsMainsValueAndMayRunAgain) {
  AsioWorld world(QuietOptions());
  EXPECT_EQ(world.Run(ReturnCode(&world.runtime(), 7)), 7);
  EXPECT_EQ(world.Run(ReturnCode(&world.runtime(), 8)), 8);
}

Task<void> AwaitStop(AsioWorld* world) {
  const bool stopped = co_await world->stop_requested().Wait(world->runtime().scheduler->Now() +
                                                             std::chrono::seconds(30));
  EXPECT_TRUE(stopped);
}

Task<void> SpawnSleepers(Runtime* runtime, TaskGroup* group, std::vector<int>* notes) {
  const TimePoint now = runtime->scheduler->Now();
  group->Spawn(SleepThenNote(runtime->scheduler, now, 1, notes));
  group->Spawn(SleepThenNote(runtime->scheduler, now + milliseconds(3), 2, notes));
  co_return;
}

Task<void> JoinGroup(TaskGroup* group) { co_await group->Join(); }

TEST(AsioWorld, TasksThatOutliveOneRunGoOnInTheNext) {
  AsioWorld world(QuietOptions());
  std::vector<int> notes;
  TaskGroup group(world.runtime().scheduler);
  RunIn(&world, SpawnSleepers(&world.runtime(), &group, &notes));
  EXPECT_THAT(notes, ElementsAre());
  std::this_thread::sleep_for(milliseconds(5));
  RunIn(&world, JoinGroup(&group));
  EXPECT_THAT(notes, ElementsAre(1, 2));
}

TEST(AsioWorld, PostAndStopComeFromAnyThread) {
  AsioWorld world(QuietOptions());
  std::atomic<int> posts = 0;
  std::thread other([&world, &posts] {
    for (int i = 0; i < 1000; ++i) {
      world.Post([&posts] { ++posts; });
    }
    world.RequestStop();
  });
  RunIn(&world, AwaitStop(&world));
  other.join();
  EXPECT_EQ(posts, 1000);
}

int RunUntilSignal() {
  AsioWorldOptions options;
  options.log_level_min = LogLevel::kError;
  AsioWorld world(options);
  kill(getpid(), SIGTERM);
  RunIn(&world, AwaitStop(&world));
  return 42;
}

TEST(AsioWorldDeathTest, SigtermSetsStopRequested) {
  ::testing::FLAGS_gtest_death_test_style = "threadsafe";
  EXPECT_EXIT(_exit(RunUntilSignal()), ::testing::ExitedWithCode(42), "");
}

Task<void> HangAfterTwoSignals() {
  kill(getpid(), SIGINT);
  std::this_thread::sleep_for(milliseconds(100));  // two pending SIGINTs would be one
  kill(getpid(), SIGINT);
  std::this_thread::sleep_for(std::chrono::seconds(60));
  co_return;
}

int HangInWorld() {
  AsioWorldOptions options;
  options.log_level_min = LogLevel::kError;
  AsioWorld world(options);
  RunIn(&world, HangAfterTwoSignals());
  return 0;
}

TEST(AsioWorldDeathTest, ASecondSignalEndsAHungProcess) {
  ::testing::FLAGS_gtest_death_test_style = "threadsafe";
  EXPECT_EXIT(_exit(HangInWorld()), ::testing::ExitedWithCode(128 + SIGINT), "");
}

Task<void> ExpectWorkElsewhere(Runtime* runtime) {
  const std::thread::id loop_thread = std::this_thread::get_id();
  const auto work = [loop_thread] { return std::this_thread::get_id() != loop_thread; };
  const bool elsewhere = co_await RunBlocking(runtime->blocking, work);
  EXPECT_TRUE(elsewhere);
  EXPECT_EQ(std::this_thread::get_id(), loop_thread);
}

TEST(BlockingPool, RunsElsewhereAndResumesOnTheLoop) {
  AsioWorld world(QuietOptions());
  RunIn(&world, ExpectWorkElsewhere(&world.runtime()));
}

struct Crowd {
  std::atomic<int> inside = 0;
  std::atomic<int> inside_max = 0;
  std::atomic<int> done = 0;
};

Task<void> EnterCrowd(Runtime* runtime, Crowd* crowd) {
  std::function<void()> work = [crowd] {
    const int inside = ++crowd->inside;
    int seen = crowd->inside_max;
    while (seen < inside && !crowd->inside_max.compare_exchange_weak(seen, inside)) {
    }
    std::this_thread::sleep_for(milliseconds(1));
    --crowd->inside;
    ++crowd->done;
  };
  co_await runtime->blocking->Run(std::move(work));
}

Task<void> EnterCrowdMany(Runtime* runtime, Crowd* crowd, int count) {
  TaskGroup group(runtime->scheduler);
  for (int i = 0; i < count; ++i) {
    group.Spawn(EnterCrowd(runtime, crowd));
  }
  co_await group.Join();
}

TEST(BlockingPool, KeepsToItsThreadLimit) {
  AsioWorldOptions options = QuietOptions();
  options.blocking_thread_count_max = 3;
  AsioWorld world(options);
  Crowd crowd;
  RunIn(&world, EnterCrowdMany(&world.runtime(), &crowd, 100));
  EXPECT_EQ(crowd.done, 100);
  EXPECT_LE(crowd.inside_max, 3);
  EXPECT_GE(crowd.inside_max, 2);
}

Task<void> DestroyBlockedTasks(Runtime* runtime, Crowd* crowd) {
  {
    TaskGroup group(runtime->scheduler);
    for (int i = 0; i < 20; ++i) {
      group.Spawn(EnterCrowd(runtime, crowd));
    }
    co_await runtime->scheduler->Yield();
    co_await runtime->scheduler->Yield();
  }
  co_await runtime->scheduler->Sleep(milliseconds(2));
}

TEST(BlockingPool, WorkOfADestroyedTaskStillEndsBeforeRunReturns) {
  AsioWorld world(QuietOptions());
  Crowd crowd;
  RunIn(&world, DestroyBlockedTasks(&world.runtime(), &crowd));
  EXPECT_EQ(crowd.done, 20);
}

TEST(HostServices, RandomNumbersDoNotRepeatAcrossWorlds) {
  std::set<uint64_t> seen;
  for (int world_no = 0; world_no < 3; ++world_no) {
    AsioWorld world(QuietOptions());
    for (int i = 0; i < 200; ++i) {
      seen.insert(world.runtime().random->Next());
    }
  }
  EXPECT_EQ(seen.size(), 600U);
}

TEST(HostServices, WallClockIsInThisCentury) {
  AsioWorld world(QuietOptions());
  const int64_t year_2020 = 1'577'836'800LL * 1'000'000'000;
  EXPECT_GT(world.runtime().wall_clock->NowUnixNs(), year_2020);
  EXPECT_LT(world.runtime().wall_clock->NowUnixNs(), year_2020 + 80 * 365LL * 86'400'000'000'000);
}

TEST(HostServices, LogWritesOneLineAnEventFromItsLevelOn) {
  AsioWorldOptions options = QuietOptions();
  options.log_level_min = LogLevel::kInfo;
  AsioWorld world(options);
  ::testing::internal::CaptureStderr();
  world.runtime().log->Debug("hidden");
  world.runtime().log->Info("first {} %s");
  world.runtime().log->Error("second\nline");
  const std::string text = ::testing::internal::GetCapturedStderr();
  EXPECT_THAT(text, ::testing::MatchesRegex(
                        "20[0-9-]+T[0-9:.]+Z info first \\{\\} %s\n20[0-9-]+T[0-9:.]+Z error "
                        "second line\n"));
}

}  // namespace
}  // namespace redoubt
