// SPDX-License-Identifier: MIT
//
// Reads the redo payload of a running (or dead) server out of its files.
//
//   1. find the file that holds the block, in the directory or else among those that RedoHold keeps
//      open; keep it open while it does
//   2. read up to 1 MiB of blocks, then read the file's header again: the server recycles files in
//   place
//      (same inode), so what was read counts only if the header still names the same start LSN and
//      uuid
//   3. check every block (number, epoch, checksum), strip frames, stop at the limit, at a partial
//   block,
//      or at a block that is not the expected one
//
// With a limit that the server has reported as flushed, blocks below it must be there: a bad one is
// read again (the last block is rewritten while it fills) and is an error if it stays bad. Without
// a limit (the server is dead) the first block that is not the expected one is the end of the log.
//
// Suspends: everything. One call at a time.
#pragma once

#include <cstdint>
#include <memory>
#include <string>

#include "client/tail/redo_directory.h"
#include "client/tail/redo_hold.h"
#include "common/base/bytes.h"
#include "common/base/result.h"
#include "common/base/types.h"
#include "common/runtime/runtime.h"
#include "common/runtime/task.h"

namespace redoubt::tail {

enum class RedoReadEnd : uint8_t {
  kMore,      // stopped at bytes_max or at a file's end: read on
  kLimit,     // everything below the limit was read
  kTail,      // the log ends here
  kGap,       // the LSN is not in the files any more: unread redo was recycled
  kOtherLog,  // the files belong to another log set (uuid): redo was recreated
};

struct RedoRead {
  RedoReadEnd end = RedoReadEnd::kMore;
  Lsn start;
  // Payload of [start, start + payload): see innodb::AdvanceLsn.
  Bytes payload;
  // kGap, kOtherLog: the oldest LSN that the files hold now. kTail: where the last block's data
  // ends, which lies below `start` when the log is shorter than the reader thought.
  Lsn lsn;
};

class RedoReader {
 public:
  static constexpr size_t kBytesMax = 1 << 20;

  // `directory`: the path of #innodb_redo. `hold`: outlives the reader; nullptr: none.
  RedoReader(Runtime* runtime, std::string directory, const RedoHold* hold);

  // Reads from the data LSN `from`, at most kBytesMax, never beyond `limit` (kMaxLsn: none).
  // kCorruption: a block below the limit stays unreadable; names file, LSN and state. kUnsupported:
  // the redo is encrypted or of another format. kIoError, kNotFound (directory).
  Task<Result<RedoRead>> Read(Lsn from, Lsn limit);

  // Makes everything that was or can be read durable on the source's own disk: after this a crash
  // of the host cannot take it back. Only useful while no server writes.
  Task<Status> SyncFiles();

  // Finds the first mtr start at or after the block of `checkpoint`. kNotFound: none is written
  // yet.
  Task<Result<Lsn>> FindGroupStart(Lsn checkpoint);

  Task<Result<RedoDirectory>> Scan();

  // The log set that is being read; 0 before the first read or Expect.
  uint32_t log_uuid() const { return log_uuid_; }
  // Reads from now on only from this log set. 0: whichever is there.
  void Expect(uint32_t log_uuid);

 private:
  enum class Found : uint8_t { kFile, kGap, kTail, kOtherLog };
  struct Decoded;

  Task<Result<Found>> Locate(Lsn block_lsn, Lsn* oldest);
  Task<Result<bool>> LocateHeld(Lsn block_lsn);
  Task<Result<bool>> HeaderUnchanged();
  Task<Result<RedoRead>> ReadHere(Lsn from, Lsn limit, bool* again);
  Status BadBlock(Lsn block_lsn, const char* state) const;

  Runtime* runtime_;
  std::string directory_;
  const RedoHold* hold_;
  uint32_t log_uuid_ = 0;
  std::shared_ptr<File> file_;
  RedoFile open_;
  Bytes buffer_;
};

}  // namespace redoubt::tail
