// SPDX-License-Identifier: MIT
#include "sim/workload/recorded_server.h"

#include <utility>

#include "common/base/check.h"
#include "common/innodb/page_format.h"

namespace redoubt::sim {
namespace {

PageId IdOf(const proto::RecordedPage& page) {
  return PageId{SpaceId(page.space_id()), PageNo(page.page_no())};
}

}  // namespace

RecordedServer::RecordedServer(std::unique_ptr<const LoadedRecording> recording,
                               PageHistory* history)
    : FollowedServer(Lsn(recording->content.begin_lsn())),
      recording_(std::move(recording)),
      history_(history),
      assembler_(begin_lsn()) {
  REDOUBT_CHECK(history->page_size() == this->recording().page_size());
  LoadBase();
}

void RecordedServer::LoadBase() {
  for (const proto::RecordedSpace& space : recording().spaces()) {
    const SpaceId id(space.space_id());
    base_spaces_.push_back({id, space.flags(), space.path(), space.page_count()});
    spaces_.insert(id);
  }
  for (const proto::RecordedPage& page : recording().base_pages()) {
    const ByteView image = AsBytes(page.image());
    const Lsn lsn = innodb::PageLsnOf(image);
    REDOUBT_CHECK(lsn <= begin_lsn());
    base_pages_.push_back({IdOf(page), lsn, image});
    pages_[IdOf(page)].assign(image.begin(), image.end());
    history_->Record(IdOf(page), lsn, image);
    known_.push_back(IdOf(page));
  }
}

void RecordedServer::TellFinalPages(FinalPages* pages) const {
  pages->SetEnd(recorded_end());
  for (const proto::RecordedPage& page : recording().final_pages()) {
    pages->Add(IdOf(page), AsBytes(page.image()));
  }
}

void RecordedServer::TakeFileRecord(const innodb::RedoRecord& record, Lsn mtr_end) {
  if (record.type == innodb::RedoType::kFileCreate) {
    spaces_.insert(record.page.space);
  } else if (record.type == innodb::RedoType::kFileDelete) {
    spaces_.erase(record.page.space);
    history_->DropSpace(record.page.space, mtr_end);
  }
}

Status RecordedServer::Take(const innodb::MtrView& mtr) {
  REDOUBT_CHECK(AddMtr(mtr.bytes) == mtr.end_lsn);
  std::map<PageId, std::vector<innodb::RedoRecord>> changes;
  for (const innodb::RedoRecord& record : mtr.records) {
    if (!innodb::ChangesPage(record.type)) {
      TakeFileRecord(record, mtr.end_lsn);
    } else if (spaces_.contains(record.page.space)) {
      changes[record.page].push_back(record);
    }
  }
  for (const auto& [id, records] : changes) {
    Bytes& page = pages_[id];
    if (page.empty()) {
      page.resize(recording().page_size());
      known_.push_back(id);
    }
    const innodb::MtrLsns lsns{mtr.start_lsn, mtr.end_lsn};
    const Result<innodb::ApplyOutcome> outcome =
        applier_.ApplyMtr(records, lsns, MutableByteView(page));
    REDOUBT_RETURN_IF_ERROR(outcome.status());
    REDOUBT_CHECK(*outcome == innodb::ApplyOutcome::kApplied);
    history_->Record(id, mtr.end_lsn, page);
  }
  return Status::Ok();
}

void RecordedServer::Produce(size_t bytes) {
  // Fed bytes of an mtr that is not whole yet wait in the assembler.
  const ByteView all = AsBytes(recording().payload());
  const size_t fed = payload_bytes() + assembler_.tail_bytes();
  const size_t target = std::min(all.size(), payload_bytes() + bytes);
  if (target <= fed) {
    return;
  }
  const Status status = assembler_.Feed(all.subspan(fed, target - fed),
                                        [this](const innodb::MtrView& mtr) { return Take(mtr); });
  REDOUBT_CHECK(status.ok());
}

void RecordedServer::Finish() {
  Produce(recording().payload().size());
  REDOUBT_CHECK(end_lsn() == recorded_end());
}

}  // namespace redoubt::sim
