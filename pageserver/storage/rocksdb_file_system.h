// SPDX-License-Identifier: MIT
//
// The file system that RocksDB gets: it waits for space instead of failing.
//
// Debian's RocksDB ends the process when a file of its own is used after a write that failed, so a
// full disk must not be seen by its background work. Each write first waits until there is room for
// it and a reserve, which covers what others write meanwhile.
#pragma once

#include <rocksdb/file_system.h>

#include <cstdint>
#include <memory>
#include <string>

namespace redoubt {

std::shared_ptr<rocksdb::FileSystem> MakePatientFileSystem();

// Bytes that may still be written to the file system of `path`, or of its nearest parent that
// exists; UINT64_MAX when that cannot be known. Blocking.
uint64_t FreeBytes(std::string path);

}  // namespace redoubt
