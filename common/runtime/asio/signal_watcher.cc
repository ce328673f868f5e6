// SPDX-License-Identifier: MIT
#include "common/runtime/asio/signal_watcher.h"

#include <poll.h>
#include <pthread.h>
#include <sys/eventfd.h>
#include <sys/signalfd.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <utility>

#include "common/base/check.h"
#include "common/runtime/asio/blocking_pool.h"

namespace redoubt {

SignalWatcher::SignalWatcher(std::function<void(int)> on_first_signal)
    : on_first_signal_(std::move(on_first_signal)) {
  signal(SIGPIPE, SIG_IGN);
  sigset_t watched;
  sigemptyset(&watched);
  sigaddset(&watched, SIGTERM);
  sigaddset(&watched, SIGINT);
  REDOUBT_CHECK(pthread_sigmask(SIG_BLOCK, &watched, &mask_before_) == 0);
  signal_fd_ = signalfd(-1, &watched, SFD_CLOEXEC | SFD_NONBLOCK);
  quit_fd_ = eventfd(0, EFD_CLOEXEC);
  REDOUBT_CHECK(signal_fd_ >= 0);
  REDOUBT_CHECK(quit_fd_ >= 0);
  const BlockAllSignals blocked;
  thread_ = std::thread([this] { ThreadMain(); });
}

SignalWatcher::~SignalWatcher() {
  const uint64_t one = 1;
  REDOUBT_CHECK(write(quit_fd_, &one, sizeof(one)) == sizeof(one));
  thread_.join();
  close(signal_fd_);
  close(quit_fd_);
  pthread_sigmask(SIG_SETMASK, &mask_before_, nullptr);
}

void SignalWatcher::ThreadMain() {
  pthread_setname_np(pthread_self(), "signals");
  bool seen = false;
  for (;;) {
    std::array<pollfd, 2> waits{pollfd{signal_fd_, POLLIN, 0}, pollfd{quit_fd_, POLLIN, 0}};
    if (poll(waits.data(), waits.size(), -1) < 0) {
      REDOUBT_CHECK(errno == EINTR);
      continue;
    }
    if ((waits[1].revents & POLLIN) != 0) {
      return;
    }
    signalfd_siginfo info{};
    if (read(signal_fd_, &info, sizeof(info)) != sizeof(info)) {
      continue;
    }
    const int signal_number = static_cast<int>(info.ssi_signo);
    if (seen) {
      _exit(128 + signal_number);
    }
    seen = true;
    on_first_signal_(signal_number);
  }
}

}  // namespace redoubt
