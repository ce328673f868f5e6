// SPDX-License-Identifier: MIT
#include "client/log_replica.h"

#include <algorithm>
#include <utility>

#include "common/base/check.h"
#include "common/base/crc32c.h"
#include "common/innodb/log_block.h"
#include "common/runtime/fault_point.h"
#include "common/runtime/rpc/wire_message.h"

namespace redoubt {
namespace {

// A member that is sent much more than the others have acknowledged only costs memory.
constexpr size_t kInFlightBytesMin = 1 << 20;
// How far the lowest end of the members is told without an append to tell it with.
constexpr uint64_t kKeepStepBytes = 256 << 10;

std::string Text(Lsn lsn) { return std::to_string(lsn.value()); }
std::string Text(Epoch epoch) { return std::to_string(epoch.value()); }

size_t PayloadBytes(LsnRange range) {
  return innodb::ToSn(range.end).value() - innodb::ToSn(range.start).value();
}

// Trying again cannot help: the writer must stop and say so.
bool IsFinal(const Status& status, bool alone) {
  switch (status.code()) {
    case StatusCode::kStaleEpoch:
      return true;
    case StatusCode::kGap:
    case StatusCode::kCorruption:
    case StatusCode::kInvalidArgument:
    case StatusCode::kNotFound:
    case StatusCode::kUnsupported:
      return alone;
    default:
      return false;
  }
}

// By what is joined the LSN at a time becomes less exact, by so much at most.
constexpr int64_t kJoinedTimeNsMax = 500'000'000;

// Pieces that follow each other as one: many small appends would take a round trip each. What is
// joined bears the source time of its end.
std::vector<LogPiece> JoinPieces(const std::vector<LogPiece>& pieces) {
  std::vector<LogPiece> joined;
  int64_t first_time = 0;  // of what the last one was joined from
  for (const LogPiece& piece : pieces) {
    const int64_t time = piece.source_time_unix_ns;
    // The same stretch of the clock, so that what was joined before does not grow once more.
    const bool close_in_time =
        time == first_time || (first_time != 0 && time > first_time &&
                               time / kJoinedTimeNsMax == first_time / kJoinedTimeNsMax);
    if (joined.empty() || joined.back().range.end != piece.range.start || !close_in_time) {
      joined.push_back(piece);
      first_time = time;
      continue;
    }
    LogPiece& last = joined.back();
    last.range.end = piece.range.end;
    last.source_time_unix_ns = time;
    if (last.first_mtr_lsn == Lsn{}) {
      last.first_mtr_lsn = piece.first_mtr_lsn;
    }
  }
  return joined;
}

}  // namespace

ByteView LogPiece::payload() const { return ByteView(*bytes).subspan(offset, PayloadBytes(range)); }

LogReplica::LogReplica(Runtime* runtime, std::string address, size_t member, LogWindow* window,
                       const LogWriterOptions* options)
    : runtime_(runtime),
      address_(std::move(address)),
      member_(member),
      window_(window),
      options_(options),
      changed_(runtime->scheduler),
      commit_due_(runtime->scheduler),
      tasks_(runtime->scheduler) {}

LogReplica::~LogReplica() = default;

TimePoint LogReplica::CallDeadline() const {
  return runtime_->scheduler->Now() + options_->append_timeout;
}

Task<Status> LogReplica::Connect(TimePoint deadline) {
  REDOUBT_CHECK(channel_ == nullptr);
  RpcChannelOptions options;
  Result<std::unique_ptr<RpcChannel>> channel =
      co_await RpcChannel::Connect(runtime_, address_, options, deadline);
  if (!channel.ok()) {
    co_return channel.status();
  }
  channel_ = std::move(*channel);
  co_return Status::Ok();
}

Task<void> LogReplica::Disconnect() {
  streaming_ = false;
  in_flight_.clear();
  in_flight_bytes_ = 0;
  commit_told_ = Lsn{};
  keep_told_ = Lsn{};
  if (channel_ != nullptr) {
    co_await channel_->Close();
    channel_ = nullptr;
  }
}

// ---- the promise ----

Task<Result<Epoch>> LogReplica::PromisedEpoch(TimePoint deadline) {
  co_await Disconnect();
  Status status = co_await Connect(deadline);
  if (status.ok()) {
    status = co_await FindVolume(deadline);
  }
  if (!status.ok()) {
    co_return status;
  }
  VolumeClient client(channel_.get());
  proto::LogStatusRequest request;
  request.set_volume_id(volume_.value());
  const Result<proto::LogStatusResponse> answer =
      co_await client.LogStatus(std::move(request), deadline);
  if (!answer.ok()) {
    co_return answer.status();
  }
  co_return Epoch(answer->epoch());
}

Task<Result<PromisedLog>> LogReplica::Prepare(Epoch epoch, TimePoint deadline) {
  if (channel_ == nullptr || !channel_->failure().ok()) {
    co_await Disconnect();
    const Status connected = co_await Connect(deadline);
    if (!connected.ok()) {
      co_return connected;
    }
  }
  VolumeClient client(channel_.get());
  proto::PrepareRequest request;
  request.set_volume(options_->volume);
  request.set_epoch(epoch.value());
  const Result<proto::PrepareResponse> answer =
      co_await client.Prepare(std::move(request), deadline);
  if (!answer.ok()) {
    co_return answer.status();
  }
  PromisedLog log;
  log.volume = VolumeId(answer->volume_id());
  log.epoch = Epoch(answer->epoch());
  log.begin = Lsn(answer->begin_lsn());
  log.end = Lsn(answer->end_lsn());
  log.commit = Lsn(answer->commit_lsn());
  log.last_mtr = Lsn(answer->last_mtr_lsn());
  log.volume_uid = answer->volume_uid();
  for (const proto::EpochStart& start : answer->epochs()) {
    log.epochs.push_back({Epoch(start.epoch()), Lsn(start.start_lsn())});
  }
  volume_ = log.volume;
  promised_ = log.epoch;
  co_return log;
}

Task<Status> LogReplica::ConfirmPromise(Epoch epoch, TimePoint deadline) {
  const std::shared_ptr<RpcChannel> channel = channel_;
  if (channel == nullptr) {
    co_return Unavailable("not connected to log server " + address_);
  }
  VolumeClient client(channel.get());
  proto::LogStatusRequest request;
  request.set_volume_id(volume_.value());
  const Result<proto::LogStatusResponse> answer =
      co_await client.LogStatus(std::move(request), deadline);
  if (!answer.ok()) {
    co_return answer.status();
  }
  if (Epoch(answer->epoch()) != epoch) {
    co_return Status(StatusCode::kStaleEpoch, "log server " + address_ + " is at epoch " +
                                                  std::to_string(answer->epoch()) +
                                                  ", no longer at epoch " + Text(epoch));
  }
  co_return Status::Ok();
}

// ---- joining ----

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
// heard of.
Task<bool> LogReplica::OthersConfirm(TimePoint deadline) {
  size_t count = 0;
  for (const std::unique_ptr<LogReplica>& member : *members_) {
    if (member.get() != this && member->streaming_) {
      const Status status = co_await member->ConfirmPromise(plan_->epoch, deadline);
      count += status.ok() ? 1 : 0;
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
  const bool stands = (confirmed && window_->StandsWithout(member_)) ||
                      REDOUBT_PLANTED(runtime_, refill_without_majority);
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
  promised_ = theirs;
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

// ---- filling up ----

// A member that serves and has more than `end`.
LogReplica* LogReplica::SourceFor(Lsn end) const {
  for (const std::unique_ptr<LogReplica>& member : *members_) {
    if (member.get() != this && member->streaming_ && window_->member_end(member->member_) > end) {
      return member.get();
    }
  }
  return nullptr;
}

Task<Status> LogReplica::FillUp(Lsn* end) {
  const TimePoint give_up = CallDeadline();
  while (!InWindow(*end)) {
    if (tasks_.stopping() || !window_->ok()) {
      co_return Cancelled("log writer is stopping");
    }
    LogReplica* source = SourceFor(*end);
    if (source == nullptr) {
      const bool woken = co_await window_->changed().Wait(give_up);
      if (!woken) {
        co_return Unavailable("no other log server has the redo from LSN " + Text(*end) + " on");
      }
      continue;
    }
    const Status copied = co_await CopyFrom(source, end);
    if (!copied.ok()) {
      co_return copied;
    }
  }
  co_return Status::Ok();
}

// What lies below the source's begin is in every page role, and committed: nobody will ask for it,
// so a log that ends below loses nothing that counts when it lets go of what it has.
Task<Status> LogReplica::BeginWhere(LogReplica* source, Lsn* end) {
  const std::shared_ptr<RpcChannel> channel = source->channel_;
  if (channel == nullptr) {
    co_return Unavailable("not connected to log server " + source->address_);
  }
  VolumeClient client(channel.get());
  proto::LogStatusRequest request;
  request.set_volume_id(source->volume_.value());
  const Result<proto::LogStatusResponse> answer =
      co_await client.LogStatus(std::move(request), CallDeadline());
  if (!answer.ok()) {
    co_return Unavailable("redo from log server " + source->address_ + ": " +
                          answer.status().ToString());
  }
  const Lsn begin(answer->begin_lsn());
  if (begin <= *end) {
    co_return Unavailable("log server " + source->address_ + " begins at LSN " + Text(begin) +
                          ", nothing can begin there");
  }
  if (*end != Lsn{}) {
    runtime_->log->Warning("log server " + address_ + " ends at LSN " + Text(*end) +
                           ", the others keep redo from LSN " + Text(begin) +
                           " on only; it begins anew there");
  }
  std::string reason = "filled up from another log server";
  // Where nothing was trimmed the log has its beginning; page roles that begin there must see it.
  const bool trimmed = answer->readable_from_lsn() != 0 || *end != Lsn{};
  const Status begun = co_await SendStartAt(begin, std::move(reason), trimmed, CallDeadline());
  if (begun.ok()) {
    *end = begin;
    Acknowledge(begin);
  }
  co_return begun;
}

Task<Status> LogReplica::CopyFrom(LogReplica* source, Lsn* end) {
  constexpr size_t kReadBytes = 1 << 20;
  const std::string from_whom = "redo from log server " + source->address_;
  if (*end == Lsn{}) {
    const Status begun = co_await BeginWhere(source, end);
    co_return begun;
  }
  const Lsn known_end = window_->member_end(source->member_);
  const Result<std::vector<LogPiece>> pieces =
      co_await source->ReadLog(plan_->epoch, *end, kReadBytes, CallDeadline());
  if (pieces.status().code() == StatusCode::kBelowHorizon) {
    // It was away for so long that the others did not keep what it lacks.
    const Status begun = co_await BeginWhere(source, end);
    co_return begun;
  }
  if (!pieces.ok()) {
    co_return Unavailable(from_whom + ": " + pieces.status().ToString());
  }
  if (pieces->empty()) {
    std::string reason = "a hole that was declared while this log server was away";
    const Status started =
        co_await SendStartAt(known_end, std::move(reason), /*trimmed=*/false, CallDeadline());
    if (started.ok()) {
      *end = known_end;
      Acknowledge(*end);
    }
    co_return started;
  }
  const std::vector<LogPiece> joined = JoinPieces(*pieces);
  for (const LogPiece& piece : joined) {
    if (piece.range.end <= *end) {
      continue;
    }
    const Status appended = co_await AppendPiece(&piece, end);
    if (!appended.ok()) {
      co_return appended;
    }
    Acknowledge(*end);
  }
  co_return Status::Ok();
}

Task<Status> LogReplica::AppendPiece(const LogPiece* piece, Lsn* end) {
  if (piece->range.start > *end) {
    std::string reason = "a hole that was declared while this log server was away";
    const Status started = co_await SendStartAt(piece->range.start, std::move(reason),
                                                /*trimmed=*/false, CallDeadline());
    if (!started.ok()) {
      co_return started;
    }
    *end = piece->range.start;
  }
  const LsnRange range{*end, piece->range.end};
  const ByteView payload = piece->payload().last(PayloadBytes(range));
  proto::AppendRequest request;
  request.set_volume_id(volume_.value());
  request.set_epoch(plan_->epoch.value());
  request.set_start_lsn(range.start.value());
  request.set_end_lsn(range.end.value());
  // Of a chunk that is sent in part only the first mtr of the whole is known.
  if (piece->first_mtr_lsn >= range.start) {
    request.set_first_mtr_lsn(piece->first_mtr_lsn.value());
  }
  request.set_source_time_unix_ns(piece->source_time_unix_ns);
  request.set_payload_crc32c(Crc32c(payload));
  request.set_commit_lsn(window_->commit().value());
  request.set_keep_from_lsn(window_->keep_from().value());
  VolumeClient client(channel_.get());
  SharedPayload bytes = std::make_shared<const Bytes>(payload.begin(), payload.end());
  const Result<proto::AppendResponse> answer =
      co_await client.Append(std::move(request), std::move(bytes), CallDeadline());
  if (answer.ok()) {
    *end = range.end;
  }
  co_return answer.status();
}

Task<Result<std::vector<LogPiece>>> LogReplica::ReadLog(Epoch epoch, Lsn from, size_t bytes_max,
                                                        TimePoint deadline) {
  const std::shared_ptr<RpcChannel> channel = channel_;
  if (channel == nullptr) {
    co_return Unavailable("not connected to log server " + address_);
  }
  VolumeClient client(channel.get());
  proto::LogReadRequest request;
  request.set_volume_id(volume_.value());
  request.set_epoch(epoch.value());
  request.set_start_lsn(from.value());
  request.set_bytes_max(static_cast<uint32_t>(bytes_max));
  Result<WithPayload<proto::LogReadResponse>> answer =
      co_await client.LogRead(std::move(request), deadline);
  if (!answer.ok()) {
    co_return answer.status();
  }
  const auto bytes = std::make_shared<const Bytes>(std::move(answer->payload));
  std::vector<LogPiece> pieces;
  size_t offset = 0;
  for (const proto::ChunkHeader& chunk : answer->message.chunks()) {
    LogPiece piece;
    piece.range = {Lsn(chunk.start_lsn()), Lsn(chunk.end_lsn())};
    if (!innodb::IsDataLsn(piece.range.start) || !innodb::IsDataLsn(piece.range.end) ||
        piece.range.empty() || PayloadBytes(piece.range) > bytes->size() - offset) {
      co_return Corruption("log server " + address_ + " answered a chunk that is none");
    }
    piece.first_mtr_lsn = Lsn(chunk.first_mtr_lsn());
    piece.source_time_unix_ns = chunk.source_time_unix_ns();
    piece.bytes = bytes;
    piece.offset = offset;
    if (Crc32c(piece.payload()) != chunk.payload_crc32c()) {
      co_return Corruption("log server " + address_ + ": the chunk at LSN " +
                           Text(piece.range.start) + " does not have its checksum");
    }
    offset += PayloadBytes(piece.range);
    pieces.push_back(std::move(piece));
  }
  co_return pieces;
}

// ---- streaming ----

void LogReplica::Run(const EpochPlan* plan,
                     const std::vector<std::unique_ptr<LogReplica>>* members) {
  REDOUBT_CHECK(plan_ == nullptr);
  plan_ = plan;
  members_ = members;
  tasks_.Spawn(MainLoop());
  tasks_.Spawn(CommitLoop());
}

Task<void> LogReplica::MainLoop() {
  Duration delay = options_->retry_delay_min;
  while (!tasks_.stopping() && window_->ok()) {
    const Lsn before = window_->member_end(member_);
    const Status status = co_await Session();
    co_await Disconnect();
    changed_.NotifyAll();
    if (tasks_.stopping()) {
      break;
    }
    if (IsFinal(status, alone())) {
      window_->Fail(status.WithContext("log server " + address_));
      break;
    }
    window_->SetProblem(status.WithContext("log server " + address_));
    if (window_->member_end(member_) > before) {
      delay = options_->retry_delay_min;
    }
    const auto jitter =
        static_cast<int64_t>(runtime_->random->Below(static_cast<uint64_t>(delay.count()) / 2 + 1));
    const TimePoint next = runtime_->scheduler->Now() + delay - Duration(jitter);
    delay = std::min(delay * 2, options_->retry_delay_max);
    co_await tasks_.stop_event().Wait(next);
  }
}

Task<Status> LogReplica::Session() {
  if (channel_ == nullptr || !channel_->failure().ok()) {
    co_await Disconnect();
    const Status connected = co_await Connect(CallDeadline());
    if (!connected.ok()) {
      co_return connected;
    }
  }
  const Status joined = co_await Join();
  if (!joined.ok()) {
    co_return joined;
  }
  window_->SetProblem(Status::Ok());
  streaming_ = true;
  changed_.NotifyAll();
  window_->changed().NotifyAll();  // who is filled up may look for a source
  Pump();
  const Status ended = co_await ReceiveLoop();
  co_return ended;
}

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

// An acknowledgement wakes those who wait for it before it wakes this: when one of them appends
// what comes next, that tells the commit LSN too, and a message of its own is not needed.
Task<void> LogReplica::CommitLoop() {
  while (!tasks_.stopping()) {
    co_await commit_due_.Wait();
    co_await runtime_->scheduler->Yield();
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
        const Status heard = co_await ProbeIdle();
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
    if (Lsn(answer.end_lsn()) < first.end && !counts) {
      co_return Corruption("an append up to " + Text(first.end) +
                           " was accepted, yet the log ends at " +
                           std::to_string(answer.end_lsn()));
    }
    Acknowledge(first.end);
    Pump();
  }
  co_return Cancelled("log writer is stopping");
}

// A server that was restarted does not know any more how much is committed; one that was taken
// over by another writer says so.
Task<Status> LogReplica::ProbeIdle() {
  proto::LogCommitRequest request;
  request.set_volume_id(volume_.value());
  request.set_epoch(plan_->epoch.value());
  request.set_commit_lsn(window_->commit().value());
  VolumeClient client(channel_.get());
  const Result<proto::LogCommitResponse> answer =
      co_await client.LogCommit(std::move(request), CallDeadline());
  co_return answer.status();
}

Task<Status> LogReplica::SendStartAt(Lsn start, std::string reason, bool trimmed,
                                     TimePoint deadline) {
  proto::StartAtRequest request;
  request.set_volume_id(volume_.value());
  request.set_epoch(plan_->epoch.value());
  request.set_start_lsn(start.value());
  request.set_reason(std::move(reason));
  request.set_trimmed(trimmed);
  const std::shared_ptr<RpcChannel> channel = channel_;
  VolumeClient client(channel.get());
  const Result<proto::StartAtResponse> answer =
      co_await client.StartAt(std::move(request), deadline);
  co_return answer.status();
}

Task<Status> LogReplica::StartAt(Lsn start, std::string reason, TimePoint deadline) {
  while (!tasks_.stopping() && window_->ok()) {
    if (window_->next_lsn() >= start) {
      co_return Status::Ok();  // a majority has it; this one is filled up
    }
    if (!streaming_) {
      const bool woken = co_await changed_.Wait(deadline);
      if (!woken) {
        co_return DeadlineExceeded("log server " + address_ + " was not reached in time");
      }
      continue;
    }
    std::string copy = reason;
    const Status status = co_await SendStartAt(start, std::move(copy), /*trimmed=*/false, deadline);
    if (status.ok()) {
      if (streaming_) {
        sent_ = start;
      }
      co_return status;
    }
    if (status.code() != StatusCode::kUnavailable) {
      co_return status;
    }
    changed_.NotifyAll();  // an idle session does not see by itself that its connection is gone
    const bool pause = co_await tasks_.stop_event().Wait(
        std::min(deadline, runtime_->scheduler->Now() + options_->retry_delay_min));
    if (!pause && runtime_->scheduler->Now() >= deadline) {
      co_return status;
    }
  }
  co_return window_->ok() ? Cancelled("log writer is stopping") : window_->failure();
}

Task<void> LogReplica::Stop() {
  tasks_.Stop();
  changed_.NotifyAll();
  commit_due_.NotifyAll();
  window_->changed().NotifyAll();
  if (channel_ != nullptr) {
    channel_->Shutdown();  // the main loop closes it
  }
  co_await tasks_.Join();
  co_await Disconnect();
}

}  // namespace redoubt
