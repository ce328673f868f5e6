// SPDX-License-Identifier: MIT
#include "pageserver/page/dynamic_meta.h"

#include <algorithm>

#include "pageserver/storage/keys.h"

namespace redoubt {
namespace {

using innodb::TableDynamicMeta;

std::string TableKey(VolumeId volume, uint64_t table_id, Lsn lsn) {
  std::string rest;
  AppendKeyU64(&rest, table_id);
  AppendKeyU64(&rest, lsn.value());
  return MetaKey(volume, MetaKind::kDynamic, rest);
}

void AppendEntry(Lsn base, Lsn lsn, const TableDynamicMeta& meta, Bytes* value) {
  Bytes record;
  EncodeTableDynamicMeta(meta, &record);
  ByteWriter writer(value);
  writer.Varint(lsn.value() - base.value());
  writer.Varint(record.size() - 1);
  writer.Append(ByteView(record).subspan(1));  // without the type byte
}

constexpr size_t kTableIdOffset = kVolumePrefixBytes + 1;

}  // namespace

bool DynamicMetaTable::Fold(const TableDynamicMeta& meta) {
  State& state = tables_[meta.table_id];
  if (meta.version < state.version) {
    return false;
  }
  bool changed = meta.version > state.version;
  if (changed) {
    state = State();
    state.version = meta.version;
  }
  if (meta.kind == TableDynamicMeta::Kind::kAutoIncrement) {
    if (!state.has_counter || meta.auto_increment > state.counter) {
      state.has_counter = true;
      state.counter = meta.auto_increment;
      changed = true;
    }
    return changed;
  }
  for (const TableDynamicMeta::CorruptedIndex& index : meta.corrupted_indexes) {
    if (std::find(state.corrupted.begin(), state.corrupted.end(), index) == state.corrupted.end()) {
      state.corrupted.push_back(index);
      changed = true;
    }
  }
  return changed;
}

void DynamicMetaTable::AppendState(uint64_t table_id, const State& state,
                                   std::vector<TableDynamicMeta>* metas) {
  TableDynamicMeta meta;
  meta.table_id = table_id;
  meta.version = state.version;
  if (state.has_counter) {
    meta.kind = TableDynamicMeta::Kind::kAutoIncrement;
    meta.auto_increment = state.counter;
    metas->push_back(meta);
  }
  // A record names at most 255 indexes.
  for (size_t at = 0; at < state.corrupted.size(); at += 255) {
    meta.kind = TableDynamicMeta::Kind::kCorruptedIndexes;
    meta.auto_increment = 0;
    const size_t end = std::min(state.corrupted.size(), at + 255);
    meta.corrupted_indexes.assign(state.corrupted.begin() + static_cast<ptrdiff_t>(at),
                                  state.corrupted.begin() + static_cast<ptrdiff_t>(end));
    metas->push_back(meta);
  }
}

Bytes DynamicMetaTable::Records() const {
  std::vector<TableDynamicMeta> metas;
  for (const auto& [table_id, state] : tables_) {
    AppendState(table_id, state, &metas);
  }
  Bytes out;
  for (const TableDynamicMeta& meta : metas) {
    EncodeTableDynamicMeta(meta, &out);
  }
  return out;
}

Status DynamicMetaTable::Load(const KvStore& store, VolumeId volume, Lsn read_lsn) {
  const std::string prefix = MetaKey(volume, MetaKind::kDynamic);
  const std::unique_ptr<KvIterator> at = store.NewIterator(KvFamily::kMeta);
  at->Seek(prefix);
  while (at->Valid() && at->key().starts_with(prefix)) {
    const uint64_t table_id = LoadKeyU64(at->key(), kTableIdOffset);
    at->SeekForPrev(TableKey(volume, table_id, read_lsn));
    if (at->Valid() && at->key().starts_with(prefix) &&
        LoadKeyU64(at->key(), kTableIdOffset) == table_id) {
      const Lsn base(LoadKeyU64(at->key(), kTableIdOffset + 8));
      ByteReader reader(AsBytes(at->value()));
      while (reader.remaining() > 0 && !reader.failed()) {
        const Lsn lsn(base.value() + reader.Varint());
        const ByteView body = reader.Take(reader.Varint());
        if (lsn > read_lsn) {
          break;
        }
        REDOUBT_ASSIGN_OR_RETURN(const TableDynamicMeta meta, innodb::ParseTableDynamicMeta(body));
        Fold(meta);
      }
      if (reader.failed()) {
        return Corruption("stored dynamic metadata of table " + std::to_string(table_id) +
                          " cannot be decoded");
      }
    }
    if (table_id == UINT64_MAX) {
      break;
    }
    at->Seek(TableKey(volume, table_id + 1, Lsn{}));
  }
  return at->status();
}

void DynamicMetaTable::Store(VolumeId volume, const std::vector<const DynamicMetaNote*>& notes,
                             KvBatch* batch) {
  struct Pending {
    Lsn base;
    Bytes value;
  };
  std::map<uint64_t, Pending> pending;
  for (const DynamicMetaNote* note : notes) {
    const uint64_t table_id = note->meta.table_id;
    std::vector<TableDynamicMeta> before;
    const auto known = tables_.find(table_id);
    if (known != tables_.end() && !pending.contains(table_id)) {
      AppendState(table_id, known->second, &before);
    }
    if (!Fold(note->meta)) {
      continue;
    }
    Pending& value = pending[table_id];
    if (value.value.empty()) {
      value.base = note->end;
      for (const TableDynamicMeta& meta : before) {
        AppendEntry(value.base, value.base, meta, &value.value);
      }
    }
    AppendEntry(value.base, note->end, note->meta, &value.value);
  }
  for (const auto& [table_id, value] : pending) {
    batch->Put(KvFamily::kMeta, TableKey(volume, table_id, value.base),
               std::string(AsText(value.value)));
  }
}

}  // namespace redoubt
