// SPDX-License-Identifier: MIT
#include "pageserver/storage/kv_store.h"

#include <utility>

namespace redoubt {

void KvBatch::Put(KvFamily family, std::string key, std::string value) {
  bytes_ += key.size() + value.size();
  operations_.push_back({Operation::Kind::kPut, family, std::move(key), std::move(value)});
}

void KvBatch::Delete(KvFamily family, std::string key) {
  bytes_ += key.size();
  operations_.push_back({Operation::Kind::kDelete, family, std::move(key), {}});
}

void KvBatch::DeleteRange(KvFamily family, std::string begin, std::string end) {
  bytes_ += begin.size() + end.size();
  operations_.push_back({Operation::Kind::kDeleteRange, family, std::move(begin), std::move(end)});
}

}  // namespace redoubt
