// SPDX-License-Identifier: MIT
#include "tests/tools/redo_source.h"

#include <algorithm>

namespace redoubt::tools {

using namespace innodb;  // NOLINT: a tool about nothing else

namespace {
constexpr size_t kChunkBytes = size_t{1} << 20;
}  // namespace

Result<RedoSource> RedoSource::Open(const std::filesystem::path& data_dir) {
  RedoSource source;
  std::error_code error;
  for (const auto& entry :
       std::filesystem::directory_iterator(data_dir / kLogDirectoryName, error)) {
    const auto name = ParseLogFileName(entry.path().filename().string());
    if (!name || name->spare) {
      continue;
    }
    REDOUBT_ASSIGN_OR_RETURN(InputFile file, InputFile::Open(entry.path()));
    Bytes head(kLogFileHeaderBytes);
    file.Read(0, head);
    if (file.size() < kLogFileHeaderBytes) {
      return Corruption(entry.path().string() + ": shorter than a redo file header");
    }
    const Result<LogFileLead> lead = ParseLogFileLead(head);
    if (!lead.ok()) {
      return lead.status().WithContext(entry.path().string());
    }
    const Lsn end = LogFileEndLsn(lead->header.start_lsn, file.size());
    if (lead->header.start_lsn <= lead->checkpoint_lsn && lead->checkpoint_lsn < end) {
      source.checkpoint_lsn_ = std::max(source.checkpoint_lsn_, lead->checkpoint_lsn);
    }
    source.creator_ = lead->header.creator;
    source.files_.push_back({lead->header, std::move(file), name->id});
  }
  if (source.files_.empty()) {
    return NotFound("no redo files in " + (data_dir / kLogDirectoryName).string());
  }
  std::sort(source.files_.begin(), source.files_.end(),
            [](const File& a, const File& b) { return a.id < b.id; });
  return source;
}

size_t RedoSource::ReadBlocks(Lsn lsn, MutableByteView out) const {
  for (const File& file : files_) {
    const Lsn start = file.header.start_lsn;
    const Lsn end = LogFileEndLsn(start, file.file.size());
    if (start <= lsn && lsn < end) {
      const size_t length = std::min(out.size(), end.value() - lsn.value());
      file.file.Read(LogFileOffset(start, lsn), out.first(length));
      return length;
    }
  }
  return 0;
}

Result<Lsn> RedoSource::FirstMtr(Lsn checkpoint) const {
  Bytes block(kLogBlockBytes);
  for (Lsn lsn = AlignToBlock(checkpoint);; lsn = Lsn(lsn.value() + kLogBlockBytes)) {
    const bool held = ReadBlocks(lsn, block) != 0;
    const LogBlockCheck check = held ? CheckLogBlock(block, lsn) : LogBlockCheck{};
    if (!check.valid()) {
      return Corruption("no readable block at LSN " + std::to_string(lsn.value()) +
                        " behind checkpoint " + std::to_string(checkpoint.value()) + ": " +
                        (held ? std::string(LogBlockStateName(check.state)) : "no file holds it"));
    }
    if (check.header.first_rec_group != 0) {
      return Lsn(lsn.value() + check.header.first_rec_group);
    }
  }
}

Status RedoSource::ReadFrom(Lsn from, const std::function<Status(ByteView)>& sink) const {
  Bytes blocks(kChunkBytes);
  Bytes payload;
  payload.reserve(kChunkBytes);
  Lsn lsn = AlignToBlock(from);
  size_t skip = from.value() - lsn.value() - kLogBlockHeaderBytes;
  for (;;) {
    const size_t length = ReadBlocks(lsn, blocks);
    LogBlockState state = LogBlockState::kFull;
    payload.clear();
    for (size_t at = 0; at < length && state == LogBlockState::kFull; at += kLogBlockBytes) {
      const LogBlockCheck check =
          CheckLogBlock(ByteView(blocks).subspan(at, kLogBlockBytes), Lsn(lsn.value() + at));
      state = check.state;
      if (check.valid()) {
        const ByteView bytes = check.payload.subspan(std::min(skip, check.payload.size()));
        payload.insert(payload.end(), bytes.begin(), bytes.end());
        skip = 0;
      }
      if (state != LogBlockState::kFull) {
        end_reason_ = std::string(LogBlockStateName(state)) + " block at LSN " +
                      std::to_string(lsn.value() + at);
      }
    }
    REDOUBT_RETURN_IF_ERROR(sink(payload));
    if (length == 0) {
      end_reason_ = "end of the files at LSN " + std::to_string(lsn.value());
    }
    if (length == 0 || state != LogBlockState::kFull) {
      return Status::Ok();
    }
    lsn = Lsn(lsn.value() + length);
  }
}

}  // namespace redoubt::tools
