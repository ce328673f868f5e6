// SPDX-License-Identifier: MIT
#include "pageserver/storage/keys.h"

#include "common/base/bytes.h"
#include "common/base/check.h"

namespace redoubt {
namespace {

void AppendU32(std::string* key, uint32_t value) {
  uint8_t bytes[4];
  StoreBe32(bytes, value);
  key->append(reinterpret_cast<const char*>(bytes), sizeof(bytes));
}

uint32_t U32At(std::string_view key, size_t offset) {
  return LoadBe32(reinterpret_cast<const uint8_t*>(key.data()) + offset);
}

std::string PageKeyOf(VolumeId volume, PageId page, uint64_t tail) {
  std::string key;
  key.reserve(kPageKeyBytes);
  AppendU32(&key, volume.value());
  AppendU32(&key, page.space.value());
  AppendU32(&key, page.page_no.value());
  AppendKeyU64(&key, tail);
  return key;
}

std::optional<PageKey> DecodePageKey(std::string_view key, uint64_t flip) {
  if (key.size() != kPageKeyBytes) {
    return std::nullopt;
  }
  return PageKey{VolumeId(U32At(key, 0)), PageId{SpaceId(U32At(key, 4)), PageNo(U32At(key, 8))},
                 Lsn(LoadKeyU64(key, kPagePrefixBytes) ^ flip)};
}

}  // namespace

void AppendKeyU64(std::string* key, uint64_t value) {
  uint8_t bytes[8];
  StoreBe64(bytes, value);
  key->append(reinterpret_cast<const char*>(bytes), sizeof(bytes));
}

uint64_t LoadKeyU64(std::string_view key, size_t offset) {
  REDOUBT_CHECK(offset + 8 <= key.size());
  return LoadBe64(reinterpret_cast<const uint8_t*>(key.data()) + offset);
}

std::string DeltaKey(VolumeId volume, PageId page, Lsn first_lsn) {
  return PageKeyOf(volume, page, first_lsn.value());
}

std::string ImageKey(VolumeId volume, PageId page, Lsn lsn) {
  return PageKeyOf(volume, page, ~lsn.value());
}

std::string SpaceKey(VolumeId volume, SpaceId space, Lsn lsn, uint32_t seq) {
  std::string key = SpacePrefix(volume, space);
  AppendKeyU64(&key, lsn.value());
  AppendU32(&key, seq);
  return key;
}

std::string MetaKey(VolumeId volume, MetaKind kind, std::string_view rest) {
  std::string key = VolumePrefix(volume);
  key.push_back(static_cast<char>(kind));
  key.append(rest);
  return key;
}

std::string VolumePrefix(VolumeId volume) {
  std::string key;
  AppendU32(&key, volume.value());
  return key;
}

std::string SpacePrefix(VolumeId volume, SpaceId space) {
  std::string key = VolumePrefix(volume);
  AppendU32(&key, space.value());
  return key;
}

std::string PagePrefix(VolumeId volume, PageId page) {
  std::string key = SpacePrefix(volume, page.space);
  AppendU32(&key, page.page_no.value());
  return key;
}

std::string PrefixEnd(std::string prefix) {
  while (!prefix.empty()) {
    const auto last = static_cast<uint8_t>(prefix.back());
    if (last != 0xFF) {
      prefix.back() = static_cast<char>(last + 1);
      return prefix;
    }
    prefix.pop_back();
  }
  return prefix;
}

std::optional<PageKey> DecodeDeltaKey(std::string_view key) { return DecodePageKey(key, 0); }

std::optional<PageKey> DecodeImageKey(std::string_view key) {
  return DecodePageKey(key, ~uint64_t{0});
}

std::optional<SpaceEventKey> DecodeSpaceKey(std::string_view key) {
  if (key.size() != kSpaceKeyBytes) {
    return std::nullopt;
  }
  return SpaceEventKey{VolumeId(U32At(key, 0)), SpaceId(U32At(key, 4)),
                       Lsn(LoadKeyU64(key, kSpacePrefixBytes)), U32At(key, kSpacePrefixBytes + 8)};
}

}  // namespace redoubt
