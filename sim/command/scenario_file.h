// SPDX-License-Identifier: MIT
//
// Scenario files as the command sees them.
#pragma once

#include <string>
#include <vector>

#include "common/base/result.h"
#include "proto/scenario.pb.h"

namespace redoubt::sim {

// kNotFound, kInvalidArgument; the message names the file.
Result<proto::Scenario> LoadScenario(const std::string& path);
// "workload.spaces=3": the field at this path gets this value; a range, exactly this one.
// kInvalidArgument.
Status SetKnob(const std::string& knob, proto::Scenario* scenario);
// Every *.textproto below `directory`, sorted.
std::vector<std::string> FindScenarios(const std::string& directory);

}  // namespace redoubt::sim
