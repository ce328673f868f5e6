// SPDX-License-Identifier: MIT
//
// Goal: a status keeps its code and message through copies and context; a result is one or the
// other. Method: direct cases, and death tests for what only a programmer can do wrong.
#include "common/base/status.h"

#include <gtest/gtest.h>

#include <cerrno>
#include <memory>
#include <set>
#include <string>

#include "common/base/result.h"

namespace redoubt {
namespace {

TEST(Status, OkHasNoMessageAndNoCost) {
  const Status status;
  EXPECT_TRUE(status.ok());
  EXPECT_EQ(status.code(), StatusCode::kOk);
  EXPECT_EQ(status.ToString(), "ok");
  EXPECT_TRUE(status.WithContext("ignored").ok());
  EXPECT_LE(sizeof(Status), 2 * sizeof(void*));
}

TEST(Status, ContextGoesInFrontAndKeepsTheCode) {
  const Status status(StatusCode::kGap, "append starts at 100");
  const Status outer = status.WithContext("volume v");
  EXPECT_EQ(outer.code(), StatusCode::kGap);
  EXPECT_EQ(outer.ToString(), "gap: volume v: append starts at 100");
  EXPECT_EQ(status.message(), "append starts at 100");
}

// The numbers are on the wire.
TEST(Status, CodesKeepTheirNumbersAndHaveNamesOfTheirOwn) {
  EXPECT_EQ(static_cast<int>(StatusCode::kStaleEpoch), 9);
  EXPECT_EQ(static_cast<int>(StatusCode::kUnauthenticated), 16);
  std::set<std::string_view> names;
  for (uint8_t code = 0; code <= 16; ++code) {
    names.insert(StatusCodeName(static_cast<StatusCode>(code)));
  }
  EXPECT_EQ(names.size(), 17U);
  EXPECT_EQ(StatusCodeName(static_cast<StatusCode>(200)), "unknown");
}

TEST(Status, ErrnoBecomesTheCodeACallerActsOn) {
  EXPECT_EQ(FromErrno(ENOENT, "open x").code(), StatusCode::kNotFound);
  EXPECT_EQ(FromErrno(EEXIST, "open x").code(), StatusCode::kAlreadyExists);
  EXPECT_EQ(FromErrno(ENOSPC, "write x").code(), StatusCode::kNoSpace);
  EXPECT_EQ(FromErrno(EDQUOT, "write x").code(), StatusCode::kNoSpace);
  EXPECT_EQ(FromErrno(EIO, "read x").code(), StatusCode::kIoError);
  EXPECT_EQ(FromErrno(ENOENT, "open x").message(), "open x: No such file or directory");
}

Result<int> Half(int value) {
  if (value % 2 != 0) {
    return InvalidArgument("odd");
  }
  return value / 2;
}

Result<int> Quarter(int value) {
  REDOUBT_ASSIGN_OR_RETURN(const int half, Half(value));
  REDOUBT_ASSIGN_OR_RETURN(const int quarter, Half(half));
  return quarter;
}

Status CheckQuarter(int value) {
  const Result<int> quarter = Quarter(value);
  REDOUBT_RETURN_IF_ERROR(quarter.status());
  return Status::Ok();
}

TEST(Result, MacrosPassErrorsOn) {
  EXPECT_EQ(*Quarter(12), 3);
  EXPECT_EQ(Quarter(6).status().code(), StatusCode::kInvalidArgument);
  EXPECT_TRUE(CheckQuarter(8).ok());
  EXPECT_FALSE(CheckQuarter(7).ok());
}

TEST(Result, HoldsMoveOnlyValues) {
  Result<std::unique_ptr<int>> result = std::make_unique<int>(5);
  ASSERT_TRUE(result.ok());
  EXPECT_TRUE(result.status().ok());
  const std::unique_ptr<int> value = *std::move(result);
  EXPECT_EQ(*value, 5);
}

TEST(ResultDeathTest, ValueOfAnErrorStopsTheProcess) {
  const Result<int> result = NotFound("gone");
  EXPECT_DEATH(static_cast<void>(*result), "check failed");
}

TEST(ResultDeathTest, AnOkStatusIsNotAResult) {
  EXPECT_DEATH(static_cast<void>(Result<int>(Status::Ok())), "check failed");
}

TEST(StatusDeathTest, AnErrorNeedsAnErrorCode) {
  EXPECT_DEATH(static_cast<void>(Status(StatusCode::kOk, "fine")), "check failed");
}

}  // namespace
}  // namespace redoubt
