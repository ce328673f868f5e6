// SPDX-License-Identifier: MIT
//
// A KvStore of ordered maps with a journal over the file-system seam: for the simulator and for
// tests. Everything stays in memory; the journal brings it back.
//
// Journal file "<path>/journal":
//   header  "RDBTKVJ1"
//   record  u32 bytes, u32 crc32c(sequence, body), u64 sequence, body
//   body    operations: u8 kind, u8 family, varint key bytes, key, varint value bytes, value
//
// A write appends its record, unsynced; Flush syncs. Opening reads records until the first that is
// cut, has a wrong CRC or a wrong sequence number, and cuts the file there, so that no record of an
// earlier life can follow a new one. A journal much larger than the data is written anew beside the
// old one and renamed over it.
//
// Crash: a prefix of the writes, with everything before the last OK Flush. Suspends: Write, Flush,
// Close (file work). Reads may be called from any thread.
#pragma once

#include <memory>
#include <string>

#include "common/runtime/runtime.h"
#include "pageserver/storage/kv_store.h"

namespace redoubt {

class MemoryKvStore final : public KvStore {
 public:
  // Opens or creates the store in directory `path`. kCorruption: the journal's head is not ours.
  // kIoError, kNoSpace: as the file system says.
  static Task<Result<std::unique_ptr<KvStore>>> Open(Runtime* runtime, std::string path);
  ~MemoryKvStore() override;

  Result<std::optional<std::string>> Get(KvFamily family, std::string_view key) const override;
  std::unique_ptr<KvIterator> NewIterator(KvFamily family) const override;
  Task<Status> Write(KvBatch batch) override;
  Task<Status> Flush() override;
  Task<Status> Close() override;

 private:
  class Journal;
  class Map;
  class Iterator;
  MemoryKvStore(Runtime* runtime, std::string path);

  // Shared with iterators, which may outlive a write, never the store.
  std::unique_ptr<Map> map_;
  std::unique_ptr<Journal> journal_;
};

}  // namespace redoubt
