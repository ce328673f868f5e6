// SPDX-License-Identifier: MIT
#include "sim/cluster/plants.h"

#include <algorithm>

namespace redoubt::sim {

const std::vector<PlantInfo>& PlantCatalogue() {
  static const std::vector<PlantInfo> kCatalogue = {
      {"ack_before_sync", "redo is acknowledged when it is written, without a sync"},
      {"applied_lsn_ahead_of_deltas", "the stored LSN says more than the batch beside it holds"},
      {"ingest_not_idempotent", "after a restart redo that is stored already is parsed again"},
      {"materialize_drops_delta", "an image takes away the redo that older reads need"},
      {"materialize_wrong_lsn", "an image is stored under an LSN that it has not reached"},
      {"missing_dirsync", "a new redo segment's name is not synced"},
      {"mtr_split_visible", "a read inside an mtr sees that mtr"},
      {"page_cache_not_invalidated", "newer redo leaves the cached page as it is"},
      {"promise_not_synced", "an epoch is promised in memory only"},
      {"skip_epoch_check", "appends of any epoch are taken"},
      {"torn_tail_accepted", "a record whose payload has a wrong checksum counts"},
      {"trim_before_persist", "redo is trimmed that no flush has covered yet"},
  };
  return kCatalogue;
}

bool IsKnownPlant(std::string_view name) {
  const std::vector<PlantInfo>& all = PlantCatalogue();
  return name.empty() || std::any_of(all.begin(), all.end(),
                                     [&](const PlantInfo& plant) { return plant.name == name; });
}

}  // namespace redoubt::sim
