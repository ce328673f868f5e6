// SPDX-License-Identifier: MIT
#include "sim/oracle/page_history.h"

#include <algorithm>
#include <utility>

#include "common/base/check.h"
#include "common/innodb/page_format.h"

namespace redoubt::sim {

std::vector<PageHistory::Patch> PageHistory::Difference(ByteView before, ByteView after) {
  constexpr size_t kWord = 8;
  constexpr size_t kStride = 256;
  std::vector<Patch> patches;
  REDOUBT_CHECK(before.size() == after.size());
  REDOUBT_CHECK(after.size() % kStride == 0);
  for (size_t at = 0; at < after.size(); at += kWord) {
    const auto same = [&](size_t bytes) {
      return std::equal(after.begin() + static_cast<ptrdiff_t>(at),
                        after.begin() + static_cast<ptrdiff_t>(at + bytes),
                        before.begin() + static_cast<ptrdiff_t>(at));
    };
    while (at % kStride == 0 && at < after.size() && same(kStride)) {
      at += kStride;
    }
    if (at == after.size()) {
      break;
    }
    if (same(kWord)) {
      continue;
    }
    if (patches.empty() || patches.back().offset + patches.back().bytes.size() != at) {
      patches.push_back(Patch{static_cast<uint32_t>(at), {}});
    }
    Bytes& bytes = patches.back().bytes;
    bytes.insert(bytes.end(), after.begin() + static_cast<ptrdiff_t>(at),
                 after.begin() + static_cast<ptrdiff_t>(at + kWord));
  }
  return patches;
}

void PageHistory::ApplyPatches(const Change& change, Bytes* image) {
  for (const Patch& patch : change.patches) {
    std::copy(patch.bytes.begin(), patch.bytes.end(), image->begin() + patch.offset);
  }
}

void PageHistory::Record(PageId id, Lsn mtr_end, ByteView image) {
  REDOUBT_CHECK(image.size() == page_size_);
  Page& page = pages_[id];
  if (page.newest.empty()) {
    page.newest.resize(page_size_);
  }
  REDOUBT_CHECK(page.changes.empty() || page.changes.back().lsn < mtr_end);
  page.changes.push_back(Change{mtr_end, Difference(page.newest, image)});
  page.newest.assign(image.begin(), image.end());
  if ((page.changes.size() - 1) % kVersionsPerImage == 0) {
    page.images.push_back(page.newest);
  }
  ++version_count_;
}

PageHistory::Version PageHistory::At(PageId id, Lsn lsn) const {
  Version version{Lsn(), Bytes(page_size_)};
  const auto it = pages_.find(id);
  if (it == pages_.end()) {
    return version;
  }
  const Page& page = it->second;
  const auto after = std::upper_bound(page.changes.begin(), page.changes.end(), lsn,
                                      [](Lsn at, const Change& change) { return at < change.lsn; });
  if (after == page.changes.begin()) {
    return version;
  }
  const auto index = static_cast<size_t>(after - page.changes.begin()) - 1;
  const size_t base = index / kVersionsPerImage;
  version.page_lsn = page.changes[index].lsn;
  version.image = page.images[base];
  for (size_t i = base * kVersionsPerImage + 1; i <= index; ++i) {
    ApplyPatches(page.changes[i], &version.image);
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
