// SPDX-License-Identifier: MIT
//
// The KvStore of production: one RocksDB database, a column family per KvFamily, without RocksDB's
// own log (the log role holds the redo durably until a flush covers it). Atomic flush makes what
// survives a prefix of the writes across families.
//
// Memory: block cache (an option) + at most `write_buffer_bytes` of unflushed data + a few MiB.
// Full disk: Open, Write and Flush refuse below 32 MiB of free space; background work that has
// begun waits for space (rocksdb_file_system.h), and so does then the end of the process. Crash: as
// kv_store.h says; damage of the list of tables does not take a flush back unnoticed
// (rocksdb_table_list.h). Suspends: Write, Flush, Close (blocking executor, in call order).
#pragma once

#include <cstddef>
#include <memory>
#include <string>

#include "common/runtime/runtime.h"
#include "pageserver/storage/kv_store.h"

namespace rocksdb {
class Env;
}

namespace redoubt {

struct RocksdbKvStoreOptions {
  // Uncompressed blocks, index and filter blocks included.
  size_t block_cache_bytes = 32 << 20;
  // Bound of all unflushed data together.
  size_t write_buffer_bytes = 48 << 20;
  int background_job_count = 2;
  // Threads that open table files while the database opens.
  int table_open_thread_count = 16;
  // Files, free space, clock and background jobs; null: the machine's. Outlives the store. Its
  // files must wait for space, not fail (rocksdb_file_system.h).
  rocksdb::Env* env = nullptr;
};

class RocksdbKvStore final : public KvStore {
 public:
  // Opens or creates the database in directory `path`. Errors name the path and what to do:
  // kIoError (read-only or unreadable directory, lock held by another process), kNoSpace,
  // kCorruption.
  static Task<Result<std::unique_ptr<KvStore>>> Open(Runtime* runtime, std::string path,
                                                     RocksdbKvStoreOptions options);
  ~RocksdbKvStore() override;

  Result<std::optional<std::string>> Get(KvFamily family, std::string_view key) const override;
  std::unique_ptr<KvIterator> NewIterator(KvFamily family) const override;
  Task<Status> Write(KvBatch batch) override;
  Task<Status> Flush() override;
  Task<Status> Close() override;

 private:
  class Database;
  class Iterator;
  class Queue;
  explicit RocksdbKvStore(Runtime* runtime);

  // Shared with work on the blocking executor, which may outlive a destroyed store's coroutines.
  std::shared_ptr<Database> database_;
  std::unique_ptr<Queue> queue_;
};

}  // namespace redoubt
