// SPDX-License-Identifier: MIT
//
// One machine's disk: what its file system shows now, and what would be left of it after a power
// cut. Survives the node's restarts. Synchronous; latency is the file system's business.
//
// Every file has a durable image and the ordered list of writes and truncations that were not
// synced; every change of a name is one operation in a journal until a directory that it touches is
// synced. A crash builds the tree that the machine finds when it comes back: all durable state,
// plus whatever part of the pending operations the policy lets through.
//
// Invariants:
//   - the present content of a file == durable image + all its pending operations, unless a sync
//   failed
//     (then the pending ones of that moment are shown, but will never become durable)
//   - an operation is pending until promoted, promoted at most once, and never promoted after a
//   crash
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "common/base/bytes.h"
#include "common/base/result.h"
#include "common/runtime/file_system.h"
#include "sim/runtime/seeded_stream.h"

namespace redoubt::sim {

using InodeId = uint64_t;  // 0: none

enum class CrashPolicy : uint8_t {
  kSeeded,     // one of the others, drawn at the crash
  kClean,      // synced state only
  kAll,        // everything made it
  kPrefix,     // the first k operations of the whole disk, in order
  kBlocks,     // of each unsynced write a random subset of its 4 KiB blocks; names: a prefix
  kTorn,       // the same with 512-byte sectors, some of which hold zeroes or garbage
  kLostNames,  // all data, no unsynced name
};
std::string_view CrashPolicyName(CrashPolicy policy);

enum class FileOp : uint8_t {
  kOpen,
  kRead,
  kWrite,
  kSync,
  kTruncate,
  kRemove,
  kRename,
  kSyncDirectory,
  kMakeDirectory
};
std::string_view FileOpName(FileOp op);

// What a device does to bytes that a sync had made durable. Damage lies in whole sectors over the
// durable image, which keeps the right bytes; what is in the page cache hides it; a write of a
// whole sector ends it.
enum class DamageKind : uint8_t {
  kUnreadable,   // reading the sector fails, for ever
  kBitFlip,      // one bit of the sector is the other way round
  kLostWrite,    // a synced write never reached the medium: its sectors show what was there before
  kMisdirected,  // the same, and the write lies over other synced sectors instead
};
std::string_view DamageKindName(DamageKind kind);

struct DamageSpot {
  DamageKind kind = DamageKind::kUnreadable;
  std::string path;
  uint64_t offset = 0;  // of the first damaged byte
};

struct DiskOptions {
  uint64_t capacity_bytes = uint64_t{64} << 30;
  int64_t read_ns_mean = 60'000;
  int64_t write_ns_mean = 20'000;
  int64_t sync_ns_min = 200'000;
  int64_t sync_ns_mean = 1'000'000;
  // One sync in so many millionths takes sync_stall_ns.
  uint32_t sync_stall_ppm = 0;
  int64_t sync_stall_ns = 400'000'000;
  uint32_t bytes_per_us = 1000;
  uint32_t read_error_ppm = 0;
  uint32_t write_error_ppm = 0;
  uint32_t sync_error_ppm = 0;
  // An episode: every operation takes so many times as long.
  uint32_t slowdown = 1;
  // kSeeded draws only kBlocks and kTorn.
  bool torn_crashes_only = false;
};

class SimDisk {
 public:
  // `random` outlives the disk; `entity` numbers the disk among its streams.
  SimDisk(const DiskOptions& options, RandomRoot* random, uint64_t entity);
  SimDisk(const SimDisk&) = delete;
  SimDisk& operator=(const SimDisk&) = delete;

  // --- Names. Paths are absolute or relative to the root; "." and empty parts are ignored.
  // The open count of the inode grows; Close gives it back.
  Result<InodeId> Open(std::string_view path, OpenMode mode);
  void Close(InodeId inode);
  Result<std::vector<DirectoryEntry>> List(std::string_view path) const;
  Result<FileInfo> Stat(std::string_view path) const;
  Status CreateDirectories(std::string_view path);
  Status Remove(std::string_view path);
  Status Rename(std::string_view from, std::string_view to);
  // The inode of a directory, for SyncDirectory. kNotFound.
  Result<InodeId> FindDirectory(std::string_view path) const;

  // --- Data. Read shows damage, FindBadSector says whether the device would rather fail.
  size_t Read(InodeId inode, uint64_t offset, MutableByteView into) const;
  Status Write(InodeId inode, uint64_t offset, ByteView bytes);
  Status Truncate(InodeId inode, uint64_t size);
  uint64_t Size(InodeId inode) const;
  // The offset of the first unreadable sector that a read of `count` bytes at `offset` needs.
  std::optional<uint64_t> FindBadSector(InodeId inode, uint64_t offset, uint64_t count) const;

  // --- Durability. A sync covers what was pending when it began: it takes the mark then, and
  // promotes up to the mark when it ends.
  uint64_t Mark() const { return next_seq_; }
  void PromoteFile(InodeId inode, uint64_t mark);
  void PromoteDirectory(InodeId directory, uint64_t mark);
  // Everything that is there now: what the machine was installed with.
  void PromoteAll();
  // A failed fsync: what was pending stays visible and is never written.
  void DropPending(InodeId inode, uint64_t mark);

  struct CrashReport {
    CrashPolicy policy = CrashPolicy::kClean;
    uint64_t pending_count = 0;
    uint64_t survived_count = 0;  // whole or in part
  };
  // What happens to files from now on is shown, and undone by Thaw: for code that cannot be stopped
  // where it stands when its machine loses power. Does nothing when already frozen.
  void Freeze();
  // No file may be open. Does nothing when not frozen.
  void Thaw();
  // No file may be open. Afterwards everything that is there is durable.
  CrashReport Crash(CrashPolicy policy);
  void Wipe();

  // --- Faults.
  // The next `count` operations `op` on a path that contains `path_part` fail with `code`.
  void FailNext(FileOp op, std::string path_part, StatusCode code, uint32_t count);
  // Forgets what FailNext and DamageNextWrite ask for and has not happened yet; ends a stall.
  void ClearFaults();
  // Asked before every operation; kOk lets it pass. Counts the operation.
  Status CheckFault(FileOp op, std::string_view path);
  void SetErrorRates(uint32_t read_ppm, uint32_t write_ppm, uint32_t sync_ppm);
  // Space is used by what the files show; it comes back when a file shrinks, or when it is removed
  // and closed.
  void SetCapacity(uint64_t bytes) { options_.capacity_bytes = bytes; }
  // The device answers nothing before `until_ns` (of the world).
  void StallUntil(int64_t until_ns);
  int64_t stalled_until_ns() const { return stalled_until_ns_; }
  // Damages one synced sector, drawn by `stream`, of the files whose path contains `path_part`.
  // kUnreadable and kBitFlip only. Nothing when there is no whole synced sector. With kNewest the
  // last of these files by name in each directory stays whole.
  enum class Spare : uint8_t { kNothing, kNewest };
  std::optional<DamageSpot> DamageSector(DamageKind kind, std::string_view path_part,
                                         SeededStream* stream, Spare spare = Spare::kNothing);
  // The next sync that has a write of such a file to promote loses it, or misdirects it.
  void DamageNextWrite(DamageKind kind, std::string path_part);
  // Everything that was damaged so far, healed or not.
  const std::vector<DamageSpot>& damage_log() const { return damage_log_; }
  // Injected errors that were answered so far.
  uint64_t error_count() const { return error_count_; }
  // Called with every operation after it was counted: crash-at-operation triggers.
  void SetObserver(std::function<void(FileOp, std::string_view path, uint64_t op_no)> observer);
  uint64_t op_count() const { return op_count_; }
  uint64_t used_bytes() const { return used_bytes_; }
  uint64_t pending_count() const;
  // Handles that were not closed.
  uint64_t open_count() const;
  DiskOptions& options() { return options_; }
  // The disk's stream of latencies.
  SeededStream& latency() { return latency_; }

 private:
  struct DataOp {
    uint64_t seq = 0;
    bool truncate = false;
    uint64_t offset = 0;  // truncate: the new size
    Bytes bytes;
  };
  struct SectorDamage {
    bool unreadable = false;
    Bytes shown;  // one sector, unless unreadable
  };
  struct Inode {
    bool is_directory = false;
    bool unlinked = false;  // its last name went, perhaps not durably
    uint32_t open_count = 0;
    Bytes content;  // files: as shown
    Bytes durable;
    std::vector<DataOp> pending;
    // A failed sync: what is shown is not what the durable image and the pending operations make.
    bool lost_writes = false;
    std::map<uint64_t, SectorDamage> damage;  // by sector number
    // Directories: as shown, and durable.
    std::map<std::string, InodeId, std::less<>> entries;
    std::map<std::string, InodeId, std::less<>> durable_entries;
  };
  struct NameEdit {
    InodeId directory = 0;
    std::string name;
    InodeId inode = 0;  // 0: the name goes
  };
  struct NameOp {
    uint64_t seq = 0;
    std::vector<NameEdit> edits;  // one atomic change
  };
  struct Place {
    InodeId directory = 0;
    std::string name;
    InodeId inode = 0;  // 0: not there
  };
  struct Frozen {
    std::map<InodeId, Inode> inodes;
    std::vector<NameOp> journal;
    std::optional<DamageSpot> armed;
    std::vector<DamageSpot> damage_log;
  };
  struct FaultRule {
    FileOp op = FileOp::kWrite;
    std::string path_part;
    StatusCode code = StatusCode::kIoError;
    uint32_t remaining = 0;
  };

  Result<Place> Locate(std::string_view path) const;
  Inode& Get(InodeId inode);
  const Inode& Get(InodeId inode) const;
  InodeId NewInode(bool is_directory);
  void EditNames(std::vector<NameEdit> edits);
  void ApplyDurable(const NameOp& op);
  static void ApplyData(const DataOp& op, Bytes* image);
  // The same to the durable image, and what it does to damage there.
  static void ApplyDurable(const DataOp& op, Inode* inode);
  static bool IsCached(const Inode& inode, uint64_t sector);
  static void ShowDamage(const Inode& inode, uint64_t offset, MutableByteView bytes);
  void LoseWrite(const DataOp& op, Inode* inode);
  void Misdirect(const DataOp& op, InodeId from);
  std::optional<std::string> ArmedPath(InodeId inode) const;
  std::map<std::string, InodeId> FilesBelow(InodeId directory, const std::string& prefix) const;
  void FreeSpace();
  void CrashData(CrashPolicy policy, uint64_t cut_seq, Inode* inode, CrashReport* report);
  void CrashPieces(const DataOp& op, uint64_t unit, bool torn, Inode* inode, CrashReport* report);
  void CrashNames(CrashPolicy policy, uint64_t cut_seq, CrashReport* report);
  void CollectGarbage();
  void RecountUsed();

  DiskOptions options_;
  SeededStream latency_;
  SeededStream errors_;
  SeededStream crashes_;
  SeededStream misdirections_;
  std::map<InodeId, Inode> inodes_;
  std::vector<NameOp> journal_;
  std::optional<Frozen> frozen_;
  std::vector<FaultRule> rules_;
  std::function<void(FileOp, std::string_view, uint64_t)> observer_;
  InodeId next_inode_ = 1;
  uint64_t next_seq_ = 1;
  uint64_t op_count_ = 0;
  uint64_t used_bytes_ = 0;
  uint64_t error_count_ = 0;
  int64_t stalled_until_ns_ = 0;
  std::optional<DamageSpot> armed_;  // its path is a part of one
  std::vector<DamageSpot> damage_log_;
};

}  // namespace redoubt::sim
