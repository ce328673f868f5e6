// SPDX-License-Identifier: MIT
//
// The followed database server of a scenario, as far as Redoubt sees it: spaces of pages that it
// changes, and the redo that describes the changes. Never crashes; its redo can be read for ever.
//
// Every mtr's pages go into a PageHistory as they are after it: the truth for reads.
#pragma once

#include <cstdint>
#include <map>
#include <vector>

#include "common/base/bytes.h"
#include "common/base/types.h"
#include "sim/oracle/page_history.h"
#include "sim/runtime/seeded_stream.h"
#include "sim/workload/model_page.h"
#include "sim/workload/redo_encoder.h"

namespace redoubt::sim {

struct ModelServerOptions {
  uint32_t page_size = 16384;
  uint32_t space_count = 3;
  uint32_t pages_per_space = 20;
  // A data LSN: where the log begins.
  Lsn begin_lsn;
};

class ModelServer {
 public:
  // `random` and `history` outlive it; it is the only writer of `history`.
  ModelServer(const ModelServerOptions& options, RandomRoot* random, PageHistory* history);
  ModelServer(const ModelServer&) = delete;
  ModelServer& operator=(const ModelServer&) = delete;

  // Runs whole mtrs until about `payload_bytes` more of redo are there.
  void Produce(size_t payload_bytes);

  Lsn begin_lsn() const { return options_.begin_lsn; }
  Lsn end_lsn() const;  // of the last mtr
  // Payload of [range.start, range.end), inside the log; borrowed until the next Produce.
  ByteView Payload(LsnRange range) const;
  // Start of the first mtr that begins in the range; Lsn{0}: none.
  Lsn FirstMtrIn(LsnRange range) const;
  // End of the last mtr that ends at or below `lsn`; begin_lsn() if none does.
  Lsn LastEndAtOrBelow(Lsn lsn) const;
  // The LSN `payload_bytes` after `lsn`, at most end_lsn().
  Lsn Advance(Lsn lsn, size_t payload_bytes) const;
  uint64_t mtr_count() const { return mtr_ends_.size(); }
  // Every page that exists or may be asked for.
  std::vector<PageId> KnownPages() const;

 private:
  struct Space {
    SpaceId id;
    std::vector<ModelPage> pages;
  };
  void CreateSpace();
  void AllocatePage(Space* space);
  void RunMtr();
  void Commit(std::vector<const ModelPage*> changed);

  ModelServerOptions options_;
  SeededStream random_;
  PageHistory* history_;
  std::vector<Space> spaces_;
  MtrEncoder log_;
  Bytes payload_;
  std::vector<Lsn> mtr_ends_;
};

}  // namespace redoubt::sim
