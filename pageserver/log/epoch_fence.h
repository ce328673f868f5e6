// SPDX-License-Identifier: MIT
//
// The promise of a log replica: which writer generation it obeys, and where each one began. On disk
// before it is answered (Rule 3), in a small file that is replaced as a whole:
//   u64 magic 'RDBTEPOC', u32 version, u64 volume uid, u64 promised, u32 count, count x {u64 epoch,
//   u64 start LSN}, u32 crc32c of everything before; big-endian.
//
// Invariants: epochs in the history rise strictly, starts never fall, promised >= the last epoch.
// Crash: the old or the new content, never a mix. Suspends: Open, Promise (one at a time).
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "common/base/bytes.h"
#include "common/base/result.h"
#include "common/base/types.h"
#include "common/runtime/runtime.h"

namespace redoubt {

struct EpochBegin {
  Epoch epoch;
  Lsn start;
  friend bool operator==(const EpochBegin&, const EpochBegin&) = default;
};

class EpochFence {
 public:
  // `directory` exists when Open is called.
  EpochFence(Runtime* runtime, std::string directory, uint64_t volume_uid);

  // Reads the file; a missing one is epoch 0 without history. kCorruption: damaged, and then the
  // server must not serve as if nothing had been promised. kUnsupported: another version or another
  // volume's.
  Task<Status> Open();

  // Promises `epoch` (above promised()) to a writer whose first byte will be at `start`. The new
  // promise counts in memory from the call on and is durable on OK; after an error it still counts,
  // so that nobody older writes, but the caller must not answer.
  Task<Status> Promise(Epoch epoch, Lsn start);

  Epoch promised() const { return promised_; }
  const std::vector<EpochBegin>& history() const { return history_; }

 private:
  Bytes Encode() const;
  Status Decode(ByteView bytes);

  Runtime* runtime_;
  std::string directory_;
  uint64_t volume_uid_;
  Epoch promised_;
  std::vector<EpochBegin> history_;
};

}  // namespace redoubt
