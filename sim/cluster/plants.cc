// SPDX-License-Identifier: MIT
#include "sim/cluster/plants.h"

#include <algorithm>

namespace redoubt::sim {

const std::vector<PlantInfo>& PlantCatalogue() {
  static const std::vector<PlantInfo> kCatalogue = {
      {"ack_before_sync", "redo is acknowledged when it is written, without a sync"},
      {"acknowledges_all_sent", "an answer to one append acknowledges all that were sent"},
      {"applied_lsn_ahead_of_deltas", "the stored LSN says more than the batch beside it holds"},
      {"apply_above_commit", "page roles are fed redo that is not committed yet"},
      {"cached_although_superseded", "a page that became old while it was read is cached as new"},
      {"cached_base_of_any_age",
       "a cached page is the base of redo in memory, whatever lies between"},
      {"chain_skips_mtr_at_base", "the mtr that begins where the base image ends is left out"},
      {"commit_counts_old_epoch", "what a log server has counts before the epoch is begun there"},
      {"confirmed_by_one_less", "an epoch begins with the promises of one less than a majority"},
      {"cut_ignores_history",
       "a log is cut back to an epoch's start, whichever epochs its tail is of"},
      {"donor_by_length", "a new writer goes on from the longest log, of whichever epoch"},
      {"feed_beyond_commit", "page roles are fed redo beyond the commit LSN that goes with it"},
      {"first_claim_believed", "that a page is not there is believed of the first page server"},
      {"flush_covers_later_asks", "a flush is taken for one that was asked for after it began"},
      {"flush_covers_later_writes", "what is written while a flush is under way counts as flushed"},
      {"frozen_batch_not_read", "redo on its way to the store is not read"},
      {"history_in_memory_only", "an epoch's start is not written down"},
      {"history_lacks_empty_epoch",
       "an epoch in which nothing was written is left out of the history"},
      {"ingest_not_idempotent", "after a restart redo that is stored already is parsed again"},
      {"journal_checksum_ignored",
       "a record of the in-memory store's journal counts with a wrong checksum"},
      {"materialize_drops_delta", "an image takes away the redo that older reads need"},
      {"materialize_drops_older_images", "an image takes away those that older reads need"},
      {"materialize_wrong_lsn", "an image is stored under an LSN that it has not reached"},
      {"missing_dirsync", "a new redo segment's name is not synced"},
      {"mtr_split_visible", "a read inside an mtr sees that mtr"},
      {"no_tail_truncation", "what an epoch's start leaves out of a log is not cut off"},
      {"page_cache_not_invalidated", "newer redo leaves the cached page as it is"},
      {"promise_not_confirmed", "promises count that were lost with a disk before all was known"},
      {"promise_not_synced", "an epoch is promised in memory only"},
      {"read_error_swallowed", "redo of a page that cannot be read is left out"},
      {"read_excludes_its_lsn", "a read does not see the mtr that ends at its LSN"},
      {"reads_uncommitted", "a compute reads pages as of all that it has appended"},
      {"refill_before_others_have_all",
       "a wiped log server is filled up while the others lack what was acknowledged"},
      {"refill_without_majority",
       "a wiped log server is filled up before a majority of the others has all"},
      {"refused_append_counts", "an append that a newer writer fences off is acknowledged"},
      {"restart_commits_all", "after a restart a log server takes all that it holds for committed"},
      {"retry_answered_early", "a repeated append is acknowledged before the first one is synced"},
      {"retry_applies_twice", "a redo chunk that is given again is taken from its start"},
      {"same_epoch_twice", "an epoch that was promised already is promised again"},
      {"seal_commits_end", "an idle log notes its end as committed"},
      {"skip_epoch_check", "appends of any epoch are taken"},
      {"stale_read_after_failover", "a read is not kept waiting until its LSN is applied"},
      {"store_goes_on_after_error", "a page store takes writes after a failed sync"},
      {"tail_survives_cut", "redo that was cut off a log is still given from memory"},
      {"takeover_picks_short_donor", "a new writer goes on from the shortest log"},
      {"torn_tail_accepted", "a record whose payload has a wrong checksum counts"},
      {"trim_before_persist", "redo is trimmed that no flush has covered yet"},
      {"trim_ignores_members", "redo is trimmed that a log server which is away lacks"},
      {"trim_ignores_readers", "redo is trimmed that a page server has not persisted"},
      {"wait_timeout_swallowed", "a read goes on when its LSN was not applied in time"},
  };
  return kCatalogue;
}

bool IsKnownPlant(std::string_view name) {
  const std::vector<PlantInfo>& all = PlantCatalogue();
  return name.empty() || std::any_of(all.begin(), all.end(),
                                     [&](const PlantInfo& plant) { return plant.name == name; });
}

}  // namespace redoubt::sim
