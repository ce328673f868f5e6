// SPDX-License-Identifier: MIT
//
// One volume at one LSN, read as a whole: what restore and compare need, behind an interface so
// that both are tested without a server. server_reader.h is the real one.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "common/base/bytes.h"
#include "common/base/result.h"
#include "common/base/types.h"
#include "common/runtime/task.h"

namespace redoubt::ctl {

struct SpaceFile {
  SpaceId space;
  std::string path;  // as the server recorded it
  uint32_t page_count = 0;
  uint32_t flags = 0;
  // Not empty: the pages of this space cannot be had at the LSN, and why.
  std::string unsupported_reason;
};

struct BatchPage {
  PageNo page_no;
  Status status;   // kHole, kCorruption, ...: there is no image
  ByteView image;  // page_size bytes inside the batch's buffer
};

// Pages in ascending order. Moving a batch keeps the images valid.
struct PageBatch {
  Bytes buffer;
  std::vector<BatchPage> pages;
  PageNo next_page_no;  // the next scan starts here, unless done
  bool done = false;    // no page at or above next_page_no was ever written
};

struct SideFileCopy {
  std::string path;
  uint32_t mode = 0;
  Bytes bytes;
};

class VolumeReader {
 public:
  virtual ~VolumeReader() = default;
  virtual uint32_t page_size() const = 0;
  // Everything below is as of this LSN.
  virtual Lsn read_lsn() const = 0;
  // Ascending by space id, temporary spaces left out.
  virtual Task<Result<std::vector<SpaceFile>>> Spaces() = 0;
  // At most `pages_max` pages that were ever written, from `first` on.
  virtual Task<Result<PageBatch>> Scan(SpaceId space, PageNo first, uint32_t pages_max) = 0;
  virtual Task<Result<std::vector<SideFileCopy>>> SideFiles() = 0;
  // Redo records for BuildLogSet.
  virtual Task<Result<Bytes>> DynamicMeta() = 0;
};

}  // namespace redoubt::ctl
