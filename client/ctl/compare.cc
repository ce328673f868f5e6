// SPDX-License-Identifier: MIT
#include "client/ctl/compare.h"

#include <algorithm>
#include <utility>

#include "client/ctl/restore_path.h"
#include "client/page_decompress.h"
#include "common/innodb/page_format.h"

namespace redoubt::ctl {
namespace {

bool EndsIn(const std::string& name, std::string_view suffix) { return name.ends_with(suffix); }

// Names under which a server keeps tablespaces; the first page decides in the end.
bool MayBeTablespace(const std::string& name) {
  return EndsIn(name, ".ibd") || EndsIn(name, ".ibu") || name.starts_with("undo_") ||
         (name.starts_with("ibdata") && !name.starts_with("ibdata_"));
}

// Folders with nothing persistent in them.
bool IsSkippedFolder(const std::string& name) {
  return name == "#innodb_temp" || name == "#innodb_redo";
}

}  // namespace

Compare::Compare(Runtime* runtime, VolumeReader* reader, CompareOptions options)
    : runtime_(runtime), reader_(reader), options_(std::move(options)) {}

Task<Status> Compare::Run() {
  summary_.lsn = reader_->read_lsn();
  Result<std::vector<SpaceFile>> listed = co_await reader_->Spaces();
  if (!listed.ok()) {
    co_return listed.status();
  }
  exit_code_ = kExitFiles;
  const std::string root;
  Status found = co_await FindFiles(root);
  if (!found.ok()) {
    co_return found;
  }
  found = co_await FindExternalFiles(&*listed);
  if (!found.ok()) {
    co_return found;
  }
  const Status matched = MatchSpaces(*std::move(listed));
  if (!matched.ok()) {
    co_return matched;
  }
  exit_code_ = kExitServer;
  const ScanOptions scan;
  co_return co_await ScanSpaces(runtime_, reader_, &spaces_, this, scan);
}

Task<Status> Compare::FindFiles(std::string folder) {
  const std::string directory = options_.datadir + (folder.empty() ? "" : "/") + folder;
  const auto entries = co_await runtime_->files->List(directory);
  if (!entries.ok()) {
    co_return entries.status();
  }
  for (const DirectoryEntry& entry : *entries) {
    const std::string path = folder + (folder.empty() ? "" : "/") + entry.name;
    Status done;
    if (entry.is_directory && !IsSkippedFolder(entry.name)) {
      done = co_await FindFiles(path);
    } else if (!entry.is_directory && MayBeTablespace(entry.name)) {
      done = co_await AddFile(path);
    }
    if (!done.ok()) {
      co_return done;
    }
  }
  co_return Status::Ok();
}

Task<Status> Compare::FindExternalFiles(const std::vector<SpaceFile>* listed) {
  for (const SpaceFile& space : *listed) {
    if (!LiesOutside(space.path) || found_.contains(space.space.value())) {
      continue;
    }
    const Status added = co_await AddFile(space.path);
    if (!added.ok() && added.code() != StatusCode::kNotFound) {
      co_return added;
    }
  }
  co_return Status::Ok();
}

Task<Status> Compare::AddFile(std::string path) {
  const uint32_t page_size = reader_->page_size();
  const std::string full_path = path.starts_with('/') ? path : options_.datadir + "/" + path;
  auto opened = co_await runtime_->files->Open(full_path, OpenMode::kRead);
  if (!opened.ok()) {
    co_return opened.status();
  }
  const Result<uint64_t> size = co_await (*opened)->Size();
  Bytes first(page_size);
  const Result<size_t> got = co_await (*opened)->ReadAt(0, first);
  if (!size.ok() || !got.ok()) {
    co_return size.ok() ? got.status() : size.status();
  }
  const SpaceId space(innodb::SpaceIdOf(first));
  if (innodb::IsTemporarySpace(space)) {
    co_return Status::Ok();
  }
  ++summary_.file_count;
  if (*got < page_size || innodb::IsZero(first)) {
    Report({"file_only", SpaceId(), PageNo(), path, 0, 0, "", Lsn(), Lsn(),
            "the file has no first page; was the server shut down cleanly?"});
    co_return Status::Ok();
  }
  DataFile file{std::move(path), PageNo(innodb::PageNoOf(first)),
                static_cast<uint32_t>(*size / page_size), *std::move(opened)};
  Pair& pair = found_[space.value()];
  pair.page_count = std::max(pair.page_count, file.first_page.value() + file.page_count);
  pair.files.push_back(std::move(file));
  std::sort(pair.files.begin(), pair.files.end(),
            [](const DataFile& a, const DataFile& b) { return a.first_page < b.first_page; });
  co_return Status::Ok();
}

Status Compare::MatchSpaces(std::vector<SpaceFile> listed) {
  for (SpaceFile& space : listed) {
    const auto at = found_.find(space.space.value());
    if (!space.unsupported_reason.empty()) {
      summary_.unsupported.push_back(space.path + ": " + space.unsupported_reason);
    } else if (at == found_.end()) {
      Report({"space_only", space.space, PageNo(), space.path, 0, 0, "", Lsn(), Lsn(),
              "the volume has this space, the data directory has no file of it"});
    } else {
      if (space.page_count != at->second.page_count) {
        Report({"file_size", space.space, PageNo(space.page_count), space.path, 0, 0, "", Lsn(),
                Lsn(),
                "the volume says " + std::to_string(space.page_count) + " pages, the file has " +
                    std::to_string(at->second.page_count)});
      }
      // Every page of the file is looked at, whatever size the volume believes it has.
      space.page_count = at->second.page_count;
      pages_total_ += space.page_count;
      spaces_.push_back(std::move(space));
      pairs_.push_back(std::move(at->second));
    }
    if (at != found_.end()) {
      found_.erase(at);
    }
  }
  for (const auto& [space, pair] : found_) {
    Report({"file_only", SpaceId(space), PageNo(), pair.files.front().path, 0, 0, "", Lsn(), Lsn(),
            "the data directory has this file, the volume has no such space"});
  }
  found_.clear();
  return Status::Ok();
}

Task<Status> Compare::OnBegin(size_t) { co_return Status::Ok(); }
Task<Status> Compare::OnEnd(size_t index) {
  pairs_[index].files.clear();
  co_return Status::Ok();
}

Task<Status> Compare::ReadFiles(const Pair* pair, PageNo first, MutableByteView into) {
  const uint32_t page_size = reader_->page_size();
  std::fill(into.begin(), into.end(), uint8_t{0});
  const uint64_t begin = first.value();
  const uint64_t end = begin + into.size() / page_size;
  for (const DataFile& file : pair->files) {
    const uint64_t file_begin = file.first_page.value();
    const uint64_t from = std::max(begin, file_begin);
    const uint64_t to = std::min(end, file_begin + file.page_count);
    if (from >= to) {
      continue;
    }
    const MutableByteView part = into.subspan((from - begin) * page_size, (to - from) * page_size);
    const Result<size_t> got = co_await file.file->ReadAt((from - file_begin) * page_size, part);
    if (!got.ok()) {
      exit_code_ = kExitFiles;
      co_return got.status();
    }
  }
  // The volume holds logical pages; a file with transparent page compression does not.
  for (size_t at = 0; at < into.size(); at += page_size) {
    const MutableByteView page = into.subspan(at, page_size);
    if (innodb::VerifyPage(page) != innodb::PageState::kCompressed) {
      continue;
    }
    const Status status = DecompressPage(page);
    if (!status.ok()) {
      exit_code_ = kExitFiles;
      co_return status.WithContext("page " + std::to_string(begin + at / page_size));
    }
  }
  co_return Status::Ok();
}

Task<Status> Compare::OnPages(size_t index, PageNo first, PageNo end, const PageBatch* batch) {
  const uint32_t page_size = reader_->page_size();
  const uint32_t count = end.value() - first.value();
  Bytes original(size_t{count} * page_size);
  Status done = co_await ReadFiles(&pairs_[index], first, original);
  auto rebuilt = batch->pages.begin();
  for (uint32_t i = 0; i < count && done.ok(); ++i) {
    const PageNo page_no(first.value() + i);
    const BatchPage* page = nullptr;
    if (rebuilt != batch->pages.end() && rebuilt->page_no == page_no) {
      page = &*rebuilt;
      ++rebuilt;
    }
    const ByteView bytes = ByteView(original).subspan(size_t{i} * page_size, page_size);
    done = co_await ComparePage(index, page_no, bytes, page);
  }
  pages_done_ += count;
  if (options_.on_progress) {
    options_.on_progress(pages_done_, pages_total_);
  }
  co_return done;
}

Task<Status> Compare::ComparePage(size_t index, PageNo page_no, ByteView original,
                                  const BatchPage* rebuilt) {
  const SpaceFile& space = spaces_[index];
  const PageId id{space.space, page_no};
  if (innodb::IsOldDoublewrite(id, reader_->page_size())) {
    co_return Status::Ok();
  }
  ++summary_.pages_compared;
  Unequal unequal{"page", id.space, page_no, space.path, 0, 0, "", Lsn(), Lsn(), ""};
  const bool known = rebuilt == nullptr || rebuilt->status.ok();
  const Bytes zeroes(rebuilt == nullptr ? original.size() : 0);
  if (known) {
    const ByteView image = rebuilt == nullptr ? ByteView(zeroes) : rebuilt->image;
    const innodb::PageDifference difference = innodb::ComparePages(image, original, id);
    summary_.pages_masked += difference.equal() && difference.masked_count > 0 ? 1 : 0;
    if (difference.equal()) {
      co_return Status::Ok();
    }
    unequal.offset = difference.offsets.front();
    unequal.byte_count = difference.count;
    unequal.rebuilt_lsn = innodb::PageLsnOf(image);
    unequal.detail = rebuilt == nullptr ? "the volume says: never written" : "";
  } else {
    unequal.kind = "unknown";
    unequal.detail = rebuilt->status.ToString();
  }
  const Result<bool> is_free = co_await IsFree(index, page_no);
  if (!is_free.ok()) {
    co_return is_free.status();
  }
  if (*is_free) {
    ++summary_.pages_free_excused;
    co_return Status::Ok();
  }
  unequal.page_type = innodb::PageTypeName(innodb::PageTypeOf(original));
  unequal.file_lsn = innodb::PageLsnOf(original);
  Report(std::move(unequal));
  co_return Status::Ok();
}

Task<Result<bool>> Compare::IsFree(size_t index, PageNo page_no) {
  Pair* const pair = &pairs_[index];
  const PageNo xdes_no = innodb::XdesPageOf(page_no, reader_->page_size());
  if (page_no == xdes_no) {
    co_return false;  // the descriptor itself
  }
  if (pair->xdes_no != xdes_no) {
    Bytes xdes(reader_->page_size());
    const Status read = co_await ReadFiles(pair, xdes_no, xdes);
    if (!read.ok()) {
      co_return read;
    }
    pair->xdes = std::move(xdes);
    pair->xdes_no = xdes_no;
  }
  co_return !innodb::IsZero(pair->xdes) && innodb::IsPageFree(pair->xdes, page_no);
}

void Compare::Report(Unequal unequal) {
  ++summary_.pages_unequal;
  if (summary_.unequal.size() < options_.unequal_listed_max) {
    summary_.unequal.push_back(std::move(unequal));
  }
}

}  // namespace redoubt::ctl
