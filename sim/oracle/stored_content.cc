// SPDX-License-Identifier: MIT
#include "sim/oracle/stored_content.h"

#include <algorithm>
#include <iterator>
#include <string_view>

#include "common/base/bytes.h"
#include "common/base/check.h"
#include "common/base/hash.h"

namespace redoubt::sim {
namespace {

uint64_t HashEntry(uint8_t family, std::string_view key, std::string_view value) {
  return HashBytes(HashBytes(family, AsBytes(key)), AsBytes(value));
}

std::string Place(uint8_t family, const std::string& key) {
  return "key " + ToHex(AsBytes(key)) + " of family " + std::to_string(family);
}

}  // namespace

// The hash of a content is the sum over its entries: no order, and cheap to keep up.
void StoredContent::Apply(const std::vector<Change>& changes, Content* content, uint64_t* hash) {
  for (const Change& change : changes) {
    const auto begin = content->lower_bound({change.family, change.key});
    auto end = begin;
    if (change.kind == Change::Kind::kDeleteRange) {
      end = content->lower_bound({change.family, std::max(change.key, change.value)});
    } else if (begin != content->end() && begin->first == std::pair(change.family, change.key)) {
      end = std::next(begin);
    }
    for (auto at = begin; at != end; ++at) {
      *hash -= HashEntry(change.family, at->first.second, at->second);
    }
    content->erase(begin, end);
    if (change.kind == Change::Kind::kPut) {
      (*content)[{change.family, change.key}] = change.value;
      *hash += HashEntry(change.family, change.key, change.value);
    }
  }
}

void StoredContent::CheckHistory(const Write& write) {
  for (const Change& change : write.changes) {
    if (!change.history) {
      continue;
    }
    const auto found = present_.lower_bound({change.family, change.key});
    const bool range = change.kind == Change::Kind::kDeleteRange;
    const bool hit =
        found != present_.end() && found->first.first == change.family &&
        (range ? found->first.second < change.value : found->first.second == change.key);
    if (!hit) {
      continue;
    }
    if (change.kind != Change::Kind::kPut) {
      findings_->Report("C6", name_ + " takes history away that readers may ask for: " +
                                  Place(change.family, found->first.second));
    } else if (found->second != change.value) {
      findings_->Report("C6", name_ + " writes other history over what it has at " +
                                  Place(change.family, change.key));
    }
  }
}

uint64_t StoredContent::WriteBegins(std::vector<Change> changes) {
  writes_.push_back({next_number_, std::move(changes)});
  return next_number_++;
}

StoredContent::Write* StoredContent::Find(uint64_t number) {
  const auto found = std::find_if(writes_.begin(), writes_.end(),
                                  [&](const Write& write) { return write.number == number; });
  return found == writes_.end() ? nullptr : &*found;
}

void StoredContent::Written(uint64_t number) {
  Write* const write = Find(number);
  if (write != nullptr) {
    write->written = true;
    CheckHistory(*write);
    uint64_t unused = 0;
    Apply(write->changes, &present_, &unused);
  }
}

void StoredContent::Refused(uint64_t number) {
  Write* const write = Find(number);
  if (write != nullptr) {
    write->refused = true;
  }
}

uint64_t StoredContent::FlushBegins() const {
  for (const Write& write : writes_) {
    if (!write.written && !write.refused) {
      return write.number;
    }
  }
  return next_number_;
}

void StoredContent::Flushed(uint64_t mark) {
  while (!writes_.empty() && writes_.front().number < mark) {
    if (!writes_.front().refused) {
      Apply(writes_.front().changes, &durable_, &durable_hash_);
    }
    writes_.pop_front();
  }
}

void StoredContent::WentOnAfterError() {
  findings_->Report("C6", name_ + " takes writes again after an error that closed it");
}

std::string StoredContent::Difference(const Content& wanted, const Content& found) const {
  auto a = wanted.begin();
  auto b = found.begin();
  while (a != wanted.end() && b != found.end() && *a == *b) {
    ++a;
    ++b;
  }
  if (a == wanted.end() && b == found.end()) {
    return "nothing";
  }
  if (b == found.end() || (a != wanted.end() && a->first < b->first)) {
    return Place(a->first.first, a->first.second) + " is missing";
  }
  if (a == wanted.end() || b->first < a->first) {
    return Place(b->first.first, b->first.second) + " is too much";
  }
  return Place(a->first.first, a->first.second) + " has another value";
}

void StoredContent::Opened(Content content) {
  ++opened_count_;
  uint64_t hash = 0;
  for (const auto& [place, value] : content) {
    hash += HashEntry(place.first, place.second, value);
  }
  Content prefix = durable_;
  uint64_t prefix_hash = durable_hash_;
  size_t kept = 0;
  while (known_ && hash != prefix_hash && kept < writes_.size()) {
    if (!writes_[kept].refused) {
      Apply(writes_[kept].changes, &prefix, &prefix_hash);
    }
    ++kept;
  }
  if (known_ && hash != prefix_hash) {
    findings_->ReportLoss("C6", name_ + " holds something else after a restart than was written: " +
                                    Difference(durable_, content) +
                                    " if only what was flushed survived, " +
                                    Difference(prefix, content) + " if everything did");
  }
  if (!known_ || hash != prefix_hash) {
    durable_ = content;
    durable_hash_ = hash;
    kept = 0;
  }
  known_ = true;
  // What survived without a flush may yet be lost in the next crash.
  writes_.resize(kept);
  for (Write& write : writes_) {
    write.written = !write.refused;
  }
  present_ = std::move(content);
}

void StoredContent::Forget() {
  known_ = false;
  durable_.clear();
  durable_hash_ = 0;
  present_.clear();
  writes_.clear();
}

}  // namespace redoubt::sim
