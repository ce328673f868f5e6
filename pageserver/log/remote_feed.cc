// SPDX-License-Identifier: MIT
#include "pageserver/log/remote_feed.h"

#include <algorithm>
#include <utility>

#include "common/base/check.h"

namespace redoubt {
namespace {

std::string Text(Lsn lsn) { return std::to_string(lsn.value()); }

// What is asked of one that let an answer's time pass, at least; a chunk comes whole anyway.
constexpr size_t kSmallReadBytes = 64 << 10;
constexpr size_t kLargeReadBytes = 16 << 20;

// Waiting helps nobody who holds another volume, or bytes that contradict themselves.
bool IsDamage(StatusCode code) {
  return code == StatusCode::kCorruption || code == StatusCode::kInvalidArgument;
}

}  // namespace

// One round of asking all log servers for their epochs.
struct RemoteFeed::Poll {
  explicit Poll(Scheduler* scheduler) : changed(scheduler) {}
  std::vector<Epoch> epochs;  // of those that answered
  size_t failed_count = 0;
  Status failure;
  Condition changed;
};

RemoteFeed::RemoteFeed(Runtime* runtime, RemoteFeedOptions options)
    : runtime_(runtime),
      options_(std::move(options)),
      changed_(runtime->scheduler),
      tasks_(runtime->scheduler) {
  REDOUBT_CHECK(!options_.log_servers.empty());
  ReconnectingChannelOptions channel;
  channel.connect_timeout = options_.answer_timeout;
  for (const std::string& address : options_.log_servers) {
    sources_.push_back(std::make_unique<Source>(runtime, address, options_.volume, channel));
    sources_.back()->answer_timeout = options_.answer_timeout;
    sources_.back()->bytes_max = kLargeReadBytes;
  }
  // Several page servers spread over the log servers.
  preferred_ = runtime->random->Below(sources_.size());
}

RemoteFeed::~RemoteFeed() = default;

TimePoint RemoteFeed::AnswerDeadline(const Source& source) const {
  return runtime_->scheduler->Now() + source.answer_timeout;
}

void RemoteFeed::BePatient(Source* source) const {
  source->answer_timeout = std::min(source->answer_timeout * 2, options_.answer_timeout_max);
  source->bytes_max = std::max(source->bytes_max / 4, kSmallReadBytes);
}

bool RemoteFeed::HungryFor(Duration duration) const {
  return hungry_since_.has_value() && runtime_->scheduler->Now() - *hungry_since_ >= duration;
}

void RemoteFeed::Begin(Lsn persisted) {
  begun_ = true;
  persisted_ = std::max(persisted_, persisted);
  had_nothing_ = persisted_ == Lsn{};
  for (size_t index = 0; index < sources_.size(); ++index) {
    tasks_.Spawn(AskLoop(index));
  }
}

Task<void> RemoteFeed::AskLoop(size_t index) {
  while (!tasks_.stopping()) {
    Source& source = *sources_[index];
    const Result<Epoch> asked = co_await source.link.Ask(persisted_, AnswerDeadline(source));
    source.knows_reader = source.knows_reader || asked.ok();
    commit_ = std::max(commit_, asked.ok() ? source.link.state().commit : Lsn{});
    refused_count_ += IsDamage(asked.status().code()) ? 1 : 0;
    if (asked.status().code() == StatusCode::kDeadlineExceeded) {
      BePatient(&source);
    } else if (asked.ok() && source.failure.code() == StatusCode::kUnavailable &&
               runtime_->scheduler->Now() >= source.retry_at) {
      source.failure = Status::Ok();  // it was away, and is back
    }
    changed_.NotifyAll();
    co_await tasks_.stop_event().Wait(runtime_->scheduler->Now() + options_.ask_interval);
  }
}

bool RemoteFeed::IsKnown() const {
  const auto count = std::count_if(sources_.begin(), sources_.end(),
                                   [](const auto& source) { return source->knows_reader; });
  return !had_nothing_ || static_cast<size_t>(count) > sources_.size() / 2;
}

bool RemoteFeed::Usable(const Source& source, Lsn from) const {
  const LogServerState& state = source.link.state();
  return state.problem.ok() && runtime_->scheduler->Now() >= source.retry_at &&
         state.end != Lsn{} && from >= state.readable_from;
}

int RemoteFeed::RankOf(const Source& source, Lsn from) const {
  const bool has_some = source.link.state().commit > from;
  if (source.in_order()) {
    return has_some ? 0 : 2;
  }
  if (!has_some) {
    return 4;
  }
  return HungryFor(options_.hunger_max) ? 1 : 3;
}

std::optional<size_t> RemoteFeed::Choose(Lsn from) const {
  if (current_.has_value() && !dry_ && sources_[*current_]->in_order() &&
      Usable(*sources_[*current_], from)) {
    return current_;
  }
  std::optional<size_t> best;
  const size_t first = current_.value_or(preferred_);
  for (size_t step = 0; step < sources_.size(); ++step) {
    const size_t index = (first + step) % sources_.size();
    if (!Usable(*sources_[index], from)) {
      continue;
    }
    if (!best.has_value() || RankOf(*sources_[index], from) < RankOf(*sources_[*best], from)) {
      best = index;
    }
  }
  return best;
}

void RemoteFeed::Delivered(size_t index, Lsn from, const ReadAnswer& answer) {
  Source& source = *sources_[index];
  source.failure = Status::Ok();
  source.retry_delay = Duration{};
  known_end_ = answer.batch.chunks.back().range.end;
  written_under_ = answer.written_under;
  hungry_since_.reset();
  if (told_source_ != index || !problem_.empty()) {
    runtime_->log->Info("volume " + options_.volume.name + ": redo from LSN " + Text(from) +
                        " on comes from log server " + source.link.address());
  }
  told_source_ = index;
  problem_.clear();
}

Task<Result<FeedBatch>> RemoteFeed::Read(Lsn from, size_t bytes_max, TimePoint deadline) {
  if (!begun_ && !tasks_.stopping()) {
    Begin(from);
  }
  while (!tasks_.stopping()) {
    if (commit_ > from && !hungry_since_.has_value()) {
      hungry_since_ = runtime_->scheduler->Now();
    }
    const std::optional<size_t> index = IsKnown() ? Choose(from) : std::nullopt;
    if (index.has_value()) {
      dry_ = dry_ && current_ == index;
      current_ = index;
      if (HungryFor(options_.hunger_max + options_.answer_timeout)) {
        Complain(from);
      }
      Result<FeedBatch> batch = co_await ReadFrom(*index, from, bytes_max, deadline);
      if (batch.ok() && (!batch->chunks.empty() || batch->begins_at != Lsn{})) {
        co_return batch;
      }
    } else {
      const Status gone = GoneEverywhere(from);
      if (!gone.ok()) {
        co_return gone;
      }
      Complain(from);
      current_.reset();
      co_await changed_.Wait(NextTry(deadline));
    }
    if (runtime_->scheduler->Now() >= deadline) {
      FeedBatch none;
      none.commit_lsn = commit_;
      co_return none;
    }
  }
  co_return Cancelled("the server is stopping");
}

// An error was blamed on the log server already.
Task<Result<FeedBatch>> RemoteFeed::ReadFrom(size_t index, Lsn from, size_t bytes_max,
                                             TimePoint deadline) {
  Source& source = *sources_[index];
  const TimePoint now = runtime_->scheduler->Now();
  const TimePoint wait_until = std::min(deadline, now + options_.read_wait);
  const TimePoint in_time =
      (source.link.state().commit > from ? now : wait_until) + options_.late_after;
  std::optional<EpochBegin> under;
  if (from == known_end_) {
    under = written_under_;
  }
  Result<ReadAnswer> answer =
      co_await source.link.Read(from, std::min(bytes_max, source.bytes_max), persisted_, under,
                                wait_until, AnswerDeadline(source));
  if (tasks_.stopping()) {
    co_return Cancelled("the server is stopping");
  }
  if (!answer.ok()) {
    Blame(index, answer.status());
    co_return answer.status();
  }
  source.late = runtime_->scheduler->Now() > in_time;
  if (!source.late) {
    source.answer_timeout = options_.answer_timeout;
    source.bytes_max = std::min(source.bytes_max * 2, kLargeReadBytes);
  }
  const FeedBatch& batch = answer->batch;
  commit_ = std::max(commit_, batch.commit_lsn);
  dry_ = batch.chunks.empty();
  if (dry_) {
    const bool begins = batch.begins_at != Lsn{};
    if (commit_ <= from || begins) {
      hungry_since_.reset();
      problem_.clear();
    }
    if (source.link.state().commit > from && !begins) {
      // It said that it has more, and gives none of it: an older version, which gives a chunk only
      // when it is committed to its end. Others may have cut it otherwise.
      source.retry_at = runtime_->scheduler->Now() + options_.read_wait;
    }
    co_return std::move(answer->batch);
  }
  Delivered(index, from, *answer);
  co_return std::move(answer->batch);
}

void RemoteFeed::Blame(size_t index, Status status) {
  Source& source = *sources_[index];
  const bool is_new = source.failure.code() != status.code();
  source.failure = std::move(status);
  if (source.failure.code() == StatusCode::kDeadlineExceeded) {
    BePatient(&source);
  }
  refused_count_ += IsDamage(source.failure.code()) ? 1 : 0;
  const Duration least =
      IsDamage(source.failure.code()) ? std::chrono::seconds(1) : options_.retry_delay_min;
  source.retry_delay = std::min(std::max(source.retry_delay * 2, least), options_.retry_delay_max);
  const auto jitter = static_cast<int64_t>(
      runtime_->random->Below(static_cast<uint64_t>(source.retry_delay.count()) / 2 + 1));
  source.retry_at = runtime_->scheduler->Now() + source.retry_delay - Duration(jitter);
  if (is_new) {
    runtime_->log->Warning("volume " + options_.volume.name + ": no redo from log server " +
                           source.link.address() + ": " + source.failure.ToString());
  }
  preferred_ = (index + 1) % sources_.size();
  if (current_ == index) {
    current_.reset();
  }
}

Status RemoteFeed::GoneEverywhere(Lsn from) const {
  std::string where;
  for (const std::unique_ptr<Source>& source : sources_) {
    const LogServerState& state = source->link.state();
    const bool trimmed = state.end != Lsn{} && from < state.readable_from;
    if (!state.problem.ok() || !trimmed) {
      return Status::Ok();
    }
    where += (where.empty() ? "" : ", ") + source->link.address() + " begins at LSN " +
             Text(state.readable_from);
  }
  return {StatusCode::kBelowHorizon, "redo from LSN " + Text(from) +
                                         " on was trimmed by all log servers: " + where +
                                         ". These pages cannot catch up from the log any more"};
}

std::string RemoteFeed::WhyNot(const Source& source, Lsn from) const {
  const LogServerState& state = source.link.state();
  if (!state.problem.ok()) {
    return state.problem.ToString();
  }
  if (state.end == Lsn{}) {
    return "its log has not begun";
  }
  if (from < state.readable_from) {
    return "trimmed, it begins at LSN " + Text(state.readable_from);
  }
  if (!source.failure.ok()) {
    return source.failure.ToString();
  }
  return state.commit > from && source.late ? "answers late"
                                            : "nothing beyond LSN " + Text(state.commit);
}

void RemoteFeed::Complain(Lsn from) {
  std::string why = "redo from LSN " + Text(from) + " on comes from no log server";
  why += IsKnown() ? "" : " before a majority of them keeps it for this one";
  bool asked_all = true;
  for (const std::unique_ptr<Source>& source : sources_) {
    asked_all = asked_all && source->link.state().asked;
    why += "; " + source->link.address() + ": " + WhyNot(*source, from);
  }
  if (!asked_all) {
    return;
  }
  if (problem_.empty()) {
    runtime_->log->Warning("volume " + options_.volume.name + ": " + why);
  }
  problem_ = std::move(why);
}

TimePoint RemoteFeed::NextTry(TimePoint deadline) const {
  TimePoint next = deadline;
  for (const std::unique_ptr<Source>& source : sources_) {
    if (source->retry_at > runtime_->scheduler->Now()) {
      next = std::min(next, source->retry_at);
    }
  }
  return next;
}

void RemoteFeed::Persisted(Lsn lsn) { persisted_ = std::max(persisted_, lsn); }

Task<void> RemoteFeed::AskOnce(RemoteFeed* feed, size_t index, std::shared_ptr<Poll> poll) {
  Source& source = *feed->sources_[index];
  const Result<Epoch> epoch =
      co_await source.link.Ask(feed->persisted_, feed->AnswerDeadline(source));
  if (epoch.ok()) {
    poll->epochs.push_back(*epoch);
  } else {
    ++poll->failed_count;
    poll->failure = epoch.status();
  }
  poll->changed.NotifyAll();
}

Task<Status> RemoteFeed::CheckWriter(Epoch epoch) {
  if (tasks_.stopping()) {
    co_return Unavailable("the server is stopping");
  }
  const auto poll = std::make_shared<Poll>(runtime_->scheduler);
  for (size_t index = 0; index < sources_.size(); ++index) {
    tasks_.Spawn(AskOnce(this, index, poll));
  }
  const size_t majority = sources_.size() / 2 + 1;
  while (true) {
    for (const Epoch promised : poll->epochs) {
      if (promised > epoch) {
        co_return Status(StatusCode::kStaleEpoch, "epoch " + std::to_string(epoch.value()) +
                                                      " is over, a log server has promised epoch " +
                                                      std::to_string(promised.value()));
      }
    }
    const auto same = std::count(poll->epochs.begin(), poll->epochs.end(), epoch);
    if (static_cast<size_t>(same) >= majority) {
      co_return Status::Ok();
    }
    if (poll->epochs.size() + poll->failed_count == sources_.size()) {
      break;
    }
    co_await poll->changed.Wait();
  }
  if (poll->epochs.size() < majority) {
    co_return Unavailable("whether epoch " + std::to_string(epoch.value()) +
                          " still writes is not known, no majority of the log servers answers: " +
                          poll->failure.ToString());
  }
  co_return InvalidArgument("epoch " + std::to_string(epoch.value()) +
                            " was not prepared at a majority of the log servers");
}

Task<void> RemoteFeed::Leave() {
  for (const std::unique_ptr<Source>& source : sources_) {
    const Status told = co_await source->link.Leave(AnswerDeadline(*source));
    if (!told.ok()) {
      runtime_->log->Warning("log server " + source->link.address() + " keeps redo of volume " +
                             options_.volume.name + " for reader " + options_.volume.reader +
                             ", which is gone: " + told.ToString());
    }
  }
}

RemoteFeedStatus RemoteFeed::status() const {
  RemoteFeedStatus status;
  status.commit = commit_;
  status.source =
      current_.has_value() && problem_.empty() ? sources_[*current_]->link.address() : "";
  status.problem = problem_;
  status.refused_count = refused_count_;
  std::optional<Lsn> readable_from;
  for (const std::unique_ptr<Source>& source : sources_) {
    const LogServerState& state = source->link.state();
    status.epoch = std::max(status.epoch, state.epoch);
    if (state.problem.ok() && state.end != Lsn{}) {
      readable_from = std::min(readable_from.value_or(state.readable_from), state.readable_from);
    }
  }
  status.readable_from = readable_from.value_or(Lsn{});
  return status;
}

void RemoteFeed::Shutdown() {
  tasks_.Stop();
  changed_.NotifyAll();
}

Task<void> RemoteFeed::Stop() {
  Shutdown();
  for (const std::unique_ptr<Source>& source : sources_) {
    co_await source->link.Close();
  }
  co_await tasks_.Join();
}

}  // namespace redoubt
