// SPDX-License-Identifier: MIT
#include "sim/workload/row_tree.h"

#include <algorithm>
#include <string>

#include "common/base/check.h"
#include "common/innodb/page_format.h"

namespace redoubt::sim {
namespace {

constexpr uint16_t kLevel = 40;
constexpr uint16_t kRowCount = 42;
constexpr uint16_t kNext = 44;
constexpr size_t kRows = 64;
constexpr size_t kRowBytes = 12;
constexpr PageNo kRoot{1};
constexpr uint32_t kFirstFree = 2;

uint16_t U16(const ModelPage& page, uint16_t at) { return LoadBe16(page.bytes().data() + at); }
uint32_t U32(const ModelPage& page, uint16_t at) { return LoadBe32(page.bytes().data() + at); }
uint16_t RowAt(size_t index) { return static_cast<uint16_t>(kRows + index * kRowBytes); }
uint32_t KeyAt(const ModelPage& page, size_t index) {
  return LoadBe32(page.bytes().data() + RowAt(index));
}
uint64_t ValueAt(const ModelPage& page, size_t index) {
  return LoadBe64(page.bytes().data() + RowAt(index) + 4);
}
// Rows [from, to) as they lie.
Bytes RowsOf(const ModelPage& page, size_t from, size_t to) {
  const ByteView rows = page.bytes().subspan(RowAt(from), (to - from) * kRowBytes);
  return {rows.begin(), rows.end()};
}
// The first row whose key is not below `key`.
size_t LowerBound(const ModelPage& page, uint32_t key) {
  size_t index = 0;
  while (index < U16(page, kRowCount) && KeyAt(page, index) < key) {
    ++index;
  }
  return index;
}
bool HoldsKey(const ModelPage& page, size_t index, uint32_t key) {
  return index < U16(page, kRowCount) && KeyAt(page, index) == key;
}
// Which child of a branch has to hold `key`.
size_t ChildIndex(const ModelPage& page, uint32_t key) {
  size_t index = 0;
  while (index + 1U < U16(page, kRowCount) && KeyAt(page, index + 1) <= key) {
    ++index;
  }
  return index;
}
PageNo ChildAt(const ModelPage& page, size_t index) {
  return PageNo(static_cast<uint32_t>(ValueAt(page, index)));
}

// SPACE_FLAGS of a DYNAMIC tablespace with this page size.
uint32_t FlagsFor(uint32_t page_size) {
  uint32_t shift = 0;
  while ((512U << shift) < page_size) {
    ++shift;
  }
  return 0x21U | (page_size == 16384 ? 0U : shift << 6);
}

}  // namespace

void MakeSpace(SpaceId space, uint32_t page_size, uint32_t page_count, SeededStream* random,
               MiniTransaction* mtr, const std::string& path) {
  MtrEncoder* log = mtr->log();
  const uint32_t flags = FlagsFor(page_size);
  ModelPage* header = mtr->Make(PageId{space, PageNo(0)});
  log->FileCreate(space, flags,
                  path.empty() ? "./sim/t" + std::to_string(space.value()) + ".ibd" : path);
  header->Initialise(ModelPageKind::kRaw, random, log);
  header->WriteNumber(innodb::kPageTypeOffset, 2, innodb::kPageTypeFspHeader, log);
  header->WriteNumber(innodb::kFspSpaceIdOffset, 4, space.value(), log);
  header->WriteNumber(innodb::kFspSizeOffset, 4, page_count, log);
  header->WriteNumber(innodb::kFspFlagsOffset, 4, flags, log);
}

RowTree::RowTree(SpaceId space, uint32_t page_size, uint16_t row_count_max)
    : space_(space), page_size_(page_size), row_count_max_(row_count_max) {
  REDOUBT_CHECK(row_count_max >= 4);
  REDOUBT_CHECK(kRows + row_count_max * kRowBytes + innodb::kPageTrailerBytes <= page_size);
}

void RowTree::Create(SeededStream* random, MiniTransaction* mtr) const {
  MakeSpace(space_, page_size_, kFirstFree, random, mtr);
  ModelPage* root = mtr->Make(Id(kRoot));
  root->Initialise(ModelPageKind::kRaw, random, mtr->log());
}

Access RowTree::FindLeaf(uint32_t key, MiniTransaction* mtr, PageId* leaf) const {
  *leaf = Id(kRoot);
  const ModelPage* page = mtr->Read(*leaf);
  while (page != nullptr && U16(*page, kLevel) > 0) {
    const uint16_t level = U16(*page, kLevel);
    if (U16(*page, kRowCount) == 0) {
      return Access::kBroken;
    }
    *leaf = Id(ChildAt(*page, ChildIndex(*page, key)));
    page = mtr->Read(*leaf);
    if (page != nullptr && U16(*page, kLevel) + 1U != level) {
      return Access::kBroken;
    }
  }
  return page == nullptr ? Access::kMissingPage : Access::kDone;
}

Access RowTree::Get(uint32_t key, MiniTransaction* mtr, uint64_t* value) const {
  PageId leaf;
  const Access found = FindLeaf(key, mtr, &leaf);
  if (found != Access::kDone) {
    return found;
  }
  const ModelPage& page = *mtr->Read(leaf);
  const size_t index = LowerBound(page, key);
  if (!HoldsKey(page, index, key)) {
    return Access::kNoRow;
  }
  *value = ValueAt(page, index);
  return Access::kDone;
}

Access RowTree::Set(uint32_t key, uint64_t value, MiniTransaction* mtr) const {
  PageId leaf;
  const Access found = FindLeaf(key, mtr, &leaf);
  if (found != Access::kDone) {
    return found;
  }
  const size_t index = LowerBound(*mtr->Read(leaf), key);
  if (!HoldsKey(*mtr->Read(leaf), index, key)) {
    return Access::kNoRow;
  }
  const auto at = static_cast<uint16_t>(RowAt(index) + 4);
  mtr->Change(leaf)->WriteNumber(at, 8, value, mtr->log());
  return Access::kDone;
}

Access RowTree::Erase(uint32_t key, MiniTransaction* mtr) const {
  PageId leaf;
  const Access found = FindLeaf(key, mtr, &leaf);
  if (found != Access::kDone) {
    return found;
  }
  const ModelPage& page = *mtr->Read(leaf);
  const size_t index = LowerBound(page, key);
  const uint16_t count = U16(page, kRowCount);
  if (!HoldsKey(page, index, key)) {
    return Access::kNoRow;
  }
  const Bytes behind = RowsOf(page, index + 1, count);
  ModelPage* change = mtr->Change(leaf);
  if (!behind.empty()) {
    change->WriteString(RowAt(index), behind, mtr->log());
  }
  change->WriteNumber(kRowCount, 2, count - 1U, mtr->log());
  return Access::kDone;
}

void RowTree::InsertAt(PageId node, size_t index, uint32_t key, uint64_t value,
                       MiniTransaction* mtr) {
  ModelPage* page = mtr->Change(node);
  const uint16_t count = U16(*page, kRowCount);
  Bytes rows(kRowBytes);
  StoreBe32(rows.data(), key);
  StoreBe64(rows.data() + 4, value);
  const Bytes behind = RowsOf(*page, index, count);
  rows.insert(rows.end(), behind.begin(), behind.end());
  page->WriteString(RowAt(index), rows, mtr->log());
  page->WriteNumber(kRowCount, 2, count + 1U, mtr->log());
}

PageId RowTree::MakeNode(uint16_t level, SeededStream* random, MiniTransaction* mtr) const {
  ModelPage* header = mtr->Change(Id(PageNo(0)));
  const uint32_t page_no = U32(*header, innodb::kFspSizeOffset);
  header->WriteNumber(innodb::kFspSizeOffset, 4, page_no + 1, mtr->log());
  const PageId id = Id(PageNo(page_no));
  ModelPage* node = mtr->Make(id);
  node->Initialise(ModelPageKind::kRaw, random, mtr->log());
  node->WriteNumber(kLevel, 2, level, mtr->log());
  return id;
}

// The root's rows move into a new child, its only one.
void RowTree::SplitRoot(SeededStream* random, MiniTransaction* mtr) const {
  ModelPage* root = mtr->Change(Id(kRoot));
  const uint16_t level = U16(*root, kLevel);
  const uint16_t count = U16(*root, kRowCount);
  const Bytes rows = RowsOf(*root, 0, count);
  const PageId child_id = MakeNode(level, random, mtr);
  ModelPage* child = mtr->Change(child_id);
  child->WriteString(RowAt(0), rows, mtr->log());
  child->WriteNumber(kRowCount, 2, count, mtr->log());
  root->WriteNumber(kLevel, 2, level + 1U, mtr->log());
  root->WriteNumber(kRowCount, 2, 0, mtr->log());
  InsertAt(Id(kRoot), 0, 0, child_id.page_no.value(), mtr);
}

// In the middle; but a leaf that grows at the end of the chain keeps all it has.
void RowTree::SplitChild(PageId parent, size_t index, uint32_t key, SeededStream* random,
                         MiniTransaction* mtr) const {
  const PageId left_id = Id(ChildAt(*mtr->Read(parent), index));
  ModelPage* left = mtr->Change(left_id);
  const uint16_t level = U16(*left, kLevel);
  const uint16_t count = U16(*left, kRowCount);
  const uint32_t next = U32(*left, kNext);
  const bool at_end = level == 0 && next == 0 && KeyAt(*left, count - 1U) < key;
  const size_t kept = at_end ? count : count / 2U;
  const uint32_t separator = at_end ? key : KeyAt(*left, kept);
  const Bytes rows = RowsOf(*left, kept, count);
  const PageId right_id = MakeNode(level, random, mtr);
  ModelPage* right = mtr->Change(right_id);
  if (!rows.empty()) {
    right->WriteString(RowAt(0), rows, mtr->log());
    right->WriteNumber(kRowCount, 2, count - kept, mtr->log());
    left->WriteNumber(kRowCount, 2, kept, mtr->log());
  }
  right->WriteNumber(kNext, 4, next, mtr->log());
  left->WriteNumber(kNext, 4, right_id.page_no.value(), mtr->log());
  InsertAt(parent, index + 1, separator, right_id.page_no.value(), mtr);
}

Access RowTree::Insert(uint32_t key, uint64_t value, SeededStream* random,
                       MiniTransaction* mtr) const {
  PageId leaf;
  const Access found = FindLeaf(key, mtr, &leaf);
  if (found != Access::kDone) {
    return found;
  }
  if (HoldsKey(*mtr->Read(leaf), LowerBound(*mtr->Read(leaf), key), key)) {
    return Access::kNoRow;
  }
  if (mtr->Read(Id(PageNo(0))) == nullptr) {
    return Access::kMissingPage;
  }
  if (U16(*mtr->Read(Id(kRoot)), kRowCount) == row_count_max_) {
    SplitRoot(random, mtr);
  }
  PageId node = Id(kRoot);
  while (U16(*mtr->Read(node), kLevel) > 0) {
    const ModelPage& branch = *mtr->Read(node);
    size_t index = ChildIndex(branch, key);
    if (U16(*mtr->Read(Id(ChildAt(branch, index))), kRowCount) == row_count_max_) {
      SplitChild(node, index, key, random, mtr);
      index = ChildIndex(branch, key);
    }
    node = Id(ChildAt(branch, index));
  }
  InsertAt(node, LowerBound(*mtr->Read(node), key), key, value, mtr);
  return Access::kDone;
}

Access RowTree::ScanLeaf(PageNo* leaf, MiniTransaction* mtr,
                         std::vector<std::pair<uint32_t, uint64_t>>* rows) const {
  PageId id = Id(*leaf);
  if (*leaf == PageNo(0)) {
    const Access found = FindLeaf(0, mtr, &id);
    if (found != Access::kDone) {
      return found;
    }
  }
  const ModelPage* page = mtr->Read(id);
  if (page == nullptr) {
    return Access::kMissingPage;
  }
  const uint16_t count = U16(*page, kRowCount);
  if (U16(*page, kLevel) != 0 || count > row_count_max_) {
    return Access::kBroken;
  }
  for (size_t index = 0; index < count; ++index) {
    rows->emplace_back(KeyAt(*page, index), ValueAt(*page, index));
  }
  *leaf = PageNo(U32(*page, kNext));
  return Access::kDone;
}

}  // namespace redoubt::sim
