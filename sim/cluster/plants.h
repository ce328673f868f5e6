// SPDX-License-Identifier: MIT
//
// The planted bugs (common/runtime/fault_point.h): which there are, and which one a run has.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "common/runtime/fault_point.h"

namespace redoubt::sim {

struct PlantInfo {
  std::string_view name;
  std::string_view what;  // is wrong then
};
// By name.
const std::vector<PlantInfo>& PlantCatalogue();
// "" is none, and known.
bool IsKnownPlant(std::string_view name);

class Plants final : public FaultPoints {
 public:
  explicit Plants(std::string active) : active_(std::move(active)) {}
  bool Planted(std::string_view name) override {
    const bool planted = name == active_;
    reached_count_ += planted ? 1 : 0;
    return planted;
  }
  // So often the run came to a place of its bug.
  uint64_t reached_count() const { return reached_count_; }

 private:
  std::string active_;
  uint64_t reached_count_ = 0;
};

}  // namespace redoubt::sim
