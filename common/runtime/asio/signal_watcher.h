// SPDX-License-Identifier: MIT
//
// Turns SIGTERM and SIGINT into a call on the loop; a second one ends the process at once with
// status 128 + signal number, even when the loop hangs. The signals are blocked in every thread and
// read from a signalfd by a thread of their own, so no code runs inside a signal handler and
// nothing is global. SIGPIPE is ignored for the process. The destructor restores the creating
// thread's signal mask.
#pragma once

#include <signal.h>

#include <functional>
#include <thread>

namespace redoubt {

class SignalWatcher {
 public:
  // To be made before any other thread starts. `on_first_signal` runs on the watcher's thread.
  explicit SignalWatcher(std::function<void(int signal_number)> on_first_signal);
  SignalWatcher(const SignalWatcher&) = delete;
  SignalWatcher& operator=(const SignalWatcher&) = delete;
  ~SignalWatcher();

 private:
  void ThreadMain();

  std::function<void(int)> on_first_signal_;
  sigset_t mask_before_;
  int signal_fd_ = -1;
  int quit_fd_ = -1;
  std::thread thread_;
};

}  // namespace redoubt
