// SPDX-License-Identifier: MIT
//
// Planted bugs: places where a programmer could have made a mistake, and where the simulator's
// build makes it on demand, to see that a checker notices (`simulate --plant NAME`,
// ci/mutation.py).
//
//   if (!REDOUBT_PLANTED(runtime_, ack_before_sync)) {
//     ... what must be done ...
//   }
//
// The macro is the constant false, and its name no string, unless the library is compiled with
// REDOUBT_PLANTS: only the variants that the simulator links are (cmake/RedoubtTargets.cmake). Use
// it in .cc files only, so that headers mean the same in both.
#pragma once

#include <string_view>

namespace redoubt {

// Who knows which bugs are switched on. Part of every Runtime; production has none.
class FaultPoints {
 public:
  virtual ~FaultPoints() = default;
  // Whether the bug `name` is to be made at this place, now.
  virtual bool Planted(std::string_view name) = 0;
};

}  // namespace redoubt

// `owner`: pointer to what has a member `fault_points`, as Runtime. `name`: a word, listed in
// sim/cluster/plants.cc.
#ifdef REDOUBT_PLANTS
#define REDOUBT_PLANTED(owner, name) \
  ((owner)->fault_points != nullptr && (owner)->fault_points->Planted(#name))
#else
#define REDOUBT_PLANTED(owner, name) (static_cast<void>(owner), false)
#endif
