// SPDX-License-Identifier: MIT
//
// LogReplica: how a log server joins the writer's epoch on a new connection: its volume is found,
// or made anew when it lost its disk, its promise is made sure of, and the epoch is begun there.
#include <utility>

#include "client/log_replica.h"
#include "common/runtime/fault_point.h"

namespace redoubt {
namespace {

std::string Text(Lsn lsn) { return std::to_string(lsn.value()); }
std::string Text(Epoch epoch) { return std::to_string(epoch.value()); }

}  // namespace

Task<Status> LogReplica::FindVolume(TimePoint deadline) {
  VolumeClient client(channel_.get());
  proto::VolumeStatusRequest request;
  request.set_name(options_->volume);
  const Result<proto::VolumeStatusResponse> answer =
      co_await client.VolumeStatus(std::move(request), deadline);
  if (!answer.ok()) {
    co_return answer.status();
  }
  const uint64_t uid = answer->volume().volume_uid();
  if (plan_ != nullptr && uid != plan_->volume_uid) {
    co_return InvalidArgument("it holds another volume named " + options_->volume +
                              "; delete it there, or leave this server out");
  }
  volume_ = VolumeId(answer->volume().volume_id());
  co_return Status::Ok();
}

// Whether a majority without this member is in the writer's epoch now, not only when it was last
// heard of. Each page role is known to one of them, as to one of every majority.
Task<bool> LogReplica::OthersConfirm(TimePoint deadline) {
  size_t count = 0;
  readers_elsewhere_.clear();
  for (const std::unique_ptr<LogReplica>& member : *members_) {
    if (member.get() != this && member->streaming_) {
      const Result<proto::LogStatusResponse> log = co_await member->AskLog(deadline);
      if (log.ok() && member->CheckStillAt(plan_->epoch, *log).ok()) {
        NoteReaders(*log);
        ++count;
      }
    }
  }
  co_return count > members_->size() / 2;
}

// A server that lost its disk: it has forgotten its promises, so it may come back only while the
// epoch stands without it.
Task<Status> LogReplica::CreateVolume(TimePoint deadline) {
  window_->Forget(member_);
  const bool confirmed = co_await OthersConfirm(deadline);
  const LogReplica* other = SourceFor(Lsn{});
  const bool all_there =
      window_->StandsWithout(member_) || REDOUBT_PLANTED(runtime_, refill_before_others_have_all);
  const bool stands =
      (confirmed && all_there) || REDOUBT_PLANTED(runtime_, refill_without_majority);
  if (!stands || other == nullptr) {
    co_return Unavailable("it has no volume " + options_->volume +
                          " and cannot be given one before a majority of the others has all redo");
  }
  const std::shared_ptr<RpcChannel> others = other->channel_;
  VolumeClient model(others.get());
  proto::VolumeStatusRequest ask;
  ask.set_name(options_->volume);
  const Result<proto::VolumeStatusResponse> there =
      co_await model.VolumeStatus(std::move(ask), deadline);
  if (!there.ok()) {
    co_return there.status();
  }
  VolumeClient client(channel_.get());
  proto::VolumeCreateRequest request;
  request.set_name(options_->volume);
  request.set_page_size(there->volume().page_size());
  request.set_source_id(there->volume().source_id());
  request.set_uid(plan_->volume_uid);
  const Result<proto::VolumeCreateResponse> created =
      co_await client.VolumeCreate(std::move(request), deadline);
  if (!created.ok()) {
    co_return created.status();
  }
  runtime_->log->Warning("log server " + address_ + " had lost volume " + options_->volume +
                         "; it is filled up again");
  volume_ = VolumeId(created->volume_id());
  promised_ = Epoch{};
  co_return Status::Ok();
}

Task<Status> LogReplica::MakeSureOfPromise() {
  VolumeClient client(channel_.get());
  proto::LogStatusRequest request;
  request.set_volume_id(volume_.value());
  request.set_volume_uid(plan_->volume_uid);  // it may have another server's disk by now
  const Result<proto::LogStatusResponse> answer =
      co_await client.LogStatus(std::move(request), CallDeadline());
  if (!answer.ok()) {
    co_return answer.status();
  }
  if (REDOUBT_PLANTED(runtime_, commit_counts_old_epoch)) {
    Acknowledge(std::min(Lsn(answer->end_lsn()), window_->next_lsn()));
  }
  const Epoch theirs(answer->epoch());
  if (theirs > plan_->epoch) {
    co_return Status(
        StatusCode::kStaleEpoch,
        "a writer with epoch " + Text(theirs) + " has taken over from epoch " + Text(plan_->epoch));
  }
  if (theirs < promised_) {
    co_return Corruption("the server forgot its promise of epoch " + Text(promised_) +
                         ", it is at " + Text(theirs));
  }
  if (theirs < plan_->epoch) {
    const Result<PromisedLog> promised = co_await Prepare(plan_->epoch, CallDeadline());
    co_return promised.status();
  }
  // Whether the server has written it down is not known before it answers Prepare or begins.
  co_return Status::Ok();
}

Task<Result<Lsn>> LogReplica::BeginEpoch() {
  VolumeClient client(channel_.get());
  proto::LogEpochStartRequest request;
  request.set_volume_id(volume_.value());
  request.set_epoch(plan_->epoch.value());
  request.set_start_lsn(plan_->start.value());
  request.set_member_count(static_cast<uint32_t>(window_->member_count()));
  for (const EpochStart& entry : plan_->history) {
    proto::EpochStart* start = request.add_epochs();
    start->set_epoch(entry.epoch.value());
    start->set_start_lsn(entry.start.value());
  }
  const Result<proto::LogEpochStartResponse> answer =
      co_await client.LogEpochStart(std::move(request), CallDeadline());
  if (!answer.ok()) {
    co_return answer.status();
  }
  co_return Lsn(answer->end_lsn());
}

bool LogReplica::InWindow(Lsn end) const {
  return end == window_->next_lsn() || window_->Find(end) != nullptr;
}

Task<Status> LogReplica::Join() {
  Status status;
  if (volume_ == VolumeId{}) {
    status = co_await FindVolume(CallDeadline());
    if (status.code() == StatusCode::kNotFound && !alone()) {
      status = co_await CreateVolume(CallDeadline());
    }
  }
  if (status.ok()) {
    status = co_await MakeSureOfPromise();
  }
  if (!status.ok()) {
    if (status.code() == StatusCode::kNotFound && !alone()) {
      volume_ = VolumeId{};  // wiped: looked for, and made, at the next attempt
      promised_ = Epoch{};
    }
    co_return status;
  }
  const Result<Lsn> begun = co_await BeginEpoch();
  if (!begun.ok()) {
    co_return begun.status();
  }
  Lsn end = *begun;
  promised_ = plan_->epoch;
  window_->Begun(member_);
  if (end == window_->starting_at() && end > window_->next_lsn()) {
    sent_ = window_->next_lsn();
    co_return Status::Ok();
  }
  if (end > window_->next_lsn()) {
    co_return Corruption("the log ends at " + Text(end) + ", beyond all that this writer sent (" +
                         Text(window_->next_lsn()) + ")");
  }
  if (alone() && (end < window_->member_end(member_) || !InWindow(end))) {
    co_return Status(StatusCode::kGap, "the log ends at " + Text(end) +
                                           ", what this writer still holds begins at " +
                                           Text(window_->begin_lsn()));
  }
  Acknowledge(end);
  status = co_await FillUp(&end);
  sent_ = end;
  co_return status;
}

}  // namespace redoubt
