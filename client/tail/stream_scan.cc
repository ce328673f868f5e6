// SPDX-License-Identifier: MIT
#include "client/tail/stream_scan.h"

#include <algorithm>
#include <utility>

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

bool CreatesTree(RedoType type) {
  return type == RedoType::kPageCreateCompact || type == RedoType::kPageCreateRedundant;
}

// A 4-byte write to FSP_SPACE_FLAGS: the new value. Body: u16 offset, then the value as c32 - an encrypted
// space has bit 13 set, so 3 bytes or more; see redo README, "Integers".
bool WritesSpaceFlags(const RedoRecord& record, uint32_t* flags) {
  if (record.type != RedoType::kWrite4 || record.page.page_no != PageNo(0) ||
      record.body.size() < 3 || LoadBe16(record.body.data()) != innodb::kFspFlagsOffset) {
    return false;
  }
  const uint8_t* p = record.body.data() + 2;
  const size_t length = record.body.size() - 2;
  if (p[0] < 0x80) {
    *flags = p[0];
  } else if (p[0] < 0xC0 && length >= 2) {
    *flags = (p[0] & 0x3FU) << 8 | p[1];
  } else if (p[0] < 0xE0 && length >= 3) {
    *flags = (p[0] & 0x1FU) << 16 | static_cast<uint32_t>(p[1]) << 8 | p[2];
  } else {
    return false;  // no flag has so high a bit
  }
  return true;
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
  spaces_[space] = KnownSpace{std::move(path), false, Lsn{}, Lsn{}};
  recently_deleted_.erase(space);
}

void StreamScan::Forget() {
  spaces_.clear();
  recently_deleted_.clear();
  creations_.clear();
  creation_order_.clear();
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
  if (CreatesTree(record.type)) {
    RememberCreation(record.page, mtr.start);
  }
  if (id == last_live_space_) {
    return;
  }
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
    spaces_[id] = KnownSpace{create->path, false, mtr.start, Lsn{}};
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
    KnownSpace& space = spaces_[id];
    space = KnownSpace{removed->path, true, space.created, mtr.end};
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
