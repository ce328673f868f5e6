// SPDX-License-Identifier: MIT
#include "sim/oracle/page_content.h"

#include <algorithm>
#include <string>

#include "common/innodb/page_format.h"

namespace redoubt::sim {

void PageContent::Check(const PageAnswer& answer) {
  const PageVersion truth = truth_->At(answer.page, answer.read_lsn);
  const std::string where =
      "page " + ToString(answer.page) + " at LSN " + std::to_string(answer.read_lsn.value());
  ++checked_count_;
  if (answer.status.code() == StatusCode::kNotFound) {
    if (truth.page_lsn != Lsn()) {
      findings_->ReportLoss("C2", where + ": not found, but it was written at " +
                                      std::to_string(truth.page_lsn.value()));
    }
    return;
  }
  if (answer.page_lsn != truth.page_lsn) {
    findings_->Report("C2", where + ": version " + std::to_string(answer.page_lsn.value()) +
                                " given, " + std::to_string(truth.page_lsn.value()) + " is right");
    return;
  }
  if (answer.image.size() != truth.image.size()) {
    findings_->Report("C2", where + ": image of " + std::to_string(answer.image.size()) + " bytes");
    return;
  }
  const innodb::PageState state = innodb::VerifyPage(answer.image);
  const bool written = answer.page_lsn != Lsn();
  if (state != (written ? innodb::PageState::kOk : innodb::PageState::kZero)) {
    findings_->Report("C3", where + ": handed out as " + std::string(innodb::PageStateName(state)));
    return;
  }
  if (written && innodb::PageLsnOf(answer.image) != answer.page_lsn) {
    findings_->Report("C3", where + ": header says LSN " +
                                std::to_string(innodb::PageLsnOf(answer.image).value()));
    return;
  }
  if (!std::equal(answer.image.begin(), answer.image.end(), truth.image.begin())) {
    const auto [at, unused] =
        std::mismatch(answer.image.begin(), answer.image.end(), truth.image.begin());
    findings_->Report("C2", where + ": differs from the right page at byte " +
                                std::to_string(at - answer.image.begin()));
  }
}

}  // namespace redoubt::sim
