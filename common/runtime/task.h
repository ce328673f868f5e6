// SPDX-License-Identifier: MIT
//
// Task<T>: a lazy coroutine. Nothing runs until it is awaited; it is awaited at most once, or given
// to a TaskGroup.
//
// Stack use is bounded by the depth of nested awaits, in every build: an awaited task that ends
// without suspending returns to its awaiter (bool await_suspend) instead of resuming it, so a loop
// over such awaits does not grow the stack. Symmetric transfer alone would need the compiler's tail
// calls, which GCC 12 leaves out at -O0, -O1 and under the sanitizers.
//
// Invariants:
//   - a Task owns its frame; destroying a suspended Task destroys the frame and every Task it
//   awaits
//   - an exception that leaves a coroutine terminates the process: errors are Status
// Suspends: only where the body awaits a primitive of common/runtime.
#pragma once

#include <coroutine>
#include <exception>
#include <optional>
#include <utility>

#include "common/base/check.h"

namespace redoubt {

template <typename T>
class Task;

namespace internal {

class TaskPromiseBase {
 public:
  std::suspend_always initial_suspend() noexcept { return {}; }
  void unhandled_exception() noexcept { std::terminate(); }

  struct FinalAwaiter {
    bool await_ready() noexcept { return false; }
    template <typename Promise>
    std::coroutine_handle<> await_suspend(std::coroutine_handle<Promise> done) noexcept {
      TaskPromiseBase& promise = done.promise();
      return promise.starting_ ? std::noop_coroutine() : promise.continuation_;
    }
    void await_resume() noexcept {}
  };
  FinalAwaiter final_suspend() noexcept { return {}; }

  // Runs `self`, the coroutine of this promise, to its end or first suspension. True: it is
  // suspended and will resume `continuation` when it ends. False: it has ended.
  bool StartFor(std::coroutine_handle<> self, std::coroutine_handle<> continuation) {
    continuation_ = continuation;
    starting_ = true;
    self.resume();
    starting_ = false;
    return !self.done();
  }

 private:
  std::coroutine_handle<> continuation_ = std::noop_coroutine();
  bool starting_ = false;
};

template <typename T>
class TaskPromise : public TaskPromiseBase {
 public:
  Task<T> get_return_object();
  template <typename U>
  void return_value(U&& value) {
    value_.emplace(std::forward<U>(value));
  }
  T TakeResult() {
    REDOUBT_CHECK(value_.has_value());
    return std::move(*value_);
  }

 private:
  std::optional<T> value_;
};

template <>
class TaskPromise<void> : public TaskPromiseBase {
 public:
  Task<void> get_return_object();
  void return_void() {}
  void TakeResult() {}
};

}  // namespace internal

template <typename T = void>
class [[nodiscard]] Task {
 public:
  using promise_type = internal::TaskPromise<T>;
  using Handle = std::coroutine_handle<promise_type>;

  explicit Task(Handle handle) : handle_(handle) {}
  Task(Task&& other) noexcept : handle_(std::exchange(other.handle_, nullptr)) {}
  Task& operator=(Task&& other) noexcept {
    if (this != &other) {
      Destroy();
      handle_ = std::exchange(other.handle_, nullptr);
    }
    return *this;
  }
  Task(const Task&) = delete;
  Task& operator=(const Task&) = delete;
  ~Task() { Destroy(); }

  class Awaiter {
   public:
    explicit Awaiter(Handle handle) : handle_(handle) {}
    bool await_ready() const noexcept { return false; }
    bool await_suspend(std::coroutine_handle<> caller) noexcept {
      return handle_.promise().StartFor(handle_, caller);
    }
    T await_resume() { return handle_.promise().TakeResult(); }

   private:
    Handle handle_;
  };

  // Starts the coroutine and resumes the caller with its result. At most once.
  Awaiter operator co_await() {
    REDOUBT_CHECK(handle_ != nullptr);
    REDOUBT_CHECK(!handle_.done());
    return Awaiter(handle_);
  }

 private:
  void Destroy() {
    if (handle_) {
      handle_.destroy();
    }
  }
  Handle handle_;
};

namespace internal {
template <typename T>
Task<T> TaskPromise<T>::get_return_object() {
  return Task<T>(std::coroutine_handle<TaskPromise<T>>::from_promise(*this));
}
inline Task<void> TaskPromise<void>::get_return_object() {
  return Task<void>(std::coroutine_handle<TaskPromise<void>>::from_promise(*this));
}
}  // namespace internal

}  // namespace redoubt
