// SPDX-License-Identifier: MIT
#include "client/tail/redo_registration.h"

#include <algorithm>
#include <utility>

namespace redoubt::tail {

RedoRegistration::RedoRegistration(Runtime* runtime, SqlConnector* connector, ServerWatch* watch,
                                   RedoRegistrationOptions options)
    : runtime_(runtime),
      connector_(connector),
      watch_(watch),
      options_(options),
      changed_(runtime->scheduler) {
  options_.seconds_max = std::max(options_.seconds_max, 5U);
}

Task<void> RedoRegistration::Run(TaskGroup* group) {
  while (!group->stopping() && failure_.ok()) {
    co_await Step();
    changed_.NotifyAll();
    const TimePoint next = runtime_->scheduler->Now() + options_.interval;
    co_await group->stop_event().Wait(next);
  }
  if (registered()) {
    const Status status = co_await server_->UnregisterConsumer();
    if (!status.ok()) {
      runtime_->log->Debug("unregistering: " + status.message());
    }
  }
  Drop();
}

void RedoRegistration::Release(Lsn lsn) {
  if (lsn > released_) {
    released_ = lsn;
    stuck_ = false;
    progress_at_ = runtime_->scheduler->Now();
  }
}

void RedoRegistration::Restart() {
  released_ = Lsn{};
  retry_at_ = TimePoint{};
  stuck_ = false;
  Drop();
}

Task<bool> RedoRegistration::WaitRegistered(TimePoint deadline) {
  while (!registered() && failure_.ok()) {
    const bool woken = co_await changed_.Wait(deadline);
    if (!woken) {
      break;
    }
  }
  co_return registered();
}

uint64_t RedoRegistration::BytesMax() const {
  return options_.bytes_max != 0 ? options_.bytes_max : watch_->facts().redo_capacity_bytes / 2;
}

// Bytes between what may go and the log's end; 0 while nothing was released yet.
uint64_t RedoRegistration::Backlog() const {
  const Lsn end = watch_->sample().current;
  return released_ == Lsn{} || end <= released_ ? 0 : end.value() - released_.value();
}

Task<void> RedoRegistration::Step() {
  if (watch_->state() != SourceState::kUp) {
    Drop();
    progress_at_ = runtime_->scheduler->Now();
    co_return;
  }
  const TimePoint now = runtime_->scheduler->Now();
  if (released_ != Lsn{} && released_ >= watch_->sample().flushed) {
    progress_at_ = now;  // nothing to read: standing still is no fault
  }
  if (!registered()) {
    if (now >= retry_at_ && !stuck_ && Backlog() <= BytesMax() / 2) {
      co_await Register();
    }
    co_return;
  }
  const uint64_t backlog = Backlog();
  if (backlog > BytesMax()) {
    LetGo(std::to_string(backlog) + " bytes of redo are waiting, the limit is " +
          std::to_string(BytesMax()));
  } else if (backlog > 0 && now - progress_at_ > std::chrono::seconds(options_.seconds_max)) {
    LetGo("no progress for " + std::to_string(options_.seconds_max) + " s with " +
          std::to_string(backlog) + " bytes of redo waiting");
  } else {
    co_await Advance();
  }
}

Task<void> RedoRegistration::Register() {
  retry_at_ = runtime_->scheduler->Now() + options_.retry_interval;
  Result<std::unique_ptr<SqlSession>> session = co_await connector_->Connect();
  Status status = session.status();
  std::shared_ptr<SourceServer> server;
  if (session.ok()) {
    server = std::make_shared<SourceServer>(runtime_, std::move(*session));
    status = co_await server->EndWhenIdle(options_.seconds_max);
  }
  if (status.ok()) {
    status = co_await server->RegisterConsumer();
  }
  if (status.ok()) {
    server_ = std::move(server);
    refusal_reported_ = false;
    progress_at_ = runtime_->scheduler->Now();
    runtime_->log->Info("registered as redo log consumer: nothing is recycled unread (limits: " +
                        std::to_string(BytesMax()) + " bytes, " +
                        std::to_string(options_.seconds_max) + " s)");
    co_return;
  }
  if (status.code() == StatusCode::kUnauthenticated) {
    failure_ = status.WithContext("redo consumer registration needs the privilege BACKUP_ADMIN");
  } else if (!refusal_reported_ && status.code() != StatusCode::kUnavailable) {
    refusal_reported_ = true;
    runtime_->log->Warning("not registered as redo log consumer, following without protection: " +
                           status.message());
  }
}

Task<void> RedoRegistration::Advance() {
  // Restart may let go of the session while it is being asked.
  const std::shared_ptr<SourceServer> server = server_;
  // Also a sign of life: without one the server ends the session.
  const Status status = co_await server->AdvanceConsumer(released_);
  if (status.ok() || server_ != server) {
    co_return;
  }
  runtime_->log->Warning("the redo consumer registration was lost: " + status.message());
  Drop();
}

void RedoRegistration::LetGo(const std::string& why) {
  ++let_go_count_;
  stuck_ = true;
  retry_at_ = runtime_->scheduler->Now() + options_.retry_interval;
  runtime_->log->Warning("letting go of the redo log so that the server is not held up: " + why +
                         "; following goes on as long as the redo files are there");
  Drop();
}

void RedoRegistration::Drop() {
  // The end of the session ends the registration, even when the server does not answer any more.
  server_ = nullptr;
}

}  // namespace redoubt::tail
