// SPDX-License-Identifier: MIT
//
// A bounded pool of threads for work that blocks. Threads start when there is work for them, block
// all signals, and hand finished jobs back in batches: one post wakes the loop for all that ended
// since.
#pragma once

#include <signal.h>

#include <condition_variable>
#include <coroutine>
#include <cstddef>
#include <deque>
#include <functional>
#include <memory>
#include <mutex>
#include <thread>
#include <utility>
#include <vector>

#include "common/runtime/asio/event_loop.h"
#include "common/runtime/blocking.h"

namespace redoubt {

class BlockingPool final : public BlockingExecutor {
 public:
  // `loop` must outlive the pool.
  BlockingPool(EventLoop* loop, size_t thread_count_max);
  BlockingPool(const BlockingPool&) = delete;
  BlockingPool& operator=(const BlockingPool&) = delete;
  // Finishes every job first.
  ~BlockingPool() override;

  Task<void> Run(std::function<void()> work) override;
  // The same for work that borrows from the awaiting coroutine: destroying that coroutine waits for
  // the work to end.
  Task<void> RunBorrowing(std::function<void()> work);
  // Runs `work` and tells nobody. It must own what it uses.
  void Submit(std::function<void()> work) { Submit(std::move(work), nullptr); }
  // Blocks the calling thread until no job is queued or runs.
  void WaitIdle();

 private:
  class JobAwaiter;
  struct Job {
    std::function<void()> work;
    JobAwaiter* awaiter = nullptr;  // loop thread only; null: nobody waits
    bool finished = false;          // under mutex_
  };

  Job* Submit(std::function<void()> work, JobAwaiter* awaiter);
  void WaitFinished(const Job* job);
  void WorkerMain();
  void ResumeWaiters();

  EventLoop* loop_;
  const size_t thread_count_max_;
  std::mutex mutex_;
  std::condition_variable work_ready_;
  std::condition_variable job_finished_;
  std::deque<std::unique_ptr<Job>> queue_;
  std::vector<std::unique_ptr<Job>> finished_;
  size_t running_count_ = 0;
  size_t idle_thread_count_ = 0;
  size_t finish_watcher_count_ = 0;
  bool closing_ = false;
  std::vector<std::thread> threads_;
};

// Blocks every signal in the calling thread for its lifetime, so that threads started meanwhile
// inherit it.
class BlockAllSignals {
 public:
  BlockAllSignals();
  BlockAllSignals(const BlockAllSignals&) = delete;
  BlockAllSignals& operator=(const BlockAllSignals&) = delete;
  ~BlockAllSignals();

 private:
  sigset_t before_;
};

}  // namespace redoubt
