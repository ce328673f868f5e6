// SPDX-License-Identifier: MIT
#include "sim/workload/model_compute.h"

#include <algorithm>
#include <utility>

#include "common/base/check.h"

namespace redoubt::sim {
namespace {

// Pages that one mini-transaction may hold: a split of each level, header, undo, table.
constexpr size_t kPinnedMax = 12;

// What a writer knows, who may have been replaced.
class EpochTruth : public PageTruth {
 public:
  EpochTruth(const Timeline* timeline, Epoch epoch) : timeline_(timeline), epoch_(epoch) {}
  PageVersion At(PageId page, Lsn lsn) const override {
    return timeline_->AtUnder(epoch_, page, lsn);
  }

 private:
  const Timeline* timeline_;
  Epoch epoch_;
};

}  // namespace

ModelCompute::ModelCompute(ComputeSurroundings around, const ModelComputeOptions& options,
                           RandomRoot* random, uint64_t entity, Epoch epoch, LsnRange boot)
    : around_(around),
      options_(options),
      epoch_(epoch),
      boot_lsn_(boot.end),
      flushed_(boot.start),
      write_random_(random, "compute log", entity),
      bank_(options.bank, SeededStream(random, "compute pages", entity)),
      catalogue_(SeededStream(random, "compute catalogue", entity)),
      pool_(options.pool_page_count, options.bank.page_size, boot.end),
      log_(boot.end),
      changed_(around.runtime->scheduler),
      tasks_(around.runtime->scheduler) {
  REDOUBT_CHECK(options.pool_page_count >= PoolPagesNeeded(options.bank.slot_count));
  for (uint32_t slot = 0; slot < options.bank.slot_count; ++slot) {
    client_random_.emplace_back(random, "compute client", entity << 8 | slot);
  }
}

size_t ModelCompute::PoolPagesNeeded(uint32_t client_count) {
  return kPinnedMax * (client_count + size_t{1});
}

void ModelCompute::Fail(Status why) {
  if (failure_.ok()) {
    failure_ = std::move(why);
  }
  changed_.NotifyAll();
}

Task<void> ModelCompute::Stop() {
  Fail(Cancelled("the compute is stopped"));
  tasks_.Stop();
  co_await tasks_.Join();
}

Task<Status> ModelCompute::RunMtr(Body body, Access* outcome) {
  MiniTransaction mtr(&pool_);
  while (true) {
    while (failure_.ok() && log_.bytes() > options_.log_buffer_bytes) {
      co_await changed_.Wait();
    }
    if (!failure_.ok()) {
      co_return failure_;
    }
    *outcome = body(&mtr);
    if (*outcome != Access::kMissingPage) {
      break;
    }
    const Status fetched = co_await Fetch(mtr.missing());
    if (!fetched.ok()) {
      co_return fetched;
    }
    mtr.Restart();
  }
  if (*outcome == Access::kBroken) {
    around_.findings->ReportLoss("C9", "epoch " + std::to_string(epoch_.value()) +
                                           " finds pages that contradict each other or what it "
                                           "has done itself");
    Fail(Corruption("the database is broken"));
    co_return failure_;
  }
  if (mtr.changed()) {
    Commit(&mtr);
  }
  changed_.NotifyAll();  // pages are free again
  co_return Status::Ok();
}

void ModelCompute::Commit(MiniTransaction* mtr) {
  const Bytes group = mtr->log()->Finish();
  const Lsn end = log_.Add(group);
  std::vector<Timeline::ChangedPage> changed;
  for (const PageId page : mtr->changed_pages()) {
    BufferPool::Frame* frame = pool_.Find(page);
    frame->newest_lsn = end;
    changed.push_back({page, frame->page.bytes()});
  }
  std::vector<RedoFact> facts = mtr->log()->TakeFacts(end);
  KeepLocally(end, group, changed, facts);
  around_.timeline->Produced(epoch_, end, group, changed, std::move(facts));
}

void ModelCompute::KeepLocally(Lsn end, const Bytes& redo,
                               const std::vector<Timeline::ChangedPage>& changed,
                               const std::vector<RedoFact>& facts) {
  if (around_.local == nullptr) {
    return;
  }
  LocalDatabase::Mtr mtr{end, redo, {}, facts};
  for (const Timeline::ChangedPage& page : changed) {
    mtr.pages.emplace(page.page, Bytes(page.image.begin(), page.image.end()));
  }
  around_.local->Add(std::move(mtr));
}

// --- Pages

Task<Status> ModelCompute::Fetch(PageId page) {
  while (true) {
    if (!failure_.ok()) {
      co_return failure_;
    }
    if (pool_.Find(page) != nullptr) {
      co_return Status::Ok();
    }
    if (!fetching_.contains(page) && pool_.MakeRoom(fetching_.size() + 1, flushed_)) {
      break;
    }
    co_await changed_.Wait();
  }
  const Lsn read_lsn = std::max(boot_lsn_, flushed_);
  if (read_lsn == around_.timeline->begin()) {
    // A new database: there is nothing to ask for, and page servers have nothing to answer with.
    pool_.AddRead(page, Bytes(options_.bank.page_size));
    co_return Status::Ok();
  }
  fetching_.insert(page);
  const Result<SourcePage> fetched =
      co_await around_.pages->Fetch(page, read_lsn, pool_.LastWritten(page));
  fetching_.erase(page);
  const Status taken = TakeFetched(page, fetched);
  if (!taken.ok()) {
    Fail(taken);
  }
  changed_.NotifyAll();
  co_return taken;
}

Status ModelCompute::TakeFetched(PageId page, const Result<SourcePage>& fetched) {
  if (!fetched.ok()) {
    return fetched.status();
  }
  ++pages_read_;
  const Bytes unwritten(fetched->image.empty() ? options_.bank.page_size : 0);
  const ByteView image(fetched->image.empty() ? unwritten : fetched->image);
  if (fetched->own) {
    pool_.AddRead(page, image);
    return Status::Ok();
  }
  PageAnswer answer;
  answer.page = page;
  answer.read_lsn = fetched->read_lsn;
  if (fetched->image.empty()) {
    answer.status = Status(StatusCode::kNotFound, "its space is not known");
  } else {
    answer.page_lsn = fetched->page_lsn;
    answer.image = fetched->image;
  }
  const bool replaced = around_.timeline->Superseded(epoch_, answer.read_lsn);
  if (replaced && !around_.reads_committed) {
    // Redo of a newer writer lies below what this one knows to be flushed, which was half an mtr.
    // It can commit nothing any more, and what it sees is no single database.
    return {StatusCode::kStaleEpoch,
            "a newer writer began below " + std::to_string(answer.read_lsn.value())};
  }
  if (replaced) {
    // What it knows to be committed lies below every newer writer. (The gap that it filled at its
    // start may not, but that changes no page.)
    const EpochTruth own(around_.timeline, epoch_);
    PageContent(around_.findings, &own).Check(answer);
  } else {
    around_.content->Check(answer);
  }
  pool_.AddRead(page, image);
  return Status::Ok();
}

// --- Log

Task<void> ModelCompute::WriteLog() {
  while (failure_.ok()) {
    if (log_.bytes() == 0) {
      co_await changed_.Wait();
      continue;
    }
    const uint64_t bytes = write_random_.Between(1, options_.chunk_bytes_max);
    LogChunk chunk = log_.Take(bytes);
    if (around_.local != nullptr) {
      around_.local->Written(chunk.range.end);
    }
    const Status status = co_await around_.log->Append(std::move(chunk));
    if (!status.ok()) {
      Fail(status);
      co_return;
    }
    changed_.NotifyAll();
    const auto pause = static_cast<int64_t>(write_random_.Exponential(options_.write_pause_ns));
    co_await tasks_.stop_event().Wait(around_.runtime->scheduler->Now() + Duration(pause));
  }
}

void ModelCompute::NoteFlushed() {
  const Lsn acknowledged = around_.log->acknowledged();
  if (acknowledged > flushed_) {
    flushed_ = acknowledged;
    around_.timeline->Acknowledged(epoch_, acknowledged);
    changed_.NotifyAll();
  }
}

Task<void> ModelCompute::WatchFlushed() {
  while (failure_.ok()) {
    const Status status = co_await around_.log->WaitAcknowledged(Lsn(flushed_.value() + 1));
    if (!status.ok()) {
      Fail(status);
      co_return;
    }
    NoteFlushed();
  }
}

Task<Status> ModelCompute::WaitDurable(Lsn lsn) {
  const Status status = co_await around_.log->WaitAcknowledged(lsn);
  if (status.ok()) {
    NoteFlushed();
  }
  co_return status;
}

// --- Recovery

Task<Status> ModelCompute::SetUp() {
  uint32_t stage = 0;
  Access outcome = Access::kDone;
  Body read = [this, &stage](MiniTransaction* mtr) { return bank_.ReadStage(mtr, &stage); };
  Status status = co_await RunMtr(std::move(read), &outcome);
  for (; status.ok() && stage < bank_.stage_count(); ++stage) {
    Body step = [this, stage](MiniTransaction* mtr) { return bank_.SetUp(stage, mtr); };
    status = co_await RunMtr(std::move(step), &outcome);
  }
  co_return status;
}

Task<Status> ModelCompute::RollBack(uint32_t slot) {
  Access outcome = Access::kDone;
  while (outcome != Access::kNoRow) {
    Body undo = [this, slot](MiniTransaction* mtr) { return bank_.UndoOne(slot, mtr); };
    const Status status = co_await RunMtr(std::move(undo), &outcome);
    if (!status.ok()) {
      co_return status;
    }
    co_await Pause(slot, options_.step_ns / 4);
  }
  Body end = [this, slot](MiniTransaction* mtr) { return bank_.EndTransaction(slot, mtr); };
  const Status ended = co_await RunMtr(std::move(end), &outcome);
  co_return ended;
}

Task<Status> ModelCompute::RollBackAll() {
  for (uint32_t slot = 0; slot < options_.bank.slot_count; ++slot) {
    uint32_t transfer = 0;
    Access outcome = Access::kDone;
    Body look = [this, slot, &transfer](MiniTransaction* mtr) {
      return bank_.TransferInSlot(slot, mtr, &transfer);
    };
    Status status = co_await RunMtr(std::move(look), &outcome);
    if (status.ok() && transfer != 0) {
      ++rolled_back_at_start_;
      status = co_await RollBack(slot);
    }
    if (!status.ok()) {
      co_return status;
    }
  }
  co_return Status::Ok();
}

Task<Status> ModelCompute::Recover() {
  KnowCatalogue();
  tasks_.Spawn(WriteLog());
  tasks_.Spawn(WatchFlushed());
  Status status = co_await SetUp();
  if (status.ok()) {
    status = co_await RollBackAll();
  }
  if (status.ok()) {
    status = co_await Verify();
  }
  if (status.ok()) {
    status = co_await WaitDurable(log_.end_lsn());
  }
  recovered_ = status.ok();
  co_return status;
}

Task<Status> ModelCompute::Verify() {
  BankContents contents;
  const RowTree* const trees[] = {&bank_.accounts(), &bank_.transfers()};
  std::vector<std::pair<uint32_t, uint64_t>>* const rows[] = {&contents.accounts,
                                                              &contents.transfers};
  for (size_t i = 0; i < 2; ++i) {
    PageNo leaf(0);
    do {
      Access outcome = Access::kDone;
      Body scan = [tree = trees[i], out = rows[i], &leaf](MiniTransaction* mtr) {
        return tree->ScanLeaf(&leaf, mtr, out);
      };
      const Status status = co_await RunMtr(std::move(scan), &outcome);
      if (!status.ok()) {
        co_return status;
      }
    } while (leaf != PageNo(0));
  }
  around_.ledger->CheckContents(epoch_, contents, NowNs());
  const std::vector<Timeline::ChangedPage> pages = pool_.Pages();
  around_.reference->Check(epoch_, log_.end_lsn(), pages);
  co_return Status::Ok();
}

}  // namespace redoubt::sim
