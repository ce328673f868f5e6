// SPDX-License-Identifier: MIT
//
// The small services of the production world: wall clock, entropy, event log.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <string_view>

#include "common/base/event_log.h"
#include "common/runtime/runtime.h"

namespace spdlog {
class logger;
}

namespace redoubt {

class SystemWallClock final : public WallClock {
 public:
  int64_t NowUnixNs() const override;
};

// Every number comes from the kernel's generator (ids must not repeat across machines and
// restarts), fetched in batches.
class SystemRandom final : public Random {
 public:
  uint64_t Next() override;

 private:
  static constexpr size_t kBatchCount = 64;
  std::array<uint64_t, kBatchCount> batch_{};
  size_t used_ = kBatchCount;
};

// One line an event on stderr: "2026-01-31T12:00:00.000000Z info message".
class StderrEventLog final : public EventLog {
 public:
  explicit StderrEventLog(LogLevel level_min);
  ~StderrEventLog() override;
  void Write(LogLevel level, std::string_view message) override;

 private:
  std::unique_ptr<spdlog::logger> logger_;
};

}  // namespace redoubt
