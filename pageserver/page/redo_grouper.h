// SPDX-License-Identifier: MIT
//
// Parses redo payload and groups its records by page. Two passes over a piece: parsing appends one
// small item per record in log order, then a counting sort by page lays each page's records out
// contiguously; nothing is allocated per record or per page.
//
// Not thread-safe: one call at a time, on whatever thread.
#pragma once

#include <cstdint>
#include <memory>
#include <span>
#include <unordered_set>
#include <vector>

#include "common/base/bytes.h"
#include "common/base/status.h"
#include "common/innodb/mtr_assembler.h"
#include "pageserver/page/page_table.h"
#include "pageserver/page/redo_piece.h"

namespace redoubt {

class RedoGrouper {
 public:
  // `group_start`: a data LSN at which an mtr starts.
  explicit RedoGrouper(Lsn group_start) : assembler_(group_start) {}

  // Parses the payloads that follow what was taken before. *piece gets the mtrs that became whole,
  // also when an error ends the parsing (kCorruption, naming type, LSN and offset): those before it
  // are good.
  Status Take(std::span<const ByteView> payloads, RedoPiece* piece);
  // Forgets a partial mtr and goes on at `group_start`.
  void Reset(Lsn group_start) { assembler_.Reset(group_start); }

  Lsn end_lsn() const { return assembler_.end_lsn(); }
  Lsn fed_lsn() const { return assembler_.fed_lsn(); }

 private:
  struct Item {
    const uint8_t* body;
    uint32_t body_bytes;
    uint32_t run;  // index into piece->runs
    uint32_t mtr;  // index into mtrs_
    uint8_t type;
  };

  Status TakeMtr(const innodb::MtrView& mtr, ByteView payload, RedoPiece* piece);
  void TakePageRecord(const innodb::RedoRecord& record, const uint8_t* body,
                      const innodb::MtrView& mtr, RedoPiece* piece);
  void NotePageZero(const innodb::RedoRecord& record, const innodb::MtrView& mtr, RedoPiece* piece);
  Status TakeOther(const innodb::RedoRecord& record, const innodb::MtrView& mtr, RedoPiece* piece);
  SpaceNote* AddNote(SpaceNote::Kind kind, SpaceId space, const innodb::MtrView& mtr,
                     RedoPiece* piece);
  void LayOut(RedoPiece* piece);
  void SortItems(const RedoPiece& piece);

  innodb::MtrAssembler assembler_;
  PageTable table_;
  std::vector<Item> items_;
  std::vector<uint32_t> order_;
  std::vector<uint32_t> run_begin_;
  std::vector<LsnRange> mtrs_;
  std::vector<std::unique_ptr<uint8_t[]>> copies_;   // bodies of mtrs that straddled two payloads
  std::unordered_set<uint32_t> initialized_spaces_;  // never iterated
  Bytes scratch_;
  Lsn failed_mtr_;  // an mtr that was refused: the piece ends before it
};

}  // namespace redoubt
