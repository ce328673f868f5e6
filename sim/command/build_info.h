// SPDX-License-Identifier: MIT
//
// Which program this is: a trace hash is promised for the same build only.
#pragma once

#include <string>

namespace redoubt::sim {

// Abbreviated hash of the commit that was checked out at the build, or "unknown".
std::string BuildCommit();
// How this program is called from the current directory: "build/release/bin/simulate".
std::string ProgramPath();
// A hash of the program's own file, "0x0123456789abcdef", or "unknown".
std::string BuildId();

}  // namespace redoubt::sim
