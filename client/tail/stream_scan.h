// SPDX-License-Identifier: MIT
//
// What the tailer must notice in the redo that it forwards: which tablespaces exist and where, and
// the places where redo alone is not enough and something has to be sent before the stream goes on
// (barriers).
//
//   kIndexLoad      an index was built with unlogged pages, which are in the data file now
//   kFullTextLoad   the same for the auxiliary tables of a FULLTEXT index
//   kSpaceAppeared  page changes of a tablespace that nothing announced: CREATE UNDO TABLESPACE, or
//                   DISCARD + IMPORT TABLESPACE, which bring a deleted id back without a record
//   kBuildSuspected rows change in a tablespace in which an index build began that has not been
//   seen to end:
//                   a build that allows no concurrent DML (LOCK=SHARED or EXCLUSIVE, functional and
//                   multi-valued indexes) writes its pages without redo and logs no MLOG_INDEX_LOAD
//                   (seen on 9.7.4)
//   kUnsupported    the tablespace became, or is created as, one that cannot be followed
//
// Memory: one entry per tablespace, plus a bounded list of recent page creations (where unlogged
// index builds began).
#pragma once

#include <cstdint>
#include <deque>
#include <map>
#include <string>
#include <unordered_map>
#include <vector>

#include "common/base/status.h"
#include "common/base/types.h"
#include "common/innodb/mtr_assembler.h"

namespace redoubt::tail {

enum class BarrierKind : uint8_t {
  kIndexLoad,
  kFullTextLoad,
  kSpaceAppeared,
  kBuildSuspected,
  kUnsupported
};

struct Barrier {
  BarrierKind kind{};
  LsnRange mtr;  // the stream may be sent up to mtr.start before the barrier is dealt with
  SpaceId space;
  uint64_t index_id = 0;
  // From where on pages of the space may have changed without redo.
  Lsn hole_start;
  std::string reason;  // kUnsupported
  uint32_t flags = 0;  // kUnsupported
};

struct KnownSpace {
  std::string path;  // as logged, "./db/t.ibd"; may be empty for undo spaces
  bool deleted = false;
  Lsn created;  // Lsn{0}: before the stream began
  Lsn deleted_lsn;
  // Rows were changed in it, so that a tree created from now on is an index being added.
  bool rows_seen = true;
  uint32_t build_count = 0;  // entries of builds() in this space
  bool barrier_in_batch = false;
};

// An index of which the root was created in a space that holds rows: it is being built.
struct IndexBuild {
  SpaceId space;
  Lsn started;
};

// Why a tablespace with these FSP flags cannot be followed; empty: it can.
std::string UnsupportedReason(uint32_t space_flags);

class StreamScan {
 public:
  // A space that exists, from a copy or from the page server's list. Replaces what was known.
  void Know(SpaceId space, std::string path);
  // A space whose file is nowhere: its records are passed on without asking again.
  void Ignore(SpaceId space) { Know(space, ""); }
  void Forget();

  // What follows was read from the files after everything before was dealt with: a suspicion is
  // raised at most once a batch and space.
  void BeginBatch();
  // Takes the next mtr; appends what it demands to `barriers`. kCorruption: a record whose body is
  // senseless.
  Status Take(const innodb::MtrView& mtr, std::vector<Barrier>* barriers);

  // nullptr: never heard of it.
  const KnownSpace* Find(SpaceId space) const;
  // Live spaces of which the path contains `part`, ascending.
  std::vector<SpaceId> SpacesWithPath(const std::string& part) const;
  // Deleted spaces of which the file could come back, with the path they had; at most a few
  // hundred.
  const std::map<SpaceId, KnownSpace>& recently_deleted() const { return recently_deleted_; }

  // By index id. Ended by an INDEX_LOAD, the end of the space, or EndBuild.
  const std::map<uint64_t, IndexBuild>& builds() const { return builds_; }
  uint64_t builds_begun() const { return builds_begun_; }
  void EndBuild(uint64_t index_id);
  void EndBuildsIn(SpaceId space);
  // Those that began below `lsn`.
  void EndBuildsBefore(SpaceId space, Lsn lsn);

  // Since construction.
  uint64_t mtr_count() const { return mtr_count_; }
  uint64_t record_count() const { return record_count_; }

 private:
  static constexpr size_t kCreationsMax = 50'000;
  static constexpr size_t kDeletedMax = 512;
  static constexpr size_t kBuildsMax = 1000;

  Status TakeRecord(const innodb::RedoRecord& record, LsnRange mtr, std::vector<Barrier>* barriers);
  Status TakeFileRecord(const innodb::RedoRecord& record, LsnRange mtr,
                        std::vector<Barrier>* barriers);
  Status TakeIndexLoad(const innodb::RedoRecord& record, LsnRange mtr,
                       std::vector<Barrier>* barriers);
  void TakePageRecord(const innodb::RedoRecord& record, LsnRange mtr,
                      std::vector<Barrier>* barriers);
  void TakeSpaceOfPage(SpaceId id, LsnRange mtr, std::vector<Barrier>* barriers);
  void RememberCreation(PageId page, Lsn lsn);
  void WatchTree(const innodb::RedoRecord& record, LsnRange mtr);
  void TakeRowChange(SpaceId id, LsnRange mtr, std::vector<Barrier>* barriers);

  std::unordered_map<SpaceId, KnownSpace> spaces_;  // never iterated where order matters
  std::map<SpaceId, KnownSpace> recently_deleted_;
  SpaceId last_live_space_{0xFFFFFFFF};  // the last one looked up and found live
  KnownSpace* last_live_ = nullptr;      // its entry
  std::unordered_map<PageId, Lsn> creations_;
  std::deque<PageId> creation_order_;
  std::map<uint64_t, IndexBuild> builds_;
  uint64_t builds_begun_ = 0;
  std::vector<SpaceId> spaces_with_barrier_;
  // Within the present mtr: pages that got a segment header as roots have, and the root just
  // created.
  std::vector<PageId> segment_pages_;
  PageId new_root_{SpaceId(0xFFFFFFFF), PageNo(0)};
  std::unordered_map<SpaceId, PageNo> sdi_roots_;
  uint64_t mtr_count_ = 0;
  uint64_t record_count_ = 0;
};

}  // namespace redoubt::tail
