// SPDX-License-Identifier: MIT
#include "sim/workload/bank_database.h"

#include <numeric>

#include "common/base/check.h"

namespace redoubt::sim {
namespace {

constexpr SpaceId kSystem{10};
constexpr SpaceId kAccounts{11};
constexpr SpaceId kTransfers{12};
constexpr SpaceId kFillers{13};
constexpr PageId kTable{kSystem, PageNo(1)};
constexpr uint32_t kFirstUndoPage = 2;
constexpr uint16_t kStage = 64;
constexpr uint16_t kSlots = 128;
constexpr uint16_t kSlotBytes = 8;
constexpr uint32_t kActive = 1;
constexpr uint32_t kSpaceStages = 4;
constexpr uint8_t kUndoBalance = 1;
constexpr uint8_t kUndoInsert = 2;
constexpr size_t kUndoBytes = 1 + 4 + 8;

PageId UndoPage(uint32_t slot) { return {kSystem, PageNo(kFirstUndoPage + slot)}; }
uint16_t SlotAt(uint32_t slot) { return static_cast<uint16_t>(kSlots + slot * kSlotBytes); }
uint32_t U32(const ModelPage& page, uint16_t at) { return LoadBe32(page.bytes().data() + at); }

}  // namespace

BankDatabase::BankDatabase(const BankOptions& options, SeededStream random)
    : options_(options),
      random_(random),
      accounts_(kAccounts, options.page_size, options.rows_per_page),
      transfers_(kTransfers, options.page_size, options.rows_per_page) {
  REDOUBT_CHECK(options.account_count >= 2);
  REDOUBT_CHECK(options.slot_count > 0);
}

uint32_t BankDatabase::stage_count() const { return kSpaceStages + options_.account_count; }

Access BankDatabase::ReadStage(MiniTransaction* mtr, uint32_t* stage) const {
  const ModelPage* table = mtr->Read(kTable);
  if (table == nullptr) {
    return Access::kMissingPage;
  }
  *stage = U32(*table, kStage);
  return *stage <= stage_count() ? Access::kDone : Access::kBroken;
}

void BankDatabase::SetStage(uint32_t stage, MiniTransaction* mtr) {
  mtr->Change(kTable)->WriteNumber(kStage, 4, stage, mtr->log());
}

void BankDatabase::MakeSystemSpace(MiniTransaction* mtr) {
  MakeSpace(kSystem, options_.page_size, kFirstUndoPage + options_.slot_count, &random_, mtr);
  mtr->Make(kTable)->Initialise(ModelPageKind::kRaw, &random_, mtr->log());
  for (uint32_t slot = 0; slot < options_.slot_count; ++slot) {
    mtr->Make(UndoPage(slot))->Initialise(ModelPageKind::kUndo, &random_, mtr->log());
  }
}

void BankDatabase::MakeFillerSpace(MiniTransaction* mtr) {
  constexpr ModelPageKind kKinds[] = {ModelPageKind::kRaw, ModelPageKind::kIndex,
                                      ModelPageKind::kIndex, ModelPageKind::kUndo};
  MakeSpace(kFillers, options_.page_size, 1 + options_.filler_page_count, &random_, mtr);
  for (uint32_t index = 0; index < options_.filler_page_count; ++index) {
    ModelPage* page = mtr->Make(PageId{kFillers, PageNo(1 + index)});
    page->Initialise(kKinds[index % 4], &random_, mtr->log());
  }
}

Access BankDatabase::SetUp(uint32_t stage, MiniTransaction* mtr) {
  REDOUBT_CHECK(stage < stage_count());
  if (mtr->Read(kTable) == nullptr) {
    return Access::kMissingPage;
  }
  if (stage == 0) {
    MakeSystemSpace(mtr);
  } else if (stage == 1) {
    accounts_.Create(&random_, mtr);
  } else if (stage == 2) {
    transfers_.Create(&random_, mtr);
  } else if (stage == 3) {
    MakeFillerSpace(mtr);
  } else {
    // In an order that splits leaves in the middle, too.
    uint32_t step = 7;
    while (std::gcd(step, options_.account_count) != 1) {
      ++step;
    }
    const uint32_t account = (stage - kSpaceStages) * step % options_.account_count;
    const Access inserted = accounts_.Insert(account, options_.opening_balance, &random_, mtr);
    if (inserted != Access::kDone) {
      return inserted == Access::kNoRow ? Access::kBroken : inserted;
    }
  }
  SetStage(stage + 1, mtr);
  return Access::kDone;
}

Access BankDatabase::BeginTransaction(uint32_t slot, uint32_t transfer, MiniTransaction* mtr) {
  REDOUBT_CHECK(slot < options_.slot_count);
  const ModelPage* table = mtr->Read(kTable);
  if (table == nullptr || mtr->Read(UndoPage(slot)) == nullptr) {
    return Access::kMissingPage;
  }
  if (U32(*table, SlotAt(slot)) != 0) {
    return Access::kBroken;
  }
  mtr->Change(UndoPage(slot))->Initialise(ModelPageKind::kUndo, &random_, mtr->log());
  ModelPage* change = mtr->Change(kTable);
  change->WriteNumber(SlotAt(slot), 4, kActive, mtr->log());
  change->WriteNumber(static_cast<uint16_t>(SlotAt(slot) + 4), 4, transfer, mtr->log());
  return Access::kDone;
}

Access BankDatabase::NoteUndo(uint32_t slot, uint8_t kind, uint32_t key, uint64_t value,
                              MiniTransaction* mtr) {
  Bytes body(kUndoBytes);
  body[0] = kind;
  StoreBe32(body.data() + 1, key);
  StoreBe64(body.data() + 5, value);
  mtr->Change(UndoPage(slot))->UndoPush(body, mtr->log());
  return Access::kDone;
}

Access BankDatabase::ChangeBalance(uint32_t slot, uint32_t account, uint64_t balance,
                                   uint64_t change, Parts parts, MiniTransaction* mtr) {
  uint64_t present = 0;
  const Access found = accounts_.Get(account, mtr, &present);
  if (found != Access::kDone) {
    return found == Access::kNoRow ? Access::kBroken : found;
  }
  if (mtr->Read(UndoPage(slot)) == nullptr) {
    return Access::kMissingPage;
  }
  if (present != balance) {
    return Access::kBroken;
  }
  if (parts.undo) {
    NoteUndo(slot, kUndoBalance, account, balance, mtr);
  }
  return parts.row ? accounts_.Set(account, balance + change, mtr) : Access::kDone;
}

Access BankDatabase::InsertTransfer(uint32_t slot, uint32_t transfer, uint64_t value, Parts parts,
                                    MiniTransaction* mtr) {
  uint64_t present = 0;
  const Access found = transfers_.Get(transfer, mtr, &present);
  if (found != Access::kNoRow) {
    return found == Access::kDone ? Access::kBroken : found;
  }
  const PageId header{kTransfers, PageNo(0)};
  if (mtr->Read(UndoPage(slot)) == nullptr || mtr->Read(header) == nullptr) {
    return Access::kMissingPage;
  }
  if (parts.undo) {
    NoteUndo(slot, kUndoInsert, transfer, 0, mtr);
  }
  return parts.row ? transfers_.Insert(transfer, value, &random_, mtr) : Access::kDone;
}

Access BankDatabase::UndoOne(uint32_t slot, MiniTransaction* mtr) {
  const ModelPage* undo = mtr->Read(UndoPage(slot));
  if (undo == nullptr) {
    return Access::kMissingPage;
  }
  const ByteView body = undo->UndoTop();
  if (body.empty()) {
    return Access::kNoRow;
  }
  if (body.size() != kUndoBytes) {
    return Access::kBroken;
  }
  const uint32_t key = LoadBe32(body.data() + 1);
  const uint64_t value = LoadBe64(body.data() + 5);
  // A note without its change: a crash came in between.
  const Access undone =
      body[0] == kUndoBalance ? accounts_.Set(key, value, mtr) : transfers_.Erase(key, mtr);
  if (undone == Access::kMissingPage || undone == Access::kBroken) {
    return undone;
  }
  if (undone == Access::kNoRow && body[0] == kUndoBalance) {
    return Access::kBroken;
  }
  mtr->Change(UndoPage(slot))->UndoPop(mtr->log());
  return Access::kDone;
}

Access BankDatabase::EndTransaction(uint32_t slot, MiniTransaction* mtr) {
  const ModelPage* table = mtr->Read(kTable);
  if (table == nullptr) {
    return Access::kMissingPage;
  }
  if (U32(*table, SlotAt(slot)) != kActive) {
    return Access::kBroken;
  }
  mtr->Change(kTable)->WriteNumber(SlotAt(slot), 4, 0, mtr->log());
  return Access::kDone;
}

Access BankDatabase::TransferInSlot(uint32_t slot, MiniTransaction* mtr, uint32_t* transfer) const {
  const ModelPage* table = mtr->Read(kTable);
  if (table == nullptr) {
    return Access::kMissingPage;
  }
  const bool active = U32(*table, SlotAt(slot)) == kActive;
  *transfer = active ? U32(*table, static_cast<uint16_t>(SlotAt(slot) + 4)) : 0;
  return Access::kDone;
}

Access BankDatabase::ChangeFiller(uint32_t index, MiniTransaction* mtr) {
  const PageId id{kFillers, PageNo(1 + index)};
  if (mtr->Read(id) == nullptr) {
    return Access::kMissingPage;
  }
  mtr->Change(id)->Change(&random_, mtr->log());
  return Access::kDone;
}

}  // namespace redoubt::sim
