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
    REDOUBT_ASSIGN_OR_RETURN(MappedFile map, MappedFile::Open(entry.path()));
    if (map.size() < kLogFileHeaderBytes) {
      return Corruption(entry.path().string() + ": shorter than a redo file header");
    }
    const Result<LogFileLead> lead = ParseLogFileLead(map.view().first(kLogFileHeaderBytes));
    if (!lead.ok()) {
      return lead.status().WithContext(entry.path().string());
    }
    const Lsn end = LogFileEndLsn(lead->header.start_lsn, map.size());
    if (lead->header.start_lsn <= lead->checkpoint_lsn && lead->checkpoint_lsn < end) {
      source.checkpoint_lsn_ = std::max(source.checkpoint_lsn_, lead->checkpoint_lsn);
    }
    source.creator_ = lead->header.creator;
    source.files_.push_back({lead->header, std::move(map), name->id});
  }
  if (source.files_.empty()) {
    return NotFound("no redo files in " + (data_dir / kLogDirectoryName).string());
  }
  std::sort(source.files_.begin(), source.files_.end(),
            [](const File& a, const File& b) { return a.id < b.id; });
  return source;
}

ByteView RedoSource::BlockAt(Lsn lsn) const {
  for (const File& file : files_) {
    const Lsn start = file.header.start_lsn;
    if (start <= lsn && lsn < LogFileEndLsn(start, file.map.size())) {
      return file.map.view().subspan(LogFileOffset(start, lsn), kLogBlockBytes);
    }
  }
  return {};
}

Result<Lsn> RedoSource::FirstMtr(Lsn checkpoint) const {
  for (Lsn lsn = AlignToBlock(checkpoint);; lsn = Lsn(lsn.value() + kLogBlockBytes)) {
    const ByteView block = BlockAt(lsn);
    const LogBlockCheck check = block.empty() ? LogBlockCheck{} : CheckLogBlock(block, lsn);
    if (!check.valid()) {
      return Corruption(
          "no readable block at LSN " + std::to_string(lsn.value()) + " behind checkpoint " +
          std::to_string(checkpoint.value()) + ": " +
          (block.empty() ? "no file holds it" : std::string(LogBlockStateName(check.state))));
    }
    if (check.header.first_rec_group != 0) {
      return Lsn(lsn.value() + check.header.first_rec_group);
    }
  }
}

Status RedoSource::ReadFrom(Lsn from, const std::function<Status(ByteView)>& sink) const {
  Bytes chunk;
  chunk.reserve(kChunkBytes + kLogBlockBytes);
  Lsn lsn = AlignToBlock(from);
  size_t skip = from.value() - lsn.value() - kLogBlockHeaderBytes;
  for (bool more = true; more;) {
    const ByteView block = BlockAt(lsn);
    const LogBlockCheck check = block.empty() ? LogBlockCheck{} : CheckLogBlock(block, lsn);
    if (check.valid()) {
      const ByteView payload = check.payload.subspan(std::min(skip, check.payload.size()));
      chunk.insert(chunk.end(), payload.begin(), payload.end());
      skip = 0;
    }
    more = check.state == LogBlockState::kFull;
    if (!more) {
      end_reason_ = block.empty() ? "end of the files"
                                  : std::string(LogBlockStateName(check.state)) + " block";
      end_reason_ += " at LSN " + std::to_string(lsn.value());
    }
    if (chunk.size() >= kChunkBytes || !more) {
      REDOUBT_RETURN_IF_ERROR(sink(chunk));
      chunk.clear();
    }
    lsn = Lsn(lsn.value() + kLogBlockBytes);
  }
  return Status::Ok();
}

}  // namespace redoubt::tools
