// SPDX-License-Identifier: MIT
#include "common/runtime/asio/asio_world.h"

#include <signal.h>

#include <algorithm>
#include <coroutine>
#include <exception>
#include <optional>
#include <string>
#include <thread>
#include <utility>

#include "common/base/check.h"
#include "common/runtime/asio/asio_network.h"
#include "common/runtime/asio/blocking_pool.h"
#include "common/runtime/asio/event_loop.h"
#include "common/runtime/asio/host_services.h"
#include "common/runtime/asio/posix_file_system.h"
#include "common/runtime/asio/signal_watcher.h"

namespace redoubt {
namespace {

size_t BlockingThreadCountMax(const AsioWorldOptions& options) {
  if (options.blocking_thread_count_max > 0) {
    return options.blocking_thread_count_max;
  }
  return std::max<size_t>(4, size_t{2} * std::thread::hardware_concurrency());
}

// The frame at the root of Run: owned by Run, ended by the loop.
struct RootTask {
  struct promise_type {
    RootTask get_return_object() {
      return {std::coroutine_handle<promise_type>::from_promise(*this)};
    }
    std::suspend_always initial_suspend() noexcept { return {}; }
    std::suspend_always final_suspend() noexcept { return {}; }
    void return_void() {}
    void unhandled_exception() noexcept { std::terminate(); }
  };
  std::coroutine_handle<promise_type> handle;
};

RootTask RunRoot(Task<int> main, EventLoop* loop, std::optional<int>* exit_code) {
  *exit_code = co_await main;
  loop->Stop();
}

}  // namespace

// Destroyed from the last to the first: signals, then threads, then the loop they post to.
struct AsioWorld::Parts {
  explicit Parts(const AsioWorldOptions& options)
      : stderr_log(options.log_level_min),
        log(options.log != nullptr ? options.log : &stderr_log),
        stop_requested(&loop),
        pool(&loop, BlockingThreadCountMax(options)),
        files(&pool),
        network(&loop, &pool, log),
        runtime{&loop, &network, &files, &pool, &wall_clock, &random, log} {
    if (options.handle_signals) {
      signals.emplace([this](int signal_number) {
        log->Info(std::string("stopping on ") + (signal_number == SIGTERM ? "SIGTERM" : "SIGINT") +
                  "; a second signal ends the process at once");
        loop.Post([this] { stop_requested.Set(); });
      });
    }
  }

  StderrEventLog stderr_log;
  EventLog* log;
  SystemWallClock wall_clock;
  SystemRandom random;
  EventLoop loop;
  Event stop_requested;
  BlockingPool pool;
  PosixFileSystem files;
  AsioNetwork network;
  Runtime runtime;
  std::optional<SignalWatcher> signals;
};

AsioWorld::AsioWorld(AsioWorldOptions options) : parts_(std::make_unique<Parts>(options)) {}

AsioWorld::~AsioWorld() = default;

Runtime& AsioWorld::runtime() { return parts_->runtime; }

Event& AsioWorld::stop_requested() { return parts_->stop_requested; }

void AsioWorld::RequestStop() {
  parts_->loop.Post([parts = parts_.get()] { parts->stop_requested.Set(); });
}

void AsioWorld::Post(std::function<void()> function) { parts_->loop.Post(std::move(function)); }

int AsioWorld::Run(Task<int> main) {
  std::optional<int> exit_code;
  const RootTask root = RunRoot(std::move(main), &parts_->loop, &exit_code);
  parts_->loop.Schedule(root.handle);
  parts_->loop.Run();
  root.handle.destroy();
  parts_->pool.WaitIdle();
  parts_->loop.Settle();
  REDOUBT_CHECK(exit_code.has_value());
  return *exit_code;
}

}  // namespace redoubt
