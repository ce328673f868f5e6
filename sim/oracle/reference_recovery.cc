// SPDX-License-Identifier: MIT
#include "sim/oracle/reference_recovery.h"

#include <algorithm>
#include <string>
#include <vector>

#include "common/innodb/mtr_assembler.h"
#include "common/innodb/page_format.h"

namespace redoubt::sim {

bool ReferenceRecovery::Apply(Epoch epoch, Lsn lsn) {
  const bool continues =
      epoch_ != Epoch() && applied_ <= std::min(timeline_->CommonEnd(epoch_, epoch), lsn);
  if (!continues) {
    pages_.clear();
    applied_ = timeline_->begin();
  }
  epoch_ = epoch;
  innodb::MtrAssembler assembler(applied_);
  const auto sink = [this](const innodb::MtrView& mtr) -> Status {
    std::map<PageId, std::vector<innodb::RedoRecord>> by_page;
    for (const innodb::RedoRecord& record : mtr.records) {
      if (innodb::ChangesPage(record.type)) {
        by_page[record.page].push_back(record);
      }
    }
    for (const auto& [id, records] : by_page) {
      Bytes& page = pages_[id];
      page.resize(page_size_);
      const innodb::MtrLsns lsns{mtr.start_lsn, mtr.end_lsn};
      const Result<innodb::ApplyOutcome> applied =
          applier_.ApplyMtr(records, lsns, MutableByteView(page));
      REDOUBT_RETURN_IF_ERROR(applied.status());
    }
    return Status::Ok();
  };
  const Bytes redo = timeline_->Redo(epoch, LsnRange{applied_, lsn});
  const Status status = assembler.Feed(redo, sink);
  applied_ = assembler.end_lsn();
  if (!status.ok() || applied_ != lsn) {
    findings_->Report("C7", "the log up to " + std::to_string(lsn.value()) +
                                " can be recovered only up to " + std::to_string(applied_.value()) +
                                (status.ok() ? "" : ": " + status.ToString()));
    epoch_ = Epoch();
    return false;
  }
  return true;
}

void ReferenceRecovery::Check(Epoch epoch, Lsn lsn, std::span<const Timeline::ChangedPage> pages) {
  if (!Apply(epoch, lsn)) {
    return;
  }
  const Bytes zeroes(page_size_);
  for (const Timeline::ChangedPage& recovered : pages) {
    ++checked_count_;
    const auto it = pages_.find(recovered.page);
    Bytes expected = it == pages_.end() ? zeroes : it->second;
    Bytes given(recovered.image.begin(), recovered.image.end());
    innodb::StampPage(MutableByteView(expected), lsn);
    innodb::StampPage(MutableByteView(given), lsn);
    if (given != expected) {
      const auto [at, unused] = std::mismatch(given.begin(), given.end(), expected.begin());
      findings_->Report("C7", "epoch " + std::to_string(epoch.value()) + " has recovered page " +
                                  ToString(recovered.page) + " as of " +
                                  std::to_string(lsn.value()) +
                                  " otherwise than the log does, from byte " +
                                  std::to_string(at - given.begin()) + " on");
      return;
    }
  }
}

}  // namespace redoubt::sim
