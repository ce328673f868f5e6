// SPDX-License-Identifier: MIT
#include "common/runtime/asio/loop_thread.h"

#include <pthread.h>

#include <thread>
#include <utility>

#include "common/runtime/asio/asio_world.h"
#include "common/runtime/asio/blocking_pool.h"
#include "common/runtime/asio/monitor.h"
#include "common/runtime/task_group.h"

namespace redoubt {
namespace {

// For resolving names.
constexpr size_t kBlockingThreadCountMax = 2;

}  // namespace

struct LoopThread::Parts {
  Monitor monitor;
  AsioWorld* world = nullptr;  // under the monitor until the constructor returns
  TaskGroup* tasks = nullptr;  // on the loop
  Event* stopping = nullptr;   // on the loop
  std::thread thread;
};

LoopThread::LoopThread(EventLog* log) : parts_(std::make_unique<Parts>()) {
  {
    const BlockAllSignals blocked;  // inherited by the thread and by those that it starts
    parts_->thread = std::thread([this, log] { ThreadMain(log); });
  }
  Monitor::Lock lock(&parts_->monitor);
  lock.WaitUntil(kNever, [this] { return parts_->world != nullptr; });
  runtime_ = &parts_->world->runtime();
}

LoopThread::~LoopThread() {
  Post([this] { parts_->stopping->Set(); });
  parts_->thread.join();
}

void LoopThread::ThreadMain(EventLog* log) {
  pthread_setname_np(pthread_self(), "redoubt");
  AsioWorldOptions options;
  options.blocking_thread_count_max = kBlockingThreadCountMax;
  options.log = log;
  options.handle_signals = false;
  AsioWorld world(options);
  TaskGroup tasks(world.runtime().scheduler);
  Event stopping(world.runtime().scheduler);
  parts_->tasks = &tasks;
  parts_->stopping = &stopping;
  {
    const Monitor::Lock lock(&parts_->monitor);
    parts_->world = &world;
  }
  parts_->monitor.NotifyAll();
  world.Run(Main(this));
}

Task<int> LoopThread::Main(LoopThread* self) {
  co_await self->parts_->stopping->Wait();
  co_await self->parts_->tasks->Join();
  co_return 0;
}

Task<void> LoopThread::RunBody(LoopThread* self, Body body, std::function<void()> ended) {
  Task<void> task = body(self->runtime_);
  co_await task;
  if (ended != nullptr) {
    ended();
  }
}

void LoopThread::Call(const Body& body) {
  Monitor monitor;
  bool done = false;
  std::function<void()> ended = [&monitor, &done] {
    // Notified with the lock held: the caller destroys the monitor as soon as it sees `done`.
    const Monitor::Lock lock(&monitor);
    done = true;
    monitor.NotifyAll();
  };
  Post([this, &body, ended = std::move(ended)] {
    parts_->tasks->Spawn(RunBody(this, body, ended));
  });
  Monitor::Lock lock(&monitor);
  lock.WaitUntil(kNever, [&done] { return done; });
}

void LoopThread::Spawn(Body body) {
  Post([this, body = std::move(body)] { parts_->tasks->Spawn(RunBody(this, body, nullptr)); });
}

void LoopThread::Post(std::function<void()> function) { parts_->world->Post(std::move(function)); }

}  // namespace redoubt
