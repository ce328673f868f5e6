// SPDX-License-Identifier: MIT
//
// Answers page reads of one volume: from the cache on the loop, else by building pages off the loop
// from store and memory.
//
// Suspends: only for pages that the cache does not answer.
#pragma once

#include <memory>
#include <vector>

#include "pageserver/page/page_chain.h"
#include "pageserver/page/volume_state.h"

namespace redoubt {

class PageReader {
 public:
  explicit PageReader(VolumeState* state) : state_(state) {}

  // Requires read_lsn <= applied. One result per page, same order.
  Task<std::vector<PageRead>> Read(std::vector<PageId> pages, Lsn read_lsn);

  // Builds pages without the cache's help or harm; results as of the chain, not yet judged.
  Task<std::vector<PageChainResult>> Build(std::vector<PageChainRequest> requests);
  // The chain's answer in the light of the space map: holes, sizes, zero pages.
  PageRead Judge(PageId page, Lsn read_lsn, PageChainResult* result);
  // kNotFound, kUnsupported: the space as a whole cannot be read at `read_lsn`.
  Status CheckSpace(SpaceId space, Lsn read_lsn);
  PageChainRequest MakeRequest(PageId page, Lsn read_lsn);

 private:
  struct Miss {
    size_t index;
    PageWatch watch;
  };
  Task<void> ReadMisses(const std::vector<PageId>* pages, std::vector<Miss>* misses, Lsn read_lsn,
                        std::vector<PageRead>* reads);
  void StartFromCache(PageChainRequest* request);

  VolumeState* state_;
};

}  // namespace redoubt
