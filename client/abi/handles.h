// SPDX-License-Identifier: MIT
//
// What is behind the opaque handles of redoubt_client.h, and how Status, time and text cross the
// border.
#pragma once

#include <atomic>
#include <cstdint>
#include <string>
#include <string_view>

#include "client/redoubt_client.h"
#include "common/base/event_log.h"
#include "common/base/status.h"
#include "common/runtime/asio/loop_thread.h"
#include "common/runtime/asio/monitor.h"

namespace redoubt::abi {

// Fills in `error`, if there is one; the code.
int Finish(const Status& status, redoubt_error* error);
// As much of `text` as fits, and a NUL.
void CopyText(std::string_view text, char* out, size_t size);
TimePoint DeadlineAfter(uint32_t timeout_ms);
// nullptr is the empty string.
std::string ToString(const char* text);
// kInvalidArgument unless it is the size of the structure of this version.
Status CheckStructSize(size_t given, size_t wanted, std::string_view name);

// Events to the caller's function, one at a time.
class CallbackLog final : public EventLog {
 public:
  CallbackLog(redoubt_log_function function, void* context, int level_min)
      : function_(function), context_(context), level_min_(level_min) {}
  void Write(LogLevel level, std::string_view message) override;

 private:
  redoubt_log_function function_;
  void* context_;
  int level_min_;
  Monitor monitor_;
};

}  // namespace redoubt::abi

struct redoubt_client {
  explicit redoubt_client(const redoubt_client_options& options)
      : log(options.log, options.log_context, options.log_level_min), loop(&log) {}

  redoubt::abi::CallbackLog log;
  redoubt::LoopThread loop;
  std::atomic<int> handle_count{0};  // open writers and readers
};
