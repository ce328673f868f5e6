// SPDX-License-Identifier: MIT
//
// The production Scheduler: one thread, one io_context, one ring of ready coroutines, one timer
// heap. Ready coroutines cost no Asio operation: every entry from Asio into our code (a finished
// socket operation, the timer, a post from another thread) ends by running the ring dry. A pass
// that takes longer than kPassTimeMax goes back to Asio between two generations of the ring, so
// that a coroutine that yields in a loop cannot starve the sockets.
//
// Waits for a socket begin at the end of the pass (AtEndOfPass). Asio tries a read before it waits,
// which mostly says "would block": after the pass, when the answers are on their way, that costs
// nobody time, and it may find what a peer has sent meanwhile.
//
// The monotonic clock is read at every Now().
//
// Invariants:
//   - the ring is not empty outside a pass only while a pass is posted; nor is the list of what
//     begins at the end of the pass
//   - `armed_until_` is the moment at which the Asio timer fires, kNever when it does not
#pragma once

#include <boost/asio/basic_waitable_timer.hpp>
#include <boost/asio/io_context.hpp>
#include <chrono>
#include <coroutine>
#include <functional>
#include <vector>

#include "common/runtime/asio/timer_queue.h"
#include "common/runtime/scheduler.h"

namespace redoubt {

class EventLoop final : public Scheduler {
 public:
  using IoContext = boost::asio::io_context;

  EventLoop();

  TimePoint Now() const override;
  void Schedule(std::coroutine_handle<> handle) override;
  TimerId ScheduleAt(TimePoint when, std::coroutine_handle<> handle) override;
  bool CancelTimer(TimerId id) override;
  void Unschedule(std::coroutine_handle<> handle) override { ready_.Forget(handle); }

  // Runs until Stop. Other threads may Post meanwhile.
  void Run();
  // From the loop thread: Run returns after the present coroutine suspends; nothing is resumed
  // after.
  void Stop();
  // After Run: lets operations that have ended, aborted ones above all, reach their owners without
  // waiting for others. Resumes nobody; who is ready stays so until destroyed or the next Run.
  void Settle();

  struct DeferredLink {
    void Unlink();
    DeferredLink* previous = nullptr;  // both null while not linked
    DeferredLink* next = nullptr;
  };
  // Something to begin at the end of the pass, once. Lives in the frame of a waiting coroutine;
  // destroyed before that, it is forgotten.
  class Deferred : public DeferredLink {
   public:
    Deferred() = default;
    Deferred(const Deferred&) = delete;
    Deferred& operator=(const Deferred&) = delete;
    // Must not resume anybody.
    virtual void Begin() = 0;

   protected:
    ~Deferred() { Unlink(); }
  };
  void AtEndOfPass(Deferred* deferred);

  // For completion handlers on the loop thread: resumes `handle` and then all that became ready.
  void ResumeFromHandler(std::coroutine_handle<> handle);
  // The same for plain code.
  template <typename Function>
  void CallFromHandler(const Function& function) {
    const bool outermost = !in_pass_;
    in_pass_ = true;
    function();
    if (outermost) {
      FinishPass();
    }
  }
  // Any thread: calls `function` on the loop.
  void Post(std::function<void()> function);

  IoContext& io() { return io_; }

 private:
  // steady_timer over io_context's own executor: any_io_executor costs an indirection per
  // operation.
  using Timer =
      boost::asio::basic_waitable_timer<std::chrono::steady_clock,
                                        boost::asio::wait_traits<std::chrono::steady_clock>,
                                        IoContext::executor_type>;
  // A growing ring: power of two capacity.
  class Ring {
   public:
    Ring() : slots_(kStartCapacity) {}
    size_t size() const { return tail_ - head_; }
    void Push(std::coroutine_handle<> handle) {
      if (size() == slots_.size()) {
        Grow();
      }
      slots_[tail_++ & (slots_.size() - 1)] = handle;
    }
    // Puts a null in the place of `handle`.
    void Forget(std::coroutine_handle<> handle);
    std::coroutine_handle<> Pop() { return slots_[head_++ & (slots_.size() - 1)]; }

   private:
    static constexpr size_t kStartCapacity = 256;
    void Grow();
    std::vector<std::coroutine_handle<>> slots_;
    size_t head_ = 0;
    size_t tail_ = 0;
  };

  void FinishPass();
  void BeginDeferred();
  bool has_deferred() const { return deferred_.next != &deferred_; }
  void PostPass();
  void ArmTimer();
  void OnTimer();

  IoContext io_;
  Timer timer_;
  Ring ready_;
  DeferredLink deferred_{&deferred_, &deferred_};  // the head of a ring
  TimerQueue timers_;
  TimePoint armed_until_ = kNever;
  bool in_pass_ = false;
  bool pass_posted_ = false;
  bool stopped_ = false;
};

}  // namespace redoubt
