// SPDX-License-Identifier: MIT
#include "common/innodb/apply.h"

#include <string>

#include "common/base/check.h"
#include "common/innodb/apply_internal.h"
#include "common/innodb/page_format.h"

namespace redoubt::innodb {
namespace {

Problem Dispatch(const ApplyInput& input) {
  switch (input.type) {
    case RedoType::kWrite1:
    case RedoType::kWrite2:
    case RedoType::kWrite4:
    case RedoType::kWrite8:
    case RedoType::kWriteString:
      return ApplyWrite(input);
    case RedoType::kSecDeleteMark:
    case RedoType::kMinMarkRedundant:
    case RedoType::kMinMarkCompact:
    case RedoType::kRecordInsert:
    case RedoType::kClustDeleteMark:
    case RedoType::kRecordDelete:
    case RedoType::kUpdateInPlace:
      return ApplyIndexRecord(input);
    case RedoType::kListEndCopyCreated:
    case RedoType::kPageReorganize:
    case RedoType::kListEndDelete:
    case RedoType::kListStartDelete:
      return ApplyIndexList(input);
    case RedoType::kUndoInsert:
    case RedoType::kUndoEraseEnd:
    case RedoType::kUndoInit:
    case RedoType::kUndoHeaderReuse:
    case RedoType::kUndoHeaderCreate:
      return ApplyUndo(input);
    case RedoType::kPageCreateRedundant:
    case RedoType::kPageCreateCompact:
    case RedoType::kPageCreateRtreeRedundant:
    case RedoType::kPageCreateRtreeCompact:
    case RedoType::kPageCreateSdiRedundant:
    case RedoType::kPageCreateSdiCompact:
    case RedoType::kIbufBitmapInit:
    case RedoType::kInitFilePageOld:
    case RedoType::kInitFilePage:
      return ApplyPage(input);
    default:
      return "not a record that changes a page";
  }
}

Status ApplyError(const RedoRecord& record, Problem problem) {
  const size_t context = record.body.size() < 48 ? record.body.size() : 48;
  return Corruption("redo record type " + std::to_string(static_cast<unsigned>(record.type)) +
                    " (" + Describe(record) + ") cannot be applied: " + problem + "; its body of " +
                    std::to_string(record.body.size()) + " bytes begins " +
                    ToHex(record.body.first(context)));
}

}  // namespace

PageApplier::PageApplier() : scratch_(std::make_unique<ApplyScratch>()) {}
PageApplier::~PageApplier() = default;

Result<ApplyOutcome> PageApplier::ApplyRecord(const RedoRecord& record, MutableByteView page) {
  REDOUBT_CHECK(IsPageSize(page.size()));
  scratch_->inexact = false;
  REDOUBT_RETURN_IF_ERROR(ApplyOne(record, page));
  return scratch_->inexact ? ApplyOutcome::kAppliedInexact : ApplyOutcome::kApplied;
}

Status PageApplier::ApplyOne(const RedoRecord& record, MutableByteView page) {
  if (RedoTypeCategory(record.type) == RedoCategory::kZipPage) {
    return Unsupported("redo record type " + std::to_string(static_cast<unsigned>(record.type)) +
                       " (" + Describe(record) +
                       "): ROW_FORMAT=COMPRESSED pages are not supported");
  }
  const Problem problem = Dispatch({record.type, record.page, record.body, page, scratch_.get()});
  return problem == kNoProblem ? Status::Ok() : ApplyError(record, problem);
}

Result<ApplyOutcome> PageApplier::ApplyMtr(std::span<const RedoRecord> records, MtrLsns mtr,
                                           MutableByteView page) {
  REDOUBT_CHECK(IsPageSize(page.size()));
  REDOUBT_CHECK(!records.empty());
  REDOUBT_CHECK(mtr.start < mtr.end);
  if (PageLsnOf(page) > mtr.start) {
    return ApplyOutcome::kAlreadyApplied;
  }
  scratch_->inexact = false;
  for (const RedoRecord& record : records) {
    REDOUBT_CHECK(record.page == records.front().page);
    REDOUBT_RETURN_IF_ERROR(ApplyOne(record, page));
  }
  SetPageLsn(page, mtr.end);
  return scratch_->inexact ? ApplyOutcome::kAppliedInexact : ApplyOutcome::kApplied;
}

}  // namespace redoubt::innodb
