// SPDX-License-Identifier: MIT
//
// Work in a child process with a limit of wall time: a run that dies or hangs is a result like any
// other. Nothing else of the child is left behind.
#pragma once

#include <cstdint>
#include <functional>
#include <string>

#include "proto/capsule.pb.h"

namespace redoubt::sim {

struct ChildEnd {
  std::string answer;      // what the work put there; incomplete when it died
  int exit_code = 0;       // what the work returned
  int signal = 0;          // what killed it; SIGALRM: the time limit
  std::string last_words;  // the failed check, or else the last line of standard error
};

// Standard output is shared; standard error is shown here once the child is gone.
ChildEnd RunChild(const std::function<int(std::string* answer)>& work, uint32_t seconds_max);

// The smaller one of the scenario's own limit of wall time, if it has one, and the command's.
uint32_t SecondsMax(const proto::Scenario& scenario, uint32_t command_seconds_max);

// The verdict on a child that was killed: CRASH with the failed check, or TIMELIMIT.
proto::RunVerdict VerdictOfDeath(const ChildEnd& end, uint32_t seconds_max);

// Runs what the capsule says; its own verdict is not looked at.
proto::RunVerdict RunCapsuleInChild(const proto::Capsule& capsule, uint32_t seconds_max);

}  // namespace redoubt::sim
