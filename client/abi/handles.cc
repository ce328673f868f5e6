// SPDX-License-Identifier: MIT
#include "client/abi/handles.h"

#include <algorithm>
#include <cstring>

namespace redoubt::abi {

static_assert(REDOUBT_OK == static_cast<int>(StatusCode::kOk));
static_assert(REDOUBT_CORRUPTION == static_cast<int>(StatusCode::kCorruption));
static_assert(REDOUBT_DEADLINE_EXCEEDED == static_cast<int>(StatusCode::kDeadlineExceeded));
static_assert(REDOUBT_STALE_EPOCH == static_cast<int>(StatusCode::kStaleEpoch));
static_assert(REDOUBT_GAP == static_cast<int>(StatusCode::kGap));
static_assert(REDOUBT_HOLE == static_cast<int>(StatusCode::kHole));
static_assert(REDOUBT_CANCELLED == static_cast<int>(StatusCode::kCancelled));

void CopyText(std::string_view text, char* out, size_t size) {
  const size_t count = std::min(text.size(), size - 1);
  std::memcpy(out, text.data(), count);
  out[count] = '\0';
}

int Finish(const Status& status, redoubt_error* error) {
  const int code = static_cast<int>(status.code());
  if (error != nullptr) {
    error->code = code;
    CopyText(status.message(), error->message, sizeof error->message);
  }
  return code;
}

TimePoint DeadlineAfter(uint32_t timeout_ms) {
  return timeout_ms == REDOUBT_NO_TIMEOUT ? kNever
                                          : Monitor::Now() + std::chrono::milliseconds(timeout_ms);
}

std::string ToString(const char* text) { return text == nullptr ? std::string() : text; }

Status CheckStructSize(size_t given, size_t wanted, std::string_view name) {
  if (given == wanted) {
    return Status::Ok();
  }
  return InvalidArgument(std::string(name) + " has " + std::to_string(given) + " bytes, " +
                         std::to_string(wanted) +
                         " are wanted: call its init function, and build against this library");
}

void CallbackLog::Write(LogLevel level, std::string_view message) {
  if (function_ == nullptr || static_cast<int>(level) < level_min_) {
    return;
  }
  const std::string line(message);
  const Monitor::Lock lock(&monitor_);
  function_(context_, static_cast<int>(level), line.c_str());
}

}  // namespace redoubt::abi
