// SPDX-License-Identifier: MIT
//
// Goal: what people type means what they think, and nothing else is taken. Method: examples and
// their neighbours on the wrong side.
#include "client/ctl/parse.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace redoubt::ctl {
namespace {

using ::testing::HasSubstr;

constexpr int64_t kSecond = 1'000'000'000;

TEST(ParseTime, ReadsIsoWithAndWithoutZone) {
  constexpr int64_t kMoment = 1795356185 * kSecond;  // 2026-11-22T14:03:05Z
  EXPECT_EQ(*ParseTime("2026-11-22T14:03:05Z"), kMoment);
  EXPECT_EQ(*ParseTime("2026-11-22T14:03:05"), kMoment);
  EXPECT_EQ(*ParseTime("2026-11-22 14:03:05"), kMoment);
  EXPECT_EQ(*ParseTime("2026-11-22T15:03:05+01:00"), kMoment);
  EXPECT_EQ(*ParseTime("2026-11-22T19:33:05+0530"), kMoment);
  EXPECT_EQ(*ParseTime("2026-11-22T06:03:05-08"), kMoment);
  EXPECT_EQ(*ParseTime("2026-11-22T14:03:05.25Z"), kMoment + kSecond / 4);
  EXPECT_EQ(*ParseTime("2026-11-22T14:03"), kMoment - 5 * kSecond);
  EXPECT_EQ(*ParseTime("1970-01-01"), 0);
  EXPECT_EQ(*ParseTime("2000-02-29T00:00:00Z"), 951782400 * kSecond);
}

TEST(ParseTime, ReadsUnixSeconds) {
  EXPECT_EQ(*ParseTime("1700000000"), 1700000000 * kSecond);
  EXPECT_EQ(*ParseTime("1700000000.5"), 1700000000 * kSecond + kSecond / 2);
  EXPECT_EQ(*ParseTime("0"), 0);
}

TEST(ParseTime, RefusesEverythingElseAndSaysWhatToWrite) {
  for (const char* text : {"", "now", "-5", "2026-13-01", "2026-02-29", "2026-11-22T25:00",
                           "2026-11-22T14", "2026-11-22T14:03:05ZZ", "2026-11-22T14:03:05+1",
                           "22.11.2026", "1700000000.", "1e9", "99999999999999", "2026-11-22Z"}) {
    const Result<int64_t> time = ParseTime(text);
    ASSERT_FALSE(time.ok()) << text;
    EXPECT_EQ(time.status().code(), StatusCode::kInvalidArgument);
    EXPECT_THAT(time.status().message(), HasSubstr("unix seconds"));
  }
}

TEST(FormatTime, IsReadBackAsTheSameMoment) {
  for (const int64_t seconds : {1LL, 951782399LL, 951868800LL, 1795356185LL, 4102444799LL}) {
    EXPECT_EQ(*ParseTime(FormatTime(seconds * kSecond)), seconds * kSecond);
  }
  EXPECT_EQ(FormatTime(1795356185 * kSecond + 7'000'000), "2026-11-22T14:03:05.007Z");
  EXPECT_EQ(FormatTime(0), "unknown");
}

TEST(ParsePageId, TakesTwoNumbersAndNothingElse) {
  EXPECT_EQ(*ParsePageId("5:17"), (PageId{SpaceId(5), PageNo(17)}));
  EXPECT_EQ(*ParsePageId("4294967294:0"), (PageId{SpaceId(4294967294U), PageNo(0)}));
  for (const char* text : {"", "5", "5:", ":5", "5:17:1", "-1:2", "5:4294967296", "a:b", "5: 17"}) {
    EXPECT_FALSE(ParsePageId(text).ok()) << text;
  }
}

TEST(ParseLsn, TakesDecimalAndHexadecimal) {
  EXPECT_EQ(*ParseLsn("8204"), Lsn(8204));
  EXPECT_EQ(*ParseLsn("0x200c"), Lsn(0x200C));
  for (const char* text : {"", "0x", "12x", "-1", "18446744073709551616"}) {
    EXPECT_FALSE(ParseLsn(text).ok()) << text;
  }
}

TEST(FormatBytes, PicksTheUnit) {
  EXPECT_EQ(FormatBytes(0), "0 B");
  EXPECT_EQ(FormatBytes(1023), "1023 B");
  EXPECT_EQ(FormatBytes(1536), "1.5 KiB");
  EXPECT_EQ(FormatBytes(uint64_t{312} << 20), "312 MiB");
}

}  // namespace
}  // namespace redoubt::ctl
