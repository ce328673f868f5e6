// SPDX-License-Identifier: MIT
//
// Cuts a contiguous stream of redo payload into mtrs. An mtr is atomic: nothing of it is shown
// before its last byte arrived, and bytes behind the last whole mtr are void (a server that
// recovers overwrites them), so a consumer must not keep them as history.
//
//   group := one record with 0x80 set | record+ (without 0x80), 31 | 32 (dummy) | 31 (end of a
//   dummy run)
//
// Bytes are copied only where an mtr straddles two feeds. Groups without records (dummies) advance
// end_lsn() and are not shown.
//
// Invariants: fed_lsn() - end_lsn() in payload bytes == buffered tail bytes; end_lsn() only grows.
#pragma once

#include <span>
#include <vector>

#include "common/base/bytes.h"
#include "common/base/status.h"
#include "common/base/types.h"
#include "common/innodb/log_block.h"
#include "common/innodb/redo_parser.h"
#include "common/innodb/redo_record.h"

namespace redoubt::innodb {

// Everything is borrowed and valid only during the callback.
struct MtrView {
  Lsn start_lsn;
  Lsn end_lsn;  // normalised: a data LSN
  // In log order, without end marks and dummies; at least one.
  std::span<const RedoRecord> records;
  // The whole group as logged, including flag bits and end mark.
  ByteView bytes;
};

class MtrAssembler {
 public:
  // `group_start_lsn`: a data LSN at which an mtr starts (first_rec_group, or a known mtr end).
  explicit MtrAssembler(Lsn group_start_lsn);

  // Takes the payload that follows what was fed before and calls `sink(const MtrView&)`, which
  // returns Status, for every mtr that became whole. `payload` is borrowed for the call only.
  // Errors: kCorruption with type, LSN and offset (the assembler then stays failed and repeats it);
  // or whatever `sink` returned: then the mtr it was shown counts as consumed, the rest of
  // `payload` is dropped and the assembler must be Reset.
  template <typename Sink>
  Status Feed(ByteView payload, Sink&& sink);

  // Forgets buffered bytes and starts over at `group_start_lsn`.
  void Reset(Lsn group_start_lsn);

  // End of the last whole mtr: the log's usable end.
  Lsn end_lsn() const { return ToLsn(Sn(group_sn_)); }
  // End of what was fed.
  Lsn fed_lsn() const { return ToLsn(Sn(group_sn_ + tail_.size())); }
  // Bytes held back because their mtr is not whole yet.
  size_t tail_bytes() const { return tail_.size(); }

 private:
  enum class Step { kMtr, kEmptyGroup, kNeedMore, kFailed };

  // Parses on in `bytes`, whose first byte is the group's first, from parsed_.
  Step ParseGroup(ByteView bytes, MtrView* mtr);
  void FinishGroup();
  void AppendToTail(ByteView bytes);
  Step Fail(const ParsedRecord& parsed, ByteView bytes, size_t offset);

  uint64_t group_sn_ = 0;  // SN of the current group's first byte
  size_t parsed_ = 0;      // bytes of the current group already parsed into records_
  std::vector<RedoRecord> records_;
  Bytes tail_;  // the current group's bytes, if it began in an earlier feed
  Status failure_;
};

template <typename Sink>
Status MtrAssembler::Feed(ByteView payload, Sink&& sink) {
  REDOUBT_RETURN_IF_ERROR(failure_);
  MtrView mtr;
  while (!payload.empty()) {
    ByteView group = payload;
    size_t before = 0;  // bytes of the group that are not in `payload`
    if (!tail_.empty()) {
      // A group straddles feeds: take as much as it holds already, so copying stays linear.
      before = tail_.size();
      const size_t want = before < 4096 ? 4096 : before;
      AppendToTail(payload.first(want < payload.size() ? want : payload.size()));
      group = tail_;
    }
    const Step step = ParseGroup(group, &mtr);
    if (step == Step::kFailed) {
      return failure_;
    }
    if (step == Step::kNeedMore) {
      if (before == 0) {
        AppendToTail(payload);
        return Status::Ok();
      }
      payload = payload.subspan(group.size() - before);
      continue;
    }
    Status status;
    if (step == Step::kMtr) {
      status = sink(static_cast<const MtrView&>(mtr));
    }
    payload = payload.subspan(parsed_ - before);
    FinishGroup();
    REDOUBT_RETURN_IF_ERROR(status);
  }
  return Status::Ok();
}

}  // namespace redoubt::innodb
