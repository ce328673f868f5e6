// SPDX-License-Identifier: MIT
#include "sim/runtime/sim_rocksdb_jobs.h"

#include <pthread.h>
#include <time.h>

#include <algorithm>
#include <functional>
#include <utility>
#include <vector>

#include "common/base/check.h"
#include "sim/runtime/sim_world.h"

namespace redoubt::sim {
namespace {

// What pthread_cond_wait, which has no other way to learn it, finds on its own thread: the queues
// of the worlds that run there. Empty on RocksDB's timer thread, which must really wait.
thread_local std::vector<SimRocksdbJobs*> queues_of_thread;

}  // namespace

SimRocksdbJobs::SimRocksdbJobs(NodeIdentity self, Scheduler* scheduler, BlockingExecutor* blocking)
    : self_(self), blocking_(blocking), added_(scheduler), tasks_(scheduler) {
  queues_of_thread.push_back(this);
  tasks_.Spawn(Serve());
}

SimRocksdbJobs::~SimRocksdbJobs() {
  REDOUBT_CHECK(empty());
  std::erase(queues_of_thread, this);
}

bool SimRocksdbJobs::empty() const {
  return std::all_of(pools_.begin(), pools_.end(),
                     [](const auto& pool) { return pool.second.empty(); });
}

void SimRocksdbJobs::Add(Pool pool, const Job& job) {
  pools_[pool].push_back(job);
  added_.NotifyAll();
}

int SimRocksdbJobs::Remove(Pool pool, const void* tag) {
  std::vector<Job> removed;
  std::deque<Job> kept;
  for (const Job& job : std::exchange(pools_[pool], {})) {
    if (job.tag == tag) {
      removed.push_back(job);
    } else {
      kept.push_back(job);
    }
  }
  pools_[pool] = std::move(kept);
  for (const Job& job : removed) {
    if (job.removed != nullptr) {
      job.removed(job.argument);
    }
  }
  return static_cast<int>(removed.size());
}

size_t SimRocksdbJobs::Count(Pool pool) const {
  const auto found = pools_.find(pool);
  return found == pools_.end() ? 0 : found->second.size();
}

bool SimRocksdbJobs::RunOne() {
  for (auto& [pool, jobs] : pools_) {
    if (!jobs.empty()) {
      const Job job = jobs.front();
      jobs.pop_front();
      job.function(job.argument);
      return true;
    }
  }
  return false;
}

Task<void> SimRocksdbJobs::Serve() {
  for (;;) {
    while (empty()) {
      co_await added_.Wait();
    }
    // A waiting call may have run it meanwhile.
    std::function<void()> work = [this] { RunOne(); };
    co_await blocking_->Run(std::move(work));
  }
}

SimRocksdbJobs* SimRocksdbJobs::FindWaitedFor() {
  SimRocksdbJobs* any = nullptr;
  for (SimRocksdbJobs* const queue : queues_of_thread) {
    if (queue->empty()) {
      continue;
    }
    const NodeId running = queue->self_.world->running_node();
    if (running == queue->self_.node || !queue->self_.alive()) {
      return queue;
    }
    any = any == nullptr && running == kWorldNode ? queue : any;
  }
  return any;
}

}  // namespace redoubt::sim

extern "C" __attribute__((visibility("default"))) int pthread_cond_wait(
    pthread_cond_t* condition, pthread_mutex_t* mutex) noexcept(false) {
  redoubt::sim::SimRocksdbJobs* const jobs = redoubt::sim::SimRocksdbJobs::FindWaitedFor();
  if (jobs == nullptr) {
    constexpr timespec kForever{int64_t{1} << 40, 0};
    const int result = pthread_cond_timedwait(condition, mutex, &kForever);
    return result;
  }
  pthread_mutex_unlock(mutex);
  jobs->RunOne();
  return pthread_mutex_lock(mutex);
}
