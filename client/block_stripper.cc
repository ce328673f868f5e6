// SPDX-License-Identifier: MIT
#include "client/block_stripper.h"

#include <algorithm>
#include <string>

#include "common/base/check.h"
#include "common/innodb/log_block.h"

namespace redoubt {
namespace {

using innodb::kLogBlockBytes;
using innodb::kLogBlockHeaderBytes;

std::string Text(Lsn lsn) { return std::to_string(lsn.value()); }

}  // namespace

Lsn NormaliseEnd(Lsn lsn) {
  return lsn.value() % kLogBlockBytes == 0 ? Lsn(lsn.value() + kLogBlockHeaderBytes) : lsn;
}

void BlockStripper::Reset(Lsn next) {
  REDOUBT_CHECK(innodb::IsDataLsn(next));
  next_lsn_ = next;
  tail_begin_ = next;
  tail_.clear();
}

Status BlockStripper::CheckShape(size_t size, Lsn block_start, Lsn end) const {
  if (next_lsn_ == Lsn{}) {
    return InvalidArgument("the log has not begun: say first where it starts");
  }
  if (size == 0 || size % kLogBlockBytes != 0 || block_start.value() % kLogBlockBytes != 0) {
    return InvalidArgument(std::to_string(size) + " bytes at LSN " + Text(block_start) +
                           " are no whole log blocks");
  }
  if (!innodb::IsDataLsn(end)) {
    return InvalidArgument("LSN " + Text(end) + " is no place where redo can end");
  }
  const Lsn first(block_start.value() + kLogBlockHeaderBytes);
  const Lsn last(first.value() + size - kLogBlockBytes);
  if (end < last || end > Lsn(last.value() + kLogBlockBytes)) {
    return InvalidArgument("redo that ends at LSN " + Text(end) + " does not end in the last of " +
                           std::to_string(size / kLogBlockBytes) + " blocks from LSN " +
                           Text(block_start) + " on");
  }
  if (first > next_lsn_) {
    const bool same_block = innodb::AlignToBlock(next_lsn_) == block_start;
    if (!same_block) {
      return {StatusCode::kGap, "the blocks start at LSN " + Text(block_start) +
                                    ", the log continues at LSN " + Text(next_lsn_)};
    }
  }
  if (end < next_lsn_) {
    return InvalidArgument("redo that ends at LSN " + Text(end) +
                           " was appended already; the log continues at LSN " + Text(next_lsn_));
  }
  return Status::Ok();
}

Status BlockStripper::TakeBlock(ByteView block, Lsn block_lsn, bool last,
                                StrippedRedo* redo) const {
  const innodb::LogBlockCheck check = innodb::CheckLogBlock(block, block_lsn);
  const std::string where = "the log block at LSN " + Text(block_lsn);
  if (check.state == innodb::LogBlockState::kEncrypted || (check.valid() && check.unchecked)) {
    return Unsupported(where + (check.unchecked ? " has no checksum: set innodb_log_checksums=ON"
                                                : " is encrypted"));
  }
  if (!check.valid()) {
    return Corruption(where + " is " + std::string(LogBlockStateName(check.state)));
  }
  const Lsn data_begin(block_lsn.value() + kLogBlockHeaderBytes);
  const Lsn data_end = innodb::AdvanceLsn(data_begin, check.payload.size());
  if (last ? data_end != redo->range.end : check.state != innodb::LogBlockState::kFull) {
    return Corruption(where + " has " + std::to_string(check.payload.size()) +
                      " bytes of data, which is not what the append says");
  }
  const Lsn from = std::clamp(redo->range.start, data_begin, data_end);
  const auto skipped =
      static_cast<size_t>(innodb::ToSn(from).value() - innodb::ToSn(data_begin).value());
  if (tail_begin_ >= data_begin && tail_begin_ < from) {
    const ByteView again = check.payload.subspan(
        innodb::ToSn(tail_begin_).value() - innodb::ToSn(data_begin).value(), tail_.size());
    if (!std::equal(again.begin(), again.end(), tail_.begin())) {
      return Corruption(where + " differs from what was appended before");
    }
  }
  const ByteView fresh = check.payload.subspan(skipped);
  redo->payload.insert(redo->payload.end(), fresh.begin(), fresh.end());
  const Lsn group(block_lsn.value() + check.header.first_rec_group);
  if (redo->first_mtr_lsn == Lsn{} && check.header.first_rec_group != 0 &&
      innodb::IsDataLsn(group) && redo->range.Contains(group)) {
    redo->first_mtr_lsn = group;
  }
  return Status::Ok();
}

Result<StrippedRedo> BlockStripper::Strip(ByteView blocks, Lsn block_start, Lsn end) const {
  end = NormaliseEnd(end);
  REDOUBT_RETURN_IF_ERROR(CheckShape(blocks.size(), block_start, end));
  StrippedRedo redo;
  redo.range = {next_lsn_, end};
  redo.payload.reserve(innodb::ToSn(end).value() - innodb::ToSn(next_lsn_).value());
  for (size_t at = 0; at < blocks.size(); at += kLogBlockBytes) {
    const bool last = at + kLogBlockBytes == blocks.size();
    REDOUBT_RETURN_IF_ERROR(
        TakeBlock(blocks.subspan(at, kLogBlockBytes), Lsn(block_start.value() + at), last, &redo));
  }
  REDOUBT_CHECK(redo.payload.size() == innodb::ToSn(end).value() - innodb::ToSn(next_lsn_).value());
  return redo;
}

void BlockStripper::Accept(const StrippedRedo& redo) {
  REDOUBT_CHECK(redo.range.start == next_lsn_);
  next_lsn_ = redo.range.end;
  const Lsn block_begin(innodb::AlignToBlock(next_lsn_).value() + kLogBlockHeaderBytes);
  if (redo.range.start <= block_begin) {
    tail_begin_ = block_begin;
    tail_.assign(redo.payload.end() - static_cast<ptrdiff_t>(innodb::ToSn(next_lsn_).value() -
                                                             innodb::ToSn(block_begin).value()),
                 redo.payload.end());
  } else {
    tail_.insert(tail_.end(), redo.payload.begin(), redo.payload.end());
  }
}

}  // namespace redoubt
