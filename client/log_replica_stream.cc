// SPDX-License-Identifier: MIT
//
// LogReplica: what the window holds is sent, many appends in flight, and acknowledged; the commit
// LSN is told with them or alone.
#include <algorithm>
#include <utility>

#include "client/log_replica.h"
#include "common/runtime/fault_point.h"
#include "common/runtime/rpc/wire_message.h"

namespace redoubt {
namespace {

// A member that is sent much more than the others have acknowledged only costs memory.
constexpr size_t kInFlightBytesMin = 1 << 20;
// How far the lowest end of the members is told without an append to tell it with.
constexpr uint64_t kKeepStepBytes = 256 << 10;
// So long the commit LSN waits for an append that tells it, too.
constexpr Duration kCommitPatience = std::chrono::milliseconds(1);

std::string Text(Lsn lsn) { return std::to_string(lsn.value()); }

}  // namespace

void LogReplica::Acknowledge(Lsn end) {
  window_->Acknowledge(member_, end);
  bool due = false;
  for (const std::unique_ptr<LogReplica>& member : *members_) {
    due = due || (member->streaming_ && member->CommitDue());
  }
  if (due) {
    for (const std::unique_ptr<LogReplica>& member : *members_) {
      member->Pump();
    }
  }
}

void LogReplica::Pump() {
  if (!streaming_) {
    return;
  }
  const WindowChunk* chunk = window_->Find(sent_);
  while (chunk != nullptr && SendChunk(*chunk)) {
    sent_ = chunk->append.range.end;
    chunk = window_->Find(sent_);
  }
  if (CommitDue()) {
    commit_due_.NotifyAll();
  }
  changed_.NotifyAll();
}

// Those who wait for an acknowledgement mostly append something next, which tells the commit LSN,
// too: then a message of its own is not needed.
Task<void> LogReplica::CommitLoop() {
  while (!tasks_.stopping()) {
    co_await commit_due_.Wait();
    co_await tasks_.stop_event().Wait(runtime_->scheduler->Now() + kCommitPatience);
    if (streaming_ && CommitDue()) {
      SendCommit();
    }
  }
}

bool LogReplica::CommitDue() const {
  return commit_told_ < window_->commit() ||
         window_->keep_from().value() >= keep_told_.value() + kKeepStepBytes;
}

Lsn LogReplica::CommitWith(const WindowChunk& chunk) const {
  return alone() ? std::max(window_->commit(), chunk.mtr_end) : window_->commit();
}

bool LogReplica::SendChunk(const WindowChunk& chunk) {
  const size_t bytes = chunk.append.payload->size();
  if (in_flight_bytes_ > 0 &&
      in_flight_bytes_ + bytes > 2 * std::max(options_->window_bytes, kInFlightBytesMin)) {
    return false;
  }
  proto::AppendRequest request;
  request.set_volume_id(volume_.value());
  request.set_epoch(plan_->epoch.value());
  request.set_start_lsn(chunk.append.range.start.value());
  request.set_end_lsn(chunk.append.range.end.value());
  request.set_first_mtr_lsn(chunk.append.first_mtr_lsn.value());
  request.set_payload_crc32c(chunk.payload_crc32c);
  request.set_source_time_unix_ns(chunk.append.source_time_unix_ns);
  request.set_commit_lsn(window_->commit().value());
  request.set_keep_from_lsn(window_->keep_from().value());
  request.set_pages_want_lsn(window_->pages_want().value());
  request.set_mtr_end_lsn(chunk.mtr_end.value());
  RpcRequest rpc{proto::LOG_APPEND, Serialise(request), chunk.append.payload};
  const Result<uint64_t> id = channel_->Send(std::move(rpc));
  if (!id.ok()) {
    // Dead, which the receive loop sees, or enough in flight, and an answer pumps again.
    return false;
  }
  commit_told_ = CommitWith(chunk);
  keep_told_ = window_->keep_from();
  in_flight_.push_back({*id, chunk.append.range.end, bytes});
  in_flight_bytes_ += bytes;
  return true;
}

void LogReplica::SendCommit() {
  proto::LogCommitRequest request;
  request.set_volume_id(volume_.value());
  request.set_epoch(plan_->epoch.value());
  request.set_commit_lsn(window_->commit().value());
  request.set_keep_from_lsn(window_->keep_from().value());
  request.set_pages_want_lsn(window_->pages_want().value());
  RpcRequest rpc{proto::LOG_COMMIT, Serialise(request), nullptr};
  const Result<uint64_t> id = channel_->Send(std::move(rpc));
  if (id.ok()) {
    channel_->Abandon(*id);  // told again with whatever comes next
    commit_told_ = window_->commit();
    keep_told_ = window_->keep_from();
  }
}

Task<Status> LogReplica::ReceiveLoop() {
  while (!tasks_.stopping()) {
    if (in_flight_.empty()) {
      if (!channel_->failure().ok()) {
        co_return channel_->failure();
      }
      if (!InWindow(sent_) && sent_ < window_->next_lsn()) {
        co_return Unavailable("it fell behind what the writer holds; filling it up");
      }
      const TimePoint idle_until = runtime_->scheduler->Now() + options_->idle_probe;
      const bool woken = co_await changed_.Wait(idle_until);
      if (!woken && in_flight_.empty()) {
        const Status heard = co_await TellCommit(CallDeadline());
        if (!heard.ok()) {
          co_return heard;
        }
      }
      continue;
    }
    const InFlight first = in_flight_.front();
    in_flight_.pop_front();
    const Result<Frame> frame = co_await channel_->Receive(first.request_id, CallDeadline());
    if (!frame.ok()) {
      co_return frame.status();
    }
    in_flight_bytes_ -= first.bytes;
    proto::AppendResponse answer;
    if (!answer.ParseFromArray(frame->header.data(), static_cast<int>(frame->header.size()))) {
      co_return Corruption("the answer is no AppendResponse");
    }
    const Status status = FromProto(answer.status());
    if (status.code() == StatusCode::kGap) {
      // An append before this one was refused, or the server restarted: agree on the end again,
      // which tells a gap that cannot be filled.
      co_return Unavailable(status.message());
    }
    const bool counts = status.code() == StatusCode::kStaleEpoch &&
                        REDOUBT_PLANTED(runtime_, refused_append_counts);
    if (!status.ok() && !counts) {
      co_return status;
    }
    const bool all = REDOUBT_PLANTED(runtime_, acknowledges_all_sent);
    if (Lsn(answer.end_lsn()) < first.end && !counts) {
      co_return Corruption("an append up to " + Text(first.end) +
                           " was accepted, yet the log ends at " +
                           std::to_string(answer.end_lsn()));
    }
    NotePagesWant(Lsn(answer.pages_want_lsn()));
    Acknowledge(all ? std::max(sent_, first.end) : first.end);
    Pump();
  }
  co_return Cancelled("log writer is stopping");
}

// Asked of an idle server: one that was restarted does not know any more how much is committed, and
// one that was taken over by another writer says so.
Task<Status> LogReplica::TellCommit(TimePoint deadline) {
  proto::LogCommitRequest request;
  request.set_volume_id(volume_.value());
  request.set_epoch(plan_->epoch.value());
  request.set_commit_lsn(window_->commit().value());
  request.set_keep_from_lsn(window_->keep_from().value());
  request.set_pages_want_lsn(window_->pages_want().value());
  const std::shared_ptr<RpcChannel> channel = channel_;
  VolumeClient client(channel.get());
  const Result<proto::LogCommitResponse> answer =
      co_await client.LogCommit(std::move(request), deadline);
  if (answer.ok() && channel == channel_) {
    NotePagesWant(Lsn(answer->pages_want_lsn()));
  }
  co_return answer.status();
}

void LogReplica::NotePagesWant(Lsn from) {
  window_->NotePagesWant(member_, from == Lsn{} ? kMaxLsn : from);
}

// What SendCommit gave to the channel may never leave it once that is shut down.
Task<void> LogReplica::TellCommitAtLast(TimePoint deadline) {
  if (streaming_ && window_->commit() != Lsn{}) {
    const Status told = co_await TellCommit(deadline);
    if (!told.ok()) {
      runtime_->log->Info("log server " + address_ + " does not know of LSN " +
                          Text(window_->commit()) +
                          " as committed before the next writer: " + told.ToString());
    }
  }
}

}  // namespace redoubt
