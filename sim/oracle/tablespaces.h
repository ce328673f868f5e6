// SPDX-License-Identifier: MIT
//
// C2 of tablespaces: which there are at an LSN, under which name, with which flags, of how many
// pages and since when is what the redo up to there says. A page behind the end of its tablespace,
// or of one that does not exist, is not there; every other one is, if only as zeroes.
#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <vector>

#include "common/base/types.h"
#include "sim/oracle/findings.h"
#include "sim/oracle/redo_facts.h"

namespace redoubt::sim {

struct ListedSpace {
  std::string path;
  uint32_t page_count = 0;
  uint32_t flags = 0;
  Lsn created;
  friend bool operator==(const ListedSpace&, const ListedSpace&) = default;
};

class Tablespaces {
 public:
  using Listed = std::map<SpaceId, ListedSpace>;

  // Both outlive it.
  Tablespaces(Findings* findings, const FactTruth* truth) : findings_(findings), truth_(truth) {}

  // What was there at `lsn`.
  Listed At(Lsn lsn) const;
  // `listed` was answered as of `read_lsn`.
  void CheckList(Lsn read_lsn, const Listed& listed);
  // A page was asked for at `read_lsn` and given, or said not to be there.
  void CheckPage(PageId page, Lsn read_lsn, bool found);
  uint64_t checked_count() const { return checked_count_; }

 private:
  Findings* findings_;
  const FactTruth* truth_;
  uint64_t checked_count_ = 0;
};

}  // namespace redoubt::sim
