// SPDX-License-Identifier: MIT
//
// A trace as one HTML page that needs nothing else: a lane for each node over virtual time with
// messages, faults, lives, role changes and LSNs; zoom and search. The page itself is page.html;
// "#q=WORD&from=SECONDS&to=SECONDS" behind its address chooses what it shows at first.
#pragma once

#include <string>

#include "sim/trace/trace_file.h"

namespace redoubt::sim {

// Events that say nothing to people (resumes, draws) are left out; of the rest the last
// kPageEventsMax are in the page, which says so.
inline constexpr size_t kPageEventsMax = 20'000;
std::string TracePage(const TraceFile& trace);

}  // namespace redoubt::sim
