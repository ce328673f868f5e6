// SPDX-License-Identifier: MIT
//
// "host:port" as people write it: a name, an IPv4 address or a bracketed IPv6 address, and a port
// from 0 to 65535.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "common/base/result.h"

namespace redoubt {

struct SocketAddress {
  std::string host;  // without brackets
  uint16_t port = 0;
};

// kInvalidArgument when `text` is not host:port.
Result<SocketAddress> ParseSocketAddress(std::string_view text);
// Brackets around a host with a colon.
std::string FormatSocketAddress(const SocketAddress& address);

}  // namespace redoubt
