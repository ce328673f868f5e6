// SPDX-License-Identifier: MIT
//
// A stretch of redo, parsed and grouped by page: what ingest hands from the blocking executor to
// the loop. Immutable once made.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "common/base/bytes.h"
#include "common/base/types.h"
#include "common/innodb/redo_record.h"

namespace redoubt {

// One page's redo in a piece.
struct PageRun {
  PageId page;
  Lsn first_start;  // base of `value`
  Lsn last_start;
  Lsn first_end;
  Lsn last_end;
  uint32_t offset = 0;  // of the value (delta_codec.h) in the piece's body
  uint32_t bytes = 0;
  bool initializes = false;
};

// What redo says about a tablespace, in log order.
struct SpaceNote {
  enum class Kind : uint8_t {
    kCreate,
    kRename,
    kDelete,
    kExtend,
    kSize,
    kFlags,
    kInit,
    kIndexLoad
  };
  Kind kind{};
  SpaceId space;
  Lsn start;
  Lsn end;             // of the mtr
  uint32_t seq = 0;    // position among the notes of the mtr
  std::string path;    // kCreate, kRename (new), kDelete
  uint64_t value = 0;  // flags, pages, bytes (kExtend) or index id
};

struct DynamicMetaNote {
  Lsn end;
  innodb::TableDynamicMeta meta;
};

struct RedoPiece {
  // Complete mtrs in [start, end).
  LsnRange range;
  uint64_t payload_bytes = 0;
  std::vector<PageRun> runs;  // by first appearance
  Bytes body;
  std::vector<SpaceNote> spaces;
  std::vector<DynamicMetaNote> dynamic;

  ByteView value(const PageRun& run) const { return ByteView(body).subspan(run.offset, run.bytes); }
};

}  // namespace redoubt
