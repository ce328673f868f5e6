// SPDX-License-Identifier: MIT
//
// RedoStore::TruncateTo: takes away the end of a log, in steps each of which leaves a sound one
// (redo_store.h says which).
#include <algorithm>
#include <utility>

#include "common/base/check.h"
#include "pageserver/log/durable_files.h"
#include "pageserver/log/redo_store.h"
#include "pageserver/log/segment_reader.h"

namespace redoubt {

// Makes it durable that the log ends where it does. The files show no record behind its end but
// what could not be cut off; after a power cut they would show more, were a cut or a removal lost.
Task<Status> RedoStore::SettleEnd() {
  if (settled_) {
    co_return Status::Ok();
  }
  REDOUBT_CHECK(active_ == nullptr);
  if (!empty()) {
    const std::string path = PathOf(segments_.back());
    const Status cut = co_await CutFile(path, settled_bytes_);
    if (!cut.ok()) {
      co_return cut;
    }
  }
  const Status synced = co_await runtime_->files->SyncDirectory(options_.directory);
  if (!synced.ok()) {
    co_return Stop(synced);
  }
  settled_ = true;
  settled_bytes_ = UINT64_MAX;
  co_return Status::Ok();
}

Task<Status> RedoStore::TruncateTo(Lsn lsn) {
  REDOUBT_CHECK(lsn >= readable_from());
  if (!stopped_.ok()) {
    co_return stopped_;
  }
  const Status settled = co_await SettleEnd();
  if (!settled.ok() || lsn >= end()) {
    co_return settled;
  }
  active_ = nullptr;
  const auto is_void = [&](const Segment& segment) {
    const bool behind_hole = segment.previous_end < segment.start;
    return segment.start > lsn || (segment.start == lsn && !behind_hole && segments_.size() > 1);
  };
  while (!empty() && is_void(segments_.back())) {
    const Status removed = co_await RemoveLastSegment();
    if (!removed.ok()) {
      co_return removed;
    }
  }
  if (lsn < end()) {
    const Status cut = co_await CutLastSegment(lsn);
    co_return cut;
  }
  co_return Status::Ok();
}

Task<Status> RedoStore::RemoveLastSegment() {
  if (segments_.size() > 1) {
    // The last segment's previous_end makes void what its predecessor holds behind it.
    Segment& before = segments_[segments_.size() - 2];
    const Result<CutPoint> cut = co_await FindCut(&before, before.end);
    if (!cut.ok()) {
      co_return cut.status();
    }
    const Status shortened = co_await CutFile(PathOf(before), cut->offset);
    if (!shortened.ok()) {
      co_return shortened;
    }
    before.CutMtrs(cut->last_mtr);
  }
  std::string path = PathOf(segments_.back());
  segments_.pop_back();
  const Status removed = co_await runtime_->files->Remove(std::move(path));
  if (!removed.ok()) {
    co_return Stop(removed);
  }
  const Status synced = co_await runtime_->files->SyncDirectory(options_.directory);
  co_return synced.ok() ? synced : Stop(synced);
}

// The last segment starts at or below `lsn` and ends above it.
Task<Status> RedoStore::CutLastSegment(Lsn lsn) {
  Result<CutPoint> cut = co_await FindCut(&segments_.back(), lsn);
  if (!cut.ok()) {
    co_return cut.status();
  }
  const std::string path = PathOf(segments_.back());
  Segment head;
  if (cut->head.payload != nullptr) {
    const SegmentHeader header = NextHeader(cut->at, cut->at, {});
    head = NewSegment(header);
    head.end = lsn;
    head.NoteMtr(cut->head.first_mtr_lsn);
    buffer_.resize(kSegmentHeaderBytes);
    EncodeSegmentHeader(header, MutableByteView(buffer_));
    AddToIndex(&head, cut->at, buffer_.size());
    EncodeRecord(cut->head, head.owner, cut->at, Lsn{});
    const Status written = co_await WriteWholeSegment(&head);
    if (!written.ok()) {
      co_return written.code() == StatusCode::kNoSpace ? written : Stop(written);
    }
  }
  Segment& last = segments_.back();
  last.end = cut->at;
  last.CutMtrs(cut->last_mtr);
  std::erase_if(last.index, [&](const IndexEntry& entry) { return entry.offset >= cut->offset; });
  if (cut->head.payload != nullptr) {
    segments_.push_back(std::move(head));
  }
  const Status shortened = co_await CutFile(path, cut->offset);
  co_return shortened;
}

Task<Result<RedoStore::CutPoint>> RedoStore::FindCut(const Segment* segment, Lsn lsn) {
  const std::string path = PathOf(*segment);
  const Lsn segment_end = segment->end;
  CutPoint cut;
  cut.offset = kSegmentHeaderBytes;
  cut.at = segment->start;
  cut.last_mtr = segment->previous_end < segment->start ? segment->start : Lsn{};
  Result<std::unique_ptr<File>> file = co_await runtime_->files->Open(path, OpenMode::kRead);
  if (!file.ok()) {
    co_return file.status();
  }
  const Result<uint64_t> size = co_await (*file)->Size();
  if (!size.ok()) {
    co_return size.status();
  }
  SegmentReader reader(file->get(), *size, segment->owner, kSegmentHeaderBytes);
  while (cut.at < lsn && cut.at < segment_end) {
    Result<SegmentReader::Item> item = co_await reader.Next();
    if (!item.ok()) {
      co_return item.status();
    }
    if (item->outcome != SegmentReader::Outcome::kRecord) {
      co_return Corruption("redo segment " + PlaceInSegment(path, item->offset) +
                           " cannot be read any more: " + item->problem);
    }
    if (item->chunk.range.end > lsn) {
      cut.head = HeadOf(item->chunk, lsn);
      break;
    }
    cut.at = item->chunk.range.end;
    cut.offset = reader.offset();
    cut.last_mtr = std::max(cut.last_mtr, item->chunk.first_mtr_lsn);
  }
  co_return cut;
}

Task<Status> RedoStore::CutFile(std::string path, uint64_t bytes) {
  Result<std::unique_ptr<File>> file =
      co_await runtime_->files->Open(std::move(path), OpenMode::kReadWrite);
  if (!file.ok()) {
    co_return file.status();
  }
  const Result<uint64_t> size = co_await (*file)->Size();
  if (!size.ok()) {
    co_return size.status();
  }
  if (*size > bytes) {
    const Status cut = co_await (*file)->Truncate(bytes);
    if (!cut.ok()) {
      co_return Stop(cut);
    }
  }
  // Also a file that is short enough: an earlier cut of it may not be durable.
  const Status synced = co_await (*file)->Sync();
  co_return synced.ok() ? synced : Stop(synced);
}

Task<Status> RedoStore::WriteWholeSegment(const Segment* segment) {
  std::string name = FormatSegmentName({segment->owner.sequence, segment->start});
  Bytes bytes = std::move(buffer_);
  buffer_ = Bytes();
  return ReplaceFile(runtime_->files, options_.directory, std::move(name), std::move(bytes));
}

}  // namespace redoubt
