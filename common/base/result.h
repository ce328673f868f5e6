// SPDX-License-Identifier: MIT
//
// A value or the Status that says why there is none.
#pragma once

#include <optional>
#include <utility>

#include "common/base/check.h"
#include "common/base/status.h"

namespace redoubt {

template <typename T>
class [[nodiscard]] Result {
 public:
  Result(T value) : value_(std::move(value)) {}         // NOLINT: implicit by design
  Result(Status status) : status_(std::move(status)) {  // NOLINT: implicit by design
    REDOUBT_CHECK(!status_.ok());
  }

  bool ok() const { return value_.has_value(); }
  // OK when there is a value.
  const Status& status() const { return status_; }

  // Require ok().
  T& value() & {
    REDOUBT_CHECK(ok());
    return *value_;
  }
  const T& value() const& {
    REDOUBT_CHECK(ok());
    return *value_;
  }
  T&& value() && {
    REDOUBT_CHECK(ok());
    return std::move(*value_);
  }
  T* operator->() { return &value(); }
  const T* operator->() const { return &value(); }
  T& operator*() & { return value(); }
  const T& operator*() const& { return value(); }
  T&& operator*() && { return std::move(*this).value(); }

 private:
  Status status_;
  std::optional<T> value_;
};

}  // namespace redoubt

#define REDOUBT_CONCAT_INNER(a, b) a##b
#define REDOUBT_CONCAT(a, b) REDOUBT_CONCAT_INNER(a, b)
// REDOUBT_ASSIGN_OR_RETURN(auto x, Call()): for plain functions, not for coroutines.
#define REDOUBT_ASSIGN_OR_RETURN(lhs, expr)                           \
  auto REDOUBT_CONCAT(redoubt_result_, __LINE__) = (expr);            \
  if (!REDOUBT_CONCAT(redoubt_result_, __LINE__).ok()) [[unlikely]] { \
    return REDOUBT_CONCAT(redoubt_result_, __LINE__).status();        \
  }                                                                   \
  lhs = std::move(REDOUBT_CONCAT(redoubt_result_, __LINE__)).value()
