// SPDX-License-Identifier: MIT
#include "sim/workload/buffer_pool.h"

#include <algorithm>
#include <utility>

#include "common/base/check.h"

namespace redoubt::sim {

BufferPool::Frame* BufferPool::Find(PageId page) {
  const auto it = frames_.find(page);
  if (it == frames_.end()) {
    return nullptr;
  }
  it->second.used = ++uses_;
  return &it->second;
}

bool BufferPool::MakeRoom(size_t wanted, Lsn flushed_lsn) {
  while (frames_.size() + wanted > page_count_max_) {
    auto oldest = frames_.end();
    for (auto it = frames_.begin(); it != frames_.end(); ++it) {
      const Frame& frame = it->second;
      const bool may_go = frame.pin_count == 0 && frame.newest_lsn <= flushed_lsn;
      if (may_go && (oldest == frames_.end() || frame.used < oldest->second.used)) {
        oldest = it;
      }
    }
    if (oldest == frames_.end()) {
      return false;
    }
    if (oldest->second.newest_lsn != Lsn()) {
      RememberWritten(oldest->first, oldest->second.newest_lsn);
    }
    frames_.erase(oldest);
    ++dropped_count_;
  }
  return true;
}

void BufferPool::RememberWritten(PageId page, Lsn lsn) {
  last_written_[page] = lsn;
  if (last_written_.size() <= kLastWrittenMax) {
    return;
  }
  const auto lowest =
      std::min_element(last_written_.begin(), last_written_.end(),
                       [](const auto& a, const auto& b) { return a.second < b.second; });
  forgotten_written_ = std::max(forgotten_written_, lowest->second);
  last_written_.erase(lowest);
}

Lsn BufferPool::LastWritten(PageId page) const {
  const auto it = last_written_.find(page);
  return it != last_written_.end() ? it->second : std::max(boot_lsn_, forgotten_written_);
}

BufferPool::Frame* BufferPool::AddRead(PageId page, ByteView image) {
  REDOUBT_CHECK(image.size() == page_size_);
  const auto [it, added] = frames_.try_emplace(page, Frame(ModelPage(page, image)));
  REDOUBT_CHECK(added);
  it->second.used = ++uses_;
  return &it->second;
}

BufferPool::Frame* BufferPool::AddNew(PageId page) {
  const auto [it, added] = frames_.try_emplace(page, Frame(ModelPage(page, page_size_)));
  REDOUBT_CHECK(added);
  it->second.used = ++uses_;
  return &it->second;
}

std::vector<Timeline::ChangedPage> BufferPool::Pages() const {
  std::vector<Timeline::ChangedPage> pages;
  for (const auto& [id, frame] : frames_) {
    pages.push_back({id, frame.page.bytes()});
  }
  return pages;
}

}  // namespace redoubt::sim
