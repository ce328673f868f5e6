// SPDX-License-Identifier: MIT
//
// How the parser and the applier's inner functions report corruption: a static text, or nullptr
// when nothing is wrong. Status is made once, at the edge, where type, page and LSN are known.
#pragma once

namespace redoubt::innodb {

using Problem = const char*;
inline constexpr Problem kNoProblem = nullptr;

}  // namespace redoubt::innodb

// Returns the problem of `expr`, if there is one, from the enclosing function.
#define REDOUBT_RETURN_IF_PROBLEM(expr)                                                    \
  do {                                                                                     \
    if (::redoubt::innodb::Problem redoubt_problem_ = (expr); redoubt_problem_ != nullptr) \
        [[unlikely]] {                                                                     \
      return redoubt_problem_;                                                             \
    }                                                                                      \
  } while (false)
