// SPDX-License-Identifier: MIT
#include "sim/runtime/host_guard.h"

#include <gtest/gtest.h>
#include <pthread.h>
#include <sys/random.h>
#include <time.h>

#include <chrono>

namespace redoubt::sim {
namespace {

void* Nothing(void* argument) { return argument; }

void AskTheTime() {
  timespec now{};
  clock_gettime(CLOCK_MONOTONIC, &now);
}
void AskTheLibrary() {
  const auto now = std::chrono::steady_clock::now();
  static_cast<void>(now);
}
void AskForRandomness() {
  int value = 0;
  const ssize_t got = getrandom(&value, sizeof(value), 0);
  static_cast<void>(got);
}
void AskForAThread() {
  pthread_t thread{};
  if (pthread_create(&thread, nullptr, &Nothing, nullptr) == 0) {
    pthread_join(thread, nullptr);
  }
}

// Outside of a run the replaced functions do what they always did.
TEST(HostGuard, LetsEverybodyElseAsk) {
  timespec before{};
  timespec after{};
  ASSERT_EQ(clock_gettime(CLOCK_MONOTONIC, &before), 0);
  ASSERT_EQ(clock_gettime(CLOCK_MONOTONIC, &after), 0);
  EXPECT_GE(after.tv_sec, before.tv_sec);
  EXPECT_GT(time(nullptr), 1'500'000'000);
  AskTheLibrary();
  AskForRandomness();
  AskForAThread();
}

// Within one the process ends and says who asked, also when a library asked for us.
TEST(HostGuardDeathTest, StopsWhoAsksTheHostInARun) {
  const auto guarded = [](void (*ask)()) {
    const HostGuard guard;
    ask();
  };
  EXPECT_DEATH(guarded(&AskTheTime), "clock_gettime was called in the simulated world");
  EXPECT_DEATH(guarded(&AskTheLibrary), "clock_gettime was called in the simulated world");
  EXPECT_DEATH(guarded(&AskForRandomness), "getrandom was called in the simulated world");
  EXPECT_DEATH(guarded(&AskForAThread), "pthread_create was called in the simulated world");
}

}  // namespace
}  // namespace redoubt::sim
