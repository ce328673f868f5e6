// SPDX-License-Identifier: MIT
//
// Guards the list of tables of a RocksDB database (its MANIFEST), the one file of which RocksDB
// takes damage for the end: a length that became larger hides every entry behind it, and the store
// would silently be an older one. And the file CURRENT, which names the list: without it RocksDB
// would make an empty database in its place.
//
// After each flush the note FLUSHED beside the list says which list it was and how long: so much of
// it must be whole when the database is opened. What lies behind, which no flush was answered for,
// may have been torn by a power cut, in its middle too: it is cut off where it is not whole, while
// RocksDB would refuse it. A list that no note is about, because it was begun just before a crash,
// is left to RocksDB; an older one than noted, or none, is damage.
//
// Note: magic u64, list's number u64, bytes u64, CRC32C u32, big-endian. Format of the list:
// RocksDB's log format, blocks of 32 KiB with records { masked CRC32C u32, length u16, type u8,
// payload }, little-endian (RocksDB 7.8, db/log_format.h).
#pragma once

#include <rocksdb/env.h>

#include <cstdint>
#include <string>

#include "common/base/bytes.h"
#include "common/base/result.h"

namespace rocksdb {
class DB;
}

namespace redoubt {

// Up to where `list` consists of whole records.
uint64_t WholeTableListBytes(ByteView list);

class RocksdbTableList {
 public:
  // `directory`: of the database.
  RocksdbTableList(rocksdb::Env* env, std::string directory);
  // Before the database is opened. kCorruption: what was flushed is not all there. Blocking.
  Status Check();
  // Everything that `db` has listed by now was synced. Durable on OK. Blocking.
  Status Note(rocksdb::DB* db);

 private:
  Result<std::string> Read(const std::string& path);
  Status Replace(const std::string& path, const std::string& content);

  rocksdb::Env* env_;
  std::string directory_;
};

}  // namespace redoubt
