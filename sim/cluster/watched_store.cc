// SPDX-License-Identifier: MIT
#include "sim/cluster/watched_store.h"

#include <optional>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "common/base/bytes.h"
#include "common/base/check.h"
#include "pageserver/page/batch_writer.h"
#include "pageserver/storage/keys.h"
#include "sim/cluster/store_neighbour.h"

namespace redoubt::sim {
namespace {

// What happened to a page, or a tablespace, at an LSN stays so. Images of it are derived, and the
// rest says what is the case now.
bool IsHistory(KvFamily family) { return family == KvFamily::kDelta || family == KvFamily::kSpace; }

StoredContent::Change::Kind KindOf(KvBatch::Operation::Kind kind) {
  switch (kind) {
    case KvBatch::Operation::Kind::kPut:
      return StoredContent::Change::Kind::kPut;
    case KvBatch::Operation::Kind::kDelete:
      return StoredContent::Change::Kind::kDelete;
    case KvBatch::Operation::Kind::kDeleteRange:
      return StoredContent::Change::Kind::kDeleteRange;
  }
  REDOUBT_CHECK(false);
  return StoredContent::Change::Kind::kPut;
}

std::vector<StoredContent::Change> ChangesOf(const KvBatch& batch) {
  std::vector<StoredContent::Change> changes;
  for (const KvBatch::Operation& operation : batch.operations()) {
    changes.push_back({KindOf(operation.kind), static_cast<uint8_t>(operation.family),
                       IsHistory(operation.family), operation.key, operation.value});
  }
  return changes;
}

Result<StoredContent::Content> ReadAll(const KvStore& store) {
  StoredContent::Content content;
  for (size_t i = 0; i < kKvFamilyCount; ++i) {
    const std::unique_ptr<KvIterator> at = store.NewIterator(static_cast<KvFamily>(i));
    for (at->Seek(""); at->Valid(); at->Next()) {
      content[{static_cast<uint8_t>(i), std::string(at->key())}] = at->value();
    }
    REDOUBT_RETURN_IF_ERROR(at->status());
  }
  return content;
}

// Where a volume's position is kept. The number of the volume is its first part.
bool IsPositionKey(KvFamily family, std::string_view key) {
  return family == KvFamily::kMeta && key.size() == kVolumePrefixBytes + 1 &&
         static_cast<MetaKind>(key.back()) == MetaKind::kIngest;
}

void TellPosition(const std::string& key, const std::string& value, PersistedPosition* position) {
  const Result<IngestPosition> stored = DecodeIngestPosition(value);
  if (stored.ok()) {
    position->Durable(VolumeId(LoadBe32(AsBytes(key).data())), stored->persisted);
  }
}

class WatchedStore final : public KvStore {
 public:
  WatchedStore(Runtime* runtime, std::unique_ptr<KvStore> store, StoreWatchers watchers)
      : store_(std::move(store)), watchers_(std::move(watchers)), content_(watchers_.content) {
    if (watchers_.neighbour_interval_ns > 0) {
      neighbour_.emplace(runtime, this, watchers_.neighbour_interval_ns);
      neighbour_->Start();
    }
  }

  Result<std::optional<std::string>> Get(KvFamily family, std::string_view key) const override {
    return store_->Get(family, key);
  }
  std::unique_ptr<KvIterator> NewIterator(KvFamily family) const override {
    return store_->NewIterator(family);
  }
  Task<Status> Write(KvBatch batch) override {
    for (const KvBatch::Operation& operation : batch.operations()) {
      if (IsPositionKey(operation.family, operation.key)) {
        position_keys_.insert(operation.key);
      }
    }
    const uint64_t number = content_->WriteBegins(ChangesOf(batch));
    const bool closed = closed_;
    const Status status = co_await store_->Write(std::move(batch));
    NoteOutcome(status, closed);
    if (status.ok()) {
      content_->Written(number);
    } else if (status.code() == StatusCode::kNoSpace) {
      content_->Refused(number);
    }
    co_return status;
  }
  Task<Status> Flush() override {
    const uint64_t mark = content_->FlushBegins();
    const bool closed = closed_;
    const Status status = co_await store_->Flush();
    NoteOutcome(status, closed);
    if (status.ok()) {
      content_->Flushed(mark);
      TellPositions();
      if (watchers_.flushed) {
        watchers_.flushed();
      }
    }
    co_return status;
  }
  Task<Status> Close() override {
    if (neighbour_.has_value()) {
      co_await neighbour_->Stop();
    }
    co_return co_await store_->Close();
  }

 private:
  // `closed`: it was when the call began.
  void NoteOutcome(const Status& status, bool closed) {
    if (closed && status.ok()) {
      content_->WentOnAfterError();
    }
    closed_ = closed_ || (!status.ok() && status.code() != StatusCode::kNoSpace);
  }
  void TellPositions() {
    for (const std::string& key : position_keys_) {
      const std::string* value = content_->Durable(static_cast<uint8_t>(KvFamily::kMeta), key);
      if (value != nullptr) {
        TellPosition(key, *value, watchers_.position);
      }
    }
  }

  std::unique_ptr<KvStore> store_;
  StoreWatchers watchers_;
  StoredContent* content_;
  std::set<std::string> position_keys_;  // that were written
  bool closed_ = false;                  // an error closed it for writing
  std::optional<StoreNeighbour> neighbour_;
};

}  // namespace

Task<Result<std::unique_ptr<KvStore>>> WatchStore(Runtime* runtime, std::unique_ptr<KvStore> store,
                                                  StoreWatchers watchers) {
  auto read = [&store] { return ReadAll(*store); };
  Result<StoredContent::Content> all = co_await RunBlocking(runtime->blocking, read);
  watchers.position->Opened();
  if (all.ok()) {
    for (const auto& [place, value] : *all) {
      if (IsPositionKey(static_cast<KvFamily>(place.first), place.second)) {
        TellPosition(place.second, value, watchers.position);
      }
    }
    watchers.content->Opened(std::move(*all));
  } else {
    watchers.content->Forget();  // what reads it next will say so
  }
  std::unique_ptr<KvStore> watched =
      std::make_unique<WatchedStore>(runtime, std::move(store), std::move(watchers));
  co_return watched;
}

}  // namespace redoubt::sim
