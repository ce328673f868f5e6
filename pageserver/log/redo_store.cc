// SPDX-License-Identifier: MIT
#include "pageserver/log/redo_store.h"

#include <algorithm>
#include <array>
#include <iterator>
#include <utility>

#include "common/base/check.h"
#include "common/base/crc32c.h"
#include "common/innodb/log_block.h"
#include "common/runtime/fault_point.h"
#include "pageserver/log/segment_reader.h"

namespace redoubt {
namespace {

constexpr uint64_t kIndexStrideBytes = 256 << 10;
// What the buffer keeps between batches.
constexpr size_t kBufferBytesKept = 5 << 20;
// Larger appends use space up too soon to gain what writing it costs.
constexpr size_t kSpaceAheadAppendMax = 32 << 10;

}  // namespace

RedoStore::RedoStore(Runtime* runtime, RedoStoreOptions options)
    : runtime_(runtime), options_(std::move(options)) {}

RedoStore::~RedoStore() = default;

std::string RedoStore::PathOf(const Segment& segment) const {
  return options_.directory + "/" + FormatSegmentName({segment.owner.sequence, segment.start});
}

SegmentHeader RedoStore::NextHeader(Lsn previous_end, Lsn start, std::string reason) const {
  SegmentHeader header;
  header.version = options_.format_version;
  header.volume = options_.volume;
  header.volume_uid = options_.volume_uid;
  header.sequence = empty() ? 1 : segments_.back().owner.sequence + 1;
  header.previous_end = previous_end;
  header.start = start;
  header.reason = std::move(reason);
  return header;
}

void RedoStore::AddToIndex(Segment* segment, Lsn start, uint64_t offset) {
  if (segment->index.empty() || offset >= segment->index.back().offset + kIndexStrideBytes) {
    segment->index.push_back({start, offset});
  }
}

RedoStore::Segment RedoStore::NewSegment(const SegmentHeader& header) const {
  Segment segment;
  segment.owner = header.owner();
  segment.previous_end = header.previous_end;
  segment.start = header.start;
  segment.end = header.start;
  segment.NoteMtr(header.previous_end < header.start ? header.start : Lsn{});
  return segment;
}

Lsn RedoStore::last_mtr_lsn() const {
  const auto found = std::find_if(segments_.rbegin(), segments_.rend(),
                                  [](const Segment& segment) { return segment.last_mtr != Lsn{}; });
  return found == segments_.rend() ? Lsn{} : found->last_mtr;
}

Lsn RedoStore::declared_start() const {
  const auto found = std::find_if(segments_.rbegin(), segments_.rend(), [](const Segment& segment) {
    return segment.previous_end < segment.start;
  });
  return found == segments_.rend() ? Lsn{} : found->start;
}

Status RedoStore::Stop(Status status) {
  REDOUBT_CHECK(!status.ok());
  stopped_ = Status(StatusCode::kIoError,
                    "the redo log of volume " + std::to_string(options_.volume.value()) +
                        " takes nothing more until the server is restarted, because its disk "
                        "failed: " +
                        status.message());
  active_ = nullptr;
  return stopped_;
}

// ---- writing ----

void RedoStore::EncodeRecord(const RedoChunk& chunk, const RecordOwner& owner, Lsn durable_end,
                             Lsn commit) {
  RecordHeader header;
  header.epoch = chunk.epoch;
  header.range = chunk.range;
  header.first_mtr_lsn = chunk.first_mtr_lsn;
  header.source_time_unix_ns = chunk.source_time_unix_ns;
  header.durable_end = durable_end;
  header.commit = commit;
  header.payload_bytes =
      chunk.payload == nullptr ? 0 : static_cast<uint32_t>(chunk.payload->size());
  header.payload_crc32c = chunk.payload_crc32c;
  std::array<uint8_t, kRecordHeaderBytes> head;
  EncodeRecordHeader(header, owner, MutableByteView(head));
  buffer_.insert(buffer_.end(), head.begin(), head.end());
  if (chunk.payload != nullptr) {
    buffer_.insert(buffer_.end(), chunk.payload->begin(), chunk.payload->end());
  }
}

// Creates the file and puts the header into the buffer; nothing is durable yet.
Task<Status> RedoStore::OpenActive(SegmentHeader header) {
  std::string path = options_.directory + "/" + FormatSegmentName({header.sequence, header.start});
  Result<std::unique_ptr<File>> file =
      co_await runtime_->files->Open(std::move(path), OpenMode::kCreateNew);
  if (!file.ok()) {
    co_return file.status();
  }
  active_ = std::move(*file);
  active_bytes_ = 0;
  written_bytes_ = 0;
  segments_.push_back(NewSegment(header));
  buffer_.resize(kSegmentHeaderBytes);
  EncodeSegmentHeader(header, MutableByteView(buffer_));
  co_return Status::Ok();
}

// The disk is full: the segment is left as it is, minus what can be taken back.
Task<Status> RedoStore::Abandon(bool new_segment, Status status) {
  if (new_segment) {
    active_ = nullptr;
    std::string path = PathOf(segments_.back());
    segments_.pop_back();
    const Status removed = co_await runtime_->files->Remove(std::move(path));
    if (!removed.ok()) {
      co_return Stop(removed);
    }
  } else {
    // Gives the space back. Should it fail, the next segment's previous_end makes the rest void.
    const std::string place = PlaceInSegment(PathOf(segments_.back()), active_bytes_);
    const Status cut = co_await active_->Truncate(active_bytes_);
    if (cut.ok()) {
      runtime_->log->Info("the disk is full: redo segment cut back, " + place);
    } else {
      runtime_->log->Warning("cannot cut a redo segment back, " + place + ": " + cut.ToString());
    }
    active_ = nullptr;
    settled_bytes_ = active_bytes_;
  }
  settled_ = false;
  co_return status;
}

// The space behind buffer_ that the write of it brings into being, too.
uint64_t RedoStore::SpaceAhead() const {
  const uint64_t end = active_bytes_ + buffer_.size();
  const bool known = segments_.back().owner.version > kSegmentVersionOldest;
  if (!known || end <= written_bytes_ || buffer_.size() > kSpaceAheadAppendMax) {
    return 0;
  }
  const uint64_t until = std::min(end + options_.space_ahead_bytes, options_.segment_bytes_max);
  return until > end ? until - end : 0;
}

Task<Status> RedoStore::WriteBuffer() {
  if (REDOUBT_PLANTED(runtime_, ack_before_sync)) {
    const Status written = co_await active_->WriteAt(active_bytes_, buffer_);
    co_return written;
  }
  const Status status = co_await active_->WriteAndSync(active_bytes_, buffer_);
  sync_count_ += status.ok() ? 1 : 0;
  co_return status;
}

// Writes buffer_ at the end of the active segment and makes it durable, and `space_ahead` zeroes
// behind it if there is room for them.
Task<Status> RedoStore::WriteAndSync(bool new_segment, uint64_t space_ahead) {
  const size_t bytes = buffer_.size();
  buffer_.resize(bytes + space_ahead);
  Status written = co_await WriteBuffer();
  if (written.code() == StatusCode::kNoSpace && space_ahead > 0) {
    buffer_.resize(bytes);
    written = co_await WriteBuffer();
  }
  if (written.code() == StatusCode::kNoSpace) {
    const Status status = co_await Abandon(new_segment, written);
    co_return status;
  }
  if (!written.ok()) {
    co_return Stop(written);
  }
  if (new_segment && !REDOUBT_PLANTED(runtime_, missing_dirsync)) {
    const Status named = co_await runtime_->files->SyncDirectory(options_.directory);
    if (!named.ok()) {
      co_return Stop(named);
    }
  }
  settled_ = settled_ || new_segment;
  settled_bytes_ = new_segment ? UINT64_MAX : settled_bytes_;
  written_bytes_ = std::max(written_bytes_, active_bytes_ + buffer_.size());
  active_bytes_ += bytes;
  co_return Status::Ok();
}

Task<Status> RedoStore::Append(const std::vector<RedoChunk>* chunks, Lsn commit) {
  REDOUBT_CHECK(!chunks->empty() && !empty());
  REDOUBT_CHECK(chunks->front().range.start == end());
  if (!stopped_.ok()) {
    co_return stopped_;
  }
  const Lsn durable_end = end();
  buffer_.clear();
  const bool new_segment = active_ == nullptr || active_bytes_ >= options_.segment_bytes_max;
  if (new_segment) {
    SegmentHeader header = NextHeader(durable_end, durable_end, {});
    const Status opened = co_await OpenActive(std::move(header));
    if (!opened.ok()) {
      active_ = nullptr;
      co_return opened;
    }
  }
  const size_t first_entry = segments_.back().index.size();
  Lsn at = durable_end;
  for (const RedoChunk& chunk : *chunks) {
    REDOUBT_CHECK(chunk.range.start == at);
    AddToIndex(&segments_.back(), at, active_bytes_ + buffer_.size());
    // A record that is read back after a crash is durable then.
    const Lsn known = std::max(commit, chunk.commit_when_durable);
    EncodeRecord(chunk, segments_.back().owner, durable_end, known);
    at = chunk.range.end;
  }
  const uint64_t space_ahead = SpaceAhead();
  const Status status = co_await WriteAndSync(new_segment, space_ahead);
  if (buffer_.capacity() > kBufferBytesKept) {
    buffer_ = Bytes();
  }
  if (status.ok()) {
    segments_.back().end = at;
    for (const RedoChunk& chunk : *chunks) {
      segments_.back().NoteMtr(chunk.first_mtr_lsn);
    }
    sealed_ = false;
  } else if (!new_segment) {
    segments_.back().index.resize(first_entry);
  }
  co_return status;
}

Task<Status> RedoStore::StartAt(Lsn start, std::string reason, bool trimmed) {
  REDOUBT_CHECK(start >= end());
  REDOUBT_CHECK(innodb::IsDataLsn(start));
  if (!stopped_.ok()) {
    co_return stopped_;
  }
  if (!empty() && start == end()) {
    co_return Status::Ok();
  }
  active_ = trimmed ? nullptr : std::move(active_);
  while (trimmed && !empty()) {
    const Status removed = co_await RemoveLastSegment();
    if (!removed.ok()) {
      co_return removed;
    }
  }
  buffer_.clear();
  SegmentHeader header = NextHeader(trimmed ? start : end(), start, std::move(reason));
  const Status opened = co_await OpenActive(std::move(header));
  if (!opened.ok()) {
    active_ = nullptr;
    co_return opened;
  }
  const Status status = co_await WriteAndSync(true, 0);
  co_return status;
}

Task<Status> RedoStore::Seal(Lsn commit) {
  if (!stopped_.ok() || sealed(commit)) {
    co_return stopped_;
  }
  RedoChunk seal;
  seal.range = {end(), end()};
  buffer_.clear();
  EncodeRecord(seal, segments_.back().owner, end(), commit);
  const Status status = co_await WriteAndSync(false, 0);
  sealed_ = status.ok();
  sealed_commit_ = commit;
  buffer_ = Bytes();  // an idle log holds no memory
  co_return status;
}

// ---- reading ----

Task<Result<std::vector<RedoChunk>>> RedoStore::Read(Lsn from, size_t bytes_max, Lsn up_to) {
  REDOUBT_CHECK(from >= readable_from());
  std::vector<RedoChunk> chunks;
  size_t bytes = 0;
  // Segments are looked up anew after each suspension: trimming may have removed some.
  while (bytes < bytes_max) {
    const Lsn next = std::max(from, chunks.empty() ? from : chunks.back().range.end);
    if (next >= up_to) {
      break;  // what is written beyond is not committed yet
    }
    const auto found = std::find_if(segments_.begin(), segments_.end(), [&](const Segment& s) {
      return s.end > next && s.start < up_to;
    });
    if (found == segments_.end()) {
      break;
    }
    if (found->start == found->end) {
      // Begun, and lost its first records with a crash: the log goes on in the next segment.
      from = found->end;
      continue;
    }
    if (next < found->previous_end) {
      // Trimmed meanwhile.
      if (chunks.empty()) {
        co_return Status(StatusCode::kBelowHorizon,
                         "redo from " + std::to_string(next.value()) + " was trimmed");
      }
      break;
    }
    const RecordOwner owner = found->owner;
    const Lsn end = std::min(found->end, up_to);
    const std::string path = PathOf(*found);
    const auto entry =
        std::upper_bound(found->index.begin(), found->index.end(), next,
                         [](Lsn wanted, const IndexEntry& e) { return wanted < e.start; });
    REDOUBT_CHECK(!found->index.empty());
    const uint64_t offset = entry == found->index.begin() ? entry->offset : (entry - 1)->offset;
    Result<std::unique_ptr<File>> file = co_await runtime_->files->Open(path, OpenMode::kRead);
    if (!file.ok()) {
      co_return file.status();
    }
    const Result<uint64_t> size = co_await (*file)->Size();
    if (!size.ok()) {
      co_return size.status();
    }
    SegmentReader reader(file->get(), *size, owner, offset);
    Lsn at = next;
    while (at < end && bytes < bytes_max) {
      Result<SegmentReader::Item> item = co_await reader.Next();
      if (!item.ok()) {
        co_return item.status();
      }
      if (item->outcome != SegmentReader::Outcome::kRecord) {
        co_return Corruption("redo segment " + PlaceInSegment(path, item->offset) +
                             " cannot be read any more: " + item->problem);
      }
      if (item->chunk.range.empty() || item->chunk.range.end <= next) {
        continue;
      }
      if (item->chunk.range.end > up_to) {
        item->chunk = HeadOf(item->chunk, up_to);
      }
      at = item->chunk.range.end;
      bytes += item->chunk.payload->size();
      chunks.push_back(std::move(item->chunk));
    }
  }
  co_return chunks;
}

// Without the oldest segment the next writer could not tell where the last mtr ends.
bool RedoStore::HoldsLastMtrBelow(Lsn lsn) const {
  const auto begins_one = [lsn](const Segment& segment) {
    return segment.first_mtr != Lsn{} && segment.first_mtr < lsn;
  };
  return begins_one(segments_.front()) &&
         std::none_of(std::next(segments_.begin()), segments_.end(), begins_one);
}

Task<Status> RedoStore::TrimBelow(Lsn lsn) {
  // One at a time, oldest first, each made durable before the next: after a crash the survivors are
  // still consecutive.
  while (segments_.size() > 1 && segments_.front().end <= lsn && !HoldsLastMtrBelow(lsn)) {
    const std::string path = PathOf(segments_.front());
    segments_.pop_front();
    const Status removed = co_await runtime_->files->Remove(path);
    if (!removed.ok() && removed.code() != StatusCode::kNotFound) {
      co_return removed;
    }
    const Status synced = co_await runtime_->files->SyncDirectory(options_.directory);
    if (!synced.ok()) {
      co_return synced;
    }
  }
  co_return Status::Ok();
}

}  // namespace redoubt
