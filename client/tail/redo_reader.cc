// SPDX-License-Identifier: MIT
#include "client/tail/redo_reader.h"

#include <algorithm>
#include <optional>
#include <utility>

#include "common/base/check.h"
#include "common/innodb/log_block.h"
#include "common/innodb/log_file.h"

namespace redoubt::tail {
namespace {

using innodb::kLogBlockBytes;
using innodb::kLogBlockHeaderBytes;
using innodb::kLogBlockPayloadBytes;
using innodb::LogBlockState;

// A torn last block is whole again within microseconds; a file switch takes a few milliseconds.
constexpr int kAttempts = 60;
constexpr Duration kRetryDelay = std::chrono::milliseconds(5);

// Payload bytes of the block at `block_lsn` that lie below `lsn`.
size_t PayloadBelow(Lsn block_lsn, Lsn lsn) {
  if (lsn.value() < block_lsn.value() + kLogBlockHeaderBytes) {
    return 0;
  }
  return std::min<uint64_t>(lsn.value() - block_lsn.value() - kLogBlockHeaderBytes,
                            kLogBlockPayloadBytes);
}

Lsn BlockAfter(Lsn block_lsn) { return Lsn(block_lsn.value() + kLogBlockBytes); }

struct Blocks {
  Bytes payload;
  LogBlockState stop =
      LogBlockState::kFull;  // state of the block that ended it; kFull: bytes or limit
  Lsn stop_block;
  Lsn data_end;        // where the last valid block's data ends
  bool limit = false;  // everything below the limit was taken
};

// Strips the frames of `bytes`, whole blocks from AlignToBlock(from) on.
Blocks Decode(ByteView bytes, Lsn from, Lsn limit) {
  Blocks out;
  out.payload.reserve(bytes.size());
  Lsn block_lsn = innodb::AlignToBlock(from);
  out.data_end = from;
  for (size_t at = 0; at + kLogBlockBytes <= bytes.size(); at += kLogBlockBytes) {
    const size_t skip = PayloadBelow(block_lsn, from);
    const size_t below_limit = PayloadBelow(block_lsn, limit);
    if (below_limit <= skip && block_lsn.value() + kLogBlockHeaderBytes >= limit.value()) {
      out.limit = true;
      return out;
    }
    const innodb::LogBlockCheck check =
        innodb::CheckLogBlock(bytes.subspan(at, kLogBlockBytes), block_lsn);
    out.stop_block = block_lsn;
    if (!check.valid()) {
      out.stop = check.state;
      return out;
    }
    const size_t take = std::min(check.payload.size(), below_limit);
    out.data_end =
        innodb::AdvanceLsn(Lsn(block_lsn.value() + kLogBlockHeaderBytes), check.payload.size());
    if (take > skip) {
      out.payload.insert(out.payload.end(), check.payload.begin() + static_cast<ptrdiff_t>(skip),
                         check.payload.begin() + static_cast<ptrdiff_t>(take));
    }
    if (take == below_limit && below_limit < kLogBlockPayloadBytes) {
      out.limit = true;
      return out;
    }
    if (check.state == LogBlockState::kPartial) {
      out.stop = LogBlockState::kPartial;
      return out;
    }
    block_lsn = BlockAfter(block_lsn);
  }
  out.limit = block_lsn.value() + kLogBlockHeaderBytes >= limit.value();
  return out;
}

}  // namespace

RedoReader::RedoReader(Runtime* runtime, std::string directory, const RedoHold* hold)
    : runtime_(runtime), directory_(std::move(directory)), hold_(hold) {}

void RedoReader::Expect(uint32_t log_uuid) {
  log_uuid_ = log_uuid;
  file_ = nullptr;
}

Task<Result<RedoDirectory>> RedoReader::Scan() {
  Result<RedoDirectory> directory = co_await ScanRedoDirectory(runtime_, directory_);
  co_return directory;
}

Task<Result<RedoReader::Found>> RedoReader::Locate(Lsn block_lsn, Lsn* oldest) {
  file_ = nullptr;
  const Result<RedoDirectory> directory = co_await Scan();
  if (!directory.ok()) {
    co_return directory.status();
  }
  if (directory->files.empty()) {
    co_return Found::kTail;
  }
  *oldest = Lsn(directory->begin().value() + kLogBlockHeaderBytes);
  const bool other_log = log_uuid_ != 0 && directory->log_uuid() != log_uuid_;
  const RedoFile* const found = other_log ? nullptr : directory->Find(block_lsn);
  if (found == nullptr) {
    const Result<bool> held = co_await LocateHeld(block_lsn);
    if (!held.ok()) {
      co_return held.status();
    }
    if (*held) {
      co_return Found::kFile;
    }
    if (other_log) {
      co_return Found::kOtherLog;
    }
    co_return block_lsn >= directory->end() ? Found::kTail : Found::kGap;
  }
  if (found->encrypted) {
    co_return Unsupported(found->path +
                          ": the redo log is encrypted (innodb_redo_log_encrypt); Redoubt cannot "
                          "follow it, set it to OFF");
  }
  Result<std::unique_ptr<File>> file = co_await runtime_->files->Open(found->path, OpenMode::kRead);
  if (!file.ok()) {
    if (file.status().code() == StatusCode::kNotFound) {
      co_return Found::kFile;  // renamed since; file_ is null and the caller looks again
    }
    co_return file.status();
  }
  file_ = std::move(*file);
  open_ = *found;
  log_uuid_ = open_.log_uuid;
  co_return Found::kFile;
}

// Opens a file that the server has given up, unless it was used again since.
Task<Result<bool>> RedoReader::LocateHeld(Lsn block_lsn) {
  std::optional<HeldRedoFile> held =
      hold_ == nullptr ? std::nullopt : hold_->Find(block_lsn, log_uuid_);
  if (!held.has_value() || held->file.encrypted) {
    co_return false;
  }
  file_ = std::move(held->handle);
  open_ = std::move(held->file);
  const Result<uint64_t> size = co_await file_->Size();
  const Result<bool> unchanged = co_await HeaderUnchanged();
  const Status status = size.ok() ? unchanged.status() : size.status();
  if (!status.ok() || !*unchanged || innodb::LogFileEndLsn(open_.range.start, *size) <= block_lsn) {
    file_ = nullptr;
  }
  if (!status.ok()) {
    co_return status;
  }
  if (file_ != nullptr) {
    log_uuid_ = open_.log_uuid;
  }
  co_return file_ != nullptr;
}

Task<Result<bool>> RedoReader::HeaderUnchanged() {
  uint8_t block[kLogBlockBytes];
  const Result<size_t> got = co_await file_->ReadAt(0, block);
  if (!got.ok()) {
    co_return got.status();
  }
  if (*got < kLogBlockBytes) {
    co_return false;
  }
  const Result<innodb::LogFileHeader> header = innodb::ParseLogFileHeader(block);
  co_return header.ok() && header->start_lsn == open_.range.start &&
      header->log_uuid == open_.log_uuid;
}

Status RedoReader::BadBlock(Lsn block_lsn, const char* state) const {
  return Corruption(open_.path + ": the block at LSN " + std::to_string(block_lsn.value()) +
                    " (offset " +
                    std::to_string(innodb::LogFileOffset(open_.range.start, block_lsn)) + ") is " +
                    state + ", although the server reported it as flushed");
}

// One read of the open file. *again: what was read does not count, or nothing could be read yet.
Task<Result<RedoRead>> RedoReader::ReadHere(Lsn from, Lsn limit, bool* again) {
  const Lsn block_lsn = innodb::AlignToBlock(from);
  RedoRead read;
  read.start = from;
  const Result<uint64_t> size = co_await file_->Size();
  if (!size.ok()) {
    co_return size.status();
  }
  const uint64_t offset = innodb::LogFileOffset(open_.range.start, block_lsn);
  if (*size < offset + kLogBlockBytes) {  // truncated, or switched exactly here
    file_ = nullptr;
    *again = true;
    co_return read;
  }
  uint64_t want = std::min<uint64_t>(*size - offset, kBytesMax);
  if (limit != kMaxLsn) {
    want = std::min<uint64_t>(
        want, innodb::AlignToBlock(limit).value() + kLogBlockBytes - block_lsn.value());
  }
  buffer_.resize(want - want % kLogBlockBytes);
  const Result<size_t> got = co_await file_->ReadAt(offset, buffer_);
  if (!got.ok()) {
    co_return got.status();
  }
  const Result<bool> unchanged = co_await HeaderUnchanged();
  if (!unchanged.ok()) {
    co_return unchanged.status();
  }
  if (!*unchanged) {
    file_ = nullptr;
    *again = true;
    co_return read;
  }
  Blocks blocks = Decode(ByteView(buffer_).first(*got - *got % kLogBlockBytes), from, limit);
  read.payload = std::move(blocks.payload);
  read.lsn = blocks.data_end;
  if (blocks.limit) {
    read.end = RedoReadEnd::kLimit;
    co_return read;
  }
  switch (blocks.stop) {
    case LogBlockState::kFull:
      *again = read.payload.empty();
      co_return read;
    case LogBlockState::kEncrypted:
      co_return Unsupported(open_.path + ": the block at LSN " +
                            std::to_string(blocks.stop_block.value()) +
                            " is encrypted (innodb_redo_log_encrypt); Redoubt cannot follow it");
    case LogBlockState::kFuture:
      file_ = nullptr;
      *again = true;
      co_return read;
    case LogBlockState::kMalformed:
      co_return BadBlock(blocks.stop_block, "malformed");
    default:
      break;
  }
  if (limit == kMaxLsn) {
    read.end = RedoReadEnd::kTail;
    co_return read;
  }
  *again = read.payload.empty();  // the missing rest is being written, or was never flushed
  if (*again && blocks.stop != LogBlockState::kPartial) {
    read.lsn = blocks.stop_block;
  }
  co_return read;
}

Task<Result<RedoRead>> RedoReader::Read(Lsn from, Lsn limit) {
  REDOUBT_CHECK(innodb::IsDataLsn(from));
  RedoRead read;
  read.start = from;
  if (from >= limit) {
    read.end = RedoReadEnd::kLimit;
    co_return read;
  }
  const Lsn block_lsn = innodb::AlignToBlock(from);
  for (int attempt = 0; attempt < kAttempts; ++attempt) {
    if (attempt > 0) {
      co_await runtime_->scheduler->Sleep(kRetryDelay);
    }
    if (file_ == nullptr) {
      const Result<Found> found = co_await Locate(block_lsn, &read.lsn);
      if (!found.ok()) {
        co_return found.status();
      }
      if (*found == Found::kOtherLog) {
        read.end = RedoReadEnd::kOtherLog;
        co_return read;
      }
      // A rename between listing and reading can hide a file once: a gap must be seen twice.
      if (*found == Found::kGap && attempt > 0) {
        read.end = RedoReadEnd::kGap;
        co_return read;
      }
      if (*found == Found::kTail && (limit == kMaxLsn || attempt + 1 == kAttempts)) {
        read.end = RedoReadEnd::kTail;
        read.lsn = from;
        co_return read;
      }
      if (file_ == nullptr) {
        continue;
      }
    }
    bool again = false;
    Result<RedoRead> here = co_await ReadHere(from, limit, &again);
    if (!here.ok() || !again) {
      co_return here;
    }
    if (attempt % 10 == 4) {
      file_ = nullptr;  // look at the directory again, too
    }
  }
  if (file_ == nullptr) {
    co_return Unavailable(directory_ + ": the files change too fast to be read at LSN " +
                          std::to_string(from.value()));
  }
  co_return BadBlock(block_lsn, "not what it should be (stale, torn or never written)");
}

Task<Status> RedoReader::SyncFiles() {
  const Result<RedoDirectory> directory = co_await Scan();
  if (!directory.ok()) {
    co_return directory.status();
  }
  for (const RedoFile& file : directory->files) {
    const Result<std::unique_ptr<File>> opened =
        co_await runtime_->files->Open(file.path, OpenMode::kRead);
    if (!opened.ok()) {
      co_return opened.status();
    }
    const Status synced = co_await (*opened)->Sync();
    if (!synced.ok()) {
      co_return synced;
    }
  }
  const Status status = co_await runtime_->files->SyncDirectory(directory_);
  co_return status;
}

Task<Result<Lsn>> RedoReader::FindGroupStart(Lsn checkpoint) {
  Lsn block_lsn = innodb::AlignToBlock(checkpoint);
  Lsn oldest;
  for (;;) {
    const Result<Found> found = co_await Locate(block_lsn, &oldest);
    if (!found.ok()) {
      co_return found.status();
    }
    if (file_ == nullptr) {
      co_return NotFound("LSN " + std::to_string(block_lsn.value()) + " is not in " + directory_);
    }
    const Result<uint64_t> size = co_await file_->Size();
    if (!size.ok()) {
      co_return size.status();
    }
    const Lsn end = innodb::LogFileEndLsn(open_.range.start, *size);
    buffer_.resize(kLogBlockBytes);
    for (; block_lsn < end; block_lsn = BlockAfter(block_lsn)) {
      const Result<size_t> got =
          co_await file_->ReadAt(innodb::LogFileOffset(open_.range.start, block_lsn), buffer_);
      if (!got.ok()) {
        co_return got.status();
      }
      if (*got < kLogBlockBytes) {
        break;
      }
      const innodb::LogBlockCheck check = innodb::CheckLogBlock(buffer_, block_lsn);
      if (!check.valid()) {
        co_return NotFound("no mtr begins between LSN " + std::to_string(checkpoint.value()) +
                           " and the log's end");
      }
      if (check.header.first_rec_group != 0) {
        // May name the byte behind the block's data: the group that will come next.
        co_return innodb::AdvanceLsn(Lsn(block_lsn.value() + kLogBlockHeaderBytes),
                                     check.header.first_rec_group - kLogBlockHeaderBytes);
      }
    }
  }
}

}  // namespace redoubt::tail
