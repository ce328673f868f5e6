// SPDX-License-Identifier: MIT
//
// Keeps looking at the server: its newest log sample, whether it runs at all, and which run of it
// this is.
//
// A generation is one unbroken SQL session: as long as it lasts the server is the same process, so
// bytes below a flushed LSN of the generation can only grow. With a new generation everything
// behind the last whole mtr may have become something else.
//
//   kUp           samples arrive
//   kUnreachable  no SQL, but something holds the files: starting, stopping, recovering, too busy
//   kDown         no SQL and nobody holds the files: nothing is written until the next start
#pragma once

#include <cstdint>
#include <deque>
#include <memory>
#include <utility>

#include "client/tail/source_probe.h"
#include "client/tail/source_server.h"
#include "client/tail/sql_session.h"
#include "common/runtime/runtime.h"
#include "common/runtime/sync.h"
#include "common/runtime/task_group.h"

namespace redoubt::tail {

enum class SourceState : uint8_t { kUnknown, kUp, kUnreachable, kDown };
const char* SourceStateName(SourceState state);

struct ServerWatchOptions {
  Duration poll_interval = std::chrono::milliseconds(200);
  Duration reconnect_interval = std::chrono::milliseconds(250);
};

class ServerWatch {
 public:
  // All borrowed pointers outlive the watch.
  ServerWatch(Runtime* runtime, SqlConnector* connector, SourceProbe* probe,
              ServerWatchOptions options);

  // Runs until `group` is stopped. kUnauthenticated and kUnsupported answers of the server end it:
  // see failure().
  Task<void> Run(TaskGroup* group);

  SourceState state() const { return state_; }
  // Counts sessions, from 1; 0 before the first.
  uint64_t generation() const { return generation_; }
  // The newest; meaningful once generation() > 0.
  const SourceSample& sample() const { return sample_; }
  const SourceFacts& facts() const { return facts_; }
  uint64_t sample_count() const { return sample_count_; }
  // Why there is no SQL; OK while kUp.
  const Status& problem() const { return problem_; }
  // What trying again cannot mend: wrong password, missing privilege, unsupported server.
  const Status& failure() const { return failure_; }
  // Woken at every sample and change of state.
  Condition& changed() { return changed_; }

  // Facts from elsewhere, until a session tells better: the server is down.
  void Assume(SourceFacts facts) { facts_ = std::move(facts); }

  // Takes the next sample at once.
  void PollNow() { poll_now_.Set(); }

  // Wall clock of the first sample at which the log was flushed up to `lsn`; 0: not known (older
  // than the samples that are kept, or not flushed yet).
  int64_t TimeOf(Lsn lsn) const;

 private:
  struct TimeSample {
    Lsn flushed;
    int64_t wall_ns;
  };

  Task<Status> Connect();
  Task<Status> Poll();
  Task<void> NoteLoss(Status status);
  void RememberTime();
  void SetState(SourceState state);

  Runtime* runtime_;
  SqlConnector* connector_;
  SourceProbe* probe_;
  ServerWatchOptions options_;
  std::unique_ptr<SourceServer> server_;
  SourceState state_ = SourceState::kUnknown;
  uint64_t generation_ = 0;
  uint64_t sample_count_ = 0;
  SourceSample sample_;
  SourceFacts facts_;
  Status problem_;
  Status failure_;
  Condition changed_;
  Event poll_now_;
  std::deque<TimeSample> times_;  // ascending, distinct LSNs; bounded
};

}  // namespace redoubt::tail
