// SPDX-License-Identifier: MIT
//
// The page roles that read a log from outside, by name, and how far each has persisted what it
// read. Redo is trimmed only below the lowest of them, so a name that was once heard must not be
// forgotten until it leaves: it is on disk before it is answered, in a small file that is replaced
// as a whole:
//   u64 magic 'RDBTREAD', u32 version, u64 volume uid, u32 count,
//   count x {u16 + name, u64 persisted LSN}, u32 crc32c of everything before; big-endian.
//
// Progress is written down only when redo is about to be trimmed: an older LSN after a crash keeps
// more than necessary. Invariant: what is on disk is at or below what is in memory, name by name.
// Crash: the old or the new content. Suspends: Open, Note, Forget, Save (one at a time).
#pragma once

#include <cstdint>
#include <map>
#include <string>

#include "common/base/bytes.h"
#include "common/base/result.h"
#include "common/base/types.h"
#include "common/runtime/runtime.h"

namespace redoubt {

class ReaderTable {
 public:
  // `directory` exists when Open is called.
  ReaderTable(Runtime* runtime, std::string directory, uint64_t volume_uid);

  // Reads the file; a missing one is no reader. kCorruption: damaged; kUnsupported: another version
  // or another volume's.
  Task<Status> Open();
  // Reader `name` holds everything below `persisted`. Durable on OK when the reader is new or has
  // gone back (it lost its disk). kInvalidArgument: not 1 to 64 of A-Za-z0-9_.:-
  // kResourceExhausted: too many readers. kIoError, kNoSpace: not known to be written down.
  Task<Status> Note(std::string name, Lsn persisted);
  // Reader `name` will not come back; durable on OK. An unknown one is OK. As Note.
  Task<Status> Forget(std::string name);
  // Writes progress down if there is any.
  Task<Status> Save();

  const std::map<std::string, Lsn>& readers() const { return readers_; }
  // The lowest of them; requires one.
  Lsn lowest() const;

 private:
  Status Decode(ByteView bytes);
  Task<Status> Write();

  Runtime* runtime_;
  std::string directory_;
  uint64_t volume_uid_;
  std::map<std::string, Lsn> readers_;
  bool changed_ = false;
};

}  // namespace redoubt
