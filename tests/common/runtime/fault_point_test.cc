// SPDX-License-Identifier: MIT
#include "common/runtime/fault_point.h"

#include <gtest/gtest.h>

#include "common/runtime/runtime.h"

namespace redoubt {
namespace {

// Switches on everything that it is asked for.
class EveryBug final : public FaultPoints {
 public:
  bool Planted(std::string_view /*name*/) override { return true; }
};

// Without REDOUBT_PLANTS the macro is a constant, whatever the Runtime says: nothing is left of it.
TEST(FaultPoint, IsTheConstantFalseInProduction) {
  static_assert(!REDOUBT_PLANTED(nullptr, ack_before_sync));
  EveryBug bugs;
  Runtime runtime;
  runtime.fault_points = &bugs;
  EXPECT_FALSE(REDOUBT_PLANTED(&runtime, ack_before_sync));
}

}  // namespace
}  // namespace redoubt
