// SPDX-License-Identifier: MIT
#include "pageserver/storage/versioned_map.h"

#include "common/base/check.h"

namespace redoubt {

const VersionedMap::Value* VersionedMap::VisibleAt(const std::vector<Version>& versions,
                                                   uint64_t snapshot) {
  for (auto version = versions.rbegin(); version != versions.rend(); ++version) {
    if (version->sequence <= snapshot) {
      return version->value != nullptr ? &version->value : nullptr;
    }
  }
  return nullptr;
}

// Keeps the newest version, and of the older ones those that a live snapshot sees.
void VersionedMap::Prune(std::vector<Version>* versions) const {
  size_t kept = 0;
  for (size_t i = 0; i < versions->size(); ++i) {
    const bool newest = i + 1 == versions->size();
    const uint64_t until = newest ? ~uint64_t{0} : (*versions)[i + 1].sequence;
    const auto reader = snapshots_.lower_bound((*versions)[i].sequence);
    if (newest || (reader != snapshots_.end() && *reader < until)) {
      if (kept != i) {
        (*versions)[kept] = std::move((*versions)[i]);
      }
      ++kept;
    }
  }
  versions->resize(kept);
}

void VersionedMap::Set(Family* family, const std::string& key, Value value) {
  auto at = family->find(key);
  if (at == family->end()) {
    if (value == nullptr) {
      return;
    }
    at = family->emplace(key, std::vector<Version>()).first;
  }
  std::vector<Version>& versions = at->second;
  if (!versions.empty() && versions.back().value != nullptr) {
    live_bytes_ -= key.size() + versions.back().value->size();
  }
  if (value != nullptr) {
    live_bytes_ += key.size() + value->size();
  }
  versions.push_back({sequence_, std::move(value)});
  Prune(&versions);
  if (versions.size() == 1 && versions.front().value == nullptr) {
    family->erase(at);
  }
}

void VersionedMap::Apply(const KvBatch& batch) {
  const Lock lock(&locked_);
  ++sequence_;
  for (const KvBatch::Operation& operation : batch.operations()) {
    Family& family = families_[static_cast<size_t>(operation.family)];
    switch (operation.kind) {
      case KvBatch::Operation::Kind::kPut:
        Set(&family, operation.key, std::make_shared<const std::string>(operation.value));
        break;
      case KvBatch::Operation::Kind::kDelete:
        Set(&family, operation.key, nullptr);
        break;
      case KvBatch::Operation::Kind::kDeleteRange: {
        std::vector<std::string> keys;
        for (auto at = family.lower_bound(operation.key);
             at != family.end() && at->first < operation.value; ++at) {
          keys.push_back(at->first);
        }
        for (const std::string& key : keys) {
          Set(&family, key, nullptr);
        }
        break;
      }
    }
  }
}

VersionedMap::Value VersionedMap::Get(KvFamily family, std::string_view key) const {
  const Lock lock(&locked_);
  const Family& map = families_[static_cast<size_t>(family)];
  const auto at = map.find(key);
  return at == map.end() ? nullptr : at->second.back().value;
}

uint64_t VersionedMap::AcquireSnapshot() const {
  const Lock lock(&locked_);
  snapshots_.insert(sequence_);
  return sequence_;
}

void VersionedMap::ReleaseSnapshot(uint64_t snapshot) const {
  const Lock lock(&locked_);
  const auto at = snapshots_.find(snapshot);
  REDOUBT_CHECK(at != snapshots_.end());
  snapshots_.erase(at);
}

VersionedMap::Item VersionedMap::FindForward(KvFamily family, std::string_view key, bool after,
                                             uint64_t snapshot) const {
  const Lock lock(&locked_);
  const Family& map = families_[static_cast<size_t>(family)];
  for (auto at = after ? map.upper_bound(key) : map.lower_bound(key); at != map.end(); ++at) {
    if (const Value* value = VisibleAt(at->second, snapshot)) {
      return {at->first, *value};
    }
  }
  return {};
}

VersionedMap::Item VersionedMap::FindBackward(KvFamily family, std::string_view key, bool before,
                                              uint64_t snapshot) const {
  const Lock lock(&locked_);
  const Family& map = families_[static_cast<size_t>(family)];
  for (auto at = before ? map.lower_bound(key) : map.upper_bound(key); at != map.begin();) {
    --at;
    if (const Value* value = VisibleAt(at->second, snapshot)) {
      return {at->first, *value};
    }
  }
  return {};
}

size_t VersionedMap::live_bytes() const {
  const Lock lock(&locked_);
  return live_bytes_;
}

KvBatch VersionedMap::Everything() const {
  const Lock lock(&locked_);
  KvBatch batch;
  for (size_t family = 0; family < kKvFamilyCount; ++family) {
    for (const auto& [key, versions] : families_[family]) {
      if (versions.back().value != nullptr) {
        batch.Put(static_cast<KvFamily>(family), key, *versions.back().value);
      }
    }
  }
  return batch;
}

}  // namespace redoubt
