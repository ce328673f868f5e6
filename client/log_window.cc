// SPDX-License-Identifier: MIT
#include "client/log_window.h"

#include <algorithm>
#include <functional>
#include <utility>

#include "common/base/check.h"
#include "common/base/crc32c.h"

namespace redoubt {

LogWindow::LogWindow(Scheduler* scheduler, size_t member_count)
    : member_ends_(member_count), acknowledged_(scheduler), changed_(scheduler) {
  REDOUBT_CHECK(member_count > 0);
}

void LogWindow::BeginAt(Lsn lsn) {
  REDOUBT_CHECK(chunks_.empty());
  REDOUBT_CHECK(lsn >= next_lsn_);
  next_lsn_ = lsn;
  for (Lsn& end : member_ends_) {
    end = std::max(end, lsn);
  }
  acknowledged_.Advance(lsn);
  changed_.NotifyAll();
}

void LogWindow::Push(RedoAppend chunk) {
  REDOUBT_CHECK(ok());
  REDOUBT_CHECK(chunk.range.start == next_lsn_);
  REDOUBT_CHECK(chunk.payload != nullptr);
  next_lsn_ = chunk.range.end;
  bytes_ += chunk.payload->size();
  const uint32_t crc = Crc32c(*chunk.payload);
  chunks_.push_back({std::move(chunk), crc});
}

const WindowChunk* LogWindow::Find(Lsn lsn) const {
  const auto found = std::lower_bound(
      chunks_.begin(), chunks_.end(), lsn,
      [](const WindowChunk& chunk, Lsn wanted) { return chunk.append.range.start < wanted; });
  return found != chunks_.end() && found->append.range.start == lsn ? &*found : nullptr;
}

Lsn LogWindow::MajorityEnd() const {
  std::vector<Lsn> ends = member_ends_;
  std::sort(ends.begin(), ends.end(), std::greater<>());
  return ends[ends.size() / 2];
}

void LogWindow::Acknowledge(size_t member, Lsn end) {
  REDOUBT_CHECK(end <= next_lsn_);
  member_ends_.at(member) = std::max(member_ends_.at(member), end);
  const Lsn majority = MajorityEnd();
  while (!chunks_.empty() && chunks_.front().append.range.end <= majority) {
    bytes_ -= chunks_.front().append.payload->size();
    chunks_.pop_front();
  }
  if (majority > acknowledged_.value()) {
    acknowledged_.Advance(majority);
    changed_.NotifyAll();
  }
}

void LogWindow::Fail(Status status) {
  REDOUBT_CHECK(!status.ok());
  if (ok()) {
    failure_ = std::move(status);
    acknowledged_.CancelWaits();
    changed_.NotifyAll();
  }
}

}  // namespace redoubt
