// SPDX-License-Identifier: MIT
//
// Undo log pages: page header at 38, segment header at 56 (first page of a segment only), log
// headers from 86.
//
//   38 PAGE_TYPE | 40 PAGE_START | 42 PAGE_FREE | 56 STATE | 58 LAST_LOG
//   log header at h: +0 TRX_ID u64 | +8 TRX_NO u64 | +16 DEL_MARKS | +18 LOG_START | +20 FLAGS u8 |
//   +21 DICT_TRANS u8 |
//                    +22 TABLE_ID u64 | +30 NEXT_LOG | +32 PREV_LOG | +34 history node;  46 bytes
#include <cstring>

#include "common/innodb/apply_internal.h"

namespace redoubt::innodb {
namespace {

constexpr size_t kUndoTypeOffset = 38;
constexpr size_t kUndoStartOffset = 40;
constexpr size_t kUndoFreeOffset = 42;
constexpr size_t kUndoStateOffset = 56;
constexpr size_t kUndoLastLogOffset = 58;
constexpr size_t kUndoPageHeaderEnd = 56;
constexpr size_t kFirstLogHeader = 86;
constexpr size_t kLogHeaderBytes = 46;
constexpr uint16_t kUndoActive = 1;

constexpr Problem kBadUndoPage = "undo: free offset of the page lies outside its body";

class UndoPage {
 public:
  explicit UndoPage(MutableByteView page)
      : p_(page.data()), end_(page.size() - kPageTrailerBytes) {}

  size_t free() const { return LoadBe16(p_ + kUndoFreeOffset); }
  void Set16(size_t offset, size_t value) { StoreBe16(p_ + offset, static_cast<uint16_t>(value)); }

  void Init(uint32_t type) {
    Set16(kUndoTypeOffset, type);
    Set16(kUndoStartOffset, kUndoPageHeaderEnd);
    Set16(kUndoFreeOffset, kUndoPageHeaderEnd);
    Set16(kPageTypeOffset, kPageTypeUndo);
  }

  // The record lies between the offset of its end and the offset of its beginning.
  Problem Insert(ByteView record) {
    const size_t from = free();
    const size_t to = from + record.size() + 4;
    if (from < kUndoPageHeaderEnd || to > end_) {
      return kBadUndoPage;
    }
    Set16(from, to);
    if (!record.empty()) {
      std::memcpy(p_ + from + 2, record.data(), record.size());
    }
    Set16(to - 2, from);
    Set16(kUndoFreeOffset, to);
    return kNoProblem;
  }

  Problem EraseEnd() {
    const size_t from = free();
    if (from < kUndoPageHeaderEnd || from > end_) {
      return kBadUndoPage;
    }
    std::memset(p_ + from, 0xFF, end_ - from);
    return kNoProblem;
  }

  Problem CreateHeader(uint64_t trx_id) {
    const size_t header = free();
    if (header < kFirstLogHeader || header + kLogHeaderBytes > end_) {
      return kBadUndoPage;
    }
    const size_t previous = LoadBe16(p_ + kUndoLastLogOffset);
    if (previous != 0) {
      if (previous < kFirstLogHeader || previous + kLogHeaderBytes > end_) {
        return "undo: last log header lies outside the page";
      }
      Set16(previous + 30, header);
    }
    Set16(kUndoLastLogOffset, header);
    Set16(header + 16, 1);
    Start(header, trx_id);
    Set16(header + 30, 0);
    Set16(header + 32, previous);
    return kNoProblem;
  }

  void ReuseHeader(uint64_t trx_id) { Start(kFirstLogHeader, trx_id); }

 private:
  void Start(size_t header, uint64_t trx_id) {
    const size_t behind = header + kLogHeaderBytes;
    Set16(kUndoStartOffset, behind);
    Set16(kUndoFreeOffset, behind);
    Set16(kUndoStateOffset, kUndoActive);
    StoreBe64(p_ + header, trx_id);
    Set16(header + 18, behind);
    p_[header + 20] = 0;
    p_[header + 21] = 0;
  }

  uint8_t* p_;
  size_t end_;
};

}  // namespace

Problem ApplyUndo(const ApplyInput& input) {
  PackedReader reader(input.body);
  UndoPage page(input.page);
  uint64_t number = 0;
  ByteView record;
  switch (input.type) {
    case RedoType::kUndoInit:
      number = reader.C32();
      break;
    case RedoType::kUndoInsert:
      record = reader.Take(reader.U16());
      break;
    case RedoType::kUndoHeaderCreate:
    case RedoType::kUndoHeaderReuse:
      number = reader.C64();
      break;
    default:
      break;
  }
  if (!reader.AtEnd()) {
    return "undo: body is too short or too long";
  }
  switch (input.type) {
    case RedoType::kUndoInit:
      page.Init(static_cast<uint32_t>(number));
      return number <= 0xFFFF ? kNoProblem : "undo: page type out of range";
    case RedoType::kUndoInsert:
      return page.Insert(record);
    case RedoType::kUndoEraseEnd:
      return page.EraseEnd();
    case RedoType::kUndoHeaderCreate:
      return page.CreateHeader(number);
    default:
      page.ReuseHeader(number);
      return kNoProblem;
  }
}

}  // namespace redoubt::innodb
