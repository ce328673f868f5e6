// SPDX-License-Identifier: MIT
//
// LogReplica: redo that the window does not hold any more, from another log server to this one.
#include <algorithm>
#include <utility>

#include "client/log_replica.h"
#include "common/base/check.h"
#include "common/base/crc32c.h"
#include "common/innodb/log_block.h"

namespace redoubt {
namespace {

std::string Text(Lsn lsn) { return std::to_string(lsn.value()); }

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

Task<void> AskInto(LogReplica* member, TimePoint deadline,
                   Result<proto::LogStatusResponse>* answer) {
  Result<proto::LogStatusResponse> log = co_await member->AskLog(deadline);
  *answer = std::move(log);
}

}  // namespace

ByteView LogPiece::payload() const {
  return ByteView(*bytes).subspan(offset, innodb::PayloadBytes(range));
}

// That member serves and has more than `end`.
bool LogReplica::CanGiveFrom(const LogReplica* member, Lsn end) const {
  return member != this && member->streaming_ && window_->member_end(member->member_) > end;
}

LogReplica* LogReplica::SourceFor(Lsn end) const {
  for (const std::unique_ptr<LogReplica>& member : *members_) {
    if (CanGiveFrom(member.get(), end)) {
      return member.get();
    }
  }
  return nullptr;
}

// Nothing else is sent to this server meanwhile, and it may be the only one that can say that the
// writer was replaced: so it is asked as often as an idle one.
Task<Status> LogReplica::WaitForSource(Lsn end, TimePoint give_up) {
  TimePoint probe = runtime_->scheduler->Now() + options_->idle_probe;
  while (SourceFor(end) == nullptr && !InWindow(end)) {
    if (tasks_.stopping() || !window_->ok()) {
      co_return Cancelled("log writer is stopping");
    }
    const bool woken = co_await window_->changed().Wait(std::min(give_up, probe));
    const TimePoint now = runtime_->scheduler->Now();
    if (!woken && now >= give_up) {
      co_return Unavailable("no other log server has the redo from LSN " + Text(end) + " on");
    }
    if (!woken) {
      probe = now + options_->idle_probe;
      const Status promised = co_await MakeSureOfPromise();
      if (!promised.ok()) {
        co_return promised;
      }
    }
  }
  co_return Status::Ok();
}

Task<Status> LogReplica::FillUp(Lsn* end) {
  const TimePoint give_up = CallDeadline();
  LogReplica* source = nullptr;
  while (!InWindow(*end)) {
    if (tasks_.stopping() || !window_->ok()) {
      co_return Cancelled("log writer is stopping");
    }
    const Status waited = co_await WaitForSource(*end, give_up);
    if (!waited.ok()) {
      co_return waited;
    }
    if (source == nullptr || !CanGiveFrom(source, *end)) {
      source = SourceFor(*end);
    }
    if (source == nullptr) {
      continue;
    }
    Status copied(StatusCode::kBelowHorizon, "it has no log");
    if (*end != Lsn{}) {
      copied = co_await CopyFrom(source, end);
    }
    if (copied.code() == StatusCode::kBelowHorizon) {
      // It has nothing, or was away for so long that the source did not keep what it lacks.
      const Result<LogReplica*> begun = co_await BeginAnew(end);
      copied = begun.status();
      source = begun.ok() ? *begun : nullptr;
    }
    if (!copied.ok()) {
      co_return copied;
    }
  }
  co_return Status::Ok();
}

void LogReplica::NoteReaders(const proto::LogStatusResponse& log) {
  for (const proto::LogReader& reader : log.readers()) {
    const auto [known, fresh] =
        readers_elsewhere_.insert({reader.name(), Lsn(reader.persisted_lsn())});
    known->second = std::min(known->second, Lsn(reader.persisted_lsn()));
  }
}

Task<Result<LogReplica::OtherLog>> LogReplica::FurthestBack(Lsn end) {
  std::vector<LogReplica*> asked;
  for (const std::unique_ptr<LogReplica>& member : *members_) {
    if (CanGiveFrom(member.get(), end)) {
      asked.push_back(member.get());
    }
  }
  using Answer = Result<proto::LogStatusResponse>;
  std::vector<Answer> answers(asked.size(), Answer(Unavailable("no other log server serves")));
  const TimePoint deadline = runtime_->scheduler->Now() + options_->prepare_timeout;
  {
    TaskGroup group(runtime_->scheduler);
    for (size_t i = 0; i < asked.size(); ++i) {
      group.Spawn(AskInto(asked[i], deadline, &answers[i]));
    }
    co_await group.Join();
  }
  OtherLog furthest;
  Status failure = Unavailable("no other log server serves");
  for (size_t i = 0; i < asked.size(); ++i) {
    if (!answers[i].ok()) {
      failure =
          Unavailable("log server " + asked[i]->address_ + ": " + answers[i].status().ToString());
      continue;
    }
    NoteReaders(*answers[i]);
    const bool has_more = Lsn(answers[i]->end_lsn()) > end;
    const bool further = furthest.member == nullptr ||
                         answers[i]->readable_from_lsn() < furthest.log.readable_from_lsn();
    if (has_more && further) {
      furthest.member = asked[i];
      furthest.log = std::move(*answers[i]);
    }
  }
  if (furthest.member == nullptr) {
    co_return failure;
  }
  co_return furthest;
}

// What lies below the begin of all logs is in every page role, and committed: nobody will ask for
// it, so a log that ends below loses nothing that counts when it lets go of what it has. One log
// may begin above the others, which keep redo for a page role that it did not know in time.
Task<Result<LogReplica*>> LogReplica::BeginAnew(Lsn* end) {
  const Result<OtherLog> furthest = co_await FurthestBack(*end);
  if (!furthest.ok()) {
    co_return furthest.status();
  }
  const proto::LogStatusResponse& log = furthest->log;
  if (*end != Lsn{} && Lsn(log.readable_from_lsn()) <= *end) {
    readers_elsewhere_.clear();  // it keeps its log, so it knows who reads it
    co_return furthest->member;
  }
  const Lsn begin(log.begin_lsn());
  if (begin <= *end) {
    co_return Unavailable("log server " + furthest->member->address_ + " begins at LSN " +
                          Text(begin) + ", nothing can begin there");
  }
  if (*end != Lsn{}) {
    runtime_->log->Warning("log server " + address_ + " ends at LSN " + Text(*end) +
                           ", the others keep redo from LSN " + Text(begin) +
                           " on only; it begins anew there");
  }
  std::string reason = "filled up from another log server";
  // Where nothing was trimmed the log has its beginning; page roles that begin there must see it.
  const bool trimmed = log.readable_from_lsn() != 0 || *end != Lsn{};
  const Status begun = co_await SendStartAt(begin, std::move(reason), trimmed, CallDeadline());
  if (!begun.ok()) {
    co_return begun;
  }
  *end = begin;
  Acknowledge(begin);
  co_return furthest->member;
}

Task<Status> LogReplica::CopyFrom(LogReplica* source, Lsn* end) {
  constexpr size_t kReadBytes = 1 << 20;
  REDOUBT_CHECK(*end != Lsn{});
  const std::string from_whom = "redo from log server " + source->address_;
  const Lsn known_end = window_->member_end(source->member_);
  const Result<std::vector<LogPiece>> pieces =
      co_await source->ReadLog(plan_->epoch, *end, kReadBytes, CallDeadline());
  if (pieces.status().code() == StatusCode::kBelowHorizon) {
    co_return pieces.status();
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
  const ByteView payload = piece->payload().last(innodb::PayloadBytes(range));
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
  request.set_pages_want_lsn(window_->pages_want().value());
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
        piece.range.empty() || innodb::PayloadBytes(piece.range) > bytes->size() - offset) {
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
    offset += innodb::PayloadBytes(piece.range);
    pieces.push_back(std::move(piece));
  }
  co_return pieces;
}

}  // namespace redoubt
