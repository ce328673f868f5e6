// SPDX-License-Identifier: MIT
#include "client/log_writer.h"

#include <utility>

#include "client/log_replica.h"
#include "client/log_window.h"
#include "common/base/check.h"
#include "common/innodb/log_block.h"

namespace redoubt {
namespace {

// Well below the frame limit of every server.
constexpr size_t kChunkBytesMax = 16 << 20;

Status CheckChunk(const RedoAppend& chunk, Lsn next_lsn) {
  const LsnRange range = chunk.range;
  if (range.start != next_lsn) {
    return InvalidArgument("chunk starts at " + std::to_string(range.start.value()) +
                           ", the log continues at " + std::to_string(next_lsn.value()));
  }
  if (!innodb::IsDataLsn(range.start) || !innodb::IsDataLsn(range.end) || range.empty()) {
    return InvalidArgument("[" + std::to_string(range.start.value()) + ", " +
                           std::to_string(range.end.value()) + ") is no range of data LSNs");
  }
  const uint64_t wanted = innodb::ToSn(range.end).value() - innodb::ToSn(range.start).value();
  const size_t given = chunk.payload == nullptr ? 0 : chunk.payload->size();
  if (given != wanted) {
    return InvalidArgument("chunk at " + std::to_string(range.start.value()) + " carries " +
                           std::to_string(given) + " bytes, its LSNs span " +
                           std::to_string(wanted));
  }
  if (given > kChunkBytesMax) {
    return InvalidArgument("chunk at " + std::to_string(range.start.value()) + " has " +
                           std::to_string(given) + " bytes, at most " +
                           std::to_string(kChunkBytesMax) + " go into one append");
  }
  return Status::Ok();
}

}  // namespace

LogWriter::LogWriter(Runtime* runtime, std::vector<std::string> addresses, LogWriterOptions options)
    : runtime_(runtime),
      options_(std::move(options)),
      window_(std::make_unique<LogWindow>(runtime->scheduler, addresses.size())) {
  // A majority of several needs the start protocol of Rule 4 (donor, back-fill), not only more
  // members.
  REDOUBT_CHECK(addresses.size() == 1);
  for (size_t member = 0; member < addresses.size(); ++member) {
    replicas_.push_back(std::make_unique<LogReplica>(runtime, std::move(addresses[member]), member,
                                                     window_.get(), &options_));
  }
}

LogWriter::~LogWriter() = default;

Task<Result<LogPosition>> LogWriter::Start(Epoch epoch, TimePoint deadline) {
  REDOUBT_CHECK(!started_);
  Result<LogPosition> position = co_await replicas_.front()->Prepare(epoch, deadline);
  if (!position.ok()) {
    co_return position.status();
  }
  // One member: its log is the log, whole, and the epoch goes on where it ends.
  std::erase_if(position->epochs,
                [end = position->end](const EpochStart& entry) { return entry.start > end; });
  position->epochs.push_back({position->epoch, position->end});
  const Result<Lsn> begun = co_await replicas_.front()->BeginEpoch(&*position, deadline);
  if (!begun.ok()) {
    co_return begun.status();
  }
  if (*begun != position->end) {
    co_return Corruption("the log server began epoch " + std::to_string(position->epoch.value()) +
                         " at LSN " + std::to_string(begun->value()) + ", its log ended at LSN " +
                         std::to_string(position->end.value()));
  }
  position_ = *position;
  started_ = true;
  window_->BeginAt(position_.end);
  replicas_.front()->Run(position_);
  co_return position_;
}

Task<Status> LogWriter::StartAt(Lsn start, std::string reason, TimePoint deadline) {
  REDOUBT_CHECK(started_);
  if (!innodb::IsDataLsn(start) || start < window_->next_lsn()) {
    co_return InvalidArgument("the log cannot start at " + std::to_string(start.value()) +
                              ", it ends at " + std::to_string(window_->next_lsn().value()));
  }
  const Status drained = co_await WaitAcknowledged(window_->next_lsn(), deadline);
  if (!drained.ok()) {
    co_return drained;
  }
  window_->set_starting_at(start);
  const Status status = co_await replicas_.front()->StartAt(start, std::move(reason), deadline);
  if (status.ok() && window_->ok()) {
    window_->BeginAt(start);
  }
  co_return status;
}

Task<Status> LogWriter::Append(RedoAppend chunk, TimePoint deadline) {
  REDOUBT_CHECK(started_);
  const Status checked = CheckChunk(chunk, window_->next_lsn());
  if (!checked.ok()) {
    co_return checked;
  }
  const size_t bytes = chunk.payload->size();
  while (window_->ok() && window_->bytes() > 0 &&
         window_->bytes() + bytes > options_.window_bytes) {
    const bool woken = co_await window_->changed().Wait(deadline);
    if (!woken) {
      co_return DeadlineExceeded("the append window is full, " + std::to_string(window_->bytes()) +
                                 " bytes wait for the log server" +
                                 (last_problem().ok() ? "" : ": " + last_problem().ToString()));
    }
  }
  if (!window_->ok()) {
    co_return window_->failure();
  }
  REDOUBT_CHECK(chunk.range.start == window_->next_lsn());
  window_->Push(std::move(chunk));
  for (const std::unique_ptr<LogReplica>& replica : replicas_) {
    replica->Pump();
  }
  co_return Status::Ok();
}

Task<Status> LogWriter::WaitAcknowledged(Lsn lsn, TimePoint deadline) {
  if (!window_->ok()) {
    co_return window_->failure();
  }
  const bool reached = co_await window_->acknowledged().WaitFor(lsn, deadline);
  if (reached) {
    co_return Status::Ok();
  }
  if (!window_->ok()) {
    co_return window_->failure();
  }
  co_return DeadlineExceeded("LSN " + std::to_string(lsn.value()) + " is not acknowledged, only " +
                             std::to_string(acknowledged().value()) + " is" +
                             (last_problem().ok() ? "" : ": " + last_problem().ToString()));
}

Lsn LogWriter::acknowledged() const { return window_->acknowledged().value(); }
Lsn LogWriter::next_lsn() const { return window_->next_lsn(); }
size_t LogWriter::window_bytes_used() const { return window_->bytes(); }
const Status& LogWriter::failure() const { return window_->failure(); }
const Status& LogWriter::last_problem() const { return window_->problem(); }

Task<void> LogWriter::Stop() {
  window_->Fail(Cancelled("log writer is stopping"));
  for (const std::unique_ptr<LogReplica>& replica : replicas_) {
    co_await replica->Stop();
  }
}

}  // namespace redoubt
