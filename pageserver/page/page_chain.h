// SPDX-License-Identifier: MIT
//
// Builds one page as of one LSN from its history: the newest image at or below it and the mtrs
// after that image, from the store and from memory. A pure function of what it is given and of the
// store.
//
//   base := the newest image <= L above the floor; or an mtr <= L that initialises the page, if
//   younger page := base + every mtr with start >= base LSN and end <= L, in order; stamped with
//   the last end
//
// A history whose first mtr does not initialise the page, without an image, is not a page: kHole.
#pragma once

#include <memory>
#include <optional>
#include <vector>

#include "common/base/bytes.h"
#include "common/base/result.h"
#include "common/base/types.h"
#include "common/innodb/apply.h"
#include "common/runtime/runtime.h"
#include "pageserver/page/delta_batch.h"
#include "pageserver/page/delta_codec.h"
#include "pageserver/storage/kv_store.h"

namespace redoubt {

struct PageChainRequest {
  PageId page;
  Lsn read_lsn;
  Lsn floor;  // history that ended at or below it is hidden
  // A known image at or below read_lsn to start from. Null: none.
  std::shared_ptr<const Bytes> base;
  Lsn base_lsn;
  // The store has nothing for this page above base_lsn that `memory` does not have.
  bool memory_is_complete = false;
  std::vector<MemoryRun> memory;  // ascending; borrowed from batches that `keep_alive` holds
  // Set: the page may have been changed without redo before this LSN, and then images of it were
  // imported. The answer has to explain the next of them, or is not one.
  Lsn hole_end;
  bool ignore_images = false;  // start from `base` or an initialisation only
};

struct PageChainResult {
  Status status;
  Lsn page_lsn;                        // 0: never written
  std::shared_ptr<const Bytes> image;  // null: never written, or not OK
  size_t delta_bytes = 0;              // redo that was applied
  size_t stored_delta_bytes = 0;       // of it, from the store
  bool newest = false;                 // nothing newer than read_lsn was seen
  bool wants_image = false;            // kHole for want of a base
  bool unlogged = false;               // redo does not lead from here to the next imported image
};

// What images in the store look like: u8 origin, page bytes.
enum class ImageOrigin : uint8_t { kMaterialized = 0, kImported = 1 };
std::string EncodeImage(ImageOrigin origin, ByteView page);
struct StoredImage {
  ImageOrigin origin;
  ByteView bytes;
};
std::optional<StoredImage> DecodeImage(std::string_view value, uint32_t page_size);

// Reads any number of pages over one snapshot of the store; cheapest in key order. Blocking.
class PageChainReader {
 public:
  struct Context {
    const KvStore* store = nullptr;
    VolumeId volume;
    uint32_t page_size = 0;
    // Redo that was lost: no chain may cross it.
    std::vector<LsnRange> lost;
    FaultPoints* fault_points = nullptr;
  };
  PageChainReader(Context context, innodb::PageApplier* applier);

  PageChainResult Read(const PageChainRequest& request);

  // The stored deltas of a page that end above `from`, ascending; valid until the next call.
  Status LoadDeltas(PageId page, Lsn from, Lsn read_lsn, Lsn below_start, bool* newer);
  const std::vector<DeltaEntry>& entries() const { return entries_; }
  KvIterator* images();
  KvIterator* deltas();

 private:
  struct Base {
    Lsn lsn;
    bool found = false;
  };
  Status FindBase(const PageChainRequest& request, Base* base);
  Status AddEntries(Lsn base, ByteView value, Lsn from, Lsn read_lsn, Lsn below_start, bool* newer);
  PageChainResult Build(const PageChainRequest& request);
  // Whether redo leads from `result` to the next imported image at or below request.hole_end.
  Result<bool> ReachesNextImage(const PageChainRequest& request, const PageChainResult& result);
  Status CheckLost(const PageChainRequest& request, size_t first) const;
  Status Apply(const PageChainRequest& request, size_t first, bool initialized,
               PageChainResult* result);

  Context context_;
  innodb::PageApplier* applier_;
  std::unique_ptr<KvIterator> images_;
  std::unique_ptr<KvIterator> deltas_;
  std::vector<std::string> values_;  // what entries_ borrow from
  std::vector<DeltaEntry> entries_;
  size_t stored_count_ = 0;  // entries_ before it came from the store
  std::vector<innodb::RedoRecord> records_;
  std::shared_ptr<Bytes> page_;
};

}  // namespace redoubt
