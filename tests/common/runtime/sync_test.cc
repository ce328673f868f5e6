// SPDX-License-Identifier: MIT
//
// Goal: waits end exactly once, in order, for the right reason, also when a deadline and a wake
// meet. Method: on the deterministic scheduler, every order of "timer fires" and "is woken" is
// played by hand; WaitList is also held against a model under random operations.
#include "common/runtime/sync.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <memory>
#include <string>
#include <vector>

#include "common/base/hash.h"
#include "common/runtime/task_group.h"
#include "tests/common/runtime/test_scheduler.h"

namespace redoubt {
namespace {

using ::testing::ElementsAre;
using ::testing::IsEmpty;

class SyncTest : public ::testing::Test {
 protected:
  TestScheduler scheduler_;
  std::vector<std::string> notes_;
};

Task<void> WaitEvent(Event* event, TimePoint deadline, std::string name,
                     std::vector<std::string>* notes) {
  const bool set = co_await event->Wait(deadline);
  notes->push_back(name + (set ? " set" : " late"));
}

TEST_F(SyncTest, EventWakesAllInOrderAndStaysSet) {
  Event event(&scheduler_);
  TaskGroup group(&scheduler_);
  group.Spawn(WaitEvent(&event, kNever, "a", &notes_));
  group.Spawn(WaitEvent(&event, AtMs(50), "b", &notes_));
  scheduler_.RunReady();
  EXPECT_THAT(notes_, IsEmpty());
  event.Set();
  group.Spawn(WaitEvent(&event, kNever, "c", &notes_));
  scheduler_.RunReady();
  EXPECT_THAT(notes_, ElementsAre("a set", "b set", "c set"));
  EXPECT_EQ(scheduler_.pending_timer_count(), 0U);
}

TEST_F(SyncTest, EventWaitEndsAtItsDeadline) {
  Event event(&scheduler_);
  TaskGroup group(&scheduler_);
  group.Spawn(WaitEvent(&event, AtMs(50), "a", &notes_));
  scheduler_.RunReady();
  scheduler_.AdvanceTo(AtMs(49));
  scheduler_.RunReady();
  EXPECT_THAT(notes_, IsEmpty());
  scheduler_.AdvanceTo(AtMs(50));
  scheduler_.RunReady();
  EXPECT_THAT(notes_, ElementsAre("a late"));
}

TEST_F(SyncTest, DeadlineInThePastDoesNotBlock) {
  Event event(&scheduler_);
  TaskGroup group(&scheduler_);
  scheduler_.AdvanceTo(AtMs(100));
  group.Spawn(WaitEvent(&event, AtMs(50), "a", &notes_));
  scheduler_.RunAll();
  EXPECT_THAT(notes_, ElementsAre("a late"));
}

// The timer has fired and the resume is on its way when the event is set: one resume, and it says
// "set".
TEST_F(SyncTest, WakeAfterTheTimerFiredResumesOnceAndCountsAsWoken) {
  Event event(&scheduler_);
  TaskGroup group(&scheduler_);
  group.Spawn(WaitEvent(&event, AtMs(50), "a", &notes_));
  scheduler_.RunReady();
  scheduler_.AdvanceTo(AtMs(50));
  event.Set();
  scheduler_.RunReady();
  EXPECT_THAT(notes_, ElementsAre("a set"));
  EXPECT_EQ(group.running_count(), 0U);
}

// The other order: woken first, then time passes the deadline before the coroutine runs.
TEST_F(SyncTest, TimerDueAfterTheWakeDoesNotResumeAgain) {
  Event event(&scheduler_);
  TaskGroup group(&scheduler_);
  group.Spawn(WaitEvent(&event, AtMs(50), "a", &notes_));
  scheduler_.RunReady();
  event.Set();
  scheduler_.AdvanceTo(AtMs(60));
  scheduler_.RunReady();
  EXPECT_THAT(notes_, ElementsAre("a set"));
}

TEST_F(SyncTest, EventResetBeforeTheWaiterRunsKeepsItWaiting) {
  Event event(&scheduler_);
  TaskGroup group(&scheduler_);
  group.Spawn(WaitEvent(&event, AtMs(50), "a", &notes_));
  scheduler_.RunReady();
  event.Set();
  event.Reset();
  scheduler_.RunReady();
  EXPECT_THAT(notes_, IsEmpty());
  scheduler_.RunAll();
  EXPECT_THAT(notes_, ElementsAre("a late"));
}

TEST_F(SyncTest, DestroyedWaiterLeavesTheListAndItsTimer) {
  Event event(&scheduler_);
  TaskGroup stays(&scheduler_);
  {
    TaskGroup goes(&scheduler_);
    goes.Spawn(WaitEvent(&event, AtMs(50), "gone", &notes_));
    stays.Spawn(WaitEvent(&event, kNever, "stays", &notes_));
    scheduler_.RunReady();
  }
  EXPECT_EQ(scheduler_.pending_timer_count(), 0U);
  event.Set();
  scheduler_.RunAll();
  EXPECT_THAT(notes_, ElementsAre("stays set"));
}

// The resume is on its way, by a wake or by the timer, when the frame goes.
TEST_F(SyncTest, DestroyedAfterTheWakeIsNotResumed) {
  Event event(&scheduler_);
  {
    TaskGroup goes(&scheduler_);
    goes.Spawn(WaitEvent(&event, AtMs(50), "woken", &notes_));
    scheduler_.RunReady();
    event.Set();
  }
  scheduler_.RunAll();
  event.Reset();
  {
    TaskGroup goes(&scheduler_);
    goes.Spawn(WaitEvent(&event, AtMs(50), "late", &notes_));
    scheduler_.RunReady();
    scheduler_.AdvanceTo(AtMs(50));
  }
  scheduler_.RunAll();
  {
    TaskGroup goes(&scheduler_);
    goes.Spawn(WaitEvent(&event, kNever, "never started", &notes_));
  }
  scheduler_.RunAll();
  EXPECT_THAT(notes_, IsEmpty());
}

Task<void> Acquire(Semaphore* semaphore, size_t units, TimePoint deadline, std::string name,
                   std::vector<std::string>* notes) {
  const bool got = co_await semaphore->Acquire(units, deadline);
  notes->push_back(name + (got ? " got" : " late"));
}

TEST_F(SyncTest, SemaphoreServesInOrderOfArrival) {
  Semaphore semaphore(&scheduler_, 4);
  TaskGroup group(&scheduler_);
  group.Spawn(Acquire(&semaphore, 4, kNever, "first", &notes_));
  group.Spawn(Acquire(&semaphore, 3, kNever, "large", &notes_));
  group.Spawn(Acquire(&semaphore, 1, kNever, "small", &notes_));
  scheduler_.RunReady();
  EXPECT_THAT(notes_, ElementsAre("first got"));
  semaphore.Release(2);  // enough for "small", which must not pass "large"
  scheduler_.RunReady();
  EXPECT_THAT(notes_, ElementsAre("first got"));
  semaphore.Release(2);
  scheduler_.RunReady();
  EXPECT_THAT(notes_, ElementsAre("first got", "large got", "small got"));
  EXPECT_EQ(semaphore.available(), 0U);
}

// Units freed for a waiter belong to it even if somebody asks before it runs.
TEST_F(SyncTest, SemaphoreNewcomerDoesNotTakeGrantedUnits) {
  Semaphore semaphore(&scheduler_, 1);
  TaskGroup group(&scheduler_);
  group.Spawn(Acquire(&semaphore, 1, kNever, "holder", &notes_));
  group.Spawn(Acquire(&semaphore, 1, kNever, "waiter", &notes_));
  scheduler_.RunReady();
  group.Spawn(Acquire(&semaphore, 1, AtMs(10), "newcomer", &notes_));
  semaphore.Release(1);
  scheduler_.RunAll();
  EXPECT_THAT(notes_, ElementsAre("holder got", "waiter got", "newcomer late"));
}

TEST_F(SyncTest, SemaphoreTimeoutOfALargeRequestLetsSmallOnesPass) {
  Semaphore semaphore(&scheduler_, 4);
  TaskGroup group(&scheduler_);
  group.Spawn(Acquire(&semaphore, 2, kNever, "holder", &notes_));
  group.Spawn(Acquire(&semaphore, 4, AtMs(10), "large", &notes_));
  group.Spawn(Acquire(&semaphore, 2, kNever, "small", &notes_));
  scheduler_.RunAll();
  EXPECT_THAT(notes_, ElementsAre("holder got", "large late", "small got"));
  EXPECT_EQ(semaphore.available(), 0U);
}

TEST_F(SyncTest, SemaphoreGrantAndDeadlineInOneMomentLoseNoUnit) {
  Semaphore semaphore(&scheduler_, 1);
  TaskGroup group(&scheduler_);
  group.Spawn(Acquire(&semaphore, 1, kNever, "holder", &notes_));
  group.Spawn(Acquire(&semaphore, 1, AtMs(10), "waiter", &notes_));
  scheduler_.RunReady();
  scheduler_.AdvanceTo(AtMs(10));
  semaphore.Release(1);
  scheduler_.RunReady();
  EXPECT_THAT(notes_, ElementsAre("holder got", "waiter got"));
  EXPECT_EQ(semaphore.available(), 0U);
}

Task<void> Push(BoundedQueue<int>* queue, int value, std::vector<std::string>* notes) {
  const bool pushed = co_await queue->Push(value);
  notes->push_back((pushed ? "pushed " : "refused ") + std::to_string(value));
}

Task<void> Pop(BoundedQueue<int>* queue, TimePoint deadline, std::vector<std::string>* notes) {
  const std::optional<int> value = co_await queue->Pop(deadline);
  notes->push_back(value.has_value() ? "popped " + std::to_string(*value) : "none");
}

TEST_F(SyncTest, QueueKeepsOrderAndBlocksAtCapacity) {
  BoundedQueue<int> queue(&scheduler_, 2);
  TaskGroup group(&scheduler_);
  for (int i = 1; i <= 3; ++i) {
    group.Spawn(Push(&queue, i, &notes_));
  }
  scheduler_.RunReady();
  EXPECT_THAT(notes_, ElementsAre("pushed 1", "pushed 2"));
  group.Spawn(Pop(&queue, kNever, &notes_));
  group.Spawn(Pop(&queue, kNever, &notes_));
  group.Spawn(Pop(&queue, kNever, &notes_));
  scheduler_.RunReady();
  EXPECT_THAT(notes_,
              ElementsAre("pushed 1", "pushed 2", "popped 1", "popped 2", "pushed 3", "popped 3"));
}

TEST_F(SyncTest, QueuePopEndsAtItsDeadline) {
  BoundedQueue<int> queue(&scheduler_, 2);
  TaskGroup group(&scheduler_);
  group.Spawn(Pop(&queue, AtMs(10), &notes_));
  scheduler_.RunAll();
  EXPECT_THAT(notes_, ElementsAre("none"));
}

TEST_F(SyncTest, QueueItemAndDeadlineInOneMomentLoseNoItem) {
  BoundedQueue<int> queue(&scheduler_, 2);
  TaskGroup group(&scheduler_);
  group.Spawn(Pop(&queue, AtMs(10), &notes_));
  scheduler_.RunReady();
  scheduler_.AdvanceTo(AtMs(10));
  group.Spawn(Push(&queue, 1, &notes_));
  scheduler_.RunReady();
  // The consumer's timer came first: it leaves empty-handed and the item stays.
  EXPECT_THAT(notes_, ElementsAre("none", "pushed 1"));
  group.Spawn(Pop(&queue, kNever, &notes_));
  scheduler_.RunReady();
  EXPECT_EQ(notes_.back(), "popped 1");
}

TEST_F(SyncTest, QueueCloseDrainsConsumersAndRefusesProducers) {
  BoundedQueue<int> queue(&scheduler_, 1);
  TaskGroup group(&scheduler_);
  group.Spawn(Push(&queue, 1, &notes_));
  group.Spawn(Push(&queue, 2, &notes_));
  scheduler_.RunReady();
  queue.Close();
  scheduler_.RunReady();
  group.Spawn(Pop(&queue, kNever, &notes_));
  group.Spawn(Pop(&queue, kNever, &notes_));
  group.Spawn(Push(&queue, 3, &notes_));
  scheduler_.RunReady();
  EXPECT_THAT(notes_, ElementsAre("pushed 1", "refused 2", "popped 1", "none", "refused 3"));
}

TEST_F(SyncTest, QueueCloseWakesWaitingConsumers) {
  BoundedQueue<int> queue(&scheduler_, 1);
  TaskGroup group(&scheduler_);
  group.Spawn(Pop(&queue, kNever, &notes_));
  group.Spawn(Pop(&queue, kNever, &notes_));
  scheduler_.RunReady();
  queue.Close();
  scheduler_.RunReady();
  EXPECT_THAT(notes_, ElementsAre("none", "none"));
}

Task<void> Produce(BoundedQueue<int>* queue, int count) {
  for (int i = 0; i < count; ++i) {
    const bool pushed = co_await queue->Push(i);
    REDOUBT_CHECK(pushed);
  }
}

Task<void> Consume(BoundedQueue<int>* queue, std::vector<int>* seen) {
  for (;;) {
    const std::optional<int> value = co_await queue->Pop();
    if (!value.has_value()) {
      co_return;
    }
    seen->push_back(*value);
  }
}

TEST_F(SyncTest, QueueWithManyProducersAndConsumersDeliversEachItemOnce) {
  BoundedQueue<int> queue(&scheduler_, 3);
  TaskGroup producers(&scheduler_);
  TaskGroup consumers(&scheduler_);
  std::vector<int> seen;
  for (int i = 0; i < 4; ++i) {
    producers.Spawn(Produce(&queue, 100));
  }
  for (int i = 0; i < 3; ++i) {
    consumers.Spawn(Consume(&queue, &seen));
  }
  scheduler_.RunReady();
  EXPECT_EQ(producers.running_count(), 0U);
  queue.Close();
  scheduler_.RunReady();
  EXPECT_EQ(consumers.running_count(), 0U);
  std::vector<int> counts(100);
  for (const int value : seen) {
    ++counts[static_cast<size_t>(value)];
  }
  EXPECT_THAT(counts, ::testing::Each(4));
}

Task<void> WaitLsn(LsnWatermark* watermark, uint64_t lsn, TimePoint deadline,
                   std::vector<std::string>* notes) {
  const bool reached = co_await watermark->WaitFor(Lsn{lsn}, deadline);
  notes->push_back(std::to_string(lsn) + (reached ? " reached" : " not"));
}

TEST_F(SyncTest, WatermarkWakesExactlyThoseReached) {
  LsnWatermark watermark(&scheduler_, Lsn{100});
  TaskGroup group(&scheduler_);
  for (const uint64_t lsn : {300UL, 100UL, 200UL, 201UL}) {
    group.Spawn(WaitLsn(&watermark, lsn, AtMs(10), &notes_));
  }
  scheduler_.RunReady();
  EXPECT_THAT(notes_, ElementsAre("100 reached"));
  watermark.Advance(Lsn{200});
  scheduler_.RunReady();
  EXPECT_THAT(notes_, ElementsAre("100 reached", "200 reached"));
  watermark.Advance(Lsn{200});
  scheduler_.RunReady();
  EXPECT_EQ(notes_.size(), 2U);
  watermark.Advance(Lsn{250});
  scheduler_.RunAll();
  EXPECT_THAT(notes_, ElementsAre("100 reached", "200 reached", "201 reached", "300 not"));
}

TEST_F(SyncTest, WatermarkReachedInTheMomentOfTheDeadlineCounts) {
  LsnWatermark watermark(&scheduler_);
  TaskGroup group(&scheduler_);
  group.Spawn(WaitLsn(&watermark, 5, AtMs(10), &notes_));
  scheduler_.RunReady();
  scheduler_.AdvanceTo(AtMs(10));
  watermark.Advance(Lsn{5});
  scheduler_.RunReady();
  EXPECT_THAT(notes_, ElementsAre("5 reached"));
}

TEST_F(SyncTest, WatermarkCancelEndsPresentWaitsOnly) {
  LsnWatermark watermark(&scheduler_);
  TaskGroup group(&scheduler_);
  group.Spawn(WaitLsn(&watermark, 5, kNever, &notes_));
  scheduler_.RunReady();
  watermark.CancelWaits();
  group.Spawn(WaitLsn(&watermark, 6, kNever, &notes_));
  scheduler_.RunReady();
  EXPECT_THAT(notes_, ElementsAre("5 not"));
  watermark.Advance(Lsn{6});
  scheduler_.RunReady();
  EXPECT_THAT(notes_, ElementsAre("5 not", "6 reached"));
}

TEST(WatermarkDeathTest, RefusesToGoBack) {
  TestScheduler scheduler;
  LsnWatermark watermark(&scheduler, Lsn{10});
  EXPECT_DEATH(watermark.Advance(Lsn{9}), "check failed");
}

Task<void> WaitCondition(Condition* condition, TimePoint deadline, std::string name,
                         std::vector<std::string>* notes) {
  const bool notified = co_await condition->Wait(deadline);
  notes->push_back(name + (notified ? " notified" : " late"));
}

TEST_F(SyncTest, ConditionKeepsNothingForThoseWhoComeLater) {
  Condition condition(&scheduler_);
  TaskGroup group(&scheduler_);
  condition.NotifyAll();
  group.Spawn(WaitCondition(&condition, AtMs(10), "a", &notes_));
  scheduler_.RunAll();
  EXPECT_THAT(notes_, ElementsAre("a late"));
}

struct WaitOutcome {
  int resumed = 0;
  bool woken = false;
};

Task<void> WaitOnList(WaitList* list, TimePoint deadline, uint64_t tag, WaitOutcome* outcome) {
  outcome->woken = co_await list->Wait(deadline, tag);
  ++outcome->resumed;
}

// Random adds, wakes and passing time, with resumes delayed at random: each waiter is resumed at
// most once, and in the end exactly once.
TEST_F(SyncTest, WaitListResumesEveryWaiterExactlyOnce) {
  for (uint64_t seed = 0; seed < 200; ++seed) {
    uint64_t state = HashMix(seed, 1);
    const auto draw = [&state](uint64_t bound) {
      state = HashMix(state, 2);
      return state % bound;
    };
    WaitList list(&scheduler_);
    TaskGroup group(&scheduler_);
    auto doomed = std::make_unique<TaskGroup>(&scheduler_);
    std::vector<std::unique_ptr<WaitOutcome>> outcomes;
    std::vector<std::unique_ptr<WaitOutcome>> doomed_outcomes;
    for (int step = 0; step < 200; ++step) {
      switch (draw(8)) {
        case 0:
        case 1: {
          outcomes.push_back(std::make_unique<WaitOutcome>());
          const TimePoint deadline =
              draw(3) == 0 ? kNever : scheduler_.Now() + std::chrono::milliseconds(draw(5));
          group.Spawn(WaitOnList(&list, deadline, draw(10), outcomes.back().get()));
          break;
        }
        case 6:
          doomed_outcomes.push_back(std::make_unique<WaitOutcome>());
          doomed->Spawn(WaitOnList(&list, scheduler_.Now() + std::chrono::milliseconds(draw(3)),
                                   draw(10), doomed_outcomes.back().get()));
          break;
        case 7:
          if (draw(5) == 0) {
            doomed = std::make_unique<TaskGroup>(&scheduler_);
          }
          break;
        case 2:
          list.WakeOne();
          break;
        case 3:
          list.WakeUpTo(draw(10));
          break;
        case 4:
          scheduler_.AdvanceTo(scheduler_.Now() + std::chrono::milliseconds(draw(4)));
          break;
        default:
          scheduler_.RunReady();
          break;
      }
      for (const auto& outcome : outcomes) {
        ASSERT_LE(outcome->resumed, 1) << "seed " << seed;
      }
    }
    doomed.reset();
    scheduler_.RunReady();
    list.WakeAll();
    scheduler_.RunReady();
    for (const auto& outcome : doomed_outcomes) {
      ASSERT_LE(outcome->resumed, 1) << "seed " << seed;
    }
    ASSERT_TRUE(list.empty()) << "seed " << seed;
    ASSERT_EQ(scheduler_.pending_timer_count(), 0U) << "seed " << seed;
    for (const auto& outcome : outcomes) {
      ASSERT_EQ(outcome->resumed, 1) << "seed " << seed;
    }
  }
}

}  // namespace
}  // namespace redoubt
