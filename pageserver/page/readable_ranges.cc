// SPDX-License-Identifier: MIT
#include "pageserver/page/readable_ranges.h"

#include "common/base/check.h"

namespace redoubt {
namespace {

constexpr uint8_t kFormat = 1;

std::string Text(Lsn lsn) { return std::to_string(lsn.value()); }

}  // namespace

Status ReadableRanges::Check(Lsn read_lsn) const {
  for (auto range = ranges_.rbegin(); range != ranges_.rend(); ++range) {
    if (range->start <= read_lsn && read_lsn <= range->end) {
      return Status::Ok();
    }
  }
  for (const LsnRange& hole : holes_) {
    if (hole.start < read_lsn && read_lsn <= hole.end) {
      return Status(StatusCode::kHole, "LSN " + Text(read_lsn) +
                                           " lies in redo that was lost: the stream ends at " +
                                           Text(hole.start) + " and goes on at " + Text(hole.end));
    }
  }
  const Range& last = ranges_.back();
  if (last.end != kMaxLsn && read_lsn > last.end) {
    return Status(StatusCode::kHole, "LSN " + Text(read_lsn) + " cannot be read: redo after " +
                                         Text(last.end) +
                                         " was lost and no new import has ended since");
  }
  return Status(StatusCode::kBelowHorizon, "LSN " + Text(read_lsn) + " is below the horizon " +
                                               Text(horizon_) +
                                               ", the oldest LSN with complete history");
}

void ReadableRanges::SetHorizon(Lsn horizon) {
  Range& last = ranges_.back();
  if (last.end != kMaxLsn) {
    // After a hole: history is complete again from here.
    if (horizon > last.end) {
      ranges_.push_back({horizon, kMaxLsn});
    }
  } else if (last.start == Lsn{}) {
    last.start = horizon;
  }
  horizon_ = horizon > horizon_ ? horizon : horizon_;
}

bool ReadableRanges::AddHole(Lsn known_until, Lsn resumes_at) {
  REDOUBT_CHECK(known_until < resumes_at);
  for (const LsnRange& hole : holes_) {
    if (hole.start == known_until && hole.end == resumes_at) {
      return false;
    }
  }
  REDOUBT_CHECK(holes_.empty() || holes_.back().end <= known_until);
  holes_.push_back({known_until, resumes_at});
  Range& last = ranges_.back();
  if (last.end == kMaxLsn) {
    if (last.start <= known_until) {
      last.end = known_until;
    } else if (ranges_.size() > 1) {
      ranges_.pop_back();  // nothing of it was ever complete
    } else {
      last = {Lsn{}, Lsn{}};
    }
  }
  if (horizon_ > resumes_at) {
    // The import that repairs the hole was announced before its redo was read.
    ranges_.push_back({horizon_, kMaxLsn});
  }
  return true;
}

Bytes ReadableRanges::Encode() const {
  Bytes out;
  ByteWriter writer(&out);
  writer.U8(kFormat);
  writer.U64(horizon_.value());
  writer.Varint(ranges_.size());
  for (const Range& range : ranges_) {
    writer.U64(range.start.value());
    writer.U64(range.end.value());
  }
  writer.Varint(holes_.size());
  for (const LsnRange& hole : holes_) {
    writer.U64(hole.start.value());
    writer.U64(hole.end.value());
  }
  return out;
}

Status ReadableRanges::Decode(ByteView bytes) {
  ByteReader reader(bytes);
  if (reader.U8() != kFormat) {
    return Corruption("readable ranges: unknown format");
  }
  horizon_ = Lsn(reader.U64());
  ranges_.clear();
  for (uint64_t n = reader.Varint(); n > 0 && !reader.failed(); --n) {
    const Lsn start(reader.U64());
    ranges_.push_back({start, Lsn(reader.U64())});
  }
  holes_.clear();
  for (uint64_t n = reader.Varint(); n > 0 && !reader.failed(); --n) {
    const Lsn start(reader.U64());
    holes_.push_back({start, Lsn(reader.U64())});
  }
  return reader.AtEnd() && !ranges_.empty() ? Status::Ok()
                                            : Corruption("readable ranges cannot be decoded");
}

}  // namespace redoubt
