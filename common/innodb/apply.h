// SPDX-License-Identifier: MIT
//
// Applies redo records to pages: what InnoDB's crash recovery does to a page, byte for byte,
// including the garbage that it leaves in freed space.
//
// An applier keeps scratch space and a memo of index descriptions; it holds no state about pages,
// so one applier serves any number of pages and volumes, one call at a time. Results do not depend
// on what was applied before.
//
// Format: README.md, "Applying records".
#pragma once

#include <cstdint>
#include <memory>
#include <span>

#include "common/base/bytes.h"
#include "common/base/result.h"
#include "common/base/status.h"
#include "common/base/types.h"
#include "common/innodb/redo_record.h"

namespace redoubt::innodb {

struct MtrLsns {
  Lsn start;
  Lsn end;
};

enum class ApplyOutcome : uint8_t {
  kApplied,
  kAlreadyApplied,  // the page is at or past this mtr; it was not touched
  // Applied, but a field of an index on a virtual column could not be located from redo alone
  // (servers up to 8.4.6 and 9.4): the page may differ from the server's in that field.
  kAppliedInexact,
};

struct ApplyScratch;

class PageApplier {
 public:
  PageApplier();
  ~PageApplier();
  PageApplier(const PageApplier&) = delete;
  PageApplier& operator=(const PageApplier&) = delete;

  // Applies, in order, those records of one mtr that name this page, then sets the page LSN in the
  // header to mtr.end. The checksum and the trailer are left for StampPage.
  // `records`: all for one page, types of category kPage; checked. `page`: 4096 .. 65536 bytes, all
  // zero if it was never written.
  // If page LSN > mtr.start the page already holds this mtr: kAlreadyApplied, page untouched.
  // Errors: kCorruption when a body does not fit the page, naming type, page, LSN and the offset;
  // kUnsupported for compressed-page types. On error the page is unspecified.
  Result<ApplyOutcome> ApplyMtr(std::span<const RedoRecord> records, MtrLsns mtr,
                                MutableByteView page);

  // One record, without the LSN rule and without touching the page LSN. kAlreadyApplied is never
  // returned. Same errors.
  Result<ApplyOutcome> ApplyRecord(const RedoRecord& record, MutableByteView page);

 private:
  Status ApplyOne(const RedoRecord& record, MutableByteView page);

  std::unique_ptr<ApplyScratch> scratch_;
};

}  // namespace redoubt::innodb
