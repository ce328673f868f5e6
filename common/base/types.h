// SPDX-License-Identifier: MIT
//
// The field's scalar names as distinct types, so that an LSN cannot be passed where an SN, a space
// id or a page number is wanted.
#pragma once

#include <compare>
#include <cstdint>
#include <functional>
#include <limits>
#include <string>

namespace redoubt {

// One integer with a name. `Tag` makes types distinct; `Rep` is the representation.
template <typename Tag, typename Rep>
class Strong {
 public:
  using rep = Rep;
  constexpr Strong() = default;
  constexpr explicit Strong(Rep value) : value_(value) {}
  constexpr Rep value() const { return value_; }
  friend constexpr auto operator<=>(Strong, Strong) = default;

 private:
  Rep value_ = 0;
};

// Byte position in InnoDB's redo stream, block headers and trailers counted.
using Lsn = Strong<struct LsnTag, uint64_t>;
// Byte position in the redo payload: LSN without the 16 bytes of framing of each 512-byte block.
using Sn = Strong<struct SnTag, uint64_t>;
using SpaceId = Strong<struct SpaceIdTag, uint32_t>;
using PageNo = Strong<struct PageNoTag, uint32_t>;
// One MySQL instance's log and pages, numbered by the page server; people use the volume's name.
using VolumeId = Strong<struct VolumeIdTag, uint32_t>;
// A writer's generation: a larger epoch fences every smaller one.
using Epoch = Strong<struct EpochTag, uint64_t>;

inline constexpr Lsn kMaxLsn{std::numeric_limits<uint64_t>::max()};

struct PageId {
  SpaceId space;
  PageNo page_no;
  friend constexpr auto operator<=>(const PageId&, const PageId&) = default;
};

// Half-open [start, end).
struct LsnRange {
  Lsn start;
  Lsn end;
  constexpr bool empty() const { return end <= start; }
  constexpr bool Contains(Lsn lsn) const { return start <= lsn && lsn < end; }
  friend constexpr bool operator==(const LsnRange&, const LsnRange&) = default;
};

// "5:17" - the form that pagectl reads and prints.
std::string ToString(PageId id);

}  // namespace redoubt

template <typename Tag, typename Rep>
struct std::hash<redoubt::Strong<Tag, Rep>> {
  size_t operator()(redoubt::Strong<Tag, Rep> v) const noexcept {
    return static_cast<size_t>(v.value() * 0x9E3779B97F4A7C15ULL);
  }
};

template <>
struct std::hash<redoubt::PageId> {
  size_t operator()(const redoubt::PageId& id) const noexcept {
    uint64_t x = (static_cast<uint64_t>(id.space.value()) << 32) | id.page_no.value();
    x ^= x >> 31;
    x *= 0x9E3779B97F4A7C15ULL;
    return static_cast<size_t>(x ^ (x >> 29));
  }
};
