// SPDX-License-Identifier: MIT
//
// Questions about a volume that are not about single pages at one LSN: spaces, counters, time,
// scans of a whole space, a page's versions, verification.
#pragma once

#include <utility>
#include <vector>

#include "pageserver/page/page_reader.h"
#include "pageserver/page/volume_state.h"

namespace redoubt {

class VolumeQueries {
 public:
  VolumeQueries(VolumeState* state, PageReader* reader) : state_(state), reader_(reader) {}

  std::vector<SpaceState> ListSpaces(Lsn read_lsn);
  Task<Result<Bytes>> DynamicMeta(Lsn read_lsn, uint32_t* table_count);
  Task<Result<std::pair<Lsn, int64_t>>> LsnAtTime(int64_t time_unix_ns);
  Task<Result<ScanOutcome>> Scan(SpaceId space, Lsn read_lsn, PageNo first, uint32_t pages_max);

 private:
  // The pages of a space, from `first` on, that have any history: at most `pages_max`, ascending.
  // *done: there are no more.
  Task<Result<std::vector<PageNo>>> ListPages(SpaceId space, PageNo first, uint32_t pages_max,
                                              bool* done);
  VolumeState* state_;
  PageReader* reader_;
  friend class PageHistory;
};

}  // namespace redoubt
