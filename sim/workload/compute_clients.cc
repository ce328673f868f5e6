// SPDX-License-Identifier: MIT
//
// The clients of a model compute: transfers between accounts, rollbacks, look-ups of what was
// acknowledged.

#include <algorithm>
#include <utility>

#include "common/base/check.h"
#include "common/innodb/page_format.h"
#include "sim/workload/model_compute.h"

namespace redoubt::sim {
namespace {

constexpr uint32_t kAmountMax = 100;
constexpr uint32_t kFirstTableSpace = 100;
constexpr uint16_t kUnusedOffset = 200;  // in the first page of a tablespace

}  // namespace

Task<Status> ModelCompute::Serve() {
  REDOUBT_CHECK(recovered_);
  for (uint32_t slot = 0; slot < options_.bank.slot_count && !draining_; ++slot) {
    ++clients_running_;
    tasks_.Spawn(Client(slot));
  }
  while (failure_.ok() && clients_running_ > 0) {
    co_await changed_.Wait();
  }
  co_return failure_;
}

void ModelCompute::Drain() {
  draining_ = true;
  changed_.NotifyAll();
}

Task<void> ModelCompute::Pause(uint32_t slot, uint64_t mean_ns) {
  const auto ns = static_cast<int64_t>(client_random_[slot].Exponential(mean_ns));
  co_await tasks_.stop_event().Wait(around_.runtime->scheduler->Now() + Duration(ns));
}

Task<void> ModelCompute::Client(uint32_t slot) {
  SeededStream& random = client_random_[slot];
  Status status;
  while (status.ok() && failure_.ok() && !draining_) {
    co_await Pause(slot, options_.think_ns);
    if (random.Below(100) < options_.lookup_percent) {
      status = co_await LookUp(slot);
    } else {
      status = co_await TransferOnce(slot);
    }
  }
  if (!status.ok()) {
    Fail(status);
  }
  --clients_running_;
  changed_.NotifyAll();
}

Transfer ModelCompute::DrawTransfer(SeededStream* random) const {
  const uint32_t count = options_.bank.account_count;
  const auto from = static_cast<uint16_t>(random->Below(count));
  const auto to = static_cast<uint16_t>((from + random->Between(1, count - 1)) % count);
  return Transfer{from, to, static_cast<uint32_t>(random->Between(1, kAmountMax))};
}

Task<Status> ModelCompute::TransferOnce(uint32_t slot) {
  SeededStream& random = client_random_[slot];
  const Transfer transfer = DrawTransfer(&random);
  const bool roll_back = random.Below(100) < options_.rollback_percent;
  const uint64_t client = epoch_.value() * 100 + slot;
  const uint32_t id = around_.ledger->Begin(client, epoch_, transfer, NowNs());
  // Both or none: nobody holds one and waits for another.
  while (failure_.ok() &&
         (locked_accounts_.contains(transfer.from) || locked_accounts_.contains(transfer.to))) {
    co_await changed_.Wait();
  }
  locked_accounts_.insert(transfer.from);
  locked_accounts_.insert(transfer.to);
  Status status = co_await RunTransfer(slot, id, transfer, roll_back);
  // The order of commits is the order of the log: others may build on this one before it is
  // durable.
  locked_accounts_.erase(transfer.from);
  locked_accounts_.erase(transfer.to);
  changed_.NotifyAll();
  if (status.ok() && roll_back) {
    around_.ledger->RolledBack(id, NowNs());
    co_return status;
  }
  if (status.ok()) {
    status = co_await MaybeChangeCatalogue();
  }
  if (status.ok()) {
    status = co_await WaitDurable(log_.end_lsn());
  }
  if (status.ok()) {
    around_.ledger->Acknowledged(id, NowNs());
  } else {
    around_.ledger->Unknown(id, NowNs());
  }
  co_return status;
}

Task<Status> ModelCompute::RunTransfer(uint32_t slot, uint32_t id, Transfer transfer,
                                       bool roll_back) {
  Access outcome = Access::kDone;
  Body begin = [this, slot, id](MiniTransaction* mtr) {
    return bank_.BeginTransaction(slot, id, mtr);
  };
  Status status = co_await RunMtr(std::move(begin), &outcome);
  if (status.ok()) {
    status = co_await ChangeBalance(slot, transfer.from, 0 - uint64_t{transfer.amount});
  }
  if (status.ok()) {
    status = co_await MaybeChangeFiller(slot);
  }
  if (status.ok()) {
    status = co_await ChangeBalance(slot, transfer.to, transfer.amount);
  }
  if (status.ok()) {
    status = co_await InsertRow(slot, id, transfer.Encode());
  }
  if (status.ok() && roll_back) {
    status = co_await RollBack(slot);
  } else if (status.ok()) {
    Body end = [this, slot](MiniTransaction* mtr) { return bank_.EndTransaction(slot, mtr); };
    status = co_await RunMtr(std::move(end), &outcome);
  }
  co_return status;
}

// Undo and row in one mtr, or one after the other.
Task<Status> ModelCompute::ChangeBalance(uint32_t slot, uint32_t account, uint64_t change) {
  using Parts = BankDatabase::Parts;
  Access outcome = Access::kDone;
  uint64_t balance = 0;
  Body read = [this, account, &balance](MiniTransaction* mtr) {
    const Access found = bank_.accounts().Get(account, mtr, &balance);
    return found == Access::kNoRow ? Access::kBroken : found;
  };
  Status status = co_await RunMtr(std::move(read), &outcome);
  const bool together = client_random_[slot].Below(2) == 0;
  for (const Parts parts : {Parts{true, together}, Parts{false, true}}) {
    if (status.ok() && (parts.undo || !together)) {
      Body part = [=, this](MiniTransaction* mtr) {
        return bank_.ChangeBalance(slot, account, balance, change, parts, mtr);
      };
      status = co_await RunMtr(std::move(part), &outcome);
      co_await Pause(slot, options_.step_ns);
    }
  }
  co_return status;
}

Task<Status> ModelCompute::InsertRow(uint32_t slot, uint32_t id, uint64_t value) {
  using Parts = BankDatabase::Parts;
  Access outcome = Access::kDone;
  Status status;
  const bool together = client_random_[slot].Below(2) == 0;
  for (const Parts parts : {Parts{true, together}, Parts{false, true}}) {
    if (status.ok() && (parts.undo || !together)) {
      Body part = [=, this](MiniTransaction* mtr) {
        return bank_.InsertTransfer(slot, id, value, parts, mtr);
      };
      status = co_await RunMtr(std::move(part), &outcome);
      co_await Pause(slot, options_.step_ns);
    }
  }
  co_return status;
}

Task<Status> ModelCompute::MaybeChangeFiller(uint32_t slot) {
  SeededStream& random = client_random_[slot];
  if (options_.bank.filler_page_count == 0 || random.Below(100) >= options_.filler_percent) {
    co_return Status::Ok();
  }
  const auto index = static_cast<uint32_t>(random.Below(options_.bank.filler_page_count));
  Access outcome = Access::kDone;
  Body change = [this, index](MiniTransaction* mtr) { return bank_.ChangeFiller(index, mtr); };
  const Status status = co_await RunMtr(std::move(change), &outcome);
  co_return status;
}

void ModelCompute::KnowCatalogue() {
  uint32_t next_space = kFirstTableSpace;
  for (const RedoFact& fact : around_.timeline->FactsUpTo(boot_lsn_)) {
    if (fact.kind == RedoFact::Kind::kCounter) {
      catalogue_.KnowCounter(fact.table, fact.version, fact.value);
    } else if (fact.kind == RedoFact::Kind::kCreate) {
      next_space = std::max(next_space, fact.space.value() + 1);
    }
  }
  catalogue_.KnowSpaces(next_space);
}

Access ModelCompute::LogChange(const CatalogueLoad::Change& change, MiniTransaction* mtr) {
  using Kind = CatalogueLoad::Kind;
  MtrEncoder* const log = mtr->log();
  const CatalogueTable* const table = change.table;
  const PageId header_id{table == nullptr ? change.dropped : table->space, PageNo(0)};
  const bool needs_header = change.kind == Kind::kUse || change.kind == Kind::kExtend;
  if (needs_header && mtr->Read(header_id) == nullptr) {
    return Access::kMissingPage;
  }
  switch (change.kind) {
    case Kind::kCounter:
      log->TableCounter(change.table_id, change.version, change.value);
      break;
    case Kind::kCorruptedIndex:
      log->CorruptedIndex(change.table_id, change.version, SpaceId(1), change.value);
      break;
    case Kind::kCreate:
      MakeSpace(table->space, options_.bank.page_size, table->page_count, catalogue_.random(), mtr,
                table->path);
      break;
    case Kind::kUse:
      mtr->Change(header_id)->WriteNumber(kUnusedOffset, 4, catalogue_.random()->Below(1 << 30),
                                          log);
      break;
    case Kind::kExtend:
      log->FileExtend(table->space, table->page_count - change.added, change.added,
                      options_.bank.page_size);
      mtr->Change(header_id)->WriteNumber(innodb::kFspSizeOffset, 4, table->page_count, log);
      break;
    case Kind::kRename:
      log->FileRename(table->space, change.old_path, table->path);
      break;
    case Kind::kDrop:
      log->FileDelete(change.dropped, change.old_path);
      break;
  }
  return Access::kDone;
}

Task<Status> ModelCompute::MaybeChangeCatalogue() {
  const bool now = options_.catalogue_every > 0 && !changing_catalogue_ &&
                   catalogue_.random()->Below(options_.catalogue_every) == 0;
  if (!now) {
    co_return Status::Ok();
  }
  changing_catalogue_ = true;
  const CatalogueLoad::Change change = catalogue_.Draw();
  Access outcome = Access::kDone;
  Body body = [this, change](MiniTransaction* mtr) { return LogChange(change, mtr); };
  const Status status = co_await RunMtr(std::move(body), &outcome);
  changing_catalogue_ = false;
  co_return status;
}

Task<Status> ModelCompute::LookUp(uint32_t slot) {
  const uint32_t id = around_.ledger->PickAcknowledged(epoch_, client_random_[slot].Next());
  if (id == 0) {
    co_return Status::Ok();
  }
  uint64_t value = 0;
  Access outcome = Access::kDone;
  Body get = [this, id, &value](MiniTransaction* mtr) {
    return bank_.transfers().Get(id, mtr, &value);
  };
  const Status status = co_await RunMtr(std::move(get), &outcome);
  if (status.ok()) {
    const bool there = outcome == Access::kDone;
    around_.ledger->CheckRow(epoch_, id, there ? std::optional<uint64_t>(value) : std::nullopt);
    if (around_.timeline->newest_epoch() > epoch_) {
      around_.runtime->log->Info("a compute that was replaced has answered a read");
    }
  }
  co_return status;
}

}  // namespace redoubt::sim
