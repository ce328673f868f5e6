// SPDX-License-Identifier: MIT
//
// What a log replica has promised and accepted of its writers, in a small file that is replaced as
// a whole:
//   u64 magic 'RDBTEPOC', u32 version, u64 volume uid, u64 promised, u32 member count, u32 count,
//   count x {u64 epoch, u64 start LSN}, u32 crc32c of everything before; big-endian.
//
// An epoch begins in two steps. The promise makes the replica refuse everybody older (Rule 3); the
// begin says which history the new epoch's log has, and only then its appends are taken.
//
// Invariants: the history is one of epoch_history.h; promised >= its last epoch. Crash: the old or
// the new content, never a mix. Suspends: Open, Promise, Begin (one at a time).
#pragma once

#include <cstdint>
#include <string>

#include "common/base/bytes.h"
#include "common/base/result.h"
#include "common/base/types.h"
#include "common/runtime/runtime.h"
#include "pageserver/log/epoch_history.h"

namespace redoubt {

class EpochFence {
 public:
  // `directory` exists when Open is called.
  EpochFence(Runtime* runtime, std::string directory, uint64_t volume_uid);

  // Reads the file; a missing one is epoch 0 without history. kCorruption: damaged, and then the
  // server must not serve as if nothing had been promised. kUnsupported: another version or another
  // volume's.
  Task<Status> Open();

  // Promises `epoch` (above promised()). The new promise counts in memory from the call on and is
  // durable on OK; after an error it still counts, so that nobody older writes, but the caller must
  // not answer.
  Task<Status> Promise(Epoch epoch);

  // Takes over the history of the promised epoch, its last entry. Counts, and is durable, on OK;
  // after an error the former history counts, and either may be on disk.
  Task<Status> Begin(EpochHistory history, uint32_t member_count);

  Epoch promised() const { return promised_; }
  const EpochHistory& history() const { return history_; }
  // The newest epoch that was begun; 0: none.
  Epoch begun() const { return history_.empty() ? Epoch{} : history_.back().epoch; }
  // Log servers of the volume as the begun epoch has them; 0: none was begun.
  uint32_t member_count() const { return member_count_; }

 private:
  Task<Status> Write(const EpochHistory* history, uint32_t member_count);
  Status Decode(ByteView bytes);

  Runtime* runtime_;
  std::string directory_;
  uint64_t volume_uid_;
  Epoch promised_;
  uint32_t member_count_ = 0;
  EpochHistory history_;
};

}  // namespace redoubt
