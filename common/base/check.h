// SPDX-License-Identifier: MIT
//
// Assertions for programmer errors. They are on in every build: a process that holds a broken
// invariant must stop before it writes it down.
#pragma once

namespace redoubt {

// Prints "file:line: check failed: condition (detail)" to stderr and aborts.
[[noreturn]] void CheckFailed(const char* file, int line, const char* condition);

}  // namespace redoubt

#define REDOUBT_CHECK(condition)                              \
  do {                                                        \
    if (!(condition)) [[unlikely]] {                          \
      ::redoubt::CheckFailed(__FILE__, __LINE__, #condition); \
    }                                                         \
  } while (false)
