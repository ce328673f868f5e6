// SPDX-License-Identifier: MIT
//
// A model of the followed database server: spaces of pages that it changes, and the redo that
// describes the changes.
//
// Every mtr's pages go into a PageHistory as they are after it: the truth for reads.
#pragma once

#include <cstdint>
#include <map>
#include <set>
#include <vector>

#include "common/base/types.h"
#include "sim/oracle/page_history.h"
#include "sim/runtime/seeded_stream.h"
#include "sim/workload/catalogue_load.h"
#include "sim/workload/followed_server.h"
#include "sim/workload/model_page.h"
#include "sim/workload/redo_encoder.h"

namespace redoubt::sim {

struct ModelServerOptions {
  uint32_t page_size = 16384;
  uint32_t space_count = 3;
  uint32_t pages_per_space = 20;
  // One of so many mtrs is about tables and tablespaces instead of pages; 0: none.
  uint32_t catalogue_every = 0;
  // A data LSN: where the log begins.
  Lsn begin_lsn;
};

class ModelServer : public FollowedServer {
 public:
  // `random` and `history` outlive it; it is the only writer of `history`.
  ModelServer(const ModelServerOptions& options, RandomRoot* random, PageHistory* history);

  void Produce(size_t bytes) override;
  std::vector<PageId> KnownPages() const override;

 private:
  struct Space {
    SpaceId id;
    std::vector<ModelPage> pages;
  };
  void CreateSpace();
  void AllocatePage(Space* space);
  void RunMtr();
  void Commit(std::vector<const ModelPage*> changed);
  void ChangeCatalogue();
  void CreateTable(CatalogueTable* table);
  void ChangeTable(CatalogueTable* table);

  ModelServerOptions options_;
  SeededStream random_;
  PageHistory* history_;
  std::vector<Space> spaces_;
  CatalogueLoad catalogue_;
  std::map<SpaceId, std::vector<ModelPage>> table_pages_;  // of tables that come and go
  std::set<PageId> dropped_pages_;
  MtrEncoder log_;
};

}  // namespace redoubt::sim
