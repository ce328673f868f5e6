// SPDX-License-Identifier: MIT
#include "common/runtime/asio/host_services.h"

#include <spdlog/logger.h>
#include <spdlog/pattern_formatter.h>
#include <spdlog/sinks/stdout_sinks.h>
#include <sys/random.h>

#include <algorithm>
#include <cerrno>
#include <chrono>
#include <string>

#include "common/base/check.h"

namespace redoubt {
namespace {

spdlog::level::level_enum ToSpdlog(LogLevel level) {
  switch (level) {
    case LogLevel::kDebug:
      return spdlog::level::debug;
    case LogLevel::kInfo:
      return spdlog::level::info;
    case LogLevel::kWarning:
      return spdlog::level::warn;
    case LogLevel::kError:
      return spdlog::level::err;
  }
  return spdlog::level::err;
}

}  // namespace

int64_t SystemWallClock::NowUnixNs() const {
  return std::chrono::duration_cast<std::chrono::nanoseconds>(
             std::chrono::system_clock::now().time_since_epoch())
      .count();
}

uint64_t SystemRandom::Next() {
  if (used_ == kBatchCount) {
    uint8_t* const out = reinterpret_cast<uint8_t*>(batch_.data());
    for (size_t filled = 0; filled < sizeof(batch_);) {
      const ssize_t got = getrandom(out + filled, sizeof(batch_) - filled, 0);
      REDOUBT_CHECK(got > 0 || errno == EINTR);
      filled += got > 0 ? static_cast<size_t>(got) : 0;
    }
    used_ = 0;
  }
  return batch_[used_++];
}

StderrEventLog::StderrEventLog(LogLevel level_min)
    : logger_(std::make_unique<spdlog::logger>("redoubt",
                                               std::make_shared<spdlog::sinks::stderr_sink_mt>())) {
  logger_->set_formatter(std::make_unique<spdlog::pattern_formatter>(
      "%Y-%m-%dT%H:%M:%S.%fZ %l %v", spdlog::pattern_time_type::utc));
  logger_->set_level(ToSpdlog(level_min));
  logger_->flush_on(spdlog::level::debug);
}

StderrEventLog::~StderrEventLog() = default;

void StderrEventLog::Write(LogLevel level, std::string_view message) {
  if (message.find('\n') == std::string_view::npos) {
    logger_->log(ToSpdlog(level), spdlog::string_view_t(message.data(), message.size()));
    return;
  }
  // A message of several lines (an SQL error) must not break the line-by-line log.
  std::string one_line(message);
  std::replace(one_line.begin(), one_line.end(), '\n', ' ');
  logger_->log(ToSpdlog(level), one_line);
}

}  // namespace redoubt
