// SPDX-License-Identifier: MIT
//
// What people type at pagectl, turned into values: moments, pages, LSNs; and moments back into
// text.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "common/base/result.h"
#include "common/base/types.h"

namespace redoubt::ctl {

// Nanoseconds since 1970-01-01T00:00:00Z from "1700000000", "1700000000.25" (unix seconds) or ISO
// 8601: "2026-11-22", "2026-11-22T14:03", "2026-11-22 14:03:05.123456", with "Z", "+02", "+0200" or
// "+02:00" behind it. Without a zone the time is UTC. kInvalidArgument.
Result<int64_t> ParseTime(std::string_view text);
// "2026-11-22T14:03:05.000Z"; "unknown" for 0.
std::string FormatTime(int64_t unix_ns);

// "5:17" = page 17 of space 5. kInvalidArgument.
Result<PageId> ParsePageId(std::string_view text);
// Decimal or 0x-hexadecimal. kInvalidArgument.
Result<Lsn> ParseLsn(std::string_view text);

// "1.5 GiB", "312 KiB", "17 B".
std::string FormatBytes(uint64_t bytes);

}  // namespace redoubt::ctl
