// SPDX-License-Identifier: MIT
#include "sim/runtime/sim_clock.h"

#include <gtest/gtest.h>

#include <vector>

#include "tests/sim/sim_test_util.h"

namespace redoubt::sim {
namespace {

TEST(SimClock, RunsWithTheWorldFromItsOrigin) {
  SimClock clock(5 * kSecond);
  EXPECT_EQ(clock.LocalNs(kSecond), 6 * kSecond);
  EXPECT_EQ(clock.WorldNs(6 * kSecond), kSecond);
  EXPECT_EQ(clock.WallNs(kSecond), kSecond) << "wall clocks agree whatever the origin";
}

// Gains or loses what it should, and its two directions are each other's inverse.
TEST(SimClock, DriftChangesTheRateAndNeverGoesBack) {
  for (const int64_t ppm : {int64_t{-500'000}, int64_t{-7}, int64_t{13}, int64_t{500'000}}) {
    SimClock clock(0);
    clock.SetDrift(10 * kSecond, ppm);
    EXPECT_EQ(clock.LocalNs(10 * kSecond), 10 * kSecond);
    EXPECT_EQ(clock.LocalNs(11 * kSecond), 11 * kSecond + ppm * 1000);
    int64_t before = clock.LocalNs(10 * kSecond);
    for (int64_t world = 10 * kSecond; world < 10 * kSecond + 200; ++world) {
      const int64_t local = clock.LocalNs(world);
      EXPECT_GE(local, before);
      EXPECT_LE(clock.WorldNs(local), world);
      EXPECT_GE(clock.LocalNs(clock.WorldNs(local + 1)), local + 1);
      before = local;
    }
  }
}

TEST(SimClock, WallClockIsSetAndThenDriftsOn) {
  SimClock clock(77);
  clock.SetWallOffset(kSecond, -3 * kSecond);
  EXPECT_EQ(clock.WallNs(kSecond), -2 * kSecond);
  clock.SetDrift(2 * kSecond, 100'000);
  EXPECT_EQ(clock.WallNs(12 * kSecond), 9 * kSecond + kSecond);
}

struct Wakes {
  std::vector<int64_t> local;
  std::vector<int64_t> world;
};

Task<void> WakeEverySecond(Runtime* runtime, const SimWorld* world, Wakes* wakes, int count) {
  for (int i = 0; i < count; ++i) {
    const TimePoint due = runtime->scheduler->Now() + Duration(kSecond);
    co_await runtime->scheduler->SleepUntil(due);
    EXPECT_GE(runtime->scheduler->Now(), due) << "a timer fired early";
    wakes->local.push_back(ToNs(runtime->scheduler->Now()));
    wakes->world.push_back(world->now_ns());
  }
}

// A node's timers follow its own clock, also one that was set before the clock became slower.
TEST(SimClock, TimersFollowTheNodesClock) {
  TestWorld test;
  Wakes wakes;
  const NodeId node = test.world.AddNode("a");
  test.world.StartNode(
      node, Program([&](Runtime* r) { return WakeEverySecond(r, &test.world, &wakes, 6); }));
  test.RunFor(kSecond / 2);
  test.world.SetClockDrift(node, -500'000);
  test.RunFor(60 * kSecond);
  ASSERT_EQ(wakes.world.size(), 6U);
  EXPECT_EQ(wakes.world[0], kSecond + kSecond / 2) << "half a second was left, at half the rate";
  EXPECT_EQ(wakes.world[1] - wakes.world[0], 2 * kSecond);
  EXPECT_EQ(wakes.local[5] - wakes.local[0], 5 * kSecond);
}

// A paused process misses its timers and does the work late; its clocks went on.
TEST(SimClock, PausedNodeFindsThatTimeHasPassed) {
  TestWorld test;
  Wakes wakes;
  const NodeId node = test.world.AddNode("a");
  test.world.StartNode(
      node, Program([&](Runtime* r) { return WakeEverySecond(r, &test.world, &wakes, 2); }));
  test.RunFor(kSecond / 2);
  test.world.PauseNode(node, 10 * kSecond);
  test.RunFor(20 * kSecond);
  EXPECT_EQ(wakes.local, (std::vector<int64_t>{10 * kSecond, 11 * kSecond}));
}

TEST(SimClock, MachinesStartAtOriginsOfTheirOwn) {
  SimOptions options;
  options.clock_origin_ns_max = 1'000 * kSecond;
  TestWorld test(1, options);
  Wakes wakes;
  for (const char* name : {"a", "b"}) {
    const NodeId node = test.world.AddNode(name);
    test.world.StartNode(
        node, Program([&](Runtime* r) { return WakeEverySecond(r, &test.world, &wakes, 1); }));
  }
  test.RunFor(5 * kSecond);
  ASSERT_EQ(wakes.local.size(), 2U);
  EXPECT_NE(wakes.local[0], wakes.local[1]);
  EXPECT_EQ(wakes.world, (std::vector<int64_t>{kSecond, kSecond}));
}

}  // namespace
}  // namespace redoubt::sim
