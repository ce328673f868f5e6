// SPDX-License-Identifier: MIT
#include "sim/oracle/final_pages.h"

#include <string>

#include "common/base/check.h"
#include "common/innodb/page_format.h"

namespace redoubt::sim {

void FinalPages::Add(PageId page, ByteView image) {
  const bool added = pages_.emplace(page, Bytes(image.begin(), image.end())).second;
  REDOUBT_CHECK(added);
}

void FinalPages::Check(PageId page, Lsn read_lsn, ByteView image) {
  const auto own = pages_.find(page);
  if (end_ == Lsn() || read_lsn != end_ || own == pages_.end()) {
    return;
  }
  ++checked_count_;
  checked_.insert(page);
  if (image.size() != own->second.size()) {
    findings_->Report("C2", "page " + ToString(page) + " at the end: image of " +
                                std::to_string(image.size()) + " bytes");
    return;
  }
  const innodb::PageDifference difference = innodb::ComparePages(image, own->second, page);
  if (!difference.equal()) {
    findings_->Report("C2", "page " + ToString(page) +
                                " at the end differs from the server's own at byte " +
                                std::to_string(difference.offsets.front()) + " and " +
                                std::to_string(difference.count - 1) + " others");
  }
}

void FinalPages::EndRound() {
  if (checked_.size() != pages_.size()) {
    findings_->ReportLoss("C2", std::to_string(pages_.size() - checked_.size()) + " of " +
                                    std::to_string(pages_.size()) +
                                    " pages of the server could not be compared at the end");
  }
  checked_.clear();
}

}  // namespace redoubt::sim
