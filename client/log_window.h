// SPDX-License-Identifier: MIT
//
// What a LogWriter has taken and a majority of log servers does not have yet, and how far each of
// them is. Plain state: never suspends, never sends.
//
// Invariants:
//   - chunks follow each other without a gap, the last one ends at next_lsn()
//   - acknowledged() is the highest LSN that a majority of the members has; no chunk ends at or
//   below it
//   - commit() <= acknowledged() is the end of an mtr: what may be applied. (Half an mtr at the end
//   of the log may be cut off by the next writer although a majority has it.)
#pragma once

#include <cstddef>
#include <cstdint>
#include <deque>
#include <optional>
#include <string>
#include <vector>

#include "client/log_writer.h"
#include "common/base/status.h"
#include "common/base/types.h"
#include "common/innodb/mtr_assembler.h"
#include "common/runtime/sync.h"

namespace redoubt {

struct WindowChunk {
  RedoAppend append;
  uint32_t payload_crc32c = 0;
  Lsn mtr_end;  // of the last mtr that is whole with this chunk
};

class LogWindow {
 public:
  LogWindow(Scheduler* scheduler, size_t member_count);

  // Empty window at `lsn`, an mtr border. Forward only. What each member has, Acknowledge tells.
  void BeginAt(Lsn lsn);
  // Requires chunk.range.start == next_lsn() and ok(). kCorruption, kUnsupported: the payload is no
  // redo (type, LSN and offset named); not taken.
  Status Push(RedoAppend chunk);
  // The chunk that starts at `lsn`; null when none does.
  const WindowChunk* Find(Lsn lsn) const;
  // `member` has everything below `end` on disk, as part of this epoch's log. A value below its
  // former one is ignored.
  void Acknowledge(size_t member, Lsn end);
  // The epoch was begun at `member`.
  void Begun(size_t member);
  // `member` has lost its disk: it neither has nor has begun anything any more.
  void Forget(size_t member);
  // Whether the epoch stands without `member`: a majority of the others has begun it, has
  // everything from before it and everything acknowledged since. Then `member` may come back with
  // nothing, for every majority has one that knows.
  bool StandsWithout(size_t member) const;
  // From where on some member still wants redo that another one must keep: the lowest end of all.
  // What a member that was not heard yet has is not known, so it may want everything; one without
  // a log takes what there is. Never Lsn{0} with several members.
  Lsn keep_from() const;
  // The page roles that `member` knows need redo from `from` on; kMaxLsn: it knows none, or is of a
  // version that does not say. nullopt: it is not heard any more.
  void NotePagesWant(size_t member, std::optional<Lsn> from) { pages_want_.at(member) = from; }
  // What the members that are heard say together, if they are a majority. A page role is known to a
  // majority of the members (it reads nothing before), so one of these knows it. Lsn(1) when they
  // are fewer, and when none of them knows any page role; Lsn{0} with a single member, which needs
  // nobody to tell it.
  Lsn pages_want() const;
  bool begun_by_majority() const { return MajorityCount() <= begun_count_; }
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
  Lsn commit() const { return commit_; }
  Lsn member_end(size_t member) const { return member_ends_.at(member); }
  LsnWatermark& acknowledged() { return acknowledged_; }
  const LsnWatermark& acknowledged() const { return acknowledged_; }
  // Notified when bytes() shrinks, a member has more, the epoch was begun at a member, or the
  // writer fails.
  Condition& changed() { return changed_; }

  // While a StartAt is under way a server's log may already begin there.
  void set_starting_at(Lsn lsn) { starting_at_ = lsn; }
  Lsn starting_at() const { return starting_at_; }

 private:
  Lsn MajorityEnd() const;
  size_t MajorityCount() const { return member_ends_.size() / 2 + 1; }

  std::deque<WindowChunk> chunks_;
  innodb::MtrAssembler assembler_;
  Lsn epoch_start_;  // where the window first began
  Lsn commit_;
  size_t bytes_ = 0;
  Lsn next_lsn_;
  Lsn starting_at_;
  std::vector<Lsn> member_ends_;
  std::vector<std::optional<Lsn>> pages_want_;
  std::vector<bool> heard_;  // the member's end is known, or that it has none
  std::vector<bool> begun_;
  size_t begun_count_ = 0;
  LsnWatermark acknowledged_;
  Status failure_;
  Status problem_;
  Condition changed_;
};

}  // namespace redoubt
