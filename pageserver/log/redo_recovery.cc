// SPDX-License-Identifier: MIT
//
// RedoStore::Open: reads the segments back and decides where the log ends (redo_store.h says how).
#include <algorithm>
#include <array>
#include <utility>

#include "common/base/check.h"
#include "common/innodb/log_block.h"
#include "common/runtime/fault_point.h"
#include "pageserver/log/durable_files.h"
#include "pageserver/log/redo_store.h"
#include "pageserver/log/segment_reader.h"

namespace redoubt {
namespace {

constexpr std::string_view kTemporarySuffix = ".tmp";

}  // namespace

// The last segment's records that nothing behind them claims to be durable.
struct RedoStore::TailScan {
  SegmentHeader header;
  std::vector<RedoChunk> unproven;
  Lsn proven_mtr;  // the last one that begins before them in that segment

  // Everything up to `claimed` is durable.
  void Prove(Lsn claimed) {
    const auto first = std::find_if(unproven.begin(), unproven.end(), [&](const RedoChunk& chunk) {
      return chunk.range.end > claimed;
    });
    for (auto chunk = unproven.begin(); chunk != first; ++chunk) {
      proven_mtr = std::max(proven_mtr, chunk->first_mtr_lsn);
    }
    unproven.erase(unproven.begin(), first);
  }
};

Task<Status> RedoStore::Open() {
  REDOUBT_CHECK(empty());
  const Status created = co_await CreateDurableDirectories(runtime_->files, options_.directory);
  if (!created.ok()) {
    co_return created;
  }
  Result<std::vector<SegmentName>> names = co_await ListSegments();
  if (!names.ok()) {
    co_return names.status();
  }
  const Status recovered = co_await RecoverSegments(std::move(*names));
  co_return recovered;
}

Task<Result<std::vector<SegmentName>>> RedoStore::ListSegments() {
  const Result<std::vector<DirectoryEntry>> entries =
      co_await runtime_->files->List(options_.directory);
  if (!entries.ok()) {
    co_return entries.status();
  }
  std::vector<SegmentName> names;
  for (const DirectoryEntry& entry : *entries) {
    if (entry.name.ends_with(kTemporarySuffix)) {
      const std::string path = options_.directory + "/" + entry.name;
      const Status removed = co_await runtime_->files->Remove(path);
      if (!removed.ok()) {
        co_return removed;
      }
      continue;
    }
    const std::optional<SegmentName> name = ParseSegmentName(entry.name);
    if (name.has_value()) {
      names.push_back(*name);
    }
  }
  std::sort(names.begin(), names.end(),
            [](const SegmentName& a, const SegmentName& b) { return a.sequence < b.sequence; });
  co_return names;
}

Task<Result<SegmentHeader>> RedoStore::ReadHeader(SegmentName name) {
  const std::string path = options_.directory + "/" + FormatSegmentName(name);
  Result<std::unique_ptr<File>> file = co_await runtime_->files->Open(path, OpenMode::kRead);
  if (!file.ok()) {
    co_return file.status();
  }
  Bytes bytes(kSegmentHeaderBytes);
  const Result<size_t> got = co_await (*file)->ReadAt(0, MutableByteView(bytes));
  if (!got.ok()) {
    co_return got.status();
  }
  bytes.resize(*got);
  Result<SegmentHeader> header = DecodeSegmentHeader(bytes);
  if (!header.ok()) {
    co_return header.status().WithContext("redo segment " + path);
  }
  if (header->version > options_.format_version) {
    co_return Unsupported("redo segment " + path + " has version " +
                          std::to_string(header->version) + ", and this server keeps to version " +
                          std::to_string(options_.format_version) +
                          " (--log-format), so that an older server can take over: it cannot "
                          "any more; start without the setting");
  }
  if (header->volume != options_.volume || header->volume_uid != options_.volume_uid) {
    co_return Status(StatusCode::kUnsupported, "redo segment " + path +
                                                   " belongs to another volume (number " +
                                                   std::to_string(header->volume.value()) +
                                                   "): is this the disk of another server?");
  }
  if (header->sequence != name.sequence || header->start != name.start) {
    co_return Corruption("redo segment " + path + " carries the header of segment " +
                         std::to_string(header->sequence));
  }
  co_return header;
}

Task<Status> RedoStore::RecoverSegments(std::vector<SegmentName> names) {
  std::vector<SegmentHeader> headers;
  for (size_t i = 0; i < names.size(); ++i) {
    Result<SegmentHeader> header = co_await ReadHeader(names[i]);
    const bool last = i + 1 == names.size();
    if (!header.ok() && header.status().code() == StatusCode::kCorruption && last) {
      const Status dropped = co_await DropTornSegment(names[i], header.status());
      if (!dropped.ok()) {
        co_return dropped;
      }
      names.pop_back();
      break;
    }
    if (!header.ok()) {
      co_return header.status();
    }
    if (i > 0 && names[i].sequence != names[i - 1].sequence + 1) {
      co_return Corruption("redo segments between " + FormatSegmentName(names[i - 1]) + " and " +
                           FormatSegmentName(names[i]) + " are missing in " + options_.directory);
    }
    headers.push_back(std::move(*header));
  }
  TailScan tail;
  if (!headers.empty()) {
    tail.header = headers.back();
  }
  for (size_t i = 0; i < headers.size(); ++i) {
    segments_.push_back(NewSegment(headers[i]));
    tail.proven_mtr = segments_.back().last_mtr;
    const bool last = i + 1 == headers.size();
    const SegmentHeader* next = last ? nullptr : &headers[i + 1];
    const Status status = co_await RecoverSegment(names[i], next, last, &tail);
    if (!status.ok()) {
      co_return status;
    }
  }
  const Status rewritten = co_await RewriteUnproven(&tail);
  co_return rewritten;
}

// The newest segment has no readable header. A crash while it was created leaves that; unless a
// record in it says that something of it was synced.
Task<Status> RedoStore::DropTornSegment(SegmentName name, Status why) {
  const std::string path = options_.directory + "/" + FormatSegmentName(name);
  Result<std::unique_ptr<File>> file = co_await runtime_->files->Open(path, OpenMode::kRead);
  if (!file.ok()) {
    co_return file.status();
  }
  const Result<uint64_t> size = co_await (*file)->Size();
  if (!size.ok()) {
    co_return size.status();
  }
  for (uint32_t version = kSegmentVersionOldest; version <= kSegmentVersion; ++version) {
    const RecordOwner owner{options_.volume_uid, name.sequence, version};
    SegmentReader reader(file->get(), *size, owner, kSegmentHeaderBytes);
    const Result<bool> claimed =
        co_await reader.ClaimsDurableBeyond(kSegmentHeaderBytes, name.start);
    if (!claimed.ok()) {
      co_return claimed.status();
    }
    if (*claimed) {
      co_return why.WithContext("acknowledged redo is damaged");
    }
  }
  runtime_->log->Info("redo segment " + path + " was being created at the crash, removed");
  const Status removed = co_await runtime_->files->Remove(path);
  if (!removed.ok()) {
    co_return removed;
  }
  const Status synced = co_await runtime_->files->SyncDirectory(options_.directory);
  co_return synced;
}

// Reads the records of segments_.back(). `next` is the header of the segment behind it.
Task<Status> RedoStore::RecoverSegment(SegmentName name, const SegmentHeader* next, bool last,
                                       TailScan* tail) {
  Segment& segment = segments_.back();
  const std::string path = options_.directory + "/" + FormatSegmentName(name);
  Result<std::unique_ptr<File>> file = co_await runtime_->files->Open(path, OpenMode::kRead);
  if (!file.ok()) {
    co_return file.status();
  }
  const Result<uint64_t> size = co_await (*file)->Size();
  if (!size.ok()) {
    co_return size.status();
  }
  SegmentReader reader(file->get(), *size, segment.owner, kSegmentHeaderBytes);
  const char* problem = nullptr;
  uint64_t problem_offset = 0;
  Lsn claimed = segment.start;
  while (problem == nullptr && (last || segment.end < next->previous_end)) {
    Result<SegmentReader::Item> item = co_await reader.Next();
    if (!item.ok()) {
      co_return item.status();
    }
    problem_offset = item->offset;
    if (item->outcome == SegmentReader::Outcome::kEnd) {
      break;
    }
    if (item->outcome == SegmentReader::Outcome::kBad &&
        !REDOUBT_PLANTED(runtime_, torn_tail_accepted)) {
      problem = item->problem;
      break;
    }
    if (item->chunk.range.start != segment.end || item->durable_end > segment.end) {
      problem = "the record does not continue the log";
      break;
    }
    claimed = std::max(claimed, item->durable_end);
    if (innodb::IsDataLsn(item->commit)) {  // earlier versions took any from a writer
      recovered_commit_ = std::max(recovered_commit_, item->commit);
    }
    tail->Prove(claimed);
    if (item->chunk.range.empty()) {
      continue;
    }
    AddToIndex(&segment, segment.end, item->offset);
    segment.end = item->chunk.range.end;
    segment.NoteMtr(item->chunk.first_mtr_lsn);
    recovered_epoch_ = std::max(recovered_epoch_, item->chunk.epoch);
    if (last) {
      tail->unproven.push_back(std::move(item->chunk));
    }
  }
  if (!last) {
    if (segment.end != next->previous_end) {
      co_return Corruption("acknowledged redo is damaged: redo segment " +
                           PlaceInSegment(path, problem_offset) + ", LSN " +
                           std::to_string(segment.end.value()) + ": " +
                           (problem == nullptr ? "its records end here" : problem));
    }
    co_return Status::Ok();
  }
  if (problem != nullptr) {
    const Result<bool> lost = co_await reader.ClaimsDurableBeyond(problem_offset + 1, segment.end);
    if (!lost.ok()) {
      co_return lost.status();
    }
    if (*lost) {
      co_return Corruption("acknowledged redo is damaged: redo segment " +
                           PlaceInSegment(path, problem_offset) + ", LSN " +
                           std::to_string(segment.end.value()) + ": " + problem);
    }
    runtime_->log->Info("redo segment " + PlaceInSegment(path, problem_offset) + ": torn tail of " +
                        std::to_string(*size - problem_offset) + " bytes behind LSN " +
                        std::to_string(segment.end.value()) + " ignored (" + problem + ")");
  }
  co_return Status::Ok();
}

// What nobody claims to be durable may live in the page cache only, and after a failed sync no
// later one would write it. So it is written anew: into a segment of its own; or, when that is all
// the newest segment has, its header included, in place of that segment.
Task<Status> RedoStore::RewriteUnproven(TailScan* tail) {
  if (segments_.empty()) {
    co_return Status::Ok();
  }
  const Lsn log_end = segments_.back().end;
  const Lsn start = tail->unproven.empty() ? log_end : tail->unproven.front().range.start;
  const bool in_place = start == segments_.back().start;
  if (!in_place && tail->unproven.empty()) {
    co_return Status::Ok();
  }
  SegmentHeader header = in_place ? tail->header : NextHeader(start, start, {});
  header.version = options_.format_version;
  Segment segment = NewSegment(header);
  segment.end = log_end;
  buffer_.resize(kSegmentHeaderBytes);
  EncodeSegmentHeader(header, MutableByteView(buffer_));
  for (const RedoChunk& chunk : tail->unproven) {
    AddToIndex(&segment, chunk.range.start, buffer_.size());
    EncodeRecord(chunk, segment.owner, start, recovered_commit_);
    segment.NoteMtr(chunk.first_mtr_lsn);
  }
  const uint64_t file_bytes = buffer_.size();
  const Status written = co_await WriteWholeSegment(&segment);
  if (!written.ok()) {
    co_return written;
  }
  const std::string path = PathOf(segment);
  Result<std::unique_ptr<File>> reopened =
      co_await runtime_->files->Open(path, OpenMode::kReadWrite);
  if (!reopened.ok()) {
    co_return reopened.status();
  }
  if (in_place) {
    segments_.pop_back();
  } else {
    segments_.back().end = start;
    segments_.back().CutMtrs(tail->proven_mtr);
  }
  segments_.push_back(std::move(segment));
  active_ = std::move(*reopened);
  active_bytes_ = file_bytes;
  written_bytes_ = file_bytes;
  settled_ = true;
  co_return Status::Ok();
}

}  // namespace redoubt
