// SPDX-License-Identifier: MIT
//
// What a LogWriter has taken and a majority of log servers does not have yet, and how far each of
// them is. Plain state: never suspends, never sends.
//
// Invariants:
//   - chunks follow each other without a gap, the last one ends at next_lsn()
//   - acknowledged() is the highest LSN that a majority of the members has; no chunk ends at or
//   below it
#pragma once

#include <cstddef>
#include <cstdint>
#include <deque>
#include <string>
#include <vector>

#include "client/log_writer.h"
#include "common/base/status.h"
#include "common/base/types.h"
#include "common/runtime/sync.h"

namespace redoubt {

struct WindowChunk {
  RedoAppend append;
  uint32_t payload_crc32c = 0;
};

class LogWindow {
 public:
  LogWindow(Scheduler* scheduler, size_t member_count);

  // Empty window at `lsn`: what every member of the majority has. Forward only.
  void BeginAt(Lsn lsn);
  // Requires chunk.range.start == next_lsn() and ok().
  void Push(RedoAppend chunk);
  // The chunk that starts at `lsn`; null when none does.
  const WindowChunk* Find(Lsn lsn) const;
  // `member` has everything below `end` on disk. A value below its former one is ignored.
  void Acknowledge(size_t member, Lsn end);
  // Stops the writer for good; the first failure counts.
  void Fail(Status status);
  void SetProblem(Status status) { problem_ = std::move(status); }

  bool ok() const { return failure_.ok(); }
  const Status& failure() const { return failure_; }
  const Status& problem() const { return problem_; }
  Lsn next_lsn() const { return next_lsn_; }
  Lsn begin_lsn() const { return chunks_.empty() ? next_lsn_ : chunks_.front().append.range.start; }
  size_t bytes() const { return bytes_; }
  size_t member_count() const { return member_ends_.size(); }
  Lsn member_end(size_t member) const { return member_ends_.at(member); }
  LsnWatermark& acknowledged() { return acknowledged_; }
  const LsnWatermark& acknowledged() const { return acknowledged_; }
  // Notified when bytes() shrinks or the writer fails.
  Condition& changed() { return changed_; }

  // While a StartAt is under way a server's log may already begin there.
  void set_starting_at(Lsn lsn) { starting_at_ = lsn; }
  Lsn starting_at() const { return starting_at_; }

 private:
  Lsn MajorityEnd() const;

  std::deque<WindowChunk> chunks_;
  size_t bytes_ = 0;
  Lsn next_lsn_;
  Lsn starting_at_;
  std::vector<Lsn> member_ends_;
  LsnWatermark acknowledged_;
  Status failure_;
  Status problem_;
  Condition changed_;
};

}  // namespace redoubt
