// SPDX-License-Identifier: MIT
//
// Runs a RapidCheck property inside a GoogleTest test; a failure carries RapidCheck's report, which
// has the seed and how to replay it (RC_PARAMS).
#pragma once

#include <gtest/gtest.h>
#include <rapidcheck.h>

#include <sstream>

namespace redoubt {

template <typename Property>
void CheckProperty(Property&& property) {
  const auto result = rc::detail::checkTestable(std::forward<Property>(property));
  if (!result.template is<rc::detail::SuccessResult>()) {
    std::ostringstream report;
    rc::detail::printResultMessage(result, report);
    FAIL() << report.str();
  }
}

}  // namespace redoubt
