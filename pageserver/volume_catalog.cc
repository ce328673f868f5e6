// SPDX-License-Identifier: MIT
#include "pageserver/volume_catalog.h"

#include <algorithm>
#include <bit>

#include "common/base/check.h"
#include "common/base/crc32c.h"

namespace redoubt {
namespace {

constexpr uint64_t kCatalogMagic = 0x52444254564F4C53;  // "RDBTVOLS"
constexpr uint32_t kCatalogVersion = 1;
constexpr size_t kNameCharsMax = 64;

void AppendText(ByteWriter* writer, const std::string& text) {
  REDOUBT_CHECK(text.size() <= UINT16_MAX);
  writer->U16(static_cast<uint16_t>(text.size()));
  writer->Append(AsBytes(text));
}

std::string TakeText(ByteReader* reader) {
  const size_t length = reader->U16();
  return std::string(AsText(reader->Take(length)));
}

}  // namespace

Bytes EncodeCatalog(const VolumeCatalog& catalog) {
  Bytes bytes;
  ByteWriter writer(&bytes);
  writer.U64(kCatalogMagic);
  writer.U32(kCatalogVersion);
  writer.U32(catalog.next_id);
  writer.U32(static_cast<uint32_t>(catalog.entries.size()));
  for (const CatalogEntry& entry : catalog.entries) {
    writer.U32(entry.settings.id.value());
    writer.U64(entry.settings.uid);
    writer.U32(entry.settings.page_size);
    writer.U8(entry.deleting ? 1 : 0);
    AppendText(&writer, entry.settings.name);
    AppendText(&writer, entry.settings.source_id);
  }
  writer.U32(Crc32c(bytes));
  return bytes;
}

Result<VolumeCatalog> DecodeCatalog(ByteView bytes) {
  if (bytes.size() < 4 ||
      LoadBe32(bytes.data() + bytes.size() - 4) != Crc32c(bytes.first(bytes.size() - 4))) {
    return Corruption("wrong checksum");
  }
  ByteReader reader(bytes.first(bytes.size() - 4));
  const uint64_t magic = reader.U64();
  const uint32_t version = reader.U32();
  if (magic != kCatalogMagic || version != kCatalogVersion) {
    return Unsupported("not a volume list of version " + std::to_string(kCatalogVersion));
  }
  VolumeCatalog catalog;
  catalog.next_id = reader.U32();
  const uint32_t count = reader.U32();
  for (uint32_t i = 0; i < count && !reader.failed(); ++i) {
    CatalogEntry entry;
    entry.settings.id = VolumeId(reader.U32());
    entry.settings.uid = reader.U64();
    entry.settings.page_size = reader.U32();
    entry.deleting = reader.U8() != 0;
    entry.settings.name = TakeText(&reader);
    entry.settings.source_id = TakeText(&reader);
    catalog.entries.push_back(std::move(entry));
  }
  if (!reader.AtEnd()) {
    return Corruption("impossible length");
  }
  return catalog;
}

Status CheckVolumeName(const std::string& name) {
  const bool good = !name.empty() && name.size() <= kNameCharsMax &&
                    std::all_of(name.begin(), name.end(), [](char c) {
                      return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') ||
                             (c >= '0' && c <= '9') || c == '_' || c == '.' || c == '-';
                    });
  return good ? Status::Ok()
              : InvalidArgument("volume name \"" + name +
                                "\": 1 to 64 letters, digits, '_', '.', '-' are allowed");
}

Status CheckPageSize(uint32_t page_size) {
  const bool good = page_size >= 4096 && page_size <= 65536 && std::has_single_bit(page_size);
  return good ? Status::Ok()
              : InvalidArgument("page size " + std::to_string(page_size) +
                                ": InnoDB has 4096, 8192, 16384, 32768, 65536");
}

}  // namespace redoubt
