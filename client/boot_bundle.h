// SPDX-License-Identifier: MIT
//
// The boot bundle: what a server that has no files of its own starts from, as of one LSN, from
// whichever page server has it.
//
// Suspends: all functions; each waits until a page server has applied the LSN. Errors: as
// CallAnyReplica; kCorruption: an answer contradicts itself.
#pragma once

#include <vector>

#include "client/page_client.h"
#include "client/volume_client.h"

namespace redoubt {

struct SpaceBundle {
  proto::SpaceListResponse list;
  std::vector<Result<FetchedPage>> first_pages;  // page 0 of each, in the order of the list
};

// The tablespaces at `lsn`, 0 for the newest that a page server has applied.
Task<Result<SpaceBundle>> ReadSpaces(Runtime* runtime, PageClient* pages, Lsn lsn,
                                     TimePoint deadline);

// Records of AUTO_INCREMENT counters and of corrupted indexes.
Task<Result<WithPayload<proto::DynamicMetaResponse>>> ReadDynamicMeta(Runtime* runtime,
                                                                      PageClient* pages, Lsn lsn,
                                                                      TimePoint deadline);

// The small files beside the tablespaces; the payload is their bytes, one behind the other.
Task<Result<WithPayload<proto::SideFileListResponse>>> ReadSideFiles(Runtime* runtime,
                                                                     PageClient* pages, Lsn lsn,
                                                                     TimePoint deadline);

}  // namespace redoubt
