// SPDX-License-Identifier: MIT
//
// Walks all pages of many spaces with several scans in flight.
//
// A space is cut into chunks of consecutive page numbers; workers take chunks in order and hand
// what they read to a visitor. A chunk asks for as many pages as it has numbers, so in a dense
// space no page is read twice; in a sparse one a chunk may get pages beyond its end, which are
// dropped.
#pragma once

#include <cstddef>
#include <vector>

#include "client/ctl/volume_reader.h"
#include "common/runtime/runtime.h"

namespace redoubt::ctl {

// Calls for different spaces, and for different chunks of one space, may overlap at suspension
// points. An error stops the scan.
class ScanVisitor {
 public:
  virtual ~ScanVisitor() = default;
  // Before anything else of the space.
  virtual Task<Status> OnBegin(size_t space_index) = 0;
  // `batch` holds every page of [first, end) that was ever written, and may hold later ones: ignore
  // those. `batch` is borrowed for the call.
  virtual Task<Status> OnPages(size_t space_index, PageNo first, PageNo end,
                               const PageBatch* batch) = 0;
  // After everything else of the space.
  virtual Task<Status> OnEnd(size_t space_index) = 0;
};

struct ScanOptions {
  size_t scans_in_flight = 6;
  size_t chunk_bytes = size_t{4} << 20;
};

// Visits [0, page_count) of every space; pages beyond are not asked for. All pointers outlive the
// task.
Task<Status> ScanSpaces(Runtime* runtime, VolumeReader* reader,
                        const std::vector<SpaceFile>* spaces, ScanVisitor* visitor,
                        ScanOptions options);

}  // namespace redoubt::ctl
