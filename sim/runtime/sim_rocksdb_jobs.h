// SPDX-License-Identifier: MIT
//
// RocksDB's background jobs without threads. RocksDB asks for a job with its mutex held, so asking
// only enqueues. A job runs in one of two places, always on the one thread of the simulation:
//
//   - as work on the node's blocking executor, one at a time, after the event that asked for it;
//   - inside a call of RocksDB that waits for a job (a flush, a close). Such a call sleeps on a
//     condition variable, and nobody else could wake it: so pthread_cond_wait is replaced in this
//     program (sim_rocksdb_jobs.cc) by one that gives the mutex back, runs a job, takes the mutex
//     again and returns, which POSIX permits at any time. Threads without a queue of jobs wait as
//     always.
//
// Neither order depends on anything but the calls, so it is the same in every run of a seed.
#pragma once

#include <cstddef>
#include <cstdint>
#include <deque>
#include <map>

#include "common/runtime/runtime.h"
#include "common/runtime/task_group.h"
#include "sim/runtime/sim_node.h"

namespace redoubt::sim {

class SimRocksdbJobs {
 public:
  // In the order in which they are served.
  enum class Pool : uint8_t { kUser, kHigh, kLow, kBottom };
  struct Job {
    void (*function)(void*) = nullptr;
    void* argument = nullptr;
    void* tag = nullptr;
    void (*removed)(void*) = nullptr;  // called instead of `function` when the job is removed
  };

  // `blocking` runs the jobs and outlives the queue.
  SimRocksdbJobs(NodeIdentity self, Scheduler* scheduler, BlockingExecutor* blocking);
  SimRocksdbJobs(const SimRocksdbJobs&) = delete;
  SimRocksdbJobs& operator=(const SimRocksdbJobs&) = delete;
  // Every database that uses the queue is closed.
  ~SimRocksdbJobs();

  void Add(Pool pool, const Job& job);
  // Removes the pool's jobs with this tag; how many.
  int Remove(Pool pool, const void* tag);
  size_t Count(Pool pool) const;
  // False when there is none.
  bool RunOne();

  // The queue whose database is on the stack and that has a job; null when there is none.
  static SimRocksdbJobs* FindWaitedFor();

 private:
  Task<void> Serve();
  bool empty() const;

  NodeIdentity self_;
  BlockingExecutor* blocking_;
  std::map<Pool, std::deque<Job>> pools_;
  Condition added_;
  TaskGroup tasks_;
};

}  // namespace redoubt::sim
