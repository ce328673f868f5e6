// SPDX-License-Identifier: MIT
#include "sim/workload/model_page.h"

#include <algorithm>
#include <array>

#include "common/base/check.h"
#include "common/innodb/page_format.h"

namespace redoubt::sim {
namespace {

constexpr size_t kTrailerBytes = 8;
constexpr size_t kBody = 38;
constexpr size_t kUndoPageType = 38;
constexpr size_t kUndoStart = 40;
constexpr size_t kUndoFree = 42;
constexpr size_t kUndoFirstRecord = 56;
constexpr size_t kUndoBodyMax = 200;
constexpr size_t kStringMax = 300;

}  // namespace

ModelPage::ModelPage(PageId id, ByteView image) : id_(id), bytes_(image.begin(), image.end()) {
  const uint16_t type = innodb::PageTypeOf(image);
  kind_ = type == innodb::kPageTypeIndex  ? ModelPageKind::kIndex
          : type == innodb::kPageTypeUndo ? ModelPageKind::kUndo
                                          : ModelPageKind::kRaw;
}

void ModelPage::WriteNumber(uint16_t offset, int size, uint64_t value, MtrEncoder* log) {
  REDOUBT_CHECK(offset + static_cast<size_t>(size) <= bytes_.size());
  for (int i = 0; i < size; ++i) {
    bytes_[offset + static_cast<size_t>(i)] = static_cast<uint8_t>(value >> (8 * (size - 1 - i)));
  }
  log->WriteNumber(id_, offset, size, value);
}

void ModelPage::WriteString(uint16_t offset, ByteView bytes, MtrEncoder* log) {
  REDOUBT_CHECK(offset + bytes.size() <= bytes_.size());
  std::copy(bytes.begin(), bytes.end(), bytes_.begin() + offset);
  log->WriteString(id_, offset, bytes);
}

void ModelPage::Initialise(ModelPageKind kind, SeededStream* random, MtrEncoder* log) {
  kind_ = kind;
  std::fill(bytes_.begin(), bytes_.end(), uint8_t{0});
  StoreBe32(bytes_.data() + innodb::kPageNoOffset, id_.page_no.value());
  StoreBe32(bytes_.data() + innodb::kPageSpaceIdOffset, id_.space.value());
  log->InitPage(id_);
  switch (kind) {
    case ModelPageKind::kRaw:
      WriteNumber(innodb::kPageTypeOffset, 2, innodb::kPageTypeSys, log);
      break;
    case ModelPageKind::kIndex:
      CreateIndexPage(log);
      WriteNumber(64, 2, 0, log);                               // level
      WriteNumber(66, 8, 100 + random->Below(1'000'000), log);  // index id
      WriteNumber(innodb::kPagePrevOffset, 4, innodb::kNoPage, log);
      WriteNumber(innodb::kPageNextOffset, 4, innodb::kNoPage, log);
      break;
    case ModelPageKind::kUndo:
      Put16(kUndoPageType, 2);
      Put16(kUndoStart, kUndoFirstRecord);
      Put16(kUndoFree, kUndoFirstRecord);
      Put16(innodb::kPageTypeOffset, innodb::kPageTypeUndo);
      log->UndoInit(id_, 2);
      break;
  }
}

void ModelPage::Change(SeededStream* random, MtrEncoder* log) {
  switch (kind_) {
    case ModelPageKind::kRaw:
      return ChangeRaw(random, log);
    case ModelPageKind::kIndex:
      return ChangeIndex(random, log);
    case ModelPageKind::kUndo:
      return ChangeUndo(random, log);
  }
}

void ModelPage::ChangeRaw(SeededStream* random, MtrEncoder* log) {
  const uint64_t form = random->Below(6);
  const size_t end = bytes_.size() - kTrailerBytes;
  if (form < 4) {
    const int size = 1 << form;
    const auto offset =
        static_cast<uint16_t>(random->Between(kBody, end - static_cast<size_t>(size)));
    const uint64_t value = random->Next();
    WriteNumber(offset, size, size == 8 ? value : value & ((uint64_t{1} << (8 * size)) - 1), log);
    return;
  }
  Bytes text(random->Between(1, kStringMax));
  for (uint8_t& byte : text) {
    byte = static_cast<uint8_t>(random->Next());
  }
  const auto offset = static_cast<uint16_t>(random->Between(kBody, end - text.size()));
  WriteString(offset, text, log);
}

void ModelPage::ChangeUndo(SeededStream* random, MtrEncoder* log) {
  Bytes body(random->Between(1, kUndoBodyMax));
  for (uint8_t& byte : body) {
    byte = static_cast<uint8_t>(random->Next());
  }
  if (U16(kUndoFree) + 4U + body.size() + kTrailerBytes + 64 > bytes_.size()) {
    return Initialise(ModelPageKind::kUndo, random, log);
  }
  UndoPush(body, log);
}

// Record: offset of its end, body, offset of its begin.
void ModelPage::UndoPush(ByteView body, MtrEncoder* log) {
  const size_t at = U16(kUndoFree);
  const size_t end = at + 4 + body.size();
  REDOUBT_CHECK(kind_ == ModelPageKind::kUndo);
  REDOUBT_CHECK(end + kTrailerBytes <= bytes_.size());
  Put16(at, end);
  std::copy(body.begin(), body.end(), bytes_.begin() + static_cast<ptrdiff_t>(at + 2));
  Put16(at + 2 + body.size(), at);
  Put16(kUndoFree, end);
  log->UndoInsert(id_, body);
}

ByteView ModelPage::UndoTop() const {
  const size_t free = U16(kUndoFree);
  if (free <= kUndoFirstRecord) {
    return {};
  }
  const size_t at = U16(free - 2);
  REDOUBT_CHECK(at + 4 <= free);
  return bytes().subspan(at + 2, free - at - 4);
}

void ModelPage::UndoPop(MtrEncoder* log) {
  const size_t free = U16(kUndoFree);
  REDOUBT_CHECK(free > kUndoFirstRecord);
  WriteNumber(kUndoFree, 2, U16(free - 2), log);
}

}  // namespace redoubt::sim
