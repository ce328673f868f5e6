// SPDX-License-Identifier: MIT
#include "common/runtime/wait_list.h"

#include "common/base/check.h"

namespace redoubt {

WaitList::~WaitList() { REDOUBT_CHECK(first_ == nullptr); }

WaitList::Waiter::~Waiter() {
  if (handle_ == nullptr) {
    return;
  }
  // Suspended: the frame is being destroyed.
  bool resume_pending = woken_;
  if (!woken_) {
    list_->Unlink(this);
    resume_pending = timer_armed_ && !scheduler_->CancelTimer(timer_);
  }
  if (resume_pending) {
    scheduler_->Unschedule(handle_);
  }
}

void WaitList::Waiter::await_suspend(std::coroutine_handle<> handle) {
  handle_ = handle;
  list_->Link(this);
  if (deadline_ != kNever) {
    timer_armed_ = true;
    timer_ = scheduler_->ScheduleAt(deadline_, handle);
  }
}

bool WaitList::Waiter::await_resume() {
  // Not woken means that the timer resumed us while we were still on the list.
  timer_armed_ = false;
  handle_ = nullptr;
  if (linked_) {
    list_->Unlink(this);
  }
  return woken_;
}

void WaitList::Link(Waiter* waiter) {
  waiter->previous_ = last_;
  waiter->next_ = nullptr;
  (last_ != nullptr ? last_->next_ : first_) = waiter;
  last_ = waiter;
  waiter->linked_ = true;
}

void WaitList::Unlink(Waiter* waiter) {
  REDOUBT_CHECK(waiter->linked_);
  (waiter->previous_ != nullptr ? waiter->previous_->next_ : first_) = waiter->next_;
  (waiter->next_ != nullptr ? waiter->next_->previous_ : last_) = waiter->previous_;
  waiter->linked_ = false;
}

void WaitList::Wake(Waiter* waiter) {
  Unlink(waiter);
  waiter->woken_ = true;
  const bool timer_resumes = waiter->timer_armed_ && !scheduler_->CancelTimer(waiter->timer_);
  waiter->timer_armed_ = false;
  if (!timer_resumes) {
    scheduler_->Schedule(waiter->handle_);
  }
}

void WaitList::WakeOne() {
  if (first_ != nullptr) {
    Wake(first_);
  }
}

void WaitList::WakeAll() {
  while (first_ != nullptr) {
    Wake(first_);
  }
}

void WaitList::WakeUpTo(uint64_t tag) {
  for (Waiter* waiter = first_; waiter != nullptr;) {
    Waiter* next = waiter->next_;
    if (waiter->tag_ <= tag) {
      Wake(waiter);
    }
    waiter = next;
  }
}

}  // namespace redoubt
