// SPDX-License-Identifier: MIT
#include "pageserver/storage/memory_kv_store.h"

#include <algorithm>
#include <utility>

#include "common/base/crc32c.h"
#include "common/runtime/fault_point.h"
#include "pageserver/storage/turnstile.h"
#include "pageserver/storage/versioned_map.h"

namespace redoubt {
namespace {

constexpr std::string_view kJournalHead = "RDBTKVJ1";
constexpr size_t kRecordHeadBytes = 16;
constexpr size_t kRewriteBytesMin = 16 << 20;
constexpr size_t kReadBytes = 4 << 20;

void AppendOperation(const KvBatch::Operation& operation, Bytes* out) {
  ByteWriter writer(out);
  writer.U8(static_cast<uint8_t>(operation.kind));
  writer.U8(static_cast<uint8_t>(operation.family));
  writer.Varint(operation.key.size());
  writer.Append(AsBytes(operation.key));
  writer.Varint(operation.value.size());
  writer.Append(AsBytes(operation.value));
}

Bytes EncodeRecord(uint64_t sequence, const KvBatch& batch) {
  Bytes record(kRecordHeadBytes);
  record.reserve(kRecordHeadBytes + batch.bytes() + batch.operations().size() * 12);
  for (const KvBatch::Operation& operation : batch.operations()) {
    AppendOperation(operation, &record);
  }
  StoreBe32(record.data(), static_cast<uint32_t>(record.size() - kRecordHeadBytes));
  StoreBe64(record.data() + 8, sequence);
  StoreBe32(record.data() + 4, Crc32c(ByteView(record).subspan(8)));
  return record;
}

bool DecodeBody(ByteView body, KvBatch* batch) {
  ByteReader reader(body);
  while (reader.remaining() > 0 && !reader.failed()) {
    const uint8_t kind = reader.U8();
    const uint8_t family = reader.U8();
    std::string key(AsText(reader.Take(reader.Varint())));
    std::string value(AsText(reader.Take(reader.Varint())));
    if (reader.failed() || family >= kKvFamilyCount) {
      return false;
    }
    const auto kv_family = static_cast<KvFamily>(family);
    switch (static_cast<KvBatch::Operation::Kind>(kind)) {
      case KvBatch::Operation::Kind::kPut:
        batch->Put(kv_family, std::move(key), std::move(value));
        break;
      case KvBatch::Operation::Kind::kDelete:
        batch->Delete(kv_family, std::move(key));
        break;
      case KvBatch::Operation::Kind::kDeleteRange:
        batch->DeleteRange(kv_family, std::move(key), std::move(value));
        break;
      default:
        return false;
    }
  }
  return reader.AtEnd();
}

}  // namespace

class MemoryKvStore::Map : public VersionedMap {};

class MemoryKvStore::Iterator final : public KvIterator {
 public:
  Iterator(const Map* map, KvFamily family)
      : map_(map), family_(family), snapshot_(map->AcquireSnapshot()) {}
  ~Iterator() override { map_->ReleaseSnapshot(snapshot_); }
  void Seek(std::string_view key) override {
    item_ = map_->FindForward(family_, key, false, snapshot_);
  }
  void SeekForPrev(std::string_view key) override {
    item_ = map_->FindBackward(family_, key, false, snapshot_);
  }
  void Next() override { item_ = map_->FindForward(family_, item_.key, true, snapshot_); }
  void Prev() override { item_ = map_->FindBackward(family_, item_.key, true, snapshot_); }
  bool Valid() const override { return item_.value != nullptr; }
  std::string_view key() const override { return item_.key; }
  std::string_view value() const override { return *item_.value; }
  Status status() const override { return Status::Ok(); }

 private:
  const Map* map_;
  KvFamily family_;
  uint64_t snapshot_;
  VersionedMap::Item item_;
};

// The file half. One operation at a time, in call order.
class MemoryKvStore::Journal {
 public:
  Journal(Runtime* runtime, std::string directory, Map* map)
      : runtime_(runtime),
        files_(runtime->files),
        directory_(std::move(directory)),
        map_(map),
        turnstile_(runtime->scheduler) {}

  Task<Status> Open();
  Task<Status> Append(KvBatch batch);
  Task<Status> Sync();

 private:
  std::string path() const { return directory_ + "/journal"; }
  // Reads records into the map; *valid_bytes is where the first bad one begins.
  Task<Status> Replay(uint64_t size, uint64_t* valid_bytes);
  Task<Status> WriteAnew();
  Task<Status> SyncAncestors();

  Runtime* runtime_;
  FileSystem* files_;
  std::string directory_;
  Map* map_;
  Turnstile turnstile_;
  std::unique_ptr<File> file_;
  uint64_t end_ = 0;
  uint64_t sequence_ = 0;
  Status failed_;
};

// A new directory is durable only when its parent is synced, and so on up.
Task<Status> MemoryKvStore::Journal::SyncAncestors() {
  for (size_t slash = directory_.find('/'); slash != std::string::npos;
       slash = directory_.find('/', slash + 1)) {
    const std::string parent = slash == 0 ? "/" : directory_.substr(0, slash);
    REDOUBT_CO_RETURN_IF_ERROR(co_await files_->SyncDirectory(parent));
  }
  co_return Status::Ok();
}

Task<Status> MemoryKvStore::Journal::Open() {
  REDOUBT_CO_RETURN_IF_ERROR(co_await files_->CreateDirectories(directory_));
  REDOUBT_CO_RETURN_IF_ERROR(co_await SyncAncestors());
  std::string name = path();
  Result<std::unique_ptr<File>> file = co_await files_->Open(name, OpenMode::kCreate);
  if (!file.ok()) {
    co_return file.status();
  }
  file_ = std::move(file).value();
  const Result<uint64_t> size = co_await file_->Size();
  if (!size.ok()) {
    co_return size.status();
  }
  uint64_t valid_bytes = 0;
  REDOUBT_CO_RETURN_IF_ERROR(co_await Replay(*size, &valid_bytes));
  const bool is_new = valid_bytes == 0;
  if (is_new) {
    REDOUBT_CO_RETURN_IF_ERROR(co_await file_->Truncate(0));
    REDOUBT_CO_RETURN_IF_ERROR(co_await file_->WriteAt(0, AsBytes(kJournalHead)));
    valid_bytes = kJournalHead.size();
  } else if (valid_bytes < *size) {
    REDOUBT_CO_RETURN_IF_ERROR(co_await file_->Truncate(valid_bytes));
  }
  REDOUBT_CO_RETURN_IF_ERROR(co_await file_->Sync());
  REDOUBT_CO_RETURN_IF_ERROR(co_await files_->SyncDirectory(directory_));
  end_ = valid_bytes;
  if (is_new) {
    co_return Status::Ok();
  }
  // After a failed sync the page cache shows bytes that no later sync will write: what was read is
  // durable only in a file that was written since.
  const Status written = co_await WriteAnew();
  co_return written;
}

Task<Status> MemoryKvStore::Journal::Replay(uint64_t size, uint64_t* valid_bytes) {
  Bytes bytes(size);
  for (uint64_t at = 0; at < size;) {
    const MutableByteView left = MutableByteView(bytes).subspan(at);
    const MutableByteView into = left.first(std::min<size_t>(left.size(), kReadBytes));
    const Result<size_t> got = co_await file_->ReadAt(at, into);
    if (!got.ok()) {
      co_return got.status();
    }
    if (*got == 0) {
      bytes.resize(at);
      break;
    }
    at += *got;
  }
  const ByteView head = ByteView(bytes).first(std::min(bytes.size(), kJournalHead.size()));
  if (AsText(head) != kJournalHead) {
    // A head that never reached the disk is cut or zero; anything else is somebody else's file.
    for (const uint8_t byte : head) {
      if (byte != 0 && head.size() == kJournalHead.size()) {
        co_return Corruption(path() + " is not a journal of this store");
      }
    }
    co_return Status::Ok();
  }
  size_t at = kJournalHead.size();
  while (bytes.size() - at >= kRecordHeadBytes) {
    const size_t body_bytes = LoadBe32(bytes.data() + at);
    if (body_bytes > bytes.size() - at - kRecordHeadBytes ||
        LoadBe64(bytes.data() + at + 8) != sequence_ + 1) {
      break;
    }
    const ByteView checked = ByteView(bytes).subspan(at + 8, 8 + body_bytes);
    KvBatch batch;
    const bool intact = Crc32c(checked) == LoadBe32(bytes.data() + at + 4) ||
                        REDOUBT_PLANTED(runtime_, journal_checksum_ignored);
    if (!intact || !DecodeBody(checked.subspan(8), &batch)) {
      break;
    }
    map_->Apply(batch);
    ++sequence_;
    at += kRecordHeadBytes + body_bytes;
  }
  *valid_bytes = at;
  co_return Status::Ok();
}

Task<Status> MemoryKvStore::Journal::Append(KvBatch batch) {
  co_await turnstile_.Enter();
  const Turnstile::Turn turn(&turnstile_);
  REDOUBT_CO_RETURN_IF_ERROR(failed_);
  const Bytes record = EncodeRecord(sequence_ + 1, batch);
  Status status = co_await file_->WriteAt(end_, record);
  if (status.code() == StatusCode::kNoSpace) {
    // What got through of the record is taken back: the next one goes to the same place.
    const Status cut = co_await file_->Truncate(end_);
    if (cut.ok()) {
      co_return status.WithContext("the store took nothing of a write, " + path());
    }
    status = cut;
  }
  if (!status.ok()) {
    failed_ = status.WithContext("the store is closed for writing after an error, " + path());
    co_return failed_;
  }
  ++sequence_;
  end_ += record.size();
  map_->Apply(batch);
  co_return Status::Ok();
}

Task<Status> MemoryKvStore::Journal::Sync() {
  co_await turnstile_.Enter();
  const Turnstile::Turn turn(&turnstile_);
  REDOUBT_CO_RETURN_IF_ERROR(failed_);
  Status status;
  const bool sparse = end_ > kRewriteBytesMin && end_ > 4 * map_->live_bytes();
  if (sparse) {
    status = co_await WriteAnew();
  }
  if (!sparse || status.code() == StatusCode::kNoSpace) {
    status = co_await file_->Sync();  // a journal that cannot be made smaller is as good
  }
  if (REDOUBT_PLANTED(runtime_, store_goes_on_after_error)) {
    co_return status;
  }
  if (!status.ok()) {
    failed_ = status.WithContext("the store is closed for writing after an error, " + path());
  }
  co_return failed_;
}

// The new journal replaces the old one only after it is durable under another name, so a crash
// leaves one or the other.
Task<Status> MemoryKvStore::Journal::WriteAnew() {
  std::string temporary = path() + ".new";
  Result<std::unique_ptr<File>> file = co_await files_->Open(temporary, OpenMode::kCreate);
  if (!file.ok()) {
    co_return file.status();
  }
  REDOUBT_CO_RETURN_IF_ERROR(co_await (*file)->Truncate(0));
  Bytes bytes(AsBytes(kJournalHead).begin(), AsBytes(kJournalHead).end());
  const Bytes record = EncodeRecord(1, map_->Everything());
  bytes.insert(bytes.end(), record.begin(), record.end());
  REDOUBT_CO_RETURN_IF_ERROR(co_await (*file)->WriteAt(0, bytes));
  REDOUBT_CO_RETURN_IF_ERROR(co_await (*file)->Sync());
  std::string name = path();
  REDOUBT_CO_RETURN_IF_ERROR(co_await files_->Rename(temporary, name));
  REDOUBT_CO_RETURN_IF_ERROR(co_await files_->SyncDirectory(directory_));
  file_ = std::move(file).value();
  end_ = bytes.size();
  sequence_ = 1;
  co_return Status::Ok();
}

MemoryKvStore::MemoryKvStore(Runtime* runtime, std::string path)
    : map_(std::make_unique<Map>()),
      journal_(std::make_unique<Journal>(runtime, std::move(path), map_.get())) {}

MemoryKvStore::~MemoryKvStore() = default;

Task<Result<std::unique_ptr<KvStore>>> MemoryKvStore::Open(Runtime* runtime, std::string path) {
  std::unique_ptr<MemoryKvStore> store(new MemoryKvStore(runtime, std::move(path)));
  const Status status = co_await store->journal_->Open();
  if (!status.ok()) {
    co_return status;
  }
  co_return Result<std::unique_ptr<KvStore>>(std::unique_ptr<KvStore>(std::move(store)));
}

Result<std::optional<std::string>> MemoryKvStore::Get(KvFamily family, std::string_view key) const {
  const VersionedMap::Value value = map_->Get(family, key);
  return value == nullptr ? std::optional<std::string>() : std::optional<std::string>(*value);
}

std::unique_ptr<KvIterator> MemoryKvStore::NewIterator(KvFamily family) const {
  return std::make_unique<Iterator>(map_.get(), family);
}

Task<Status> MemoryKvStore::Write(KvBatch batch) {
  if (batch.empty()) {
    co_return Status::Ok();
  }
  co_return co_await journal_->Append(std::move(batch));
}

Task<Status> MemoryKvStore::Flush() { co_return co_await journal_->Sync(); }

Task<Status> MemoryKvStore::Close() { co_return co_await journal_->Sync(); }

}  // namespace redoubt
