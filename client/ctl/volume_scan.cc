// SPDX-License-Identifier: MIT
#include "client/ctl/volume_scan.h"

#include <algorithm>

#include "common/runtime/sync.h"
#include "common/runtime/task_group.h"

namespace redoubt::ctl {
namespace {

struct Chunk {
  size_t space_index = 0;
  uint32_t first = 0;
  uint32_t end = 0;
};

class Scanner {
 public:
  Scanner(Runtime* runtime, VolumeReader* reader, const std::vector<SpaceFile>* spaces,
          ScanVisitor* visitor, ScanOptions options)
      : reader_(reader),
        spaces_(spaces),
        visitor_(visitor),
        options_(options),
        chunk_pages_(
            static_cast<uint32_t>(std::max<size_t>(1, options.chunk_bytes / reader->page_size()))),
        chunks_left_(spaces->size()),
        taking_(runtime->scheduler, 1),
        workers_(runtime->scheduler) {
    for (size_t i = 0; i < spaces->size(); ++i) {
      const uint32_t pages = (*spaces)[i].page_count;
      chunks_left_[i] = pages / chunk_pages_ + (pages % chunk_pages_ != 0 ? 1 : 0);
    }
  }

  Task<Status> Run() {
    for (size_t i = 0; i < options_.scans_in_flight; ++i) {
      workers_.Spawn(Work());
    }
    co_await workers_.Join();
    co_return failure_;
  }

 private:
  Task<void> Work() {
    for (;;) {
      Chunk chunk;
      co_await taking_.Acquire(1);
      const bool taken = co_await Take(&chunk);
      taking_.Release(1);
      if (!taken) {
        co_return;
      }
      Status done = co_await ReadChunk(chunk);
      if (done.ok() && --chunks_left_[chunk.space_index] == 0) {
        done = co_await visitor_->OnEnd(chunk.space_index);
      }
      if (!done.ok()) {
        Fail(std::move(done));
      }
    }
  }

  // The next chunk; begins its space where it is the first. False: nothing is left, or the scan
  // failed.
  Task<bool> Take(Chunk* chunk) {
    while (failure_.ok() && next_space_ < spaces_->size()) {
      const uint32_t pages = (*spaces_)[next_space_].page_count;
      if (next_page_ == 0) {
        Status begun = co_await visitor_->OnBegin(next_space_);
        if (begun.ok() && pages == 0) {
          begun = co_await visitor_->OnEnd(next_space_);
        }
        if (!begun.ok()) {
          Fail(std::move(begun));
          break;
        }
      }
      if (next_page_ < pages) {
        const uint32_t end = next_page_ + std::min(chunk_pages_, pages - next_page_);
        *chunk = Chunk{next_space_, next_page_, end};
        next_page_ = end;
        co_return true;
      }
      ++next_space_;
      next_page_ = 0;
    }
    co_return false;
  }

  Task<Status> ReadChunk(Chunk chunk) {
    const SpaceId space = (*spaces_)[chunk.space_index].space;
    uint32_t at = chunk.first;
    while (at < chunk.end && failure_.ok()) {
      const Result<PageBatch> batch = co_await reader_->Scan(space, PageNo(at), chunk.end - at);
      if (!batch.ok()) {
        co_return batch.status();
      }
      const uint32_t end =
          batch->done ? chunk.end : std::min(chunk.end, batch->next_page_no.value());
      if (end <= at) {
        co_return Corruption("scan of space " + std::to_string(space.value()) + " from page " +
                             std::to_string(at) + " made no progress");
      }
      Status seen = co_await visitor_->OnPages(chunk.space_index, PageNo(at), PageNo(end), &*batch);
      if (!seen.ok()) {
        co_return seen;
      }
      at = end;
    }
    co_return Status::Ok();
  }

  void Fail(Status status) {
    if (failure_.ok()) {
      failure_ = std::move(status);
    }
  }

  VolumeReader* reader_;
  const std::vector<SpaceFile>* spaces_;
  ScanVisitor* visitor_;
  ScanOptions options_;
  uint32_t chunk_pages_;
  std::vector<size_t> chunks_left_;
  size_t next_space_ = 0;
  uint32_t next_page_ = 0;
  Status failure_;
  Semaphore taking_;
  TaskGroup workers_;
};

}  // namespace

Task<Status> ScanSpaces(Runtime* runtime, VolumeReader* reader,
                        const std::vector<SpaceFile>* spaces, ScanVisitor* visitor,
                        ScanOptions options) {
  Scanner scanner(runtime, reader, spaces, visitor, options);
  co_return co_await scanner.Run();
}

}  // namespace redoubt::ctl
