// SPDX-License-Identifier: MIT
//
// records_ survives between feeds, so a large mtr that arrives in many pieces is parsed once; only
// the bodies' addresses are shifted when its bytes move into or inside tail_.
#include "common/innodb/mtr_assembler.h"

#include "common/base/check.h"

namespace redoubt::innodb {

MtrAssembler::MtrAssembler(Lsn group_start_lsn) { Reset(group_start_lsn); }

void MtrAssembler::Reset(Lsn group_start_lsn) {
  REDOUBT_CHECK(IsDataLsn(group_start_lsn));
  group_sn_ = ToSn(group_start_lsn).value();
  parsed_ = 0;
  records_.clear();
  tail_.clear();
  failure_ = Status::Ok();
}

MtrAssembler::Step MtrAssembler::ParseGroup(ByteView bytes, MtrView* mtr) {
  REDOUBT_CHECK(parsed_ <= bytes.size());
  const uint64_t group_sn = group_sn_;
  size_t at = parsed_;
  for (;;) {
    const ByteView rest = bytes.subspan(at);
    ParsedRecord parsed = ParseRecord(rest);
    if (parsed.outcome == ParseOutcome::kNeedMore) [[unlikely]] {
      parsed_ = at;
      return Step::kNeedMore;
    }
    if (parsed.outcome == ParseOutcome::kComplete && parsed.single && at != 0) [[unlikely]] {
      parsed.outcome = ParseOutcome::kCorrupt;
      parsed.problem = "single-record flag inside an mtr of several records";
    }
    if (parsed.outcome == ParseOutcome::kCorrupt) [[unlikely]] {
      return Fail(parsed, rest, at);
    }
    const bool mark = parsed.type == RedoType::kMultiRecordEnd || parsed.type == RedoType::kDummy;
    if (!mark) {
      records_.push_back({parsed.type, parsed.page, ToLsn(Sn(group_sn + at)),
                          rest.subspan(parsed.body_offset, parsed.length - parsed.body_offset)});
    }
    const bool first_dummy = at == 0 && parsed.type == RedoType::kDummy;
    at += parsed.length;
    if (parsed.single || first_dummy || parsed.type == RedoType::kMultiRecordEnd) {
      break;
    }
  }
  parsed_ = at;
  mtr->start_lsn = ToLsn(Sn(group_sn));
  mtr->end_lsn = ToLsn(Sn(group_sn + at));
  mtr->records = records_;
  mtr->bytes = bytes.first(at);
  return records_.empty() ? Step::kEmptyGroup : Step::kMtr;
}

void MtrAssembler::FinishGroup() {
  group_sn_ += parsed_;
  parsed_ = 0;
  records_.clear();
  tail_.clear();
}

void MtrAssembler::AppendToTail(ByteView bytes) {
  const uint8_t* before = tail_.empty() ? bytes.data() : tail_.data();
  const size_t size = tail_.size() + bytes.size();
  Bytes bigger;  // keeps the old buffer alive until the bodies are shifted
  if (size > tail_.capacity()) {
    bigger.reserve(size * 2);
    bigger.assign(tail_.begin(), tail_.end());
    tail_.swap(bigger);
  }
  tail_.insert(tail_.end(), bytes.begin(), bytes.end());
  if (tail_.data() == before) {
    return;
  }
  for (RedoRecord& record : records_) {
    record.body = ByteView(tail_.data() + (record.body.data() - before), record.body.size());
  }
}

MtrAssembler::Step MtrAssembler::Fail(const ParsedRecord& parsed, ByteView bytes, size_t offset) {
  failure_ = ParseError(parsed, bytes, ToLsn(Sn(group_sn_ + offset)));
  return Step::kFailed;
}

}  // namespace redoubt::innodb
