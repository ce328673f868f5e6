// SPDX-License-Identifier: MIT
//
// The list of volumes on disk: a small file "volumes" that is replaced as a whole; big-endian:
//   u64 magic 'RDBTVOLS', u32 version, u32 next id, u32 count,
//   count x {u32 id, u64 uid, u32 page size, u8 deleting, u16 + name, u16 + source id},
//   u32 crc32c of everything before.
// Ids are never used again. `deleting` is set before anything of a volume is removed, so that a
// crash in between is finished at the next start.
#pragma once

#include <string>
#include <vector>

#include "common/base/bytes.h"
#include "common/base/result.h"
#include "pageserver/volume.h"

namespace redoubt {

struct CatalogEntry {
  VolumeSettings settings;
  bool deleting = false;
};

struct VolumeCatalog {
  uint32_t next_id = 1;
  std::vector<CatalogEntry> entries;  // ascending by id
};

Bytes EncodeCatalog(const VolumeCatalog& catalog);
// kCorruption: damaged. kUnsupported: another version.
Result<VolumeCatalog> DecodeCatalog(ByteView bytes);

// kInvalidArgument unless 1 to 64 characters of A-Z a-z 0-9 _ . -
Status CheckVolumeName(const std::string& name);
// kInvalidArgument unless a power of two from 4096 to 65536.
Status CheckPageSize(uint32_t page_size);

}  // namespace redoubt
