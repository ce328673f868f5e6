// SPDX-License-Identifier: MIT
#include "sim/oracle/table_counters.h"

#include <algorithm>

#include "common/innodb/packed_reader.h"
#include "common/innodb/redo_type.h"

namespace redoubt::sim {
namespace {

constexpr uint8_t kCorruptedIndexes = 1;
constexpr uint8_t kAutoIncrement = 2;

}  // namespace

// Null: a newer version of the table is known.
TableCounters::Table* TableCounters::TableOf(Tables* tables, uint64_t table, uint64_t version) {
  Table& known = (*tables)[table];
  if (version < known.version) {
    return nullptr;
  }
  if (version > known.version) {
    known = Table();
    known.version = version;
  }
  return &known;
}

TableCounters::Tables TableCounters::Expected(const std::vector<RedoFact>& facts) {
  Tables tables;
  for (const RedoFact& fact : facts) {
    const bool counter = fact.kind == RedoFact::Kind::kCounter;
    if (!counter && fact.kind != RedoFact::Kind::kCorruptedIndex) {
      continue;
    }
    Table* const table = TableOf(&tables, fact.table, fact.version);
    if (table == nullptr) {
      continue;
    }
    if (counter) {
      table->counter = table->counted ? std::max(table->counter, fact.value) : fact.value;
      table->counted = true;
    } else {
      table->corrupted.emplace(fact.space.value(), fact.value);
    }
  }
  return tables;
}

bool TableCounters::Decode(ByteView records, Tables* tables) {
  innodb::PackedReader reader(records);
  constexpr auto kType = static_cast<uint8_t>(innodb::RedoType::kTableDynamicMeta);
  while (!reader.failed() && reader.remaining() > 0) {
    if (reader.U8() != (innodb::kSingleRecordFlag | kType)) {
      return false;
    }
    const uint64_t id = reader.M64();
    const uint64_t version = reader.M64();
    Table* const table = TableOf(tables, id, version);
    const uint8_t kind = reader.U8();
    if (table == nullptr || (kind != kAutoIncrement && kind != kCorruptedIndexes)) {
      return false;
    }
    if (kind == kAutoIncrement) {
      table->counter = std::max(table->counter, reader.M64());
      table->counted = true;
      continue;
    }
    for (uint32_t count = reader.U8(); count > 0; --count) {
      const uint32_t space = reader.U32();
      table->corrupted.emplace(space, reader.U64());
    }
  }
  return !reader.failed();
}

std::string TableCounters::Describe(const Table& table) {
  return "version " + std::to_string(table.version) + ", counter " +
         (table.counted ? std::to_string(table.counter) : "none") + ", " +
         std::to_string(table.corrupted.size()) + " corrupted indexes";
}

void TableCounters::Check(Lsn read_lsn, ByteView records, uint32_t table_count) {
  ++checked_count_;
  const std::string where = "dynamic metadata at LSN " + std::to_string(read_lsn.value());
  Tables given;
  if (!Decode(records, &given)) {
    findings_->Report("C2", where + ": the answer is no sequence of its records");
    return;
  }
  if (given.size() != table_count) {
    findings_->Report("C2", where + ": " + std::to_string(table_count) + " tables are said, " +
                                std::to_string(given.size()) + " given");
    return;
  }
  const Tables right = Expected(truth_->FactsUpTo(read_lsn));
  for (const auto& [id, table] : right) {
    const auto found = given.find(id);
    if (found == given.end() || found->second != table) {
      findings_->Report("C2", where + ": table " + std::to_string(id) + " has " +
                                  (found == given.end() ? "nothing" : Describe(found->second)) +
                                  "; right is " + Describe(table));
      return;
    }
  }
  if (given.size() > right.size()) {
    findings_->Report("C2", where + ": tables that no redo up to there names");
  }
}

}  // namespace redoubt::sim
