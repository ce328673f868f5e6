// SPDX-License-Identifier: MIT
#include "sim/workload/local_database.h"

#include <algorithm>
#include <utility>

namespace redoubt::sim {

void LocalDatabase::Written(Lsn lsn) {
  while (!unwritten_.empty() && unwritten_.front().end <= lsn) {
    Mtr mtr = std::move(unwritten_.front());
    unwritten_.pop_front();
    end_ = mtr.end;
    for (const auto& [page, image] : mtr.pages) {
      pages_[page] = image;
    }
    written_.push_back(std::move(mtr));
  }
}

void LocalDatabase::Restore(Lsn lsn) {
  base_ = lsn;
  end_ = lsn;
  unwritten_.clear();
  written_.clear();
  pages_.clear();
}

const Bytes* LocalDatabase::Page(PageId page) const {
  const auto found = pages_.find(page);
  return found == pages_.end() ? nullptr : &found->second;
}

std::span<const LocalDatabase::Mtr> LocalDatabase::Above(Lsn lsn) const {
  const auto first = std::partition_point(written_.begin(), written_.end(),
                                          [lsn](const Mtr& mtr) { return mtr.end <= lsn; });
  return {first, written_.end()};
}

}  // namespace redoubt::sim
