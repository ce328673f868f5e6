// SPDX-License-Identifier: MIT
//
// What a page is at an LSN, to compare answers with.
#pragma once

#include "common/base/bytes.h"
#include "common/base/types.h"

namespace redoubt::sim {

struct PageVersion {
  Lsn page_lsn;  // end of the last mtr that changed the page at or below the LSN; 0: none
  Bytes image;   // page_size bytes, stamped; zeroes when never written
};

class PageTruth {
 public:
  virtual ~PageTruth() = default;
  virtual PageVersion At(PageId page, Lsn lsn) const = 0;
};

}  // namespace redoubt::sim
