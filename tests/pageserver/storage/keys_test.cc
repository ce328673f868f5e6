// SPDX-License-Identifier: MIT
//
// Goal: the order of keys is the order of the tuples (images: newest first), and keys decode to
// what was encoded. Method: properties over random tuples, drawn so that neighbours and extremes
// are common.
#include "pageserver/storage/keys.h"

#include <gtest/gtest.h>
#include <rapidcheck.h>
#include <rapidcheck/gtest.h>

#include <tuple>

namespace redoubt {
namespace {

uint64_t Number(uint64_t max) {
  const uint64_t near = *rc::gen::inRange<uint64_t>(0, 4);
  switch (*rc::gen::inRange(0, 4)) {
    case 0:
      return near;
    case 1:
      return max - near;
    case 2:
      return 254 + near;  // a carry into the next byte
    default:
      return *rc::gen::arbitrary<uint64_t>() & max;
  }
}

PageKey AnyPageKey() {
  return {VolumeId(static_cast<uint32_t>(Number(UINT32_MAX))),
          PageId{SpaceId(static_cast<uint32_t>(Number(UINT32_MAX))),
                 PageNo(static_cast<uint32_t>(Number(UINT32_MAX)))},
          Lsn(Number(UINT64_MAX))};
}

RC_GTEST_PROP(Keys, DeltaKeysOrderAsTuples, ()) {
  const PageKey a = AnyPageKey();
  const PageKey b = AnyPageKey();
  const std::string key_a = DeltaKey(a.volume, a.page, a.lsn);
  const std::string key_b = DeltaKey(b.volume, b.page, b.lsn);
  RC_ASSERT((key_a < key_b) ==
            (std::tuple(a.volume, a.page, a.lsn) < std::tuple(b.volume, b.page, b.lsn)));
  RC_ASSERT(DecodeDeltaKey(key_a) == a);
}

RC_GTEST_PROP(Keys, ImageKeysOrderNewestFirst, ()) {
  const PageKey a = AnyPageKey();
  const PageKey b = AnyPageKey();
  const std::string key_a = ImageKey(a.volume, a.page, a.lsn);
  const std::string key_b = ImageKey(b.volume, b.page, b.lsn);
  RC_ASSERT((key_a < key_b) ==
            (std::tuple(a.volume, a.page, b.lsn) < std::tuple(b.volume, b.page, a.lsn)));
  RC_ASSERT(DecodeImageKey(key_a) == a);
}

RC_GTEST_PROP(Keys, SpaceKeysOrderAsTuples, ()) {
  const auto any = []() {
    return SpaceEventKey{VolumeId(static_cast<uint32_t>(Number(UINT32_MAX))),
                         SpaceId(static_cast<uint32_t>(Number(UINT32_MAX))),
                         Lsn(Number(UINT64_MAX)), static_cast<uint32_t>(Number(UINT32_MAX))};
  };
  const SpaceEventKey a = any();
  const SpaceEventKey b = any();
  const std::string key_a = SpaceKey(a.volume, a.space, a.lsn, a.seq);
  const std::string key_b = SpaceKey(b.volume, b.space, b.lsn, b.seq);
  RC_ASSERT((key_a < key_b) == (std::tuple(a.volume, a.space, a.lsn, a.seq) <
                                std::tuple(b.volume, b.space, b.lsn, b.seq)));
  RC_ASSERT(DecodeSpaceKey(key_a) == a);
}

RC_GTEST_PROP(Keys, APrefixEndIsAboveEveryKeyWithThePrefix, ()) {
  const PageKey a = AnyPageKey();
  const PageKey other = AnyPageKey();
  const std::string prefix = PagePrefix(a.volume, a.page);
  const std::string end = PrefixEnd(prefix);
  const std::string key = DeltaKey(other.volume, other.page, other.lsn);
  const bool inside = key >= prefix && (end.empty() || key < end);
  RC_ASSERT(inside == (a.volume == other.volume && a.page == other.page));
}

TEST(Keys, RefuseOtherLengths) {
  EXPECT_FALSE(DecodeDeltaKey("short").has_value());
  EXPECT_FALSE(DecodeSpaceKey(std::string(21, 'x')).has_value());
}

}  // namespace
}  // namespace redoubt
