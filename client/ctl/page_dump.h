// SPDX-License-Identifier: MIT
//
// A page for people: the decoded FIL header, what the page type adds to it, and a hex dump.
#pragma once

#include <string>

#include "common/base/bytes.h"
#include "common/base/types.h"

namespace redoubt::ctl {

// "offset  16 bytes in hex  |text|", repeated lines folded to "*". Always ends in a line break.
std::string HexDump(ByteView bytes);

// The header as "name value" lines. `page`: exactly one page; all zero says so and nothing else.
std::string DescribePage(ByteView page);

}  // namespace redoubt::ctl
