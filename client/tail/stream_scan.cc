// SPDX-License-Identifier: MIT
#include "client/tail/stream_scan.h"

#include <algorithm>
#include <utility>

#include "common/base/check.h"
#include "common/innodb/packed_reader.h"
#include "common/innodb/page_format.h"
#include "common/innodb/redo_record.h"
#include "common/innodb/redo_type.h"

namespace redoubt::tail {
namespace {

using innodb::RedoRecord;
using innodb::RedoType;

// The page number that an INDEX_LOAD carries when the index has no tree of its own (FULLTEXT).
constexpr PageNo kNoRootPage{0xFFFFFFFF};
constexpr SpaceId kNoSpace{0xFFFFFFFF};

// Ids from here on belong to the change buffer's tree (MySQL 9.7.4, dict0types.h,
// DICT_IBUF_ID_MIN). It is made when the server is initialised, and all of it is logged.
constexpr uint64_t kChangeBufferIndexIdMin = 0xFFFFFFFF00000000;

bool CreatesTree(RedoType type) {
  return type == RedoType::kPageCreateCompact || type == RedoType::kPageCreateRedundant;
}

bool CreatesSdiTree(RedoType type) {
  return type == RedoType::kPageCreateSdiCompact || type == RedoType::kPageCreateSdiRedundant;
}

// Record-level changes of an index page, as DML and index maintenance make them.
bool ChangesRows(RedoType type) {
  switch (type) {
    case RedoType::kSecDeleteMark:
    case RedoType::kRecordInsert:
    case RedoType::kClustDeleteMark:
    case RedoType::kRecordDelete:
    case RedoType::kUpdateInPlace:
    case RedoType::kListEndDelete:
    case RedoType::kListStartDelete:
      return true;
    default:
      return false;
  }
}

// "./db/fts_<table id>_<index id>_index_<n>.ibd"
bool IsFullTextIndexTable(const std::string& path) {
  const size_t name = path.rfind('/') + 1;  // npos + 1 == 0
  return path.compare(name, 4, "fts_") == 0 && path.find("_index_", name) != std::string::npos;
}

// Offsets in an index page: its index id, and the page offset in the two segment headers of a root.
constexpr uint16_t kIndexIdOffset = 66;
constexpr uint16_t kLeafSegmentOffset = 82;
constexpr uint16_t kTopSegmentOffset = 92;

// Body of the write records: u16 offset, value as c32, or c64 for 8 bytes.
uint16_t WriteOffset(const RedoRecord& record) {
  return record.body.size() < 3 ? uint16_t{0} : LoadBe16(record.body.data());
}

// A 4-byte write to FSP_SPACE_FLAGS: the new value.
bool WritesSpaceFlags(const RedoRecord& record, uint32_t* flags) {
  if (record.type != RedoType::kWrite4 || WriteOffset(record) != innodb::kFspFlagsOffset) {
    return false;
  }
  innodb::PackedReader reader(record.body.subspan(2));
  *flags = reader.C32();
  return reader.AtEnd();
}

}  // namespace

std::string UnsupportedReason(uint32_t space_flags) {
  const innodb::SpaceFlags flags{space_flags};
  if (flags.zip_page_size() != 0) {
    return "ROW_FORMAT=COMPRESSED";
  }
  if (flags.encrypted()) {
    return "encrypted tablespace";
  }
  if (!innodb::IsPageSize(flags.page_size())) {
    return "senseless tablespace flags " + std::to_string(space_flags);
  }
  return "";
}

void StreamScan::Know(SpaceId space, std::string path) {
  KnownSpace known;
  known.path = std::move(path);
  EndBuildsIn(space);
  spaces_[space] = std::move(known);
  recently_deleted_.erase(space);
  last_live_space_ = kNoSpace;
}

void StreamScan::Forget() {
  spaces_.clear();
  recently_deleted_.clear();
  creations_.clear();
  creation_order_.clear();
  builds_.clear();
  spaces_with_barrier_.clear();
  sdi_roots_.clear();
  last_live_space_ = kNoSpace;
}

const KnownSpace* StreamScan::Find(SpaceId space) const {
  const auto found = spaces_.find(space);
  return found == spaces_.end() ? nullptr : &found->second;
}

std::vector<SpaceId> StreamScan::SpacesWithPath(const std::string& part) const {
  std::vector<SpaceId> found;
  for (const auto& [id, space] : spaces_) {  // sorted below
    if (!space.deleted && space.path.find(part) != std::string::npos) {
      found.push_back(id);
    }
  }
  std::sort(found.begin(), found.end());
  return found;
}

Status StreamScan::Take(const innodb::MtrView& mtr, std::vector<Barrier>* barriers) {
  ++mtr_count_;
  record_count_ += mtr.records.size();
  const LsnRange range{mtr.start_lsn, mtr.end_lsn};
  segment_pages_.clear();
  new_root_.space = kNoSpace;
  for (const RedoRecord& record : mtr.records) {
    REDOUBT_RETURN_IF_ERROR(TakeRecord(record, range, barriers));
  }
  return Status::Ok();
}

Status StreamScan::TakeRecord(const RedoRecord& record, LsnRange mtr,
                              std::vector<Barrier>* barriers) {
  switch (innodb::RedoTypeCategory(record.type)) {
    case innodb::RedoCategory::kPage:
    case innodb::RedoCategory::kZipPage:
      TakePageRecord(record, mtr, barriers);
      return Status::Ok();
    case innodb::RedoCategory::kFile:
      return TakeFileRecord(record, mtr, barriers);
    case innodb::RedoCategory::kOther:
      return record.type == RedoType::kIndexLoad ? TakeIndexLoad(record, mtr, barriers)
                                                 : Status::Ok();
  }
  return Status::Ok();
}

void StreamScan::TakePageRecord(const RedoRecord& record, LsnRange mtr,
                                std::vector<Barrier>* barriers) {
  const SpaceId id = record.page.space;
  uint32_t flags = 0;
  if (record.page.page_no == PageNo(0) && WritesSpaceFlags(record, &flags)) {
    std::string reason = UnsupportedReason(flags);
    if (!reason.empty()) {
      barriers->push_back({BarrierKind::kUnsupported, mtr, id, 0, mtr.start, reason, flags});
    }
  }
  WatchTree(record, mtr);
  if (id != last_live_space_) {
    TakeSpaceOfPage(id, mtr, barriers);
  }
  if (ChangesRows(record.type)) {
    const auto sdi_root = sdi_roots_.find(id);
    if (sdi_root == sdi_roots_.end() || sdi_root->second != record.page.page_no) {
      TakeRowChange(id, mtr, barriers);
    }
  }
}

void StreamScan::TakeSpaceOfPage(SpaceId id, LsnRange mtr, std::vector<Barrier>* barriers) {
  const auto [entry, unknown] = spaces_.try_emplace(id);
  KnownSpace& space = entry->second;
  if (unknown || space.deleted) {
    Barrier barrier{BarrierKind::kSpaceAppeared, mtr, id, 0, mtr.start, "", 0};
    if (space.deleted) {
      barrier.hole_start = space.deleted_lsn;
    }
    barriers->push_back(std::move(barrier));
    // Once is enough: whoever deals with the barrier tells us what it found.
    space.deleted = false;
    space.created = mtr.start;
    recently_deleted_.erase(id);
  }
  last_live_space_ = id;
  last_live_ = &space;  // map nodes stay where they are
}

void StreamScan::TakeRowChange(SpaceId id, LsnRange mtr, std::vector<Barrier>* barriers) {
  REDOUBT_CHECK(id == last_live_space_);
  KnownSpace& space = *last_live_;
  space.rows_seen = true;
  if (space.build_count == 0 || space.barrier_in_batch) [[likely]] {
    return;
  }
  space.barrier_in_batch = true;
  spaces_with_barrier_.push_back(id);
  Barrier barrier{BarrierKind::kBuildSuspected, mtr, id, 0, mtr.start, "", 0};
  for (const auto& [index_id, build] : builds_) {
    if (build.space == id) {
      barrier.hole_start = std::min(barrier.hole_start, build.started);
    }
  }
  barriers->push_back(std::move(barrier));
}

void StreamScan::BeginBatch() {
  for (const SpaceId id : spaces_with_barrier_) {
    const auto space = spaces_.find(id);
    if (space != spaces_.end()) {
      space->second.barrier_in_batch = false;
    }
  }
  spaces_with_barrier_.clear();
}

// A root is created in one mtr that writes both segment headers, creates the page and sets its
// index id; a page that is split off has no segment headers.
void StreamScan::WatchTree(const RedoRecord& record, LsnRange mtr) {
  switch (record.type) {
    case RedoType::kWrite2: {
      const uint16_t offset = WriteOffset(record);
      if (offset == kLeafSegmentOffset || offset == kTopSegmentOffset) {
        segment_pages_.push_back(record.page);
      }
      return;
    }
    case RedoType::kWrite8: {
      if (record.page != new_root_ || WriteOffset(record) != kIndexIdOffset) {
        return;
      }
      innodb::PackedReader reader(record.body.subspan(2));
      const uint64_t index_id = reader.C64();
      const auto space = spaces_.find(record.page.space);
      const bool rows = space == spaces_.end() || space->second.rows_seen;
      const bool can_be_built = index_id != 0 && index_id < kChangeBufferIndexIdMin;
      if (reader.AtEnd() && rows && can_be_built && builds_.size() < kBuildsMax &&
          builds_.try_emplace(index_id, IndexBuild{record.page.space, mtr.start}).second) {
        ++spaces_[record.page.space].build_count;
        ++builds_begun_;
      }
      return;
    }
    default:
      break;
  }
  if (CreatesTree(record.type)) {
    RememberCreation(record.page, mtr.start);
    if (std::find(segment_pages_.begin(), segment_pages_.end(), record.page) !=
        segment_pages_.end()) {
      new_root_ = record.page;
    }
  } else if (CreatesSdiTree(record.type)) {
    sdi_roots_.try_emplace(record.page.space, record.page.page_no);
  }
}

void StreamScan::EndBuild(uint64_t index_id) {
  const auto build = builds_.find(index_id);
  if (build == builds_.end()) {
    return;
  }
  const auto space = spaces_.find(build->second.space);
  if (space != spaces_.end() && space->second.build_count > 0) {
    --space->second.build_count;
  }
  builds_.erase(build);
}

void StreamScan::EndBuildsBefore(SpaceId space, Lsn lsn) {
  std::vector<uint64_t> ended;
  for (const auto& [index_id, build] : builds_) {
    if (build.space == space && build.started < lsn) {
      ended.push_back(index_id);
    }
  }
  for (const uint64_t index_id : ended) {
    EndBuild(index_id);
  }
}

void StreamScan::EndBuildsIn(SpaceId space) {
  std::erase_if(builds_, [space](const auto& build) { return build.second.space == space; });
  const auto known = spaces_.find(space);
  if (known != spaces_.end()) {
    known->second.build_count = 0;
  }
}

Status StreamScan::TakeFileRecord(const RedoRecord& record, LsnRange mtr,
                                  std::vector<Barrier>* barriers) {
  const SpaceId id = record.page.space;
  last_live_space_ = kNoSpace;
  if (record.type == RedoType::kFileCreate) {
    const Result<innodb::FileCreate> create = innodb::ParseFileCreate(record.body);
    if (!create.ok()) {
      return create.status().WithContext(innodb::Describe(record));
    }
    EndBuildsIn(id);
    KnownSpace space;
    space.path = create->path;
    space.created = mtr.start;
    // The tables of a FULLTEXT index are filled without redo when the index is added to a table
    // with rows, and no INDEX_LOAD says so when that allows no concurrent DML.
    space.rows_seen = IsFullTextIndexTable(create->path);
    spaces_[id] = std::move(space);
    sdi_roots_.erase(id);
    recently_deleted_.erase(id);
    std::string reason = UnsupportedReason(create->space_flags);
    if (!reason.empty()) {
      barriers->push_back({BarrierKind::kUnsupported, mtr, id, 0, mtr.start, std::move(reason),
                           create->space_flags});
    }
  } else if (record.type == RedoType::kFileRename) {
    const Result<innodb::FileRename> rename = innodb::ParseFileRename(record.body);
    if (!rename.ok()) {
      return rename.status().WithContext(innodb::Describe(record));
    }
    spaces_[id].path = rename->new_path;
  } else if (record.type == RedoType::kFileDelete) {
    const Result<innodb::FileDelete> removed = innodb::ParseFileDelete(record.body);
    if (!removed.ok()) {
      return removed.status().WithContext(innodb::Describe(record));
    }
    EndBuildsIn(id);
    KnownSpace space;
    space.path = removed->path;
    space.deleted = true;
    space.created = spaces_[id].created;
    space.deleted_lsn = mtr.end;
    spaces_[id] = space;
    if (!innodb::IsUndoSpace(id)) {
      recently_deleted_[id] = space;
      if (recently_deleted_.size() > kDeletedMax) {
        recently_deleted_.erase(recently_deleted_.begin());
      }
    }
  }
  return Status::Ok();
}

Status StreamScan::TakeIndexLoad(const RedoRecord& record, LsnRange mtr,
                                 std::vector<Barrier>* barriers) {
  const Result<innodb::IndexLoad> load = innodb::ParseIndexLoad(record.body);
  if (!load.ok()) {
    return load.status().WithContext(innodb::Describe(record));
  }
  EndBuild(load->index_id);
  Barrier barrier{BarrierKind::kIndexLoad, mtr, record.page.space, load->index_id, Lsn{}, "", 0};
  if (record.page.page_no == kNoRootPage) {
    barrier.kind = BarrierKind::kFullTextLoad;
  } else {
    const auto created = creations_.find(record.page);
    if (created != creations_.end()) {
      barrier.hole_start = created->second;
    }
  }
  const KnownSpace* const space = Find(record.page.space);
  if (barrier.hole_start == Lsn{} && space != nullptr) {
    barrier.hole_start = space->created;
  }
  barriers->push_back(std::move(barrier));
  return Status::Ok();
}

void StreamScan::RememberCreation(PageId page, Lsn lsn) {
  const bool added = creations_.insert_or_assign(page, lsn).second;
  if (!added) {
    return;
  }
  creation_order_.push_back(page);
  if (creation_order_.size() > kCreationsMax) {
    creations_.erase(creation_order_.front());
    creation_order_.pop_front();
  }
}

}  // namespace redoubt::tail
