// SPDX-License-Identifier: MIT
//
// Where the system says what happened, one line an event. Production writes to spdlog, the
// simulator to its trace; code above the seam knows only this.
#pragma once

#include <string>
#include <string_view>

namespace redoubt {

enum class LogLevel { kDebug, kInfo, kWarning, kError };

class EventLog {
 public:
  virtual ~EventLog() = default;
  // Thread-safe. `message` is one line without a line break at its end.
  virtual void Write(LogLevel level, std::string_view message) = 0;

  void Debug(std::string_view message) { Write(LogLevel::kDebug, message); }
  void Info(std::string_view message) { Write(LogLevel::kInfo, message); }
  void Warning(std::string_view message) { Write(LogLevel::kWarning, message); }
  void Error(std::string_view message) { Write(LogLevel::kError, message); }
};

// "debug", "info", "warning", "error".
std::string_view LogLevelName(LogLevel level);

}  // namespace redoubt
