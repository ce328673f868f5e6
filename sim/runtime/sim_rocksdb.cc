// SPDX-License-Identifier: MIT
#include "sim/runtime/sim_rocksdb.h"

#include <rocksdb/env.h>
#include <rocksdb/system_clock.h>  // tidy: allow(clock): the interface behind which ours stands

#include <algorithm>
#include <array>
#include <functional>
#include <string>
#include <utility>

#include "sim/runtime/sim_rocksdb_files.h"
#include "sim/runtime/sim_rocksdb_jobs.h"
#include "sim/runtime/sim_world.h"

namespace redoubt::sim {
namespace {

constexpr int64_t kNsPerSecond = 1'000'000'000;

SimRocksdbJobs::Pool PoolOf(rocksdb::Env::Priority priority) {
  switch (priority) {
    case rocksdb::Env::Priority::BOTTOM:
      return SimRocksdbJobs::Pool::kBottom;
    case rocksdb::Env::Priority::LOW:
      return SimRocksdbJobs::Pool::kLow;
    case rocksdb::Env::Priority::HIGH:
      return SimRocksdbJobs::Pool::kHigh;
    default:
      return SimRocksdbJobs::Pool::kUser;
  }
}

}  // namespace

// The wall clock, and the time that a call of RocksDB has slept or spent on files meanwhile.
class SimRocksdb::Clock final : public rocksdb::SystemClock {
 public:
  explicit Clock(const WallClock* wall_clock) : wall_clock_(wall_clock) {}
  void SetFiles(SimRocksdbFiles* files) { files_ = files; }

  const char* Name() const override { return "SimRocksdbClock"; }
  uint64_t NowMicros() override { return NowNanos() / 1000; }
  uint64_t NowNanos() override {
    return static_cast<uint64_t>(wall_clock_->NowUnixNs() + files_->owed_ns());
  }
  void SleepForMicroseconds(int micros) override { files_->Owe(int64_t{micros} * 1000); }
  rocksdb::Status GetCurrentTime(int64_t* seconds) override {
    *seconds = static_cast<int64_t>(NowNanos()) / kNsPerSecond;
    return rocksdb::Status::OK();
  }
  std::string TimeToString(uint64_t seconds) override { return std::to_string(seconds); }

 private:
  const WallClock* wall_clock_;
  SimRocksdbFiles* files_ = nullptr;
};

// Runs work as the node's executor does, and then lets the time pass that its files took.
class SimRocksdb::Executor final : public BlockingExecutor {
 public:
  explicit Executor(const Runtime& runtime)
      : blocking_(runtime.blocking), scheduler_(runtime.scheduler) {}
  void SetFiles(SimRocksdbFiles* files) { files_ = files; }

  Task<void> Run(std::function<void()> work) override {
    co_await blocking_->Run(std::move(work));
    const int64_t owed_ns = files_->TakeOwedNs();
    // A machine that is about to die must not act on what the dead disk answered.
    if (owed_ns > 0 || files_->gone()) {
      co_await scheduler_->Sleep(Duration(owed_ns));
    }
  }

 private:
  BlockingExecutor* blocking_;
  Scheduler* scheduler_;
  SimRocksdbFiles* files_ = nullptr;
};

class SimRocksdb::Environment final : public rocksdb::EnvWrapper {
 public:
  Environment(NodeIdentity self, const Runtime& runtime, BlockingExecutor* executor,
              const std::shared_ptr<SimRocksdbFiles>& files, const std::shared_ptr<Clock>& clock)
      : rocksdb::EnvWrapper(rocksdb::NewCompositeEnv(files)),
        jobs_(self, runtime.scheduler, executor),
        ids_(&self.world->random(), "rocksdb-id", self.entity()) {
    file_system_ = files;
    system_clock_ = clock;
  }

  const char* Name() const override { return "SimRocksdb"; }
  void Schedule(void (*function)(void*), void* argument, Priority priority, void* tag,
                void (*removed)(void*)) override {
    jobs_.Add(PoolOf(priority), SimRocksdbJobs::Job{function, argument, tag, removed});
  }
  int UnSchedule(void* tag, Priority priority) override {
    return jobs_.Remove(PoolOf(priority), tag);
  }
  unsigned int GetThreadPoolQueueLen(Priority priority) const override {
    return static_cast<unsigned int>(jobs_.Count(PoolOf(priority)));
  }
  void StartThread(void (*function)(void*), void* argument) override {
    jobs_.Add(SimRocksdbJobs::Pool::kUser,
              SimRocksdbJobs::Job{function, argument, nullptr, nullptr});
  }
  void WaitForJoin() override {
    while (jobs_.RunOne()) {
    }
  }
  // Threads that a pool would have: one job at a time, none at the bottom.
  void SetBackgroundThreads(int /*count*/, Priority /*priority*/) override {}
  void IncBackgroundThreadsIfNeeded(int /*count*/, Priority /*priority*/) override {}
  int GetBackgroundThreads(Priority priority) override { return priority == BOTTOM ? 0 : 1; }
  int ReserveThreads(int /*count*/, Priority /*priority*/) override { return 0; }
  int ReleaseThreads(int /*count*/, Priority /*priority*/) override { return 0; }
  void LowerThreadPoolIOPriority(Priority /*priority*/) override {}
  void LowerThreadPoolCPUPriority(Priority /*priority*/) override {}
  rocksdb::Status LowerThreadPoolCPUPriority(Priority /*priority*/,
                                             rocksdb::CpuPriority /*cpu*/) override {
    return rocksdb::Status::OK();
  }
  uint64_t GetThreadID() const override { return 1; }

  uint64_t NowMicros() override { return system_clock_->NowMicros(); }
  uint64_t NowNanos() override { return system_clock_->NowNanos(); }
  uint64_t NowCPUNanos() override { return 0; }
  void SleepForMicroseconds(int micros) override { system_clock_->SleepForMicroseconds(micros); }
  rocksdb::Status GetCurrentTime(int64_t* seconds) override {
    return system_clock_->GetCurrentTime(seconds);
  }
  std::string TimeToString(uint64_t seconds) override {
    return system_clock_->TimeToString(seconds);
  }

  rocksdb::Status GetHostName(char* name, uint64_t size) override {
    constexpr std::string_view kName = "simulated";
    const size_t count = std::min<size_t>(kName.size(), size == 0 ? 0 : size - 1);
    std::copy_n(kName.begin(), count, name);
    if (size > 0) {
      name[count] = '\0';
    }
    return rocksdb::Status::OK();
  }
  // As long as a real one: its length counts in file sizes.
  std::string GenerateUniqueId() override {
    constexpr std::string_view kDigits = "0123456789abcdef";
    std::string id = "00000000-0000-0000-0000-000000000000";
    for (char& digit : id) {
      if (digit == '0') {
        digit = kDigits[ids_.Below(kDigits.size())];
      }
    }
    return id;
  }

 private:
  SimRocksdbJobs jobs_;
  SeededStream ids_;
};

SimRocksdb::SimRocksdb(NodeIdentity self, const Runtime& runtime)
    : runtime_(runtime), executor_(std::make_unique<Executor>(runtime)) {
  const auto clock = std::make_shared<Clock>(runtime.wall_clock);
  const auto wall_seconds = [clock = clock.get()] {
    int64_t seconds = 0;
    clock->GetCurrentTime(&seconds).PermitUncheckedError();
    return static_cast<uint64_t>(seconds);
  };
  const auto files = std::make_shared<SimRocksdbFiles>(self, runtime.scheduler, wall_seconds);
  clock->SetFiles(files.get());
  executor_->SetFiles(files.get());
  runtime_.blocking = executor_.get();
  environment_ = std::make_unique<Environment>(self, runtime, executor_.get(), files, clock);
}

SimRocksdb::~SimRocksdb() = default;

rocksdb::Env* SimRocksdb::env() { return environment_.get(); }

}  // namespace redoubt::sim
