// SPDX-License-Identifier: MIT
//
// What pagectl says: results on stdout, progress and problems on stderr, and the exit code that
// goes with a problem.
#pragma once

#include <cstdint>
#include <cstdio>
#include <string>
#include <string_view>

#include "common/base/status.h"
#include "common/runtime/scheduler.h"

namespace redoubt::ctl {

enum ExitCode : int {
  kExitOk = 0,
  kExitProblem = 1,  // the command ran and found something: unequal, corrupt, left out
  kExitUsage = 2,    // the command line is wrong
  kExitServer = 3,   // the server cannot be reached, or refused
  kExitFiles = 4,    // reading or writing files here failed
};

struct ConsoleOptions {
  bool json = false;
  // A bar that is redrawn, instead of a line now and then.
  bool progress_bar = false;
  size_t columns = 80;  // of the terminal that shows the bar
  std::FILE* out = stdout;
  std::FILE* err = stderr;
};

class Console {
 public:
  Console(Scheduler* scheduler, ConsoleOptions options);

  bool json() const { return options_.json; }
  // A line on stdout.
  void Print(std::string_view line);
  // Several lines, or raw text, on stdout, as they are.
  void PrintRaw(std::string_view text);
  // A line on stderr.
  void Note(std::string_view line);
  // Says what failed, on stderr, or with json as {"error": ..., "code": ...} on stdout too. Returns
  // `code`.
  int Fail(ExitCode code, const Status& status);

  // How far a long piece of work is; shown at most every few seconds (a bar: ten times a second).
  // `total` 0: not known. `what`: "restore", `unit`: "pages".
  void Progress(std::string_view what, uint64_t done, uint64_t total, std::string_view unit);
  // Ends the bar, if there is one.
  void EndProgress();

 private:
  Scheduler* scheduler_;
  ConsoleOptions options_;
  TimePoint next_progress_{};
  TimePoint progress_began_{};
  bool bar_shown_ = false;
  bool progress_running_ = false;
};

// "restore: 41 % (1200 of 2900 pages, 310 pages/s)". Pure, for Console and its test.
std::string FormatProgress(std::string_view what, uint64_t done, uint64_t total,
                           std::string_view unit, double seconds);

// "[####......] " in front of `text`, as long as there is room; always shorter than `columns`,
// since a line that wraps is not redrawn but repeated.
std::string FormatBar(std::string_view text, uint64_t done, uint64_t total, size_t columns);

}  // namespace redoubt::ctl
