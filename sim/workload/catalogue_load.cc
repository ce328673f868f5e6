// SPDX-License-Identifier: MIT
#include "sim/workload/catalogue_load.h"

#include <algorithm>
#include <iterator>

namespace redoubt::sim {
namespace {

constexpr uint64_t kCountedTables = 6;
constexpr size_t kTablesMax = 4;

}  // namespace

void CatalogueLoad::KnowCounter(uint64_t table_id, uint64_t version, uint64_t value) {
  Counter& counter = counters_[table_id];
  counter = std::max(counter, Counter{version, value}, [](const Counter& a, const Counter& b) {
    return std::pair(a.version, a.value) < std::pair(b.version, b.value);
  });
}

CatalogueLoad::Change CatalogueLoad::Draw() {
  return random_.Below(100) < 60 ? DrawCounter() : DrawTable();
}

CatalogueLoad::Change CatalogueLoad::DrawCounter() {
  Change change;
  // Some ids and counters need more than 32 bits.
  change.table_id = random_.Between(1, kCountedTables);
  change.table_id += change.table_id == kCountedTables ? uint64_t{1} << 33 : 0;
  Counter& counter = counters_[change.table_id];
  const uint64_t what = random_.Below(20);
  if (what == 0) {
    change.kind = Kind::kCorruptedIndex;
    change.value = random_.Between(1, 5);
  } else if (what == 1) {
    counter = {counter.version + 1, random_.Below(10)};
    change.value = counter.value;
  } else if (what == 2) {
    change.value = counter.value - std::min(counter.value, random_.Below(50));
  } else {
    counter.value += random_.Below(10) == 0 ? random_.Below(uint64_t{1} << 34) : random_.Below(100);
    change.value = counter.value;
  }
  change.version = counter.version;
  return change;
}

CatalogueLoad::Change CatalogueLoad::DrawTable() {
  Change change;
  const uint64_t what = random_.Below(10);
  if (tables_.empty() || (what == 0 && tables_.size() < kTablesMax)) {
    change.kind = Kind::kCreate;
    SpaceId space(next_space_);
    if (!dropped_.empty() && random_.Below(2) == 0) {
      space = dropped_.back();
      dropped_.pop_back();
    } else {
      ++next_space_;
    }
    CatalogueTable& table = tables_[space];
    table = {space, "./sim/n" + std::to_string(next_name_++) + ".ibd",
             static_cast<uint32_t>(random_.Between(2, 5))};
    change.table = &table;
    return change;
  }
  const auto at = std::next(tables_.begin(), static_cast<ptrdiff_t>(random_.Below(tables_.size())));
  CatalogueTable& table = at->second;
  change.table = &table;
  change.old_path = table.path;
  if (what < 6) {
    change.kind = Kind::kUse;
  } else if (what < 8 && table.page_count < kPagesMax) {
    change.kind = Kind::kExtend;
    change.added = static_cast<uint32_t>(random_.Between(1, kPagesMax - table.page_count));
    table.page_count += change.added;
  } else if (what == 8) {
    change.kind = Kind::kRename;
    table.path = "./sim/n" + std::to_string(next_name_++) + ".ibd";
  } else {
    change.kind = Kind::kDrop;
    change.dropped = at->first;
    change.table = nullptr;
    dropped_.push_back(at->first);
    tables_.erase(at);
  }
  return change;
}

}  // namespace redoubt::sim
