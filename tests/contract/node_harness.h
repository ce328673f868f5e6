// SPDX-License-Identifier: MIT
//
// One simulated machine whose coroutines a test runs from plain code: Await(task) turns the world
// until the task has ended. Kill is a power cut.
#pragma once

#include <gtest/gtest.h>

#include <functional>
#include <memory>
#include <optional>
#include <utility>

#include "common/runtime/task_group.h"
#include "sim/runtime/sim_node.h"
#include "sim/runtime/sim_world.h"

namespace redoubt {

class NodeHarness {
 public:
  explicit NodeHarness(uint64_t seed = 1, sim::SimOptions options = {})
      : trace_(sim::Trace::Keep::kRecent), world_(WithSeed(options, seed), &trace_) {
    node_ = world_.AddNode("node");
    Start();
  }
  ~NodeHarness() { Kill(sim::CrashPolicy::kAll); }

  Runtime* runtime() { return runtime_; }
  sim::SimWorld& world() { return world_; }
  // The identity of the life that runs now.
  sim::NodeIdentity identity() {
    return sim::NodeIdentity{&world_, node_, world_.IncarnationOf(node_)};
  }
  sim::SimDisk& disk() { return world_.DiskOf(node_); }

  template <typename T>
  T Await(Task<T> task) {
    std::optional<T> result;
    group_->Spawn(Keep(std::move(task), &result));
    TurnUntil([&result]() { return result.has_value(); });
    EXPECT_TRUE(result.has_value()) << "the task did not end";
    return std::move(*result);
  }
  void Await(Task<void> task) {
    bool done = false;
    group_->Spawn(Mark(std::move(task), &done));
    TurnUntil([&done]() { return done; });
    EXPECT_TRUE(done) << "the task did not end";
  }
  void Spawn(Task<void> task) { group_->Spawn(std::move(task)); }
  void RunFor(Duration duration) {
    world_.RunUntil(world_.now_ns() + duration.count(), nullptr, kEventLimit);
  }
  template <typename Done>
  void TurnUntil(Done done) {
    world_.RunUntil(world_.now_ns() + kPatienceNs, done, kEventLimit);
  }

  // Power off: running tasks are destroyed, the disk becomes a crash image. What the test holds of
  // the node (stores, volumes) must be destroyed by the test: before, or right after.
  void Kill(sim::CrashPolicy policy) {
    group_.reset();
    world_.KillNode(node_, sim::KillKind::kPower, policy);
    runtime_ = nullptr;
  }
  // Runs when this life has ended and nothing of it reaches the world any more, before the disk
  // becomes a crash image: for what must not end before the machine does.
  void SetOnDeath(std::function<void()> on_death) { idle_->on_death = std::move(on_death); }
  void Start() {
    world_.StartNode(node_, [this](Runtime* runtime) {
      runtime_ = runtime;
      auto idle = std::make_unique<Idle>();
      idle_ = idle.get();
      return idle;
    });
    group_ = std::make_unique<TaskGroup>(runtime_->scheduler);
  }

 private:
  static constexpr uint64_t kEventLimit = 50'000'000;
  static constexpr int64_t kPatienceNs = 600'000'000'000;

  class Idle : public sim::NodeProgram {
   public:
    Idle() = default;
    Idle(const Idle&) = delete;
    Idle& operator=(const Idle&) = delete;
    ~Idle() override {
      if (on_death) {
        on_death();
      }
    }
    Task<void> Run() override { co_return; }
    std::function<void()> on_death;
  };
  static sim::SimOptions WithSeed(sim::SimOptions options, uint64_t seed) {
    options.seed = seed;
    return options;
  }
  template <typename T>
  static Task<void> Keep(Task<T> task, std::optional<T>* result) {
    result->emplace(co_await std::move(task));
  }
  static Task<void> Mark(Task<void> task, bool* done) {
    co_await std::move(task);
    *done = true;
  }

  sim::Trace trace_;
  sim::SimWorld world_;
  sim::NodeId node_ = 0;
  Runtime* runtime_ = nullptr;
  Idle* idle_ = nullptr;
  std::unique_ptr<TaskGroup> group_;
};

}  // namespace redoubt
