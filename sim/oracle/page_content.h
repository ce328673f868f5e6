// SPDX-License-Identifier: MIT
//
// C2: a page read at an LSN is, byte for byte, the page after the last mtr that ended at or below
// it. C3: every page that is handed out carries a valid checksum and agreeing LSN fields.
#pragma once

#include "common/base/bytes.h"
#include "common/base/status.h"
#include "common/base/types.h"
#include "sim/oracle/findings.h"
#include "sim/oracle/page_truth.h"

namespace redoubt::sim {

struct PageAnswer {
  PageId page;
  Lsn read_lsn;
  Status status;  // kNotFound counts as "never written"
  Lsn page_lsn;
  ByteView image;
};

class PageContent {
 public:
  // Both outlive it.
  PageContent(Findings* findings, const PageTruth* truth) : findings_(findings), truth_(truth) {}

  // Any status but OK and kNotFound is the caller's business.
  void Check(const PageAnswer& answer);
  const PageTruth& truth() const { return *truth_; }
  uint64_t checked_count() const { return checked_count_; }

 private:
  Findings* findings_;
  const PageTruth* truth_;
  uint64_t checked_count_ = 0;
};

}  // namespace redoubt::sim
