// SPDX-License-Identifier: MIT
//
// The newest known image of recently read pages, for all volumes of a process, least recently used
// first out. Images are shared with whoever reads them: a hit copies nothing.
//
// An entry answers reads at page_lsn <= L < valid_below. When newer redo for its page arrives it is
// superseded, not dropped: older reads still hit, and newer ones start from it instead of the
// store.
//
// Invariant: bytes() <= bytes_max after every call.   Loop thread only.
#pragma once

#include <cstdint>
#include <list>
#include <memory>
#include <unordered_map>

#include "common/base/bytes.h"
#include "common/base/types.h"

namespace redoubt {

class PageCache {
 public:
  explicit PageCache(size_t bytes_max) : bytes_max_(bytes_max) {}

  struct Entry {
    std::shared_ptr<const Bytes> image;
    Lsn page_lsn;               // end of the last mtr in the image
    Lsn valid_below = kMaxLsn;  // end of the first mtr that is not
    bool Answers(Lsn read_lsn) const { return page_lsn <= read_lsn && read_lsn < valid_below; }
  };

  // nullptr when absent; borrowed until the next call. Counts as a use.
  const Entry* Find(VolumeId volume, PageId page);
  // Replaces what was there.
  void Insert(VolumeId volume, PageId page, Entry entry);
  // A newer mtr for the page ends at `end`. Not a use.
  void Supersede(VolumeId volume, PageId page, Lsn end);
  void Remove(VolumeId volume, PageId page);
  void RemoveVolume(VolumeId volume);

  size_t bytes() const { return bytes_; }
  size_t bytes_max() const { return bytes_max_; }
  uint64_t hit_count() const { return hit_count_; }
  uint64_t miss_count() const { return miss_count_; }
  void CountHit() { ++hit_count_; }
  void CountMiss() { ++miss_count_; }

 private:
  struct Key {
    VolumeId volume;
    PageId page;
    friend bool operator==(const Key&, const Key&) = default;
  };
  struct KeyHash {
    size_t operator()(const Key& key) const noexcept {
      return std::hash<PageId>()(key.page) ^ std::hash<VolumeId>()(key.volume);
    }
  };
  struct Node {
    Key key;
    Entry entry;
  };
  using Order = std::list<Node>;  // front: most recently used

  static size_t Charge(const Entry& entry) { return entry.image->size() + 160; }
  void Drop(Order::iterator node);

  size_t bytes_max_;
  size_t bytes_ = 0;
  uint64_t hit_count_ = 0;
  uint64_t miss_count_ = 0;
  Order order_;
  std::unordered_map<Key, Order::iterator, KeyHash> index_;
};

}  // namespace redoubt
