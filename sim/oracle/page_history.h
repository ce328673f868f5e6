// SPDX-License-Identifier: MIT
//
// Every version of every page, as the model of the database server had it in its buffer pool: the
// truth that answers of the page server are compared with. Not derived from redo.
//
// A version is kept as the bytes that changed, with a full image every few versions.
#pragma once

#include <cstdint>
#include <map>
#include <vector>

#include "common/base/bytes.h"
#include "common/base/types.h"

namespace redoubt::sim {

class PageHistory {
 public:
  explicit PageHistory(uint32_t page_size) : page_size_(page_size) {}

  // `image`: the page after the mtr that ends at `mtr_end`. LSN and checksum fields do not count.
  void Record(PageId page, Lsn mtr_end, ByteView image);

  struct Version {
    Lsn page_lsn;  // end of the last mtr that changed the page at or below the LSN; 0: none
    Bytes image;   // page_size bytes, stamped; zeroes when never written
  };
  Version At(PageId page, Lsn lsn) const;

  // Ascending.
  std::vector<PageId> Pages() const;
  uint32_t page_size() const { return page_size_; }
  uint64_t version_count() const { return version_count_; }

 private:
  static constexpr size_t kVersionsPerImage = 16;
  struct Patch {
    uint32_t offset = 0;
    Bytes bytes;
  };
  struct Change {
    Lsn lsn;
    std::vector<Patch> patches;
  };
  struct Page {
    std::vector<Change> changes;
    std::vector<Bytes> images;  // images[i]: after changes[i * kVersionsPerImage]
    Bytes newest;
  };
  static std::vector<Patch> Difference(ByteView before, ByteView after);
  static void ApplyPatches(const Change& change, Bytes* image);

  uint32_t page_size_;
  uint64_t version_count_ = 0;
  std::map<PageId, Page> pages_;
};

}  // namespace redoubt::sim
