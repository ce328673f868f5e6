// SPDX-License-Identifier: MIT
//
// The versions of a page one by one: listed for people, and verified.
#pragma once

#include <vector>

#include "pageserver/page/page_reader.h"
#include "pageserver/page/volume_queries.h"
#include "pageserver/page/volume_state.h"

namespace redoubt {

class PageHistory {
 public:
  PageHistory(VolumeState* state, PageReader* reader)
      : state_(state), reader_(reader), queries_(state, reader) {}

  // Images and mtrs that end in `range`, ascending, at most `entries_max`.
  Task<Result<std::vector<PageVersion>>> Versions(PageId page, LsnRange range,
                                                  uint32_t entries_max);
  // Every page of the space from `first` on: the checksum of every image, and every mtr between
  // images applied; an image that we made must be what the chain before it gives.
  Task<Result<VerifyOutcome>> Verify(SpaceId space, PageNo first, uint32_t pages_max);

 private:
  VolumeState* state_;
  PageReader* reader_;
  VolumeQueries queries_;
};

}  // namespace redoubt
