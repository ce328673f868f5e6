// SPDX-License-Identifier: MIT
//
// A world with toy programs, for tests of the simulated runtime.
#pragma once

#include <functional>
#include <memory>
#include <utility>

#include "sim/runtime/sim_node.h"
#include "sim/runtime/sim_world.h"

namespace redoubt::sim {

// A program that is one coroutine. `body` is called once per life; it must be a plain function that
// returns a coroutine whose parameters are values or pointers that outlive the world.
class BodyProgram : public NodeProgram {
 public:
  using Body = std::function<Task<void>(Runtime*)>;
  BodyProgram(Runtime* runtime, Body body) : runtime_(runtime), body_(std::move(body)) {}
  Task<void> Run() override { return body_(runtime_); }

 private:
  Runtime* runtime_;
  Body body_;
};

inline ProgramFactory Program(BodyProgram::Body body) {
  return [body](Runtime* runtime) { return std::make_unique<BodyProgram>(runtime, body); };
}

inline constexpr int64_t kSecond = 1'000'000'000;
inline constexpr uint64_t kEventLimit = 10'000'000;

struct TestWorld {
  explicit TestWorld(uint64_t seed = 1, SimOptions options = {})
      : trace(Trace::Keep::kRecent), world(WithSeed(options, seed), &trace) {}
  static SimOptions WithSeed(SimOptions options, uint64_t seed) {
    options.seed = seed;
    return options;
  }
  SimWorld::StopReason RunFor(int64_t ns) {
    return world.RunUntil(world.now_ns() + ns, nullptr, kEventLimit);
  }
  Trace trace;
  SimWorld world;
};

}  // namespace redoubt::sim
