// SPDX-License-Identifier: MIT
#include "client/log_window.h"

#include <algorithm>
#include <functional>
#include <utility>

#include "common/base/check.h"
#include "common/base/crc32c.h"

namespace redoubt {

LogWindow::LogWindow(Scheduler* scheduler, size_t member_count)
    : assembler_(innodb::kFirstDataLsn),
      member_ends_(member_count),
      pages_want_(member_count),
      heard_(member_count),
      begun_(member_count),
      acknowledged_(scheduler),
      changed_(scheduler) {
  REDOUBT_CHECK(member_count > 0);
}

void LogWindow::BeginAt(Lsn lsn) {
  REDOUBT_CHECK(chunks_.empty());
  REDOUBT_CHECK(lsn >= next_lsn_);
  epoch_start_ = next_lsn_ == Lsn{} ? lsn : epoch_start_;
  next_lsn_ = lsn;
  if (lsn != Lsn{}) {
    assembler_.Reset(lsn);
  }
  changed_.NotifyAll();
}

Status LogWindow::Push(RedoAppend chunk) {
  REDOUBT_CHECK(ok());
  REDOUBT_CHECK(chunk.range.start == next_lsn_);
  REDOUBT_CHECK(chunk.payload != nullptr);
  if (chunk.first_mtr_lsn == Lsn{} && assembler_.tail_bytes() == 0) {
    chunk.first_mtr_lsn = chunk.range.start;  // its sender cannot always know
  }
  const auto look_at_nothing = [](const innodb::MtrView&) { return Status::Ok(); };
  REDOUBT_RETURN_IF_ERROR(assembler_.Feed(*chunk.payload, look_at_nothing));
  next_lsn_ = chunk.range.end;
  bytes_ += chunk.payload->size();
  const uint32_t crc = Crc32c(*chunk.payload);
  chunks_.push_back({std::move(chunk), crc, assembler_.end_lsn()});
  return Status::Ok();
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
  heard_.at(member) = true;
  if (end <= member_ends_.at(member)) {
    return;
  }
  member_ends_.at(member) = end;
  const Lsn majority = MajorityEnd();
  while (!chunks_.empty() && chunks_.front().append.range.end <= majority) {
    bytes_ -= chunks_.front().append.payload->size();
    commit_ = chunks_.front().mtr_end;
    chunks_.pop_front();
  }
  if (chunks_.empty() && majority == next_lsn_ && assembler_.tail_bytes() == 0) {
    commit_ = majority;  // also where the window began
  }
  acknowledged_.Advance(std::max(majority, acknowledged_.value()));
  changed_.NotifyAll();
}

void LogWindow::Forget(size_t member) {
  member_ends_.at(member) = Lsn{};
  heard_.at(member) = true;
  if (begun_.at(member)) {
    begun_.at(member) = false;
    --begun_count_;
  }
}

Lsn LogWindow::keep_from() const {
  if (member_count() == 1) {
    return Lsn{};
  }
  Lsn lowest = next_lsn_;
  for (size_t member = 0; member < member_ends_.size(); ++member) {
    if (!heard_[member]) {
      return Lsn(1);
    }
    if (member_ends_[member] != Lsn{}) {
      lowest = std::min(lowest, member_ends_[member]);
    }
  }
  return std::max(lowest, Lsn(1));
}

Lsn LogWindow::pages_want() const {
  if (member_count() == 1) {
    return Lsn{};
  }
  size_t heard_count = 0;
  Lsn lowest = kMaxLsn;
  for (const std::optional<Lsn>& wanted : pages_want_) {
    heard_count += wanted.has_value() ? 1 : 0;
    lowest = std::min(lowest, wanted.value_or(kMaxLsn));
  }
  return heard_count < MajorityCount() || lowest == kMaxLsn ? Lsn(1) : lowest;
}

bool LogWindow::StandsWithout(size_t member) const {
  const Lsn needed = std::max(epoch_start_, acknowledged_.value());
  size_t count = 0;
  for (size_t other = 0; other < member_ends_.size(); ++other) {
    if (other != member && begun_[other] && member_ends_[other] >= needed) {
      ++count;
    }
  }
  return count >= MajorityCount();
}

void LogWindow::Begun(size_t member) {
  if (!begun_.at(member)) {
    begun_.at(member) = true;
    ++begun_count_;
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
