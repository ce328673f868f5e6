// SPDX-License-Identifier: MIT
#include "common/runtime/asio/blocking_pool.h"

#include <pthread.h>

#include <utility>

#include "common/base/check.h"

namespace redoubt {

class BlockingPool::JobAwaiter {
 public:
  JobAwaiter(BlockingPool* pool, std::function<void()>* work, bool borrows)
      : pool_(pool), work_(work), borrows_(borrows) {}
  JobAwaiter(const JobAwaiter&) = delete;
  JobAwaiter& operator=(const JobAwaiter&) = delete;
  ~JobAwaiter() {
    if (job_ != nullptr) {
      job_->awaiter = nullptr;
      if (borrows_) {
        pool_->WaitFinished(job_);
      }
    } else if (handle_ != nullptr) {
      pool_->loop_->Unschedule(handle_);
    }
  }
  bool await_ready() const noexcept { return false; }
  void await_suspend(std::coroutine_handle<> handle) {
    handle_ = handle;
    job_ = pool_->Submit(std::move(*work_), this);
  }
  void await_resume() { handle_ = nullptr; }
  // On the loop, before the job is freed.
  void OnFinished() {
    job_ = nullptr;
    pool_->loop_->Schedule(handle_);
  }

 private:
  BlockingPool* pool_;
  std::function<void()>* work_;
  bool borrows_;
  Job* job_ = nullptr;
  std::coroutine_handle<> handle_;  // while suspended
};

BlockingPool::BlockingPool(EventLoop* loop, size_t thread_count_max)
    : loop_(loop), thread_count_max_(thread_count_max) {
  REDOUBT_CHECK(thread_count_max > 0);
}

BlockingPool::~BlockingPool() {
  {
    const std::lock_guard lock(mutex_);
    closing_ = true;
  }
  work_ready_.notify_all();
  for (std::thread& thread : threads_) {
    thread.join();
  }
  REDOUBT_CHECK(queue_.empty());
}

Task<void> BlockingPool::Run(std::function<void()> work) {
  JobAwaiter awaiter(this, &work, false);
  co_await awaiter;
}

Task<void> BlockingPool::RunBorrowing(std::function<void()> work) {
  JobAwaiter awaiter(this, &work, true);
  co_await awaiter;
}

BlockingPool::Job* BlockingPool::Submit(std::function<void()> work, JobAwaiter* awaiter) {
  auto job = std::make_unique<Job>(Job{std::move(work), awaiter, false});
  Job* const submitted = job.get();
  bool wake = false;
  {
    const std::lock_guard lock(mutex_);
    REDOUBT_CHECK(!closing_);
    queue_.push_back(std::move(job));
    wake = idle_thread_count_ > 0;
    if (queue_.size() > idle_thread_count_ && threads_.size() < thread_count_max_) {
      const BlockAllSignals blocked;
      threads_.emplace_back([this] { WorkerMain(); });
    }
  }
  if (wake) {
    work_ready_.notify_one();
  }
  return submitted;
}

void BlockingPool::WaitFinished(const Job* job) {
  std::unique_lock lock(mutex_);
  ++finish_watcher_count_;
  job_finished_.wait(lock, [job] { return job->finished; });
  --finish_watcher_count_;
}

void BlockingPool::WaitIdle() {
  std::unique_lock lock(mutex_);
  ++finish_watcher_count_;
  job_finished_.wait(lock, [this] { return queue_.empty() && running_count_ == 0; });
  --finish_watcher_count_;
}

void BlockingPool::WorkerMain() {
  pthread_setname_np(pthread_self(), "blocking");
  std::unique_lock lock(mutex_);
  for (;;) {
    ++idle_thread_count_;
    work_ready_.wait(lock, [this] { return !queue_.empty() || closing_; });
    --idle_thread_count_;
    if (queue_.empty()) {
      return;
    }
    std::unique_ptr<Job> job = std::move(queue_.front());
    queue_.pop_front();
    ++running_count_;
    lock.unlock();
    job->work();
    job->work = nullptr;  // what the work owned ends here, on this thread
    lock.lock();
    job->finished = true;
    finished_.push_back(std::move(job));
    if (finished_.size() == 1) {
      // Without the lock, which the loop takes as soon as it is awake.
      lock.unlock();
      loop_->Post([this] { ResumeWaiters(); });
      lock.lock();
    }
    --running_count_;
    if (finish_watcher_count_ > 0) {
      job_finished_.notify_all();
    }
  }
}

void BlockingPool::ResumeWaiters() {
  std::vector<std::unique_ptr<Job>> batch;
  {
    const std::lock_guard lock(mutex_);
    batch.swap(finished_);
  }
  for (const std::unique_ptr<Job>& job : batch) {
    if (job->awaiter != nullptr) {
      job->awaiter->OnFinished();
    }
  }
}

BlockAllSignals::BlockAllSignals() {
  sigset_t all;
  sigfillset(&all);
  pthread_sigmask(SIG_SETMASK, &all, &before_);
}

BlockAllSignals::~BlockAllSignals() { pthread_sigmask(SIG_SETMASK, &before_, nullptr); }

}  // namespace redoubt
