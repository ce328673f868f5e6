// SPDX-License-Identifier: MIT
//
// A page as a small model of InnoDB changes it in its buffer pool, logging what it does. The bytes
// are the model's own; the redo is the description of them. Written from the format's description
// of what the server does, independent of common/innodb's applier.
//
// Kinds: raw (generic writes anywhere), index (compact B-tree leaf with inserts, deletes and delete
// marks), undo (records appended).
#pragma once

#include <cstdint>

#include "common/base/bytes.h"
#include "common/base/types.h"
#include "sim/runtime/seeded_stream.h"
#include "sim/workload/redo_encoder.h"

namespace redoubt::sim {

enum class ModelPageKind : uint8_t { kRaw, kIndex, kUndo };

class ModelPage {
 public:
  ModelPage(PageId id, uint32_t page_size) : id_(id), bytes_(page_size) {}
  // A page read back. Its kind is by its type.
  ModelPage(PageId id, ByteView image);

  PageId id() const { return id_; }
  ModelPageKind kind() const { return kind_; }
  ByteView bytes() const { return bytes_; }

  // The page is allocated (again): all that was in it goes.
  void Initialise(ModelPageKind kind, SeededStream* random, MtrEncoder* log);
  // One seeded change of the page's kind. Always logs something.
  void Change(SeededStream* random, MtrEncoder* log);
  void WriteNumber(uint16_t offset, int size, uint64_t value, MtrEncoder* log);
  void WriteString(uint16_t offset, ByteView bytes, MtrEncoder* log);

  // Undo pages. The newest record's body, borrowed until the next change; empty: there is none.
  ByteView UndoTop() const;
  // There must be room; checked.
  void UndoPush(ByteView body, MtrEncoder* log);
  void UndoPop(MtrEncoder* log);

 private:
  void ChangeRaw(SeededStream* random, MtrEncoder* log);
  void ChangeUndo(SeededStream* random, MtrEncoder* log);
  void ChangeIndex(SeededStream* random, MtrEncoder* log);
  void CreateIndexPage(MtrEncoder* log);
  void Insert(SeededStream* random, MtrEncoder* log);
  void Delete(uint16_t record, MtrEncoder* log);
  void Mark(uint16_t record, SeededStream* random, MtrEncoder* log);

  uint16_t U16(size_t at) const { return LoadBe16(bytes_.data() + at); }
  void Put16(size_t at, size_t value) {
    StoreBe16(bytes_.data() + at, static_cast<uint16_t>(value));
  }
  size_t SlotAt(size_t slot) const { return bytes_.size() - 8 - 2 * (slot + 1); }
  uint16_t Next(uint16_t record) const;
  void SetNext(uint16_t record, uint16_t next);
  uint8_t Owned(uint16_t record) const { return bytes_[record - 5U] & 0x0F; }
  void SetOwned(uint16_t record, size_t owned);
  size_t OwnerSlot(uint16_t record) const;
  size_t RecordBytes(uint16_t record) const;
  uint16_t RandomRecord(SeededStream* random) const;  // 0: none
  uint16_t FindCursor(uint32_t key) const;
  uint16_t TakeSpace(size_t size, uint16_t* heap_no);
  void NoteDirection(uint16_t cursor, uint16_t record);
  void SplitSlot(size_t slot);
  void BalanceSlot(size_t slot);

  PageId id_;
  ModelPageKind kind_ = ModelPageKind::kRaw;
  Bytes bytes_;
};

}  // namespace redoubt::sim
