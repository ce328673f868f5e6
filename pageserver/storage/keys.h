// SPDX-License-Identifier: MIT
//
// The keys of the page role's four families. All integers big-endian, so that the order of keys is
// the order of the tuples; every key starts with the volume, so that a volume is a range of each
// family.
//
//   delta  volume u32, space u32, page u32, first lsn u64        start LSN of the first mtr in the
//   value image  volume u32, space u32, page u32, ~lsn u64             newest first: Seek finds
//   "newest <= lsn" space  volume u32, space u32, lsn u64, seq u32 meta   volume u32, kind u8, ...
//   what follows is the kind's business
//
// Invariants: encoding is injective, and order-preserving per family (image: descending in lsn).
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "common/base/types.h"

namespace redoubt {

inline constexpr size_t kVolumePrefixBytes = 4;
inline constexpr size_t kSpacePrefixBytes = 8;
inline constexpr size_t kPagePrefixBytes = 12;
inline constexpr size_t kPageKeyBytes = 20;   // delta and image
inline constexpr size_t kSpaceKeyBytes = 20;  // space
static_assert(kPageKeyBytes == kPagePrefixBytes + 8);
static_assert(kSpaceKeyBytes == kSpacePrefixBytes + 8 + 4);

// On disk: never renumber.
enum class MetaKind : uint8_t {
  kIngest = 1,     // persisted LSN and where to pull from; one key
  kHistory = 2,    // readable ranges and holes; one key
  kTime = 3,       // time u64 -> lsn
  kDynamic = 4,    // table id u64, lsn u64 -> dynamic metadata
  kSideFile = 5,   // ~lsn u64 behind the path -> file
  kRegistry = 64,  // volume 0: names and settings of volumes, the server's business
};

std::string DeltaKey(VolumeId volume, PageId page, Lsn first_lsn);
std::string ImageKey(VolumeId volume, PageId page, Lsn lsn);
std::string SpaceKey(VolumeId volume, SpaceId space, Lsn lsn, uint32_t seq);
std::string MetaKey(VolumeId volume, MetaKind kind, std::string_view rest = {});

std::string VolumePrefix(VolumeId volume);
std::string SpacePrefix(VolumeId volume, SpaceId space);
std::string PagePrefix(VolumeId volume, PageId page);
// The smallest key above every key that starts with `prefix`; empty when there is none (all 0xFF).
std::string PrefixEnd(std::string prefix);

struct PageKey {
  VolumeId volume;
  PageId page;
  Lsn lsn;
  friend bool operator==(const PageKey&, const PageKey&) = default;
};
struct SpaceEventKey {
  VolumeId volume;
  SpaceId space;
  Lsn lsn;
  uint32_t seq = 0;
  friend bool operator==(const SpaceEventKey&, const SpaceEventKey&) = default;
};
// nullopt: not of the right length.
std::optional<PageKey> DecodeDeltaKey(std::string_view key);
std::optional<PageKey> DecodeImageKey(std::string_view key);
std::optional<SpaceEventKey> DecodeSpaceKey(std::string_view key);

// Big-endian integers at the end of a meta key.
void AppendKeyU64(std::string* key, uint64_t value);
uint64_t LoadKeyU64(std::string_view key, size_t offset);

}  // namespace redoubt
