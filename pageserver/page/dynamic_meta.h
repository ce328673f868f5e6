// SPDX-License-Identifier: MIT
//
// AUTO_INCREMENT counters and corrupted indexes, which travel in redo and reach a page only at
// InnoDB's next checkpoint. Per table: the highest version counts; at equal versions the larger
// counter, and corrupted indexes accumulate. So folding is idempotent and its order does not
// matter.
//
// Store: meta key {kDynamic, table id, lsn} -> entries { varint lsn - key lsn, varint bytes, body
// of MLOG_TABLE_DYNAMIC_META }; the first entries repeat the state before, so that the newest value
// at or below an LSN is all one has to read.
#pragma once

#include <cstdint>
#include <map>
#include <vector>

#include "common/base/bytes.h"
#include "common/base/result.h"
#include "common/base/types.h"
#include "common/innodb/redo_record.h"
#include "pageserver/page/redo_piece.h"
#include "pageserver/storage/kv_store.h"

namespace redoubt {

class DynamicMetaTable {
 public:
  // False when it changed nothing.
  bool Fold(const innodb::TableDynamicMeta& meta);
  // Whole mtrs, one or two per table, ascending by table id.
  Bytes Records() const;
  uint32_t table_count() const { return static_cast<uint32_t>(tables_.size()); }

  // Folds what the store knows at `read_lsn`. Blocking.
  Status Load(const KvStore& store, VolumeId volume, Lsn read_lsn);
  // Folds `notes` and appends what changed to the batch, each value with the state before it.
  void Store(VolumeId volume, const std::vector<const DynamicMetaNote*>& notes, KvBatch* batch);

 private:
  struct State {
    uint64_t version = 0;
    bool has_counter = false;
    uint64_t counter = 0;
    std::vector<innodb::TableDynamicMeta::CorruptedIndex> corrupted;
  };
  static void AppendState(uint64_t table_id, const State& state,
                          std::vector<innodb::TableDynamicMeta>* metas);
  std::map<uint64_t, State> tables_;
};

}  // namespace redoubt
