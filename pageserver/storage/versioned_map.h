// SPDX-License-Identifier: MIT
//
// Ordered maps of byte strings, one per family, that keep older values of a key for as long as a
// snapshot can see them. The data half of MemoryKvStore.
//
// Thread safety: every method locks; views of values stay valid while the returned pointer lives.
#pragma once

#include <array>
#include <atomic>
#include <cstdint>
#include <map>
#include <memory>
#include <set>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "pageserver/storage/kv_store.h"

namespace redoubt {

class VersionedMap {
 public:
  using Value =
      std::shared_ptr<const std::string>;  // shared: an iterator's value outlives a delete
  struct Item {
    std::string key;
    Value value;  // null: nothing found
  };

  void Apply(const KvBatch& batch);
  // The newest value; null when there is none.
  Value Get(KvFamily family, std::string_view key) const;

  // Snapshots count applied batches.
  uint64_t AcquireSnapshot() const;
  void ReleaseSnapshot(uint64_t snapshot) const;
  // First key >= `key` (> when `after`), last key <= `key` (< when `before`), as of the snapshot.
  Item FindForward(KvFamily family, std::string_view key, bool after, uint64_t snapshot) const;
  Item FindBackward(KvFamily family, std::string_view key, bool before, uint64_t snapshot) const;

  // Bytes of keys and newest values.
  size_t live_bytes() const;
  // Everything there is now, as puts.
  KvBatch Everything() const;

 private:
  struct Version {
    uint64_t sequence;
    Value value;  // null: deleted
  };
  using Family = std::map<std::string, std::vector<Version>, std::less<>>;

  // A spin lock: sections are a few map operations, and worlds with threads use RocksDB for real
  // work.
  class Lock {
   public:
    explicit Lock(std::atomic_flag* flag) : flag_(flag) {
      while (flag_->test_and_set(std::memory_order_acquire)) {
      }
    }
    Lock(const Lock&) = delete;
    Lock& operator=(const Lock&) = delete;
    ~Lock() { flag_->clear(std::memory_order_release); }

   private:
    std::atomic_flag* flag_;
  };

  static const Value* VisibleAt(const std::vector<Version>& versions, uint64_t snapshot);
  void Set(Family* family, const std::string& key, Value value);
  void Prune(std::vector<Version>* versions) const;

  mutable std::atomic_flag locked_ = ATOMIC_FLAG_INIT;
  std::array<Family, kKvFamilyCount> families_;
  mutable std::multiset<uint64_t> snapshots_;
  uint64_t sequence_ = 0;
  size_t live_bytes_ = 0;
};

}  // namespace redoubt
