// SPDX-License-Identifier: MIT
#include "client/ctl/console.h"

#include <algorithm>
#include <string>

#include "client/ctl/json.h"
#include "common/base/check.h"

namespace redoubt::ctl {
namespace {

constexpr Duration kBarInterval = std::chrono::milliseconds(100);
constexpr Duration kLineInterval = std::chrono::seconds(5);
constexpr size_t kBarCells = 24;
constexpr size_t kBarCellsMin = 8;
constexpr size_t kBarFrame = 3;  // "[" and "] "

}  // namespace

std::string FormatBar(std::string_view text, uint64_t done, uint64_t total, size_t columns) {
  const size_t room = columns == 0 ? 0 : columns - 1;
  if (total == 0 || text.size() + kBarFrame + kBarCellsMin > room) {
    return std::string(text.substr(0, room));
  }
  const size_t cells = std::min(kBarCells, room - kBarFrame - text.size());
  const size_t filled = static_cast<size_t>(std::min(done, total) * cells / total);
  return "[" + std::string(filled, '#') + std::string(cells - filled, '.') + "] " +
         std::string(text);
}

std::string FormatProgress(std::string_view what, uint64_t done, uint64_t total,
                           std::string_view unit, double seconds) {
  std::string text(what);
  text += ": ";
  if (total > 0) {
    text += std::to_string(std::min<uint64_t>(100, done * 100 / total)) + " % (" +
            std::to_string(done) + " of " + std::to_string(total);
  } else {
    text += "(" + std::to_string(done);
  }
  text += " " + std::string(unit);
  if (seconds >= 0.5) {
    text += ", " + std::to_string(static_cast<uint64_t>(static_cast<double>(done) / seconds)) +
            " " + std::string(unit) + "/s";
  }
  return text + ")";
}

Console::Console(Scheduler* scheduler, ConsoleOptions options)
    : scheduler_(scheduler), options_(options) {}

void Console::Print(std::string_view line) {
  PrintRaw(line);
  PrintRaw("\n");
}

void Console::PrintRaw(std::string_view text) {
  std::fwrite(text.data(), 1, text.size(), options_.out);
}

void Console::Note(std::string_view line) {
  EndProgress();
  std::fwrite(line.data(), 1, line.size(), options_.err);
  std::fputc('\n', options_.err);
  std::fflush(options_.err);
}

int Console::Fail(ExitCode code, const Status& status) {
  REDOUBT_CHECK(!status.ok());
  Note("pagectl: " + status.message() + " (" + std::string(StatusCodeName(status.code())) + ")");
  if (options_.json) {
    JsonWriter json;
    json.BeginObject()
        .Field("error", status.message())
        .Field("code", StatusCodeName(status.code()))
        .EndObject();
    Print(json.text());
  }
  return code;
}

void Console::Progress(std::string_view what, uint64_t done, uint64_t total,
                       std::string_view unit) {
  const TimePoint now = scheduler_->Now();
  if (!progress_running_) {
    progress_running_ = true;
    progress_began_ = now;
    next_progress_ = now + (options_.progress_bar ? kBarInterval : kLineInterval);
    return;
  }
  if (now < next_progress_) {
    return;
  }
  next_progress_ = now + (options_.progress_bar ? kBarInterval : kLineInterval);
  const double seconds =
      std::chrono::duration_cast<std::chrono::duration<double>>(now - progress_began_).count();
  const std::string text = FormatProgress(what, done, total, unit, seconds);
  if (options_.progress_bar) {
    bar_shown_ = true;
    std::fprintf(options_.err, "\r%s\x1b[K",
                 FormatBar(text, done, total, options_.columns).c_str());
  } else {
    std::fprintf(options_.err, "%s\n", text.c_str());
  }
  std::fflush(options_.err);
}

void Console::EndProgress() {
  if (bar_shown_) {
    std::fputs("\r\x1b[K", options_.err);
    std::fflush(options_.err);
  }
  bar_shown_ = false;
  progress_running_ = false;
}

}  // namespace redoubt::ctl
