// SPDX-License-Identifier: MIT
#include "common/runtime/asio/event_loop.h"

#include <boost/asio/executor_work_guard.hpp>
#include <boost/asio/post.hpp>
#include <utility>

#include "common/base/check.h"

namespace redoubt {
namespace {

constexpr Duration kPassTimeMax = std::chrono::microseconds(200);

}  // namespace

// UNSAFE_IO: only the loop thread touches sockets, so descriptors need no lock; posting from other
// threads stays safe.
EventLoop::EventLoop() : io_(BOOST_ASIO_CONCURRENCY_HINT_UNSAFE_IO), timer_(io_.get_executor()) {}

TimePoint EventLoop::Now() const {
  return TimePoint(
      std::chrono::duration_cast<Duration>(std::chrono::steady_clock::now().time_since_epoch()));
}

void EventLoop::Schedule(std::coroutine_handle<> handle) {
  REDOUBT_CHECK(handle != nullptr);
  ready_.Push(handle);
  if (!in_pass_) {
    PostPass();
  }
}

Scheduler::TimerId EventLoop::ScheduleAt(TimePoint when, std::coroutine_handle<> handle) {
  const TimerId id = timers_.Add(when, handle);
  if (when < armed_until_) {
    ArmTimer();
  }
  return id;
}

// The Asio timer stays armed: firing once for nothing is cheaper than re-arming for every request
// that ends before its deadline.
bool EventLoop::CancelTimer(TimerId id) { return timers_.Cancel(id); }

void EventLoop::AtEndOfPass(Deferred* deferred) {
  REDOUBT_CHECK(deferred->next == nullptr);
  deferred->previous = deferred_.previous;
  deferred->next = &deferred_;
  deferred_.previous->next = deferred;
  deferred_.previous = deferred;
  if (!in_pass_) {
    PostPass();
  }
}

void EventLoop::DeferredLink::Unlink() {
  if (next != nullptr) {
    previous->next = next;
    next->previous = previous;
    previous = next = nullptr;
  }
}

void EventLoop::Run() {
  REDOUBT_CHECK(!in_pass_);
  stopped_ = false;
  io_.restart();
  const auto work = boost::asio::make_work_guard(io_);
  if (ready_.size() > 0 || has_deferred()) {
    PostPass();
  }
  io_.run();
  REDOUBT_CHECK(stopped_);
}

void EventLoop::Stop() {
  stopped_ = true;
  io_.stop();
}

void EventLoop::Settle() {
  REDOUBT_CHECK(!in_pass_);
  REDOUBT_CHECK(stopped_);
  io_.restart();
  io_.poll();
}

void EventLoop::ResumeFromHandler(std::coroutine_handle<> handle) {
  const bool outermost = !in_pass_;
  if (!outermost || stopped_) {
    ready_.Push(handle);
    return;
  }
  in_pass_ = true;
  handle.resume();
  FinishPass();
}

void EventLoop::Post(std::function<void()> function) {
  boost::asio::post(io_, [this, function = std::move(function)] { CallFromHandler(function); });
}

void EventLoop::FinishPass() {
  REDOUBT_CHECK(in_pass_);
  TimePoint give_up{};
  while (ready_.size() > 0 && !stopped_) {
    for (size_t left = ready_.size(); left > 0 && !stopped_; --left) {
      const std::coroutine_handle<> handle = ready_.Pop();
      if (handle != nullptr) {
        handle.resume();
      }
    }
    if (ready_.size() == 0) {
      break;
    }
    const TimePoint now = Now();
    if (give_up == TimePoint{}) {
      give_up = now + kPassTimeMax;
    } else if (now >= give_up) {
      PostPass();
      break;
    }
  }
  if (!stopped_) {
    BeginDeferred();
  }
  in_pass_ = false;
}

void EventLoop::BeginDeferred() {
  while (has_deferred()) {
    Deferred* const first = static_cast<Deferred*>(deferred_.next);
    first->Unlink();
    first->Begin();
  }
}

void EventLoop::PostPass() {
  if (!pass_posted_) {
    pass_posted_ = true;
    boost::asio::post(io_, [this] {
      pass_posted_ = false;
      CallFromHandler([] {});
    });
  }
}

void EventLoop::ArmTimer() {
  armed_until_ = timers_.empty() ? kNever : timers_.earliest();
  if (armed_until_ == kNever) {
    return;
  }
  timer_.expires_at(std::chrono::steady_clock::time_point(
      std::chrono::duration_cast<std::chrono::steady_clock::duration>(
          armed_until_.time_since_epoch())));
  timer_.async_wait([this](const boost::system::error_code& error) {
    if (!error) {
      CallFromHandler([this] { OnTimer(); });
    }
  });
}

// A handler that was superseded after it had fired finds nothing due, or what is due, and arms
// again: both are right.
void EventLoop::OnTimer() {
  const TimePoint now = Now();
  while (!timers_.empty() && timers_.earliest() <= now) {
    ready_.Push(timers_.PopEarliest());
  }
  ArmTimer();
}

void EventLoop::Ring::Forget(std::coroutine_handle<> handle) {
  for (size_t i = head_; i != tail_; ++i) {
    std::coroutine_handle<>& slot = slots_[i & (slots_.size() - 1)];
    if (slot == handle) {
      slot = nullptr;
    }
  }
}

void EventLoop::Ring::Grow() {
  std::vector<std::coroutine_handle<>> larger(slots_.size() * 2);
  const size_t count = size();
  for (size_t i = 0; i < count; ++i) {
    larger[i] = slots_[(head_ + i) & (slots_.size() - 1)];
  }
  slots_ = std::move(larger);
  head_ = 0;
  tail_ = count;
}

}  // namespace redoubt
