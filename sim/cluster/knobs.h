// SPDX-License-Identifier: MIT
//
// Fields of a scenario that are set by name: by `run --set`, or drawn once per seed
// (Scenario.knobs).
#pragma once

#include <cstdint>
#include <string>

#include "common/base/result.h"
#include "common/base/status.h"
#include "proto/scenario.pb.h"

namespace redoubt::sim {

// `knob`: "topology.readers=3"; a range gets one value, a list one more. kInvalidArgument: there is
// no such single field, or the value is not of its kind. Whether the scenario is still sound is not
// looked at.
Status SetField(const std::string& knob, proto::Scenario* scenario);

// The scenario with each knob at its drawn value, and without knobs. They must have been checked
// (CheckScenario). Draws nothing when there are none.
proto::Scenario WithKnobs(const proto::Scenario& scenario, uint64_t seed);

// With each knob at the end of its range. kInvalidArgument: SetField refuses one, or it has no
// value, or two.
Result<proto::Scenario> WithKnobsAt(const proto::Scenario& scenario, bool high);

}  // namespace redoubt::sim
