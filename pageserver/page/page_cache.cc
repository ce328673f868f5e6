// SPDX-License-Identifier: MIT
#include "pageserver/page/page_cache.h"

#include <utility>

#include "common/base/check.h"

namespace redoubt {

const PageCache::Entry* PageCache::Find(VolumeId volume, PageId page) {
  const auto found = index_.find(Key{volume, page});
  if (found == index_.end()) {
    return nullptr;
  }
  order_.splice(order_.begin(), order_, found->second);
  return &found->second->entry;
}

void PageCache::Insert(VolumeId volume, PageId page, Entry entry) {
  REDOUBT_CHECK(entry.image != nullptr);
  REDOUBT_CHECK(entry.page_lsn < entry.valid_below);
  Remove(volume, page);
  const size_t charge = Charge(entry);
  if (charge > bytes_max_) {
    return;
  }
  while (bytes_ + charge > bytes_max_) {
    Drop(std::prev(order_.end()));
  }
  const Key key{volume, page};
  order_.push_front({key, std::move(entry)});
  index_.emplace(key, order_.begin());
  bytes_ += charge;
}

void PageCache::Supersede(VolumeId volume, PageId page, Lsn end) {
  const auto found = index_.find(Key{volume, page});
  if (found == index_.end()) {
    return;
  }
  Entry& entry = found->second->entry;
  if (entry.page_lsn < end && end < entry.valid_below) {
    entry.valid_below = end;
  }
}

void PageCache::Remove(VolumeId volume, PageId page) {
  const auto found = index_.find(Key{volume, page});
  if (found != index_.end()) {
    Drop(found->second);
  }
}

void PageCache::RemoveVolume(VolumeId volume) {
  for (auto node = order_.begin(); node != order_.end();) {
    const auto next = std::next(node);
    if (node->key.volume == volume) {
      Drop(node);
    }
    node = next;
  }
}

void PageCache::Drop(Order::iterator node) {
  REDOUBT_CHECK(bytes_ >= Charge(node->entry));
  bytes_ -= Charge(node->entry);
  index_.erase(node->key);
  order_.erase(node);
}

}  // namespace redoubt
