// SPDX-License-Identifier: MIT
//
// The ordered store under the page role: four families of byte-string keys. RocksDB in production
// and for a share of the simulator's seeds (rocksdb_kv_store), an in-memory map with a journal over
// the file-system seam for the others (memory_kv_store); one contract suite runs on both.
//
// Crash: what survives is a prefix of the writes, in order, that includes every write before the
// last Flush that returned OK. A batch is atomic across families.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "common/base/bytes.h"
#include "common/base/result.h"
#include "common/runtime/task.h"

namespace redoubt {

enum class KvFamily : uint8_t { kDelta = 0, kImage = 1, kSpace = 2, kMeta = 3 };
inline constexpr size_t kKvFamilyCount = 4;

// An ordered list of changes, applied as one.
class KvBatch {
 public:
  struct Operation {
    enum class Kind : uint8_t { kPut, kDelete, kDeleteRange };
    Kind kind;
    KvFamily family;
    std::string key;
    std::string value;  // kDeleteRange: the exclusive end
  };
  void Put(KvFamily family, std::string key, std::string value);
  void Delete(KvFamily family, std::string key);
  // [begin, end)
  void DeleteRange(KvFamily family, std::string begin, std::string end);
  const std::vector<Operation>& operations() const { return operations_; }
  size_t bytes() const { return bytes_; }
  bool empty() const { return operations_.empty(); }

 private:
  std::vector<Operation> operations_;
  size_t bytes_ = 0;
};

// Over a snapshot taken when it was made. key() and value() are borrowed until the next move.
class KvIterator {
 public:
  virtual ~KvIterator() = default;
  virtual void Seek(std::string_view key) = 0;         // first key >= key
  virtual void SeekForPrev(std::string_view key) = 0;  // last key <= key
  virtual void Next() = 0;
  virtual void Prev() = 0;
  virtual bool Valid() const = 0;
  virtual std::string_view key() const = 0;
  virtual std::string_view value() const = 0;
  // Not OK when Valid() turned false because of an error. From then on the iterator stays invalid
  // with that error, wherever it is moved: so one look at it behind a loop is enough.
  virtual Status status() const = 0;
};

class KvStore {
 public:
  virtual ~KvStore() = default;

  // Reads may block and may be called from any thread: call them inside BlockingExecutor work when
  // they can reach the disk.
  virtual Result<std::optional<std::string>> Get(KvFamily family, std::string_view key) const = 0;
  virtual std::unique_ptr<KvIterator> NewIterator(KvFamily family) const = 0;

  // Visible to reads on return, durable only after Flush. Loop thread; writes are applied in call
  // order. kNoSpace: nothing of the batch was applied, what was written before stands, and both
  // calls may be tried again. kIoError: the store refuses further writes until reopened.
  virtual Task<Status> Write(KvBatch batch) = 0;
  virtual Task<Status> Flush() = 0;
  // Ends background work. No call may be in progress or follow.
  virtual Task<Status> Close() = 0;
};

}  // namespace redoubt
