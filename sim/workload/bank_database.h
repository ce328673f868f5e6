// SPDX-License-Identifier: MIT
//
// The database of a model compute: accounts and transfers in two B-trees, transactions with undo,
// and pages that only make redo of all kinds. Everything is in pages and goes through
// mini-transactions; nothing here suspends.
//
//   space 10: 0 header, 1 transaction table, 2 .. undo pages, one a transaction slot
//   space 11: accounts, number -> balance      space 12: transfers, number -> Transfer::Encode()
//   space 13: 0 header, 1 .. filler pages
// Transaction table: 64 setup stage u32 | 128 slots of 8 bytes: state u32, transfer number u32
//
// A transaction occupies a slot while it is in flight. What it changes it first notes in its undo
// page; rolling back takes the notes back one by one, each in the mini-transaction that undoes it,
// so that a crash in between leaves the rest to the next one. It is committed by the
// mini-transaction that frees its slot. Setup goes on where the stage says.
#pragma once

#include <cstdint>

#include "common/base/types.h"
#include "sim/oracle/ledger.h"
#include "sim/runtime/seeded_stream.h"
#include "sim/workload/mini_transaction.h"
#include "sim/workload/row_tree.h"

namespace redoubt::sim {

struct BankOptions {
  uint32_t page_size = 16384;
  uint32_t account_count = 60;
  uint64_t opening_balance = 1000;
  uint32_t slot_count = 4;
  uint16_t rows_per_page = 16;
  uint32_t filler_page_count = 12;
};

class BankDatabase {
 public:
  BankDatabase(const BankOptions& options, SeededStream random);

  // --- Setup, a mini-transaction a stage.
  Access ReadStage(MiniTransaction* mtr, uint32_t* stage) const;
  Access SetUp(uint32_t stage, MiniTransaction* mtr);
  uint32_t stage_count() const;

  // --- Transactions. Access::kBroken also for what cannot be if nothing was lost.
  Access BeginTransaction(uint32_t slot, uint32_t transfer, MiniTransaction* mtr);
  // `with_undo`, `with_row`: the note, the change, or both in one mini-transaction.
  struct Parts {
    bool undo = true;
    bool row = true;
  };
  // `balance`: what the account holds now.
  Access ChangeBalance(uint32_t slot, uint32_t account, uint64_t balance, uint64_t change,
                       Parts parts, MiniTransaction* mtr);
  Access InsertTransfer(uint32_t slot, uint32_t transfer, uint64_t value, Parts parts,
                        MiniTransaction* mtr);
  // Takes back the newest note of the slot. kNoRow: there is none.
  Access UndoOne(uint32_t slot, MiniTransaction* mtr);
  Access EndTransaction(uint32_t slot, MiniTransaction* mtr);

  // --- Reading.
  // 0: the slot is free.
  Access TransferInSlot(uint32_t slot, MiniTransaction* mtr, uint32_t* transfer) const;
  const RowTree& accounts() const { return accounts_; }
  const RowTree& transfers() const { return transfers_; }

  // One seeded change of a filler page.
  Access ChangeFiller(uint32_t index, MiniTransaction* mtr);
  const BankOptions& options() const { return options_; }

 private:
  Access NoteUndo(uint32_t slot, uint8_t kind, uint32_t key, uint64_t value, MiniTransaction* mtr);
  void SetStage(uint32_t stage, MiniTransaction* mtr);
  void MakeSystemSpace(MiniTransaction* mtr);
  void MakeFillerSpace(MiniTransaction* mtr);

  BankOptions options_;
  SeededStream random_;
  RowTree accounts_;
  RowTree transfers_;
};

}  // namespace redoubt::sim
