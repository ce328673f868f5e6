// SPDX-License-Identifier: MIT
#include "client/tail/server_watch.h"

#include <algorithm>
#include <utility>

namespace redoubt::tail {
namespace {

constexpr size_t kTimesMax = 4096;

bool IsFinal(const Status& status) {
  return status.code() == StatusCode::kUnauthenticated || status.code() == StatusCode::kUnsupported;
}

}  // namespace

const char* SourceStateName(SourceState state) {
  switch (state) {
    case SourceState::kUnknown:
      return "unknown";
    case SourceState::kUp:
      return "up";
    case SourceState::kUnreachable:
      return "unreachable";
    case SourceState::kDown:
      return "down";
  }
  return "unknown";
}

ServerWatch::ServerWatch(Runtime* runtime, SqlConnector* connector, SourceProbe* probe,
                         ServerWatchOptions options)
    : runtime_(runtime),
      connector_(connector),
      probe_(probe),
      options_(options),
      changed_(runtime->scheduler),
      poll_now_(runtime->scheduler) {}

Task<void> ServerWatch::Run(TaskGroup* group) {
  while (!group->stopping() && failure_.ok()) {
    Status status;
    if (server_ == nullptr) {
      status = co_await Connect();
    }
    if (status.ok()) {
      status = co_await Poll();
    }
    if (!status.ok()) {
      co_await NoteLoss(status);
    }
    changed_.NotifyAll();
    const Duration pause =
        server_ == nullptr ? options_.reconnect_interval : options_.poll_interval;
    const TimePoint next = runtime_->scheduler->Now() + pause;
    co_await poll_now_.Wait(next);
    poll_now_.Reset();
  }
  server_ = nullptr;
}

Task<Status> ServerWatch::Connect() {
  Result<std::unique_ptr<SqlSession>> session = co_await connector_->Connect();
  if (!session.ok()) {
    co_return session.status();
  }
  std::unique_ptr<SourceServer> server =
      std::make_unique<SourceServer>(runtime_, std::move(*session));
  const Result<SourceFacts> facts = co_await server->Facts();
  if (!facts.ok()) {
    co_return facts.status();
  }
  // The first sample belongs to the new generation: both appear together.
  const Result<SourceSample> sample = co_await server->Sample();
  if (!sample.ok()) {
    co_return sample.status();
  }
  facts_ = *facts;
  sample_ = *sample;
  server_ = std::move(server);
  ++generation_;
  ++sample_count_;
  times_.clear();
  RememberTime();
  SetState(SourceState::kUp);
  co_return Status::Ok();
}

Task<Status> ServerWatch::Poll() {
  const Result<SourceSample> sample = co_await server_->Sample();
  if (!sample.ok()) {
    co_return sample.status();
  }
  sample_ = *sample;
  ++sample_count_;
  RememberTime();
  problem_ = Status::Ok();
  SetState(SourceState::kUp);
  co_return Status::Ok();
}

Task<void> ServerWatch::NoteLoss(Status status) {
  server_ = nullptr;
  problem_ = status;
  const Result<bool> open = co_await probe_->ServerHasFilesOpen();
  // A server that is shutting down refuses users before it lets go of its files, with all sorts of
  // errors.
  if (IsFinal(status) && open.ok() && *open) {
    failure_ = status;
  }
  SetState(open.ok() && !*open ? SourceState::kDown : SourceState::kUnreachable);
}

void ServerWatch::SetState(SourceState state) {
  if (state == state_) {
    return;
  }
  std::string line = std::string("server is ") + SourceStateName(state);
  if (state == SourceState::kUp) {
    line += " (MySQL " + facts_.version + ", flushed LSN " +
            std::to_string(sample_.flushed.value()) + ")";
  } else if (!problem_.ok()) {
    line += ": " + problem_.message();
  }
  state_ = state;
  runtime_->log->Info(line);
}

void ServerWatch::RememberTime() {
  if (!times_.empty() && times_.back().flushed >= sample_.flushed) {
    return;
  }
  times_.push_back({sample_.flushed, sample_.wall_ns});
  if (times_.size() > kTimesMax) {
    times_.pop_front();
  }
}

int64_t ServerWatch::TimeOf(Lsn lsn) const {
  const auto found = std::lower_bound(
      times_.begin(), times_.end(), lsn,
      [](const TimeSample& sample, Lsn wanted) { return sample.flushed < wanted; });
  return found == times_.end() ? 0 : found->wall_ns;
}

}  // namespace redoubt::tail
