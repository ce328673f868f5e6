// SPDX-License-Identifier: MIT
//
// The page role of one volume: pulls committed redo, keeps page history, serves every page at every
// LSN between horizon and applied.
//
// Invariants:
//   - persisted_lsn <= applied_lsn <= commit_lsn
//   - a read at L sees exactly the mtrs that end at or below L
// Crash: memory is lost back to persisted_lsn; redo from there is pulled again, and putting the
// same deltas again changes nothing.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "common/base/bytes.h"
#include "common/base/result.h"
#include "common/base/types.h"
#include "common/runtime/runtime.h"
#include "common/runtime/task.h"
#include "pageserver/log/redo_feed.h"
#include "pageserver/storage/kv_store.h"

namespace redoubt {

struct PageRead {
  Status status;
  Lsn page_lsn;  // end of the last mtr in the image; 0: never written
  // Shared with the page cache; null when status is not OK or when the page was never written
  // (zeroes).
  std::shared_ptr<const Bytes> image;
};

struct PageImageIn {
  PageId page;
  Lsn lsn;
  ByteView bytes;  // borrowed until the task ends
};

enum class SpaceEventKind : uint8_t {
  kPresent = 1,
  kUnsupported = 2,
  kDeleted = 3,
  kImagesComplete = 4,
  kSupported = 5
};
struct SpaceEventIn {
  SpaceEventKind kind{};
  SpaceId space;
  Lsn lsn;
  std::string path;
  uint32_t flags = 0;
  uint32_t page_count = 0;
  std::string reason;
  Lsn hole_start;
};
struct SpaceState {
  SpaceId space;
  std::string path;
  uint32_t page_count = 0;
  uint32_t flags = 0;
  std::string unsupported_reason;
  Lsn unsupported_from;
  Lsn created;
};

struct PageVersion {
  bool is_image = false;
  LsnRange range;  // image: [lsn, lsn)
  uint32_t stored_bytes = 0;
  std::vector<std::string> record_types;
};

struct SideFile {
  std::string path;
  uint32_t mode = 0;
  Lsn lsn;
  Bytes bytes;
};

struct ScannedPage {
  PageNo page_no;
  PageRead read;
};
struct ScanOutcome {
  std::vector<ScannedPage> pages;
  PageNo next_page_no;
  bool done = false;
};

struct VerifyOutcome {
  uint64_t pages_checked = 0;
  uint64_t versions_checked = 0;
  std::vector<std::pair<PageNo, Status>> problems;
  PageNo next_page_no;
  bool done = false;
};

struct PageVolumeStatus {
  Lsn applied;
  Lsn persisted;
  Lsn horizon;
  std::string ingest_error;
  uint64_t ingested_bytes = 0;
  int64_t newest_time_unix_ns = 0;
  std::vector<LsnRange> holes;
  uint32_t unsupported_space_count = 0;
  std::vector<SpaceId> spaces_wanting_images;
  // Redo in version chains that are longer than the bound and wait to be materialized.
  uint64_t chain_backlog_bytes = 0;
  uint64_t materialized_images = 0;
};

struct PageVolumeOptions {
  VolumeId volume;
  uint32_t page_size = 16384;
  // In-memory deltas are written to the store in batches of this many bytes of redo.
  size_t batch_bytes = 8 << 20;
  // A chain longer than this (bytes of deltas above the newest image) is materialized in the
  // background.
  size_t chain_bytes_max = 32 << 10;
  // The same for a chain of more pieces than this (one per batch in which the page changed).
  size_t chain_values_max = 64;
  // Redo of pages whose chains are too long and wait to be materialized; above it ingest waits.
  size_t chain_backlog_bytes_max = 256 << 20;
  // Batches that wait for the store; above it ingest waits.
  size_t frozen_batches_max = 1;
  // An idle volume writes out a batch that is older, and flushes what was written at least so
  // often.
  Duration batch_age_max = std::chrono::seconds(5);
  Duration flush_interval = std::chrono::seconds(10);
  // The store is flushed, and the log may be trimmed, after this many bytes of redo.
  size_t flush_bytes = 64 << 20;
};

class PageCache;

class PageVolume {
 public:
  // All pointers outlive the volume. `cache` is shared by the volumes of a process.
  PageVolume(Runtime* runtime, KvStore* store, PageCache* cache, RedoFeed* feed,
             PageVolumeOptions options);
  ~PageVolume();

  // Reads persisted state, then begins to pull.
  Task<Status> Start();
  // Writes and flushes what is in memory, then returns.
  Task<void> Stop();

  // One result per page, same order. read_lsn 0: the newest applied. Waits until applied reaches
  // what read_lsn and not_modified_since demand. Per-page errors stand in the results; an error of
  // the whole: kDeadlineExceeded (names applied and wanted LSN), kBelowHorizon, kHole (read_lsn
  // inside lost redo).
  Task<Result<std::vector<PageRead>>> GetPages(std::vector<PageId> pages, Lsn read_lsn,
                                               Lsn not_modified_since, TimePoint deadline);
  // The LSN at which a question about `read_lsn` is answered, for all that takes an LSN below:
  // waits until that is applied (again, after a start), with 0 until redo up to the horizon is,
  // which gives the applied LSN. Errors as those of the whole above.
  Task<Result<Lsn>> ReadableLsn(Lsn read_lsn, TimePoint deadline);
  Task<Result<ScanOutcome>> Scan(SpaceId space, Lsn read_lsn, PageNo first, uint32_t pages_max);
  Task<Result<std::vector<PageVersion>>> History(PageId page, LsnRange range, uint32_t entries_max);
  // Durable on OK.
  Task<Status> PutImages(std::vector<PageImageIn> images);
  Task<Status> PutSpaceEvents(std::vector<SpaceEventIn> events);
  Task<Status> PutSideFile(SideFile file, bool deleted);
  Task<Status> SetHorizon(Lsn horizon);

  Task<Result<std::vector<SpaceState>>> ListSpaces(Lsn read_lsn);
  // What is known at the applied LSN, even if no page can be read there: behind lost redo, before
  // an import has ended.
  std::vector<SpaceState> KnownSpaces();
  Task<Result<std::vector<SideFile>>> ListSideFiles(Lsn read_lsn);
  // Redo records, one after the other; *table_count says how many.
  Task<Result<Bytes>> DynamicMeta(Lsn read_lsn, uint32_t* table_count);
  // {lsn, time of the sample}
  Task<Result<std::pair<Lsn, int64_t>>> LsnAtTime(int64_t time_unix_ns);
  Task<Status> WaitApplied(Lsn lsn, TimePoint deadline);
  Task<Result<VerifyOutcome>> Verify(SpaceId space, PageNo first, uint32_t pages_max);

  PageVolumeStatus status() const;
  // status().applied alone; costs nothing.
  Lsn applied() const;

 private:
  class Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace redoubt
