// SPDX-License-Identifier: MIT
//
// The error vocabulary. A code exists only because some caller acts on it; the message is for the
// person who has to fix it and names what, where and what to do.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>

namespace redoubt {

// The numbers are on the wire (proto/common.proto): never renumber.
enum class StatusCode : uint8_t {
  kOk = 0,
  kNotFound = 1,          // no such volume, space, page, file
  kCorruption = 2,        // bytes that contradict their checksum or format
  kUnsupported = 3,       // a format or feature that is recognised and refused
  kInvalidArgument = 4,   // the request itself is wrong
  kIoError = 5,           // disk or socket said no
  kNoSpace = 6,           // the disk is full
  kUnavailable = 7,       // peer gone or not ready; trying again may help
  kDeadlineExceeded = 8,  // the caller's time ran out
  kStaleEpoch = 9,        // a newer writer exists; the caller must stop writing
  kGap = 10,              // the append does not start at the log's end; back-fill from there
  kBelowHorizon = 11,     // the LSN is older than what is kept
  kHole = 12,             // the page cannot be known at this LSN (unlogged change, missing redo)
  kAlreadyExists = 13,
  kResourceExhausted = 14,  // a limit of ours: frame size, queue, memory
  kCancelled = 15,          // the task was asked to stop
  kUnauthenticated = 16,    // wrong user or password
};

// "kGap" -> "gap"; unknown numbers give "unknown".
std::string_view StatusCodeName(StatusCode code);

class [[nodiscard]] Status {
 public:
  Status() = default;
  Status(StatusCode code, std::string message);

  static Status Ok() { return {}; }

  bool ok() const { return rep_ == nullptr; }
  StatusCode code() const { return rep_ ? rep_->code : StatusCode::kOk; }
  // Empty for OK.
  const std::string& message() const;
  // "gap: append starts at 100, log ends at 90"; "ok" for OK.
  std::string ToString() const;
  // The same code, with "context: " in front of the message. OK stays OK.
  Status WithContext(std::string_view context) const;

 private:
  struct Rep {
    StatusCode code;
    std::string message;
  };
  // Shared so that a Status copies cheaply; immutable.
  std::shared_ptr<const Rep> rep_;
};

Status NotFound(std::string message);
Status Corruption(std::string message);
Status Unsupported(std::string message);
Status InvalidArgument(std::string message);
Status IoError(std::string message);
Status Unavailable(std::string message);
Status DeadlineExceeded(std::string message);
Status Cancelled(std::string message);
Status ResourceExhausted(std::string message);

// Maps errno to kNotFound, kNoSpace, kAlreadyExists or kIoError; message "what: strerror".
Status FromErrno(int error_number, std::string_view what);

}  // namespace redoubt

// Returns the error of `expr` from the enclosing (non-coroutine) function.
#define REDOUBT_RETURN_IF_ERROR(expr)           \
  do {                                          \
    ::redoubt::Status redoubt_status_ = (expr); \
    if (!redoubt_status_.ok()) [[unlikely]] {   \
      return redoubt_status_;                   \
    }                                           \
  } while (false)

// The same inside a coroutine; `expr` must not itself contain a temporary with a destructor next to
// a co_await (GCC 12): co_await into a named Status first.
#define REDOUBT_CO_RETURN_IF_ERROR(expr)        \
  do {                                          \
    ::redoubt::Status redoubt_status_ = (expr); \
    if (!redoubt_status_.ok()) [[unlikely]] {   \
      co_return redoubt_status_;                \
    }                                           \
  } while (false)
