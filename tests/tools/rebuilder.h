// SPDX-License-Identifier: MIT
//
// Applies mtrs to the pages of a PageStore under the page LSN rule, and keeps account: which types,
// which pages, what could not be applied.
#pragma once

#include <array>
#include <string>
#include <vector>

#include "common/base/status.h"
#include "common/innodb/apply.h"
#include "common/innodb/mtr_assembler.h"
#include "tests/tools/page_store.h"

namespace redoubt::tools {

class Rebuilder {
 public:
  struct Options {
    bool check_each_mtr = false;  // CheckIndexPage of every index page an mtr touched
  };
  struct Counts {
    uint64_t mtrs = 0;
    uint64_t records = 0;
    uint64_t applied = 0;
    uint64_t skipped_by_lsn = 0;
    uint64_t skipped_space = 0;  // deleted, unknown, unsupported
    uint64_t skipped_broken = 0;
    uint64_t inexact = 0;
    uint64_t checks = 0;
    uint64_t check_failures = 0;
    std::array<uint64_t, innodb::kMaxRedoType + 1> by_type{};
  };

  Rebuilder(PageStore* store, Options options) : store_(store), options_(options) {}

  // kOk also when a record could not be applied: see apply_errors(). Error: a body that cannot be
  // parsed.
  Status Apply(const innodb::MtrView& mtr);

  const Counts& counts() const { return counts_; }
  // Messages of the first few failed applications and page checks, and how many there were in all.
  // Those in spaces with unlogged builds are kept apart: they are expected there.
  const std::vector<std::string>& apply_errors() const { return apply_errors_; }
  uint64_t apply_error_count() const { return apply_error_count_; }

 private:
  Status ApplyFileRecord(const innodb::RedoRecord& record);
  Space* SpaceOf(const innodb::RedoRecord& record);
  void ApplyPageRecord(const innodb::RedoRecord& record, const innodb::MtrView& mtr);
  bool ApplyWholeMtr(const innodb::MtrView& mtr);
  void Check(const innodb::MtrView& mtr);
  void NoteError(std::string message);

  PageStore* store_;
  Options options_;
  innodb::PageApplier applier_;
  Counts counts_;
  std::vector<std::string> apply_errors_;
  uint64_t apply_error_count_ = 0;
  SpaceId last_space_id_{0xFFFFFFFF};
  Space* last_space_ = nullptr;
};

}  // namespace redoubt::tools
