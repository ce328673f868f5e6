// SPDX-License-Identifier: MIT
#include "tests/tools/rebuilder.h"

#include "common/innodb/index_page.h"

namespace redoubt::tools {

using namespace innodb;  // NOLINT: a tool about nothing else

namespace {
constexpr size_t kMaxMessages = 20;
}  // namespace

Status Rebuilder::Apply(const MtrView& mtr) {
  ++counts_.mtrs;
  counts_.records += mtr.records.size();
  if (!ApplyWholeMtr(mtr)) {
    for (const RedoRecord& record : mtr.records) {
      ++counts_.by_type[static_cast<size_t>(record.type)];
      if (ChangesPage(record.type)) {
        ApplyPageRecord(record, mtr);
      } else {
        REDOUBT_RETURN_IF_ERROR(ApplyFileRecord(record));
      }
    }
  }
  if (options_.check_each_mtr) {
    Check(mtr);
  }
  return Status::Ok();
}

// The common case, and the way a page server applies: every record of the mtr is for one page.
bool Rebuilder::ApplyWholeMtr(const MtrView& mtr) {
  const RedoRecord& first = mtr.records.front();
  for (const RedoRecord& record : mtr.records) {
    if (record.page != first.page || !ChangesPage(record.type) || InitializesPage(record.type)) {
      return false;
    }
  }
  Space* space = SpaceOf(first);
  if (space == nullptr) {
    return false;
  }
  StoredPage& page = store_->Writable(space, first.page.page_no);
  if (page.broken) {
    return false;
  }
  const Result<ApplyOutcome> outcome = applier_.ApplyMtr(mtr.records, {mtr.start_lsn, mtr.end_lsn},
                                                         {page.data, store_->page_size()});
  for (const RedoRecord& record : mtr.records) {
    ++counts_.by_type[static_cast<size_t>(record.type)];
  }
  if (!outcome.ok()) {
    page.broken = true;
    NoteError(space->name + ": " + outcome.status().message());
  } else if (*outcome == ApplyOutcome::kAlreadyApplied) {
    counts_.skipped_by_lsn += mtr.records.size();
  } else {
    counts_.applied += mtr.records.size();
    counts_.inexact += *outcome == ApplyOutcome::kAppliedInexact ? 1 : 0;
    page.applied_end = mtr.end_lsn;
  }
  return true;
}

void Rebuilder::NoteError(std::string message) {
  ++apply_error_count_;
  if (apply_errors_.size() < kMaxMessages) {
    apply_errors_.push_back(std::move(message));
  }
}

Status Rebuilder::ApplyFileRecord(const RedoRecord& record) {
  Space* space = store_->Find(record.page.space);
  switch (record.type) {
    case RedoType::kFileCreate: {
      REDOUBT_ASSIGN_OR_RETURN(FileCreate create, ParseFileCreate(record.body));
      // A base copied while the server ran may hold the file already; the page LSN rule sorts it
      // out.
      if (space == nullptr || space->deleted) {
        store_->Create(record.page.space, create.path, SpaceFlags{create.space_flags});
      }
      break;
    }
    case RedoType::kFileRename: {
      REDOUBT_ASSIGN_OR_RETURN(FileRename rename, ParseFileRename(record.body));
      if (space != nullptr) {
        space->name = rename.new_path;
      }
      break;
    }
    case RedoType::kFileDelete: {
      REDOUBT_RETURN_IF_ERROR(ParseFileDelete(record.body).status());
      if (space != nullptr) {
        store_->Delete(space);
      }
      break;
    }
    case RedoType::kFileExtend: {
      REDOUBT_RETURN_IF_ERROR(ParseFileExtend(record.body).status());
      break;
    }
    case RedoType::kIndexLoad: {
      REDOUBT_RETURN_IF_ERROR(ParseIndexLoad(record.body).status());
      if (space != nullptr) {
        space->index_loaded = true;
      }
      break;
    }
    case RedoType::kTableDynamicMeta: {
      REDOUBT_ASSIGN_OR_RETURN(const TableDynamicMeta meta, ParseTableDynamicMeta(record.body));
      Bytes encoded;
      EncodeTableDynamicMeta(meta, &encoded);
      if (AsText(ByteView(encoded).subspan(1)) != AsText(record.body)) {
        return Corruption(Describe(record) + " does not encode back to its bytes");
      }
      break;
    }
    default:
      break;
  }
  last_space_id_ = SpaceId(0xFFFFFFFF);
  return Status::Ok();
}

Space* Rebuilder::SpaceOf(const RedoRecord& record) {
  if (record.page.space != last_space_id_) {
    Space* space = store_->Find(record.page.space);
    if (space == nullptr && InitializesPage(record.type) && IsUndoSpace(record.page.space)) {
      // CREATE UNDO TABLESPACE leaves no file record.
      space = &store_->Create(record.page.space, "", store_->Find(kSystemSpace)->flags);
    }
    last_space_id_ = record.page.space;
    last_space_ = space;
  }
  if (last_space_ == nullptr) {
    last_space_id_ = SpaceId(0xFFFFFFFF);  // it may be created by the next record
    return nullptr;
  }
  last_space_->imported = last_space_->imported || last_space_->deleted;
  return last_space_->deleted || !last_space_->unsupported.empty() ? nullptr : last_space_;
}

void Rebuilder::ApplyPageRecord(const RedoRecord& record, const MtrView& mtr) {
  Space* space = SpaceOf(record);
  if (space == nullptr) {
    ++counts_.skipped_space;
    return;
  }
  StoredPage& page = store_->Writable(space, record.page.page_no);
  const MutableByteView bytes(page.data, store_->page_size());
  if (page.broken && !InitializesPage(record.type)) {
    ++counts_.skipped_broken;
    return;
  }
  // Within one mtr the page LSN moves with its first record; the rule looks at the LSN before it.
  if (page.applied_end != mtr.end_lsn && PageLsnOf(bytes) > mtr.start_lsn) {
    ++counts_.skipped_by_lsn;
    return;
  }
  const Result<ApplyOutcome> outcome = applier_.ApplyRecord(record, bytes);
  if (!outcome.ok()) {
    page.broken = true;
    NoteError(space->name + ": " + outcome.status().message());
    return;
  }
  page.broken = false;
  page.applied_end = mtr.end_lsn;
  SetPageLsn(bytes, mtr.end_lsn);
  ++counts_.applied;
  counts_.inexact += *outcome == ApplyOutcome::kAppliedInexact ? 1 : 0;
}

void Rebuilder::Check(const MtrView& mtr) {
  for (const RedoRecord& record : mtr.records) {
    if (!ChangesPage(record.type)) {
      continue;
    }
    Space* space = SpaceOf(record);
    if (space == nullptr || store_->Writable(space, record.page.page_no).broken) {
      continue;
    }
    Bytes buffer;
    const ByteView page = store_->Read(*space, record.page.page_no, &buffer);
    const uint16_t type = PageTypeOf(page);
    if (type != kPageTypeIndex && type != kPageTypeRtree && type != kPageTypeSdi) {
      continue;
    }
    ++counts_.checks;
    if (const Problem problem = CheckIndexPage(page); problem != kNoProblem) {
      ++counts_.check_failures;
      NoteError("after " + Describe(record) + ": " + problem);
    }
  }
}

}  // namespace redoubt::tools
