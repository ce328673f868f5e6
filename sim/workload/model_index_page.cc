// SPDX-License-Identifier: MIT
//
// The index half of ModelPage: a compact leaf page of a clustered index with the columns
// (key 4 bytes, trx id 6, roll pointer 7, payload 0 .. 60 bytes).
//
// Record: length byte, 5 header bytes, origin, key, trx id, roll pointer, payload.
//   rec[-5] info bits, n_owned | rec[-4..-3] heap no << 3, status | rec[-2..-1] next, relative
// Format: common/innodb/README.md, "Index pages", "Record headers".

#include <algorithm>
#include <array>
#include <string_view>

#include "common/base/check.h"
#include "common/innodb/page_format.h"
#include "sim/workload/model_page.h"

namespace redoubt::sim {
namespace {

constexpr size_t kSlotCount = 38;
constexpr size_t kHeapTop = 40;
constexpr size_t kHeapCount = 42;
constexpr size_t kFree = 44;
constexpr size_t kGarbage = 46;
constexpr size_t kLastInsert = 48;
constexpr size_t kDirection = 50;
constexpr size_t kDirectionCount = 52;
constexpr size_t kRecordCount = 54;
constexpr uint16_t kInfimum = 99;
constexpr uint16_t kSupremum = 112;
constexpr size_t kExtraBytes = 6;
constexpr size_t kFixedBytes = 4 + 6 + 7;
constexpr size_t kPayloadMax = 60;
constexpr size_t kLeft = 1;
constexpr size_t kRight = 2;
constexpr size_t kNoDirection = 5;
constexpr size_t kOwnedMax = 8;
constexpr size_t kOwnedMin = 4;
constexpr uint8_t kDeleted = 0x20;

IndexShape Shape() { return IndexShape{1, {4, 6, 7, IndexShape::kVariable}}; }

}  // namespace

void ModelPage::CreateIndexPage(MtrEncoder* log) {
  constexpr std::array<uint8_t, 26> kSystemRecords{
      0x01, 0x00, 0x02, 0x00, 0x0D, 'i', 'n', 'f', 'i', 'm', 'u', 'm', 0x00,
      0x01, 0x00, 0x0B, 0x00, 0x00, 's', 'u', 'p', 'r', 'e', 'm', 'u', 'm'};
  Put16(innodb::kPageTypeOffset, innodb::kPageTypeIndex);
  std::fill(bytes_.begin() + 38, bytes_.begin() + 64, uint8_t{0});
  std::fill(bytes_.begin() + 120, bytes_.end() - 8, uint8_t{0});
  std::copy(kSystemRecords.begin(), kSystemRecords.end(), bytes_.begin() + 94);
  Put16(kSlotCount, 2);
  Put16(kHeapTop, 120);
  Put16(kHeapCount, 0x8002);
  Put16(kDirection, kNoDirection);
  Put16(SlotAt(0), kInfimum);
  Put16(SlotAt(1), kSupremum);
  log->CreateCompactPage(id_);
}

uint16_t ModelPage::Next(uint16_t record) const {
  const uint16_t relative = U16(record - 2U);
  return relative == 0 ? uint16_t{0} : static_cast<uint16_t>((record + relative) % bytes_.size());
}

void ModelPage::SetNext(uint16_t record, uint16_t next) {
  Put16(record - 2U, next == 0 ? 0U : static_cast<size_t>(static_cast<uint16_t>(next - record)));
}

void ModelPage::SetOwned(uint16_t record, size_t owned) {
  uint8_t& byte = bytes_[record - 5U];
  byte = static_cast<uint8_t>((byte & 0xF0) | owned);
}

size_t ModelPage::OwnerSlot(uint16_t record) const {
  while (Owned(record) == 0) {
    record = Next(record);
  }
  for (size_t slot = 0; slot < U16(kSlotCount); ++slot) {
    if (U16(SlotAt(slot)) == record) {
      return slot;
    }
  }
  REDOUBT_CHECK(false);
  return 0;
}

size_t ModelPage::RecordBytes(uint16_t record) const {
  return kExtraBytes + kFixedBytes + bytes_[record - 6U];
}

uint16_t ModelPage::RandomRecord(SeededStream* random) const {
  const uint16_t count = U16(kRecordCount);
  if (count == 0) {
    return 0;
  }
  uint16_t record = Next(kInfimum);
  for (uint64_t skip = random->Below(count); skip > 0; --skip) {
    record = Next(record);
  }
  return record;
}

uint16_t ModelPage::FindCursor(uint32_t key) const {
  uint16_t cursor = kInfimum;
  for (uint16_t at = Next(kInfimum); at != kSupremum && LoadBe32(bytes_.data() + at) <= key;
       at = Next(at)) {
    cursor = at;
  }
  return cursor;
}

void ModelPage::ChangeIndex(SeededStream* random, MtrEncoder* log) {
  const size_t slots_begin = SlotAt(U16(kSlotCount));
  const bool full = U16(kHeapTop) + kExtraBytes + kFixedBytes + kPayloadMax + 64 > slots_begin;
  const uint64_t choice = random->Below(10);
  const uint16_t record = choice >= 6 || full ? RandomRecord(random) : uint16_t{0};
  if (record == 0 && !full) {
    return Insert(random, log);
  }
  // Deleting the last record is logged as the creation of an empty page, as the server does.
  if (U16(kRecordCount) == 1 || (full && choice == 0)) {
    return CreateIndexPage(log);
  }
  if (choice >= 8 && !full) {
    return Mark(record, random, log);
  }
  Delete(record, log);
}

uint16_t ModelPage::TakeSpace(size_t size, uint16_t* heap_no) {
  const uint16_t free = U16(kFree);
  if (free != 0 && RecordBytes(free) >= size) {
    const size_t start = free - kExtraBytes;
    *heap_no = static_cast<uint16_t>(U16(free - 4U) >> 3);
    Put16(kFree, Next(free));
    Put16(kGarbage, U16(kGarbage) - size);
    return static_cast<uint16_t>(start);
  }
  const uint16_t start = U16(kHeapTop);
  *heap_no = U16(kHeapCount) & 0x7FFF;
  Put16(kHeapTop, start + size);
  Put16(kHeapCount, U16(kHeapCount) + 1U);
  return start;
}

void ModelPage::Insert(SeededStream* random, MtrEncoder* log) {
  Bytes image(kExtraBytes + kFixedBytes + random->Below(kPayloadMax + 1));
  const bool append = random->Below(2) == 0;
  for (size_t i = kExtraBytes; i < image.size(); ++i) {
    image[i] = static_cast<uint8_t>(random->Next());
  }
  if (append) {
    std::fill_n(image.begin() + kExtraBytes, 1, uint8_t{0xFF});
  }
  image[0] = static_cast<uint8_t>(image.size() - kExtraBytes - kFixedBytes);
  const uint16_t cursor = FindCursor(LoadBe32(image.data() + kExtraBytes));
  // The bytes shared with the cursor record, its header included, need not be logged again.
  size_t shared = 0;
  if (cursor != kInfimum && random->Below(2) == 0) {
    const size_t most = std::min(image.size(), RecordBytes(cursor)) - 1;
    const uint8_t* before = bytes_.data() + cursor - kExtraBytes;
    std::copy_n(before + 1, 5, image.begin() + 1);
    while (shared < most && before[shared] == image[shared]) {
      ++shared;
    }
  }
  log->InsertRecord(id_, Shape(), cursor, 0, kExtraBytes, static_cast<uint32_t>(shared),
                    ByteView(image).subspan(shared));

  uint16_t heap_no = 0;
  const uint16_t start = TakeSpace(image.size(), &heap_no);
  std::copy(image.begin(), image.end(), bytes_.begin() + start);
  const auto record = static_cast<uint16_t>(start + kExtraBytes);
  bytes_[record - 5U] = 0;
  Put16(record - 4U, static_cast<size_t>(heap_no) << 3);
  SetNext(record, Next(cursor));
  SetNext(cursor, record);
  Put16(kRecordCount, U16(kRecordCount) + 1U);
  NoteDirection(cursor, record);
  const size_t slot = OwnerSlot(record);
  const uint16_t owner = U16(SlotAt(slot));
  const size_t owned = Owned(owner);
  SetOwned(owner, owned + 1);
  if (owned == kOwnedMax) {
    SplitSlot(slot);
  }
}

void ModelPage::NoteDirection(uint16_t cursor, uint16_t record) {
  const uint16_t last = U16(kLastInsert);
  const uint16_t direction = U16(kDirection);
  if (last != 0 && last == cursor && direction != kLeft) {
    Put16(kDirection, kRight);
    Put16(kDirectionCount, U16(kDirectionCount) + 1U);
  } else if (last != 0 && Next(record) == last && direction != kRight) {
    Put16(kDirection, kLeft);
    Put16(kDirectionCount, U16(kDirectionCount) + 1U);
  } else {
    Put16(kDirection, kNoDirection);
    Put16(kDirectionCount, 0);
  }
  Put16(kLastInsert, record);
}

void ModelPage::SplitSlot(size_t slot) {
  uint16_t middle = U16(SlotAt(slot - 1));
  for (int i = 0; i < 4; ++i) {
    middle = Next(middle);
  }
  const size_t count = U16(kSlotCount);
  for (size_t k = count; k > slot; --k) {
    Put16(SlotAt(k), U16(SlotAt(k - 1)));
  }
  Put16(kSlotCount, count + 1);
  Put16(SlotAt(slot), middle);
  SetOwned(middle, 4);
  SetOwned(U16(SlotAt(slot + 1)), 5);
}

void ModelPage::Delete(uint16_t record, MtrEncoder* log) {
  log->DeleteRecord(id_, Shape(), record);
  const size_t slot = OwnerSlot(record);
  const uint16_t owner = U16(SlotAt(slot));
  const size_t owned = Owned(owner);
  Put16(kLastInsert, 0);
  uint16_t before = U16(SlotAt(slot - 1));
  while (Next(before) != record) {
    before = Next(before);
  }
  SetNext(before, Next(record));
  if (owner == record) {
    Put16(SlotAt(slot), before);
  }
  SetOwned(U16(SlotAt(slot)), owned - 1);
  SetNext(record, U16(kFree));
  Put16(kFree, record);
  Put16(kGarbage, U16(kGarbage) + RecordBytes(record));
  Put16(kRecordCount, U16(kRecordCount) - 1U);
  if (owned <= kOwnedMin) {
    BalanceSlot(slot);
  }
}

void ModelPage::BalanceSlot(size_t slot) {
  const size_t count = U16(kSlotCount);
  if (slot + 1 == count) {
    return;
  }
  const uint16_t lower = U16(SlotAt(slot));
  const uint16_t upper = U16(SlotAt(slot + 1));
  const size_t lower_owned = Owned(lower);
  const size_t upper_owned = Owned(upper);
  SetOwned(lower, 0);
  if (upper_owned > kOwnedMin) {
    const uint16_t next = Next(lower);
    SetOwned(next, lower_owned + 1);
    Put16(SlotAt(slot), next);
    SetOwned(upper, upper_owned - 1);
    return;
  }
  SetOwned(upper, upper_owned + lower_owned);
  for (size_t k = slot + 1; k < count; ++k) {
    Put16(SlotAt(k - 1), U16(SlotAt(k)));
  }
  Put16(SlotAt(count - 1), 0);
  Put16(kSlotCount, count - 1);
}

void ModelPage::Mark(uint16_t record, SeededStream* random, MtrEncoder* log) {
  constexpr uint32_t kTrxField = 1;
  const uint64_t trx_id = random->Below(uint64_t{1} << 48);
  std::array<uint8_t, 7> roll_pointer{};
  for (uint8_t& byte : roll_pointer) {
    byte = static_cast<uint8_t>(random->Next());
  }
  bytes_[record - 5U] |= kDeleted;
  uint8_t* system = bytes_.data() + record + 4;
  StoreBe16(system, static_cast<uint16_t>(trx_id >> 32));
  StoreBe32(system + 2, static_cast<uint32_t>(trx_id));
  std::copy(roll_pointer.begin(), roll_pointer.end(), system + 6);
  log->DeleteMark(id_, Shape(), record, kTrxField, trx_id, roll_pointer);
}

}  // namespace redoubt::sim
