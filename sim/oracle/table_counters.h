// SPDX-License-Identifier: MIT
//
// C2 of what is in no page: the counters and corrupted indexes of tables that the redo carries
// (AUTO_INCREMENT reaches a page only at a checkpoint of the database server). What is given as of
// an LSN is, table by table, what a reference makes of all redo up to there: no counter goes back,
// none is from the future, none is forgotten.
//
// Reference: per table the highest version counts, and of equal ones the largest counter and every
// index. Format of an answer: common/innodb/README.md, "Record types", MLOG_TABLE_DYNAMIC_META.
#pragma once

#include <cstdint>
#include <map>
#include <set>
#include <string>
#include <utility>

#include "common/base/bytes.h"
#include "common/base/types.h"
#include "sim/oracle/findings.h"
#include "sim/oracle/redo_facts.h"

namespace redoubt::sim {

class TableCounters {
 public:
  // Both outlive it.
  TableCounters(Findings* findings, const FactTruth* truth) : findings_(findings), truth_(truth) {}

  // `records`, of `table_count` tables, was answered as of `read_lsn`.
  void Check(Lsn read_lsn, ByteView records, uint32_t table_count);
  uint64_t checked_count() const { return checked_count_; }

 private:
  struct Table {
    uint64_t version = 0;
    bool counted = false;
    uint64_t counter = 0;
    std::set<std::pair<uint32_t, uint64_t>> corrupted;
    friend bool operator==(const Table&, const Table&) = default;
  };
  using Tables = std::map<uint64_t, Table>;

  static Table* TableOf(Tables* tables, uint64_t table, uint64_t version);
  static Tables Expected(const std::vector<RedoFact>& facts);
  // False: it is no sequence of such records.
  static bool Decode(ByteView records, Tables* tables);
  static std::string Describe(const Table& table);

  Findings* findings_;
  const FactTruth* truth_;
  uint64_t checked_count_ = 0;
};

}  // namespace redoubt::sim
