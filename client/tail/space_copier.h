// SPDX-License-Identifier: MIT
//
// Sends every page of a tablespace file as an image, while the server writes to the file.
//
// Each page is valid by its checksum or is read again: a torn read is whole again within
// milliseconds. The image's LSN is the page's own FIL_PAGE_LSN: an image holds exactly the changes
// that ended at or below it, whenever it was read. Pages of zeroes were never written and are left
// out.
#pragma once

#include <cstdint>
#include <functional>
#include <string>
#include <utility>

#include "client/tail/space_files.h"
#include "client/tail/volume_sink.h"
#include "common/base/result.h"
#include "common/base/types.h"
#include "common/runtime/runtime.h"
#include "common/runtime/sync.h"

namespace redoubt::tail {

struct SpaceCopierOptions {
  uint32_t page_size = 16384;
  uint64_t bytes_per_second_max = 0;  // over all copies together; 0: unlimited
  // How long a page may stay torn before its space is given up.
  Duration torn_page_patience = std::chrono::seconds(5);
};

struct SpaceCopy {
  uint64_t image_count = 0;
  Lsn page_lsn_max;
  // Pages that name another space: the file is being imported (ALTER TABLE ... IMPORT TABLESPACE).
  uint64_t foreign_page_count = 0;
  uint64_t torn_read_count = 0;
  bool vanished = false;
  // Why the space cannot be copied; empty: it was.
  std::string unsupported_reason;
};

class SpaceCopier {
 public:
  // Borrowed pointers outlive the copier. `stop` ends a copy with kCancelled.
  SpaceCopier(Runtime* runtime, VolumeSink* sink, Event* stop, SpaceCopierOptions options);

  // One copy at a time, or several at once. Errors: what the sink said, kCancelled, kIoError.
  Task<Result<SpaceCopy>> Copy(SpaceFile file);

  // A page torn by a crash becomes whole when the server recovers: `can_give_up` says whether a
  // torn page may be given up at all now. Without it, always.
  void set_can_give_up(std::function<bool()> can_give_up) { can_give_up_ = std::move(can_give_up); }
  void set_page_size(uint32_t page_size) { options_.page_size = page_size; }
  // Bytes read from files since construction.
  uint64_t bytes_read() const { return bytes_read_; }

 private:
  struct State;
  enum class Verdict : uint8_t { kSend, kSkip, kAgain, kUnsupported };

  Task<Status> CopyFrom(State* state);
  Task<Status> TakePiece(State* state, uint32_t first_page_no, size_t length);
  Task<Result<Verdict>> TakePage(State* state, uint32_t page_no, MutableByteView page);
  Verdict Judge(State* state, uint32_t page_no, MutableByteView page, std::string* why);
  Task<Status> Flush(State* state);
  Task<Status> Pace(size_t bytes);

  Runtime* runtime_;
  VolumeSink* sink_;
  Event* stop_;
  SpaceCopierOptions options_;
  std::function<bool()> can_give_up_;
  uint64_t bytes_read_ = 0;
  TimePoint pace_until_{};
};

}  // namespace redoubt::tail
