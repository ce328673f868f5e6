// SPDX-License-Identifier: MIT
//
// A model of what InnoDB keeps on its own disk, to compare with: redo, and pages that are written
// over in place. With a doublewrite file, or without: then a page of which a power cut let only a
// part through fails its checksum, and redo cannot repair what it only describes changes of.
//
//   redo       checkpoint at 0 and 4096, by turns; then from 8192 on blocks of 512 bytes, each with
//              number, place in the log, checksum; a commit begins a new block
//   tN.ibd     page p of space N at p * page size
//   dblwr      the pages of one batch, one after the other
//
// Flush rule: a page is written once the redo of its last change is synced. A checkpoint is written
// when every page that was dirty at its LSN is synced. Recovery: from the checkpoint, by page LSN.
// Crash: unsynced redo may go, in part; recovery ends at the first block that is not sound, and
// cuts there.
#pragma once

#include <map>
#include <memory>
#include <set>
#include <string>
#include <vector>

#include "common/base/status.h"
#include "common/runtime/runtime.h"
#include "sim/oracle/page_history.h"
#include "sim/workload/followed_server.h"

namespace redoubt::sim {

struct LocalStorageOptions {
  std::string directory;  // exists
  bool doublewrite = false;
};

struct LocalRecovery {
  Lsn end;  // of the last whole mtr that the redo has
  // Pages that failed their checksum, and those of them that the doublewrite file had whole.
  uint64_t torn_count = 0;
  uint64_t repaired_count = 0;
  uint32_t page_size = 0;
  // What recovery made of every page; zeroes of one that it could not make.
  std::map<PageId, Bytes> pages;
};

class LocalStorage {
 public:
  // `server` and its `history` outlive it: its pages are the buffer pool.
  LocalStorage(Runtime* runtime, const FollowedServer* server, const PageHistory* history,
               LocalStorageOptions options)
      : runtime_(runtime), server_(server), history_(history), options_(std::move(options)) {}

  // Once, first. A page that could not be recovered is written anew by the next flush, as if from a
  // backup.
  Task<Result<LocalRecovery>> Recover();
  // All redo that there is; durable on OK.
  Task<Status> Commit();
  // Writes every page that is dirty as of the last commit, then the checkpoint.
  Task<Status> Flush();
  Lsn committed() const { return committed_; }

 private:
  struct Position {
    Lsn lsn;
    uint64_t offset = 0;  // in the redo file
    uint32_t block_no = 0;
  };
  struct FoundRedo {
    Position from;
    Bytes payload;
  };
  Task<Status> OpenRedo(FoundRedo* found);
  Task<Status> ReadPages(LocalRecovery* recovery, std::set<PageId>* torn);
  Task<Status> ReadDoublewrite(std::map<PageId, Bytes>* copies);
  Task<Status> ReadSpace(std::string name, std::map<PageId, Bytes>* pages);
  static Status Apply(const FoundRedo& found, LocalRecovery* recovery, std::set<PageId>* torn);
  Task<Status> WriteBatch(std::vector<PageId> batch, Lsn lsn);
  Task<Status> WriteCheckpoint(Position at);
  Task<Result<File*>> SpaceFile(SpaceId space);
  Task<Result<Bytes>> ReadAll(File* file);
  Bytes MakeBlocks(LsnRange range);

  Runtime* runtime_;
  const FollowedServer* server_;
  const PageHistory* history_;
  LocalStorageOptions options_;
  std::unique_ptr<File> redo_;
  std::unique_ptr<File> doublewrite_;
  std::map<SpaceId, std::unique_ptr<File>> spaces_;
  std::map<PageId, Lsn> on_disk_;  // page LSN of what was synced
  Position next_;                  // where the next commit goes
  Lsn committed_;
  uint64_t checkpoint_no_ = 0;
};

}  // namespace redoubt::sim
