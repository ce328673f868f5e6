// SPDX-License-Identifier: MIT
//
// Every version of every page, as the database server had it in its buffer pool: the truth that
// answers of the page server are compared with. A model server records what it did, not what its
// redo says; of a recorded one there is only the redo, which is applied independently of the page
// server (workload/recorded_server.h).
//
// A version is kept as the bytes that changed, with a full image every few versions. The changed
// bytes of all versions of a page lie in one buffer.
#pragma once

#include <cstdint>
#include <map>
#include <vector>

#include "common/base/bytes.h"
#include "common/base/types.h"
#include "sim/oracle/page_truth.h"

namespace redoubt::sim {

class PageHistory : public PageTruth {
 public:
  explicit PageHistory(uint32_t page_size) : page_size_(page_size) {}

  // `image`: the page after the mtr that ends at `mtr_end`. LSN and checksum fields do not count.
  void Record(PageId page, Lsn mtr_end, ByteView image);
  // The tablespace is gone from here on. Another one may get its number later.
  void DropSpace(SpaceId space, Lsn mtr_end);

  // The last drop of the tablespace at or below `lsn`; 0: none.
  Lsn DroppedAt(SpaceId space, Lsn lsn) const;

  using Version = PageVersion;
  Version At(PageId page, Lsn lsn) const override;
  // The page_lsn of At, without the image.
  Lsn VersionAt(PageId page, Lsn lsn) const;

  // Ascending.
  std::vector<PageId> Pages() const;
  uint32_t page_size() const { return page_size_; }
  uint64_t version_count() const { return version_count_; }

 private:
  static constexpr size_t kVersionsPerImage = 16;
  struct Patch {
    uint32_t offset = 0;
    uint32_t size = 0;
  };
  // Its patches and their bytes begin here in the page's, and end where the next change's begin.
  struct Change {
    Lsn lsn;
    size_t first_patch = 0;
    size_t first_byte = 0;
  };
  struct Page {
    std::vector<Change> changes;
    std::vector<Patch> patches;
    Bytes patch_bytes;
    std::vector<Bytes> images;  // images[i]: after changes[i * kVersionsPerImage]
    Bytes newest;
  };
  // Adds to the newest change what makes page->newest `after`.
  static void AddDifference(ByteView after, Page* page);
  // The change of the page that is in force at `lsn`; -1: none.
  ptrdiff_t IndexAt(PageId id, const Page& page, Lsn lsn) const;
  // Changes [first, last] in order.
  static void ApplyChanges(const Page& page, size_t first, size_t last, Bytes* image);

  uint32_t page_size_;
  uint64_t version_count_ = 0;
  std::map<PageId, Page> pages_;
  std::map<SpaceId, std::vector<Lsn>> dropped_;  // ascending
};

}  // namespace redoubt::sim
