// SPDX-License-Identifier: MIT
#include "pageserver/storage/rocksdb_kv_store.h"

#include <rocksdb/cache.h>
#include <rocksdb/db.h>
#include <rocksdb/env.h>
#include <rocksdb/filter_policy.h>
#include <rocksdb/table.h>

#include <array>
#include <optional>
#include <utility>
#include <vector>

#include "common/runtime/fault_point.h"
#include "pageserver/log/durable_files.h"
#include "pageserver/storage/rocksdb_file_system.h"
#include "pageserver/storage/rocksdb_table_list.h"
#include "pageserver/storage/turnstile.h"

namespace redoubt {
namespace {

constexpr std::array<const char*, kKvFamilyCount> kFamilyNames = {"delta", "image", "space",
                                                                  "meta"};

// Without the two checksums of a damaged block: they say nothing to anybody, and where a table's
// properties are damaged, which name a random session, they are others each time.
std::string TextOf(const rocksdb::Status& status) {
  std::string text = status.ToString();
  const size_t begin = text.find(": stored = ");
  const size_t end = text.find(", type = ", begin);
  if (begin != std::string::npos && end != std::string::npos) {
    text.erase(begin, end - begin);
  }
  return text;
}

Status FromRocksdb(const rocksdb::Status& status, const std::string& what) {
  if (status.ok()) {
    return Status::Ok();
  }
  const std::string text = what + ": " + TextOf(status);
  if (status.IsNoSpace() || text.find("No space left") != std::string::npos) {
    return Status(StatusCode::kNoSpace, text + "; free space on this disk");
  }
  if (status.IsCorruption()) {
    return Corruption(text);
  }
  if (text.find("Read-only file system") != std::string::npos ||
      text.find("Permission denied") != std::string::npos) {
    return IoError(text + "; the data directory must be writable by this user");
  }
  if (text.find("lock") != std::string::npos) {
    return IoError(text + "; another process uses this data directory");
  }
  return IoError(text);
}

// Asked before RocksDB is, which waits for space once it has begun (rocksdb_file_system.h). More
// than it keeps in reserve, so that work that begins seldom has to wait.
constexpr uint64_t kFreeBytesMin = 32 << 20;

Status CheckRoom(rocksdb::Env* env, const std::string& path, const std::string& what) {
  uint64_t free = 0;
  // An answer that cannot be had shows in the work itself.
  if (!env->GetFreeSpace(path, &free).ok() || free >= kFreeBytesMin) {
    return Status::Ok();
  }
  return Status(StatusCode::kNoSpace, "cannot " + what + " the page store " + path +
                                          ": No space left on device (" + std::to_string(free) +
                                          " bytes are free, " + std::to_string(kFreeBytesMin) +
                                          " are needed); free space on this disk");
}

rocksdb::Slice AsSlice(std::string_view text) { return {text.data(), text.size()}; }

rocksdb::DBOptions MakeDbOptions(const RocksdbKvStoreOptions& options) {
  rocksdb::DBOptions db;
  db.create_if_missing = true;
  db.create_missing_column_families = true;
  db.atomic_flush = true;
  db.avoid_flush_during_shutdown = true;  // Close flushes, where there is room
  db.max_background_jobs = options.background_job_count;
  db.max_subcompactions = 1;
  db.db_write_buffer_size = options.write_buffer_bytes;
  db.max_open_files = 512;
  db.max_file_opening_threads = options.table_open_thread_count;
  db.bytes_per_sync = 1 << 20;
  db.keep_log_file_num = 2;
  db.max_log_file_size = 8 << 20;
  db.stats_dump_period_sec = 0;
  db.stats_persist_period_sec = 0;
  db.compaction_readahead_size = 1 << 20;
  return db;
}

rocksdb::ColumnFamilyOptions MakeFamilyOptions(KvFamily family,
                                               const RocksdbKvStoreOptions& options,
                                               const std::shared_ptr<rocksdb::Cache>& cache) {
  rocksdb::ColumnFamilyOptions cf;
  rocksdb::BlockBasedTableOptions table;
  table.block_cache = cache;
  table.cache_index_and_filter_blocks = true;
  table.pin_l0_filter_and_index_blocks_in_cache = true;
  table.block_size = 16 << 10;
  table.format_version = 5;
  cf.table_factory.reset(rocksdb::NewBlockBasedTableFactory(table));
  cf.compression = rocksdb::kLZ4Compression;
  const bool large = family == KvFamily::kDelta || family == KvFamily::kImage;
  cf.write_buffer_size = large ? options.write_buffer_bytes / 2 : 4 << 20;
  cf.max_write_buffer_number = 3;
  cf.target_file_size_base = 64 << 20;
  cf.max_bytes_for_level_base = 512 << 20;
  cf.level0_file_num_compaction_trigger = 6;
  cf.level0_slowdown_writes_trigger = 24;
  cf.level0_stop_writes_trigger = 40;
  // History is written once: moving it down many levels costs more than it saves.
  cf.level_compaction_dynamic_level_bytes = true;
  return cf;
}

}  // namespace

class RocksdbKvStore::Database {
 public:
  ~Database() { Close().PermitUncheckedError(); }
  Status Open(const std::string& path, const RocksdbKvStoreOptions& options) {
    path_ = path;
    env_ = options.env;
    if (env_ == nullptr) {
      own_env_ = rocksdb::NewCompositeEnv(MakePatientFileSystem());
      env_ = own_env_.get();
    }
    REDOUBT_RETURN_IF_ERROR(CheckRoom(env_, path, "open"));
    list_.emplace(env_, path);
    REDOUBT_RETURN_IF_ERROR(list_->Check());
    const auto cache = rocksdb::NewLRUCache(options.block_cache_bytes);
    std::vector<rocksdb::ColumnFamilyDescriptor> families;
    // RocksDB insists on a family of this name; it stays empty.
    families.emplace_back("default", MakeFamilyOptions(KvFamily::kMeta, options, cache));
    for (size_t i = 0; i < kKvFamilyCount; ++i) {
      families.emplace_back(kFamilyNames[i],
                            MakeFamilyOptions(static_cast<KvFamily>(i), options, cache));
    }
    rocksdb::DB* opened = nullptr;
    rocksdb::DBOptions db_options = MakeDbOptions(options);
    db_options.env = env_;
    const rocksdb::Status status =
        rocksdb::DB::Open(db_options, path, families, &handles_, &opened);
    db_.reset(opened);
    REDOUBT_RETURN_IF_ERROR(FromRocksdb(status, "cannot open the page store " + path));
    // It has begun a new list, with everything that was in the former one.
    return list_->Note(opened);
  }

  Status Write(const KvBatch& batch) {
    REDOUBT_RETURN_IF_ERROR(CheckRoom(env_, path_, "write to"));
    rocksdb::WriteBatch native(batch.bytes() + batch.operations().size() * 16);
    for (const KvBatch::Operation& operation : batch.operations()) {
      rocksdb::ColumnFamilyHandle* const family = handle(operation.family);
      rocksdb::Status status;
      switch (operation.kind) {
        case KvBatch::Operation::Kind::kPut:
          status = native.Put(family, operation.key, operation.value);
          break;
        case KvBatch::Operation::Kind::kDelete:
          status = native.Delete(family, operation.key);
          break;
        case KvBatch::Operation::Kind::kDeleteRange:
          status = native.DeleteRange(family, operation.key, operation.value);
          break;
      }
      REDOUBT_RETURN_IF_ERROR(FromRocksdb(status, "page store " + path_));
    }
    rocksdb::WriteOptions options;
    options.disableWAL = true;
    return FromRocksdb(db_->Write(options, &native), "cannot write to the page store " + path_);
  }

  // `was_full`: the disk was full, and RocksDB stands still until it has noticed that there is
  // space. What a failed flush wanted to write is still in memory.
  Status Flush(bool was_full) {
    REDOUBT_RETURN_IF_ERROR(CheckRoom(env_, path_, "flush"));
    if (was_full) {
      // Busy: RocksDB is at it by itself. Any other failure shows in the flush.
      db_->Resume().PermitUncheckedError();
    }
    std::vector<rocksdb::ColumnFamilyHandle*> families(handles_.begin() + 1, handles_.end());
    REDOUBT_RETURN_IF_ERROR(FromRocksdb(db_->Flush(rocksdb::FlushOptions(), families),
                                        "cannot flush the page store " + path_));
    return list_->Note(db_.get());
  }

  rocksdb::Status Close() {
    if (db_ == nullptr) {
      return {};
    }
    for (rocksdb::ColumnFamilyHandle* const handle : handles_) {
      db_->DestroyColumnFamilyHandle(handle).PermitUncheckedError();
    }
    handles_.clear();
    const rocksdb::Status status = db_->Close();
    db_.reset();
    return status;
  }

  rocksdb::DB* db() const { return db_.get(); }
  rocksdb::ColumnFamilyHandle* handle(KvFamily family) const {
    return handles_[static_cast<size_t>(family) + 1];
  }
  const std::string& path() const { return path_; }

 private:
  std::string path_;
  // Outlives the database; own_env_ unless the options brought one.
  rocksdb::Env* env_ = nullptr;
  std::unique_ptr<rocksdb::Env> own_env_;
  std::optional<RocksdbTableList> list_;
  std::unique_ptr<rocksdb::DB> db_;
  std::vector<rocksdb::ColumnFamilyHandle*> handles_;
};

class RocksdbKvStore::Iterator final : public KvIterator {
 public:
  Iterator(std::shared_ptr<Database> database, KvFamily family) : database_(std::move(database)) {
    iterator_.reset(
        database_->db()->NewIterator(rocksdb::ReadOptions(), database_->handle(family)));
  }
  void Seek(std::string_view key) override {
    if (MayMove()) {
      iterator_->Seek(AsSlice(key));
    }
  }
  void SeekForPrev(std::string_view key) override {
    if (MayMove()) {
      iterator_->SeekForPrev(AsSlice(key));
    }
  }
  void Next() override { iterator_->Next(); }
  void Prev() override { iterator_->Prev(); }
  bool Valid() const override { return iterator_->Valid(); }
  std::string_view key() const override { return iterator_->key().ToStringView(); }
  std::string_view value() const override { return iterator_->value().ToStringView(); }
  Status status() const override {
    return FromRocksdb(iterator_->status(), "cannot read the page store " + database_->path());
  }

 private:
  // RocksDB would forget the error.
  bool MayMove() const { return iterator_->Valid() || iterator_->status().ok(); }
  std::shared_ptr<Database> database_;
  std::unique_ptr<rocksdb::Iterator> iterator_;
};

// Writes and flushes one after the other, and none after an error: what followed a lost write must
// not survive it. A full disk loses nothing: RocksDB refuses a write as a whole, and keeps in
// memory what it could not flush.
class RocksdbKvStore::Queue {
 public:
  explicit Queue(Runtime* runtime)
      : runtime_(runtime),
        blocking_(runtime->blocking),
        turnstile_(runtime->scheduler),
        flushed_(runtime->scheduler) {}

  template <typename Work>
  Task<Status> Run(Work work) {
    co_await turnstile_.Enter();
    const Turnstile::Turn turn(&turnstile_);
    REDOUBT_CO_RETURN_IF_ERROR(failed_);
    const Status status = co_await RunBlocking(blocking_, std::move(work));
    co_return Remember(status);
  }

  // Runs `flush(was_full)` after every write before this call, without holding up later writes. One
  // run serves everybody who asked before it began.
  template <typename Flush>
  Task<Status> RunFlush(Flush flush) {
    {
      co_await turnstile_.Enter();
      const Turnstile::Turn turn(&turnstile_);
    }
    const uint64_t ticket = ++flushes_asked_;
    while (flushes_covered_ < ticket && failed_.ok()) {
      if (flushing_) {
        co_await flushed_.Wait();
        continue;
      }
      flushing_ = true;
      const uint64_t covers = flushes_asked_;
      auto work = [flush, was_full = full_]() { return flush(was_full); };
      const Status status = co_await RunBlocking(blocking_, work);
      const bool later = REDOUBT_PLANTED(runtime_, flush_covers_later_asks);
      flushing_ = false;
      if (Remember(status).ok()) {
        flushes_covered_ = later ? flushes_asked_ : covers;
      }
      full_ = status.ok() ? false : full_;
      flushed_.NotifyAll();
      if (status.code() == StatusCode::kNoSpace) {
        co_return status;
      }
    }
    co_return failed_;
  }

 private:
  Status Remember(const Status& status) {
    if (status.code() == StatusCode::kNoSpace) {
      full_ = true;
    } else if (!status.ok() && !REDOUBT_PLANTED(runtime_, store_goes_on_after_error)) {
      failed_ = status.WithContext("the store is closed for writing");
    }
    return status;
  }

  Runtime* runtime_;
  BlockingExecutor* blocking_;
  Turnstile turnstile_;
  Condition flushed_;
  bool flushing_ = false;
  bool full_ = false;  // since the last good flush the disk was full
  uint64_t flushes_asked_ = 0;
  uint64_t flushes_covered_ = 0;
  Status failed_;
};

RocksdbKvStore::RocksdbKvStore(Runtime* runtime)
    : database_(std::make_shared<Database>()), queue_(std::make_unique<Queue>(runtime)) {}

RocksdbKvStore::~RocksdbKvStore() = default;

Task<Result<std::unique_ptr<KvStore>>> RocksdbKvStore::Open(Runtime* runtime, std::string path,
                                                            RocksdbKvStoreOptions options) {
  // RocksDB makes the directory itself, but leaves its name in the parent to chance.
  const Status created = co_await CreateDurableDirectories(runtime->files, path);
  if (!created.ok()) {
    co_return created.WithContext("cannot open the page store " + path);
  }
  std::unique_ptr<RocksdbKvStore> store(new RocksdbKvStore(runtime));
  auto open = [database = store->database_, path, options]() {
    return database->Open(path, options);
  };
  const Status status = co_await store->queue_->Run(open);
  if (!status.ok()) {
    co_return status;
  }
  co_return Result<std::unique_ptr<KvStore>>(std::unique_ptr<KvStore>(std::move(store)));
}

Result<std::optional<std::string>> RocksdbKvStore::Get(KvFamily family,
                                                       std::string_view key) const {
  std::string value;
  const rocksdb::Status status =
      database_->db()->Get(rocksdb::ReadOptions(), database_->handle(family), AsSlice(key), &value);
  if (status.IsNotFound()) {
    return std::optional<std::string>();
  }
  REDOUBT_RETURN_IF_ERROR(FromRocksdb(status, "cannot read the page store " + database_->path()));
  return std::optional<std::string>(std::move(value));
}

std::unique_ptr<KvIterator> RocksdbKvStore::NewIterator(KvFamily family) const {
  return std::make_unique<Iterator>(database_, family);
}

Task<Status> RocksdbKvStore::Write(KvBatch batch) {
  if (batch.empty()) {
    co_return Status::Ok();
  }
  // Shared: std::function wants a copyable job.
  auto shared = std::make_shared<const KvBatch>(std::move(batch));
  auto work = [database = database_, shared]() { return database->Write(*shared); };
  co_return co_await queue_->Run(work);
}

Task<Status> RocksdbKvStore::Flush() {
  auto work = [database = database_](bool was_full) { return database->Flush(was_full); };
  co_return co_await queue_->RunFlush(work);
}

Task<Status> RocksdbKvStore::Close() {
  auto work = [database = database_]() {
    const Status flushed = database->Flush(false);
    const Status closed =
        FromRocksdb(database->Close(), "cannot close the page store " + database->path());
    return flushed.ok() ? closed : flushed;
  };
  co_return co_await queue_->Run(work);
}

}  // namespace redoubt
