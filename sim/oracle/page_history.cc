// SPDX-License-Identifier: MIT
#include "sim/oracle/page_history.h"

#include <algorithm>
#include <cstring>

#include "common/base/check.h"
#include "common/innodb/page_format.h"

namespace redoubt::sim {

void PageHistory::AddDifference(ByteView after, Page* page) {
  constexpr size_t kWord = 8;
  constexpr size_t kStride = 256;
  const uint8_t* before = page->newest.data();
  const size_t first_patch = page->patches.size();
  REDOUBT_CHECK(page->newest.size() == after.size());
  REDOUBT_CHECK(after.size() % kStride == 0);
  for (size_t stride = 0; stride < after.size(); stride += kStride) {
    if (std::memcmp(before + stride, after.data() + stride, kStride) == 0) {
      continue;
    }
    for (size_t at = stride; at < stride + kStride; at += kWord) {
      if (std::memcmp(before + at, after.data() + at, kWord) == 0) {
        continue;
      }
      const bool continues = page->patches.size() > first_patch &&
                             page->patches.back().offset + page->patches.back().size == at;
      if (!continues) {
        page->patches.push_back(Patch{static_cast<uint32_t>(at), 0});
      }
      page->patches.back().size += kWord;
      const ByteView word = after.subspan(at, kWord);
      page->patch_bytes.insert(page->patch_bytes.end(), word.begin(), word.end());
    }
  }
}

void PageHistory::ApplyChanges(const Page& page, size_t first, size_t last, Bytes* image) {
  size_t patch = page.changes[first].first_patch;
  size_t byte = page.changes[first].first_byte;
  const bool newest = last + 1 == page.changes.size();
  const size_t patch_end = newest ? page.patches.size() : page.changes[last + 1].first_patch;
  for (; patch < patch_end; ++patch) {
    const Patch& one = page.patches[patch];
    std::memcpy(image->data() + one.offset, page.patch_bytes.data() + byte, one.size);
    byte += one.size;
  }
}

void PageHistory::Record(PageId id, Lsn mtr_end, ByteView image) {
  REDOUBT_CHECK(image.size() == page_size_);
  Page& page = pages_[id];
  if (page.newest.empty()) {
    page.newest.resize(page_size_);
  }
  REDOUBT_CHECK(page.changes.empty() || page.changes.back().lsn < mtr_end);
  page.changes.push_back(Change{mtr_end, page.patches.size(), page.patch_bytes.size()});
  AddDifference(image, &page);
  page.newest.assign(image.begin(), image.end());
  if ((page.changes.size() - 1) % kVersionsPerImage == 0) {
    page.images.push_back(page.newest);
  }
  ++version_count_;
}

void PageHistory::DropSpace(SpaceId space, Lsn mtr_end) {
  std::vector<Lsn>& drops = dropped_[space];
  REDOUBT_CHECK(drops.empty() || drops.back() < mtr_end);
  drops.push_back(mtr_end);
}

Lsn PageHistory::DroppedAt(SpaceId space, Lsn lsn) const {
  const auto dropped = dropped_.find(space);
  if (dropped == dropped_.end()) {
    return Lsn();
  }
  const auto after = std::upper_bound(dropped->second.begin(), dropped->second.end(), lsn);
  return after == dropped->second.begin() ? Lsn() : *(after - 1);
}

ptrdiff_t PageHistory::IndexAt(PageId id, const Page& page, Lsn lsn) const {
  const auto after = std::upper_bound(page.changes.begin(), page.changes.end(), lsn,
                                      [](Lsn at, const Change& change) { return at < change.lsn; });
  const ptrdiff_t index = after - page.changes.begin() - 1;
  if (index < 0) {
    return -1;
  }
  return page.changes[static_cast<size_t>(index)].lsn <= DroppedAt(id.space, lsn) ? -1 : index;
}

Lsn PageHistory::VersionAt(PageId id, Lsn lsn) const {
  const auto it = pages_.find(id);
  const ptrdiff_t index = it == pages_.end() ? -1 : IndexAt(id, it->second, lsn);
  return index < 0 ? Lsn() : it->second.changes[static_cast<size_t>(index)].lsn;
}

PageHistory::Version PageHistory::At(PageId id, Lsn lsn) const {
  const auto it = pages_.find(id);
  const ptrdiff_t found = it == pages_.end() ? -1 : IndexAt(id, it->second, lsn);
  if (found < 0) {
    return {Lsn(), Bytes(page_size_)};
  }
  const Page& page = it->second;
  const auto index = static_cast<size_t>(found);
  const size_t base = index / kVersionsPerImage;
  Version version{page.changes[index].lsn, page.images[base]};
  if (index > base * kVersionsPerImage) {
    ApplyChanges(page, base * kVersionsPerImage + 1, index, &version.image);
  }
  innodb::StampPage(MutableByteView(version.image), version.page_lsn);
  return version;
}

std::vector<PageId> PageHistory::Pages() const {
  std::vector<PageId> ids;
  for (const auto& [id, page] : pages_) {
    ids.push_back(id);
  }
  return ids;
}

}  // namespace redoubt::sim
