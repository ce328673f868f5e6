// SPDX-License-Identifier: MIT
#include "common/runtime/asio/socket_address.h"

#include <charconv>

namespace redoubt {

Result<SocketAddress> ParseSocketAddress(std::string_view text) {
  const Status malformed =
      InvalidArgument("'" + std::string(text) + "' is not HOST:PORT (for IPv6: [ADDRESS]:PORT)");
  const size_t colon = text.rfind(':');
  if (colon == std::string_view::npos) {
    return malformed;
  }
  std::string_view host = text.substr(0, colon);
  const std::string_view port_text = text.substr(colon + 1);
  uint16_t port = 0;
  const auto [end, error] =
      std::from_chars(port_text.data(), port_text.data() + port_text.size(), port);
  if (error != std::errc() || port_text.empty() || end != port_text.data() + port_text.size()) {
    return malformed;
  }
  const bool bracketed = host.size() >= 2 && host.front() == '[' && host.back() == ']';
  if (bracketed) {
    host = host.substr(1, host.size() - 2);
  }
  if (host.empty() || (!bracketed && host.find(':') != std::string_view::npos)) {
    return malformed;
  }
  return SocketAddress{std::string(host), port};
}

std::string FormatSocketAddress(const SocketAddress& address) {
  const bool brackets = address.host.find(':') != std::string::npos;
  return (brackets ? "[" + address.host + "]" : address.host) + ":" + std::to_string(address.port);
}

}  // namespace redoubt
