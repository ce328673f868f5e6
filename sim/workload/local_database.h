// SPDX-License-Identifier: MIT
//
// The files of a compute that keeps its own redo and pages, as a server in mode STREAM or READ
// does. They belong to a machine and outlive kill -9 of the server on it; mtrs that it had not
// written to its redo files yet do not.
#pragma once

#include <deque>
#include <map>
#include <span>
#include <vector>

#include "common/base/bytes.h"
#include "common/base/types.h"
#include "sim/oracle/redo_facts.h"
#include "sim/oracle/timeline.h"

namespace redoubt::sim {

class LocalDatabase {
 public:
  struct Mtr {
    Lsn end;
    Bytes redo;
    std::map<PageId, Bytes> pages;  // after it
    std::vector<RedoFact> facts;
  };

  // An empty database whose log begins at `begin`.
  explicit LocalDatabase(Lsn begin) : base_(begin), end_(begin) {}
  LocalDatabase(const LocalDatabase&) = delete;
  LocalDatabase& operator=(const LocalDatabase&) = delete;

  // The server ends an mtr, in memory.
  void Add(Mtr mtr) { unwritten_.push_back(std::move(mtr)); }
  // Redo below `lsn` is in the redo files, whole mtrs or not.
  void Written(Lsn lsn);
  // The server is gone. Recovery finds the database as of end().
  void Die() { unwritten_.clear(); }
  // The machine's files are a copy of the volume as of `lsn` instead.
  void Restore(Lsn lsn);

  // End of the last whole mtr in the redo files.
  Lsn end() const { return end_; }
  // What is in no page here is as of base(): of an empty database, or of the volume.
  Lsn base() const { return base_; }
  // As of end(). Null: not changed since base().
  const Bytes* Page(PageId page) const;
  // Whole mtrs in the redo files that end above `lsn`.
  std::span<const Mtr> Above(Lsn lsn) const;

  // The last epoch under which a server of this machine had the volume's log.
  Epoch epoch() const { return epoch_; }
  void TakeEpoch(Epoch epoch) { epoch_ = epoch; }

 private:
  Lsn base_;
  Lsn end_;
  Epoch epoch_;
  std::deque<Mtr> unwritten_;
  std::vector<Mtr> written_;
  std::map<PageId, Bytes> pages_;
};

}  // namespace redoubt::sim
