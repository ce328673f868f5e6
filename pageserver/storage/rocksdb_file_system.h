// SPDX-License-Identifier: MIT
//
// The file system that RocksDB gets: it waits for space instead of failing.
//
// Debian's RocksDB ends the process when a file of its own is used after a write that failed, so a
// full disk must not be seen by its background work. Each write first waits until there is room for
// it and a reserve, which covers what others write meanwhile.
#pragma once

#include <rocksdb/file_system.h>

#include <memory>

namespace redoubt {

// GetFreeSpace tells what may still be written to the file system of the path, or of its nearest
// parent that exists; UINT64_MAX when that cannot be known. Blocking.
std::shared_ptr<rocksdb::FileSystem> MakePatientFileSystem();

}  // namespace redoubt
