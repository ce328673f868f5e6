// SPDX-License-Identifier: MIT
#include "client/ctl/restore.h"

#include <algorithm>
#include <map>
#include <memory>
#include <utility>

#include "client/ctl/restore_path.h"
#include "client/ctl/volume_scan.h"
#include "common/innodb/log_file.h"
#include "common/innodb/page_format.h"

namespace redoubt::ctl {
namespace {

constexpr size_t kRedoFileBytes = size_t{4} << 20;
constexpr uint32_t kPermissionBits = 0777;
// The list of pages to load at start. An empty one is fine; without one the server logs an error.
constexpr char kPoolDumpName[] = "ib_buffer_pool";

// Spaces without which no server starts.
bool IsEssential(SpaceId space) {
  return space == innodb::kSystemSpace || space == innodb::kDictionarySpace ||
         innodb::IsUndoSpace(space);
}

std::string Name(const SpaceFile& space) {
  return "space " + std::to_string(space.space.value()) + " (" + space.path + ")";
}

SpaceKind KindOf(const SpaceFile& space) {
  const bool shared = IsEssential(space.space) || innodb::SpaceFlags{space.flags}.shared();
  return shared ? SpaceKind::kShared : SpaceKind::kTable;
}

// "gts.ibd" -> "gts.13.ibd": two general tablespaces of one name came from different folders.
std::string WithId(const std::string& path, SpaceId space) {
  const size_t dot = path.rfind('.');
  const std::string suffix = dot == std::string::npos ? "" : path.substr(dot);
  return path.substr(0, path.size() - suffix.size()) + "." + std::to_string(space.value()) + suffix;
}

std::string ParentOf(const std::string& path) {
  const size_t slash = path.rfind('/');
  if (slash == std::string::npos) {
    return ".";
  }
  return slash == 0 ? "/" : path.substr(0, slash);
}

Task<Status> WriteWholeFile(FileSystem* files, std::string path, ByteView bytes) {
  const auto opened = co_await files->Open(path, OpenMode::kCreateNew);
  if (!opened.ok()) {
    co_return opened.status();
  }
  Status written = co_await (*opened)->WriteAt(0, bytes);
  if (written.ok()) {
    written = co_await (*opened)->Sync();
  }
  co_return written;
}

}  // namespace

// Puts scanned pages into the files.
class Restore::Writer final : public ScanVisitor {
 public:
  explicit Writer(Restore* restore) : restore_(restore), open_(restore->spaces_.size()) {
    for (const SpaceFile& space : restore->spaces_) {
      pages_total_ += space.page_count;
    }
  }

  Task<Status> OnBegin(size_t space_index) override;
  Task<Status> OnPages(size_t space_index, PageNo first, PageNo end,
                       const PageBatch* batch) override;
  Task<Status> OnEnd(size_t space_index) override;

 private:
  struct OpenFile {
    std::unique_ptr<File> file;
    std::vector<BatchPage> unknown;  // without images
    uint32_t page_count = 0;
    uint64_t pages_written = 0;
  };

  const SpaceFile& space(size_t index) const { return restore_->spaces_[index]; }
  std::string PathOf(size_t index) const {
    return restore_->options_.directory + "/" + restore_->placed_[index];
  }
  Status CheckImage(const SpaceFile& space, const BatchPage& page) const;
  // Writes pages [begin, end) of the batch, which have consecutive numbers, at once.
  Task<Status> WriteRun(OpenFile* open, const PageBatch* batch, size_t begin, size_t end);
  // The unknown page that some reader may need, if any; counts the others.
  Task<Result<const BatchPage*>> FindNeeded(OpenFile* open);
  Task<Status> Discard(size_t index, std::string reason);

  Restore* restore_;
  std::vector<OpenFile> open_;
  uint64_t pages_done_ = 0;
  uint64_t pages_total_ = 0;
};

Task<Status> Restore::Writer::OnBegin(size_t space_index) {
  const Status folders = co_await restore_->MakeFolders(restore_->placed_[space_index]);
  if (!folders.ok()) {
    co_return restore_->FileFailure(folders);
  }
  const std::string path = PathOf(space_index);
  auto opened = co_await restore_->runtime_->files->Open(path, OpenMode::kCreateNew);
  if (!opened.ok()) {
    co_return restore_->FileFailure(opened.status());
  }
  open_[space_index].file = *std::move(opened);
  open_[space_index].page_count = space(space_index).page_count;
  co_return Status::Ok();
}

Status Restore::Writer::CheckImage(const SpaceFile& space, const BatchPage& page) const {
  const innodb::PageState state = innodb::VerifyPage(page.image);
  const std::string name = "page " + std::to_string(page.page_no.value()) + " of " + Name(space);
  if (state != innodb::PageState::kOk) {
    return Corruption(name + " came from the server " + std::string(innodb::PageStateName(state)));
  }
  const Lsn page_lsn = innodb::PageLsnOf(page.image);
  if (page_lsn > restore_->reader_->read_lsn()) {
    return Corruption(name + " came from the server with LSN " + std::to_string(page_lsn.value()) +
                      ", which is after LSN " +
                      std::to_string(restore_->reader_->read_lsn().value()) +
                      " that was asked for");
  }
  return Status::Ok();
}

Task<Status> Restore::Writer::OnPages(size_t space_index, PageNo first, PageNo end,
                                      const PageBatch* batch) {
  OpenFile* const open = &open_[space_index];
  const std::vector<BatchPage>& pages = batch->pages;
  for (size_t i = 0; i < pages.size() && pages[i].page_no < end;) {
    if (!pages[i].status.ok()) {
      open->unknown.push_back({pages[i].page_no, pages[i].status, {}});
      ++i;
      continue;
    }
    size_t run_end = i;
    for (; run_end < pages.size() && pages[run_end].page_no < end; ++run_end) {
      const BatchPage& page = pages[run_end];
      const bool consecutive = page.page_no.value() - pages[i].page_no.value() == run_end - i;
      if (!page.status.ok() || !consecutive || innodb::IsZero(page.image)) {
        break;
      }
      const Status good = CheckImage(space(space_index), page);
      if (!good.ok()) {
        co_return good;
      }
    }
    if (run_end == i) {
      ++i;  // a page of zeroes: a hole in the file
      continue;
    }
    const Status written = co_await WriteRun(open, batch, i, run_end);
    if (!written.ok()) {
      co_return restore_->FileFailure(written);
    }
    i = run_end;
  }
  pages_done_ += end.value() - first.value();
  if (restore_->options_.on_progress) {
    restore_->options_.on_progress(pages_done_, pages_total_);
  }
  co_return Status::Ok();
}

Task<Status> Restore::Writer::WriteRun(OpenFile* open, const PageBatch* batch, size_t begin,
                                       size_t end) {
  const uint32_t page_size = restore_->reader_->page_size();
  const BatchPage& first = batch->pages[begin];
  if (first.page_no.value() == 0) {
    // The header's own size rules where the space list knows less.
    open->page_count = std::max(open->page_count, innodb::DecodeFspHeader(first.image).size_pages);
  }
  open->pages_written += end - begin;
  const ByteView bytes(first.image.data(), (end - begin) * page_size);
  co_return co_await open->file->WriteAt(uint64_t{first.page_no.value()} * page_size, bytes);
}

Task<Result<const BatchPage*>> Restore::Writer::FindNeeded(OpenFile* open) {
  const uint32_t page_size = restore_->reader_->page_size();
  Bytes xdes(page_size);
  for (const BatchPage& page : open->unknown) {
    const PageNo xdes_no = innodb::XdesPageOf(page.page_no, page_size);
    const Result<size_t> got =
        co_await open->file->ReadAt(uint64_t{xdes_no.value()} * page_size, xdes);
    if (!got.ok()) {
      co_return got.status();
    }
    const bool readable = *got == page_size && !innodb::IsZero(xdes);
    if (!readable || !innodb::IsPageFree(xdes, page.page_no)) {
      co_return &page;
    }
    ++restore_->summary_.free_unknown_count;
  }
  co_return nullptr;
}

Task<Status> Restore::Writer::OnEnd(size_t space_index) {
  OpenFile* const open = &open_[space_index];
  const uint64_t size = uint64_t{open->page_count} * restore_->reader_->page_size();
  Status done = co_await open->file->Truncate(size);
  if (!done.ok()) {
    co_return restore_->FileFailure(done);
  }
  const Result<const BatchPage*> needed = co_await FindNeeded(open);
  if (!needed.ok()) {
    co_return restore_->FileFailure(needed.status());
  }
  if (*needed != nullptr) {
    std::string reason = "page " + std::to_string((*needed)->page_no.value()) +
                         " is not known: " + (*needed)->status.message();
    co_return co_await Discard(space_index, std::move(reason));
  }
  done = co_await open->file->Sync();
  if (!done.ok()) {
    co_return restore_->FileFailure(done);
  }
  open->file.reset();
  restore_->summary_.file_count += 1;
  restore_->summary_.file_bytes += size;
  restore_->summary_.page_count += open->page_count;
  restore_->summary_.pages_written += open->pages_written;
  co_return Status::Ok();
}

Task<Status> Restore::Writer::Discard(size_t index, std::string reason) {
  open_[index].file.reset();
  const std::string path = PathOf(index);
  const Status removed = co_await restore_->runtime_->files->Remove(path);
  if (!removed.ok()) {
    co_return restore_->FileFailure(removed);
  }
  co_return restore_->LeaveOut(space(index), std::move(reason));
}

Restore::Restore(Runtime* runtime, VolumeReader* reader, RestoreOptions options)
    : runtime_(runtime), reader_(reader), options_(std::move(options)) {
  while (options_.directory.size() > 1 && options_.directory.ends_with('/')) {
    options_.directory.pop_back();
  }
}

Status Restore::FileFailure(Status status) {
  exit_code_ = kExitFiles;
  return status;
}

Status Restore::LeaveOut(const SpaceFile& space, std::string reason) {
  if (IsEssential(space.space)) {
    exit_code_ = kExitProblem;
    return Unsupported(Name(space) +
                       " cannot be restored and no server starts without it: " + reason);
  }
  summary_.left_out.push_back({space.space, space.path, std::move(reason)});
  return Status::Ok();
}

Task<Status> Restore::Run() {
  summary_.lsn = reader_->read_lsn();
  // Asked first: an error of the server should leave no directory behind.
  Status done = co_await ChooseSpaces();
  if (done.ok()) {
    done = co_await PrepareDirectory();
  }
  if (done.ok()) {
    Writer writer(this);
    const ScanOptions scan;
    done = co_await ScanSpaces(runtime_, reader_, &spaces_, &writer, scan);
  }
  if (done.ok()) {
    done = co_await WriteSideFiles();
  }
  if (done.ok()) {
    done = co_await WriteRedo();
  }
  if (done.ok()) {
    done = co_await SyncDirectories();
  }
  co_return done;
}

Task<Status> Restore::ChooseSpaces() {
  Result<std::vector<SpaceFile>> listed = co_await reader_->Spaces();
  if (!listed.ok()) {
    co_return listed.status();
  }
  std::map<std::string, std::string> owner_of_path;
  for (SpaceFile& space : *listed) {
    if (!space.unsupported_reason.empty()) {
      const Status left_out = LeaveOut(space, space.unsupported_reason);
      if (!left_out.ok()) {
        co_return left_out;
      }
      continue;
    }
    Result<std::string> placed = PlaceTablespace(space.path, KindOf(space));
    if (!placed.ok()) {
      co_return Corruption(Name(space) + ": " + placed.status().message());
    }
    if (owner_of_path.contains(*placed) && KindOf(space) == SpaceKind::kShared) {
      *placed = WithId(*placed, space.space);  // the server goes by the id inside the file
    }
    const auto [at, fresh] = owner_of_path.emplace(*placed, Name(space));
    if (!fresh) {
      co_return Corruption(Name(space) + " and " + at->second + " would both be the file " +
                           *placed);
    }
    placed_.push_back(*std::move(placed));
    spaces_.push_back(std::move(space));
  }
  if (spaces_.empty()) {
    co_return NotFound("the volume has no tablespaces at LSN " +
                       std::to_string(summary_.lsn.value()));
  }
  co_return Status::Ok();
}

Task<Status> Restore::PrepareDirectory() {
  exit_code_ = kExitFiles;
  const Result<FileInfo> info = co_await runtime_->files->Stat(options_.directory);
  if (info.ok()) {
    if (!info->is_directory) {
      exit_code_ = kExitUsage;
      co_return InvalidArgument(options_.directory + " is a file; --to needs an empty directory");
    }
    const auto entries = co_await runtime_->files->List(options_.directory);
    if (!entries.ok()) {
      co_return entries.status();
    }
    if (!entries->empty()) {
      exit_code_ = kExitUsage;
      co_return InvalidArgument(options_.directory +
                                " is not empty; --to needs an empty or a new directory");
    }
  } else if (info.status().code() != StatusCode::kNotFound) {
    co_return info.status();
  }
  const Status made = co_await runtime_->files->CreateDirectories(options_.directory);
  if (!made.ok()) {
    co_return made;
  }
  exit_code_ = kExitServer;
  co_return Status::Ok();
}

Task<Status> Restore::MakeFolders(std::string relative) {
  for (size_t slash = relative.find('/'); slash != std::string::npos;
       slash = relative.find('/', slash + 1)) {
    const std::string folder = relative.substr(0, slash);
    const auto at = std::lower_bound(folders_.begin(), folders_.end(), folder);
    if (at != folders_.end() && *at == folder) {
      continue;
    }
    folders_.insert(at, folder);
    const std::string path = options_.directory + "/" + folder;
    Status made = co_await runtime_->files->CreateDirectories(path);
    if (!made.ok()) {
      co_return made;
    }
  }
  co_return Status::Ok();
}

Task<Status> Restore::WriteSideFiles() {
  const Result<std::vector<SideFileCopy>> files = co_await reader_->SideFiles();
  if (!files.ok()) {
    co_return files.status();
  }
  bool has_pool_dump = false;
  for (const SideFileCopy& file : *files) {
    has_pool_dump = has_pool_dump || file.path == kPoolDumpName;
    const Status written = co_await WriteSideFile(&file);
    if (!written.ok()) {
      co_return FileFailure(written);
    }
  }
  if (!has_pool_dump) {
    const std::string path = options_.directory + "/" + kPoolDumpName;
    const Status written = co_await WriteWholeFile(runtime_->files, path, ByteView());
    if (!written.ok()) {
      co_return FileFailure(written);
    }
  }
  co_return Status::Ok();
}

Task<Status> Restore::WriteSideFile(const SideFileCopy* file) {
  // "db/": a schema's folder, which may hold nothing else.
  const bool folder = file->path.ends_with('/');
  const std::string recorded = folder ? file->path.substr(0, file->path.size() - 1) : file->path;
  const Result<std::string> placed = PlaceSideFile(recorded);
  const bool clash =
      placed.ok() && std::find(placed_.begin(), placed_.end(), *placed) != placed_.end();
  if (!placed.ok() || clash) {
    summary_.skipped_files.push_back(
        {SpaceId(), file->path, clash ? "is a tablespace's path" : placed.status().message()});
    co_return Status::Ok();
  }
  const std::string in_folder = folder ? *placed + "/" : *placed;
  Status done = co_await MakeFolders(in_folder);
  if (!done.ok() || folder) {
    co_return done;
  }
  const std::string path = options_.directory + "/" + *placed;
  done = co_await WriteWholeFile(runtime_->files, path, file->bytes);
  if (done.ok() && options_.set_mode && (file->mode & kPermissionBits) != 0) {
    done = options_.set_mode(path, file->mode & kPermissionBits);
  }
  summary_.side_file_count += done.ok() ? 1 : 0;
  co_return done;
}

Task<Status> Restore::WriteRedo() {
  const Result<Bytes> records = co_await reader_->DynamicMeta();
  if (!records.ok()) {
    co_return records.status();
  }
  summary_.dynamic_meta_bytes = records->size();
  innodb::LogSetOptions set;
  const size_t record_room = records->size() / innodb::kLogBlockPayloadBytes + 2;
  const size_t page_size = reader_->page_size();
  set.file_bytes =
      std::max(kRedoFileBytes, record_room * innodb::kLogBlockBytes + innodb::kLogFileHeaderBytes);
  set.file_bytes = (set.file_bytes + page_size - 1) / page_size * page_size;
  const Result<Bytes> file = innodb::BuildLogSet(summary_.lsn, *records, set);
  if (!file.ok()) {
    co_return file.status().WithContext("dynamic metadata at LSN " +
                                        std::to_string(summary_.lsn.value()));
  }
  const std::string relative = std::string(innodb::kLogDirectoryName) + "/" +
                               innodb::FormatLogFileName(innodb::LogFileName{});
  Status done = co_await MakeFolders(relative);
  if (done.ok()) {
    const std::string path = options_.directory + "/" + relative;
    done = co_await WriteWholeFile(runtime_->files, path, *file);
  }
  co_return done.ok() ? done : FileFailure(done);
}

Task<Status> Restore::SyncDirectories() {
  exit_code_ = kExitFiles;
  std::vector<std::string> paths;
  for (const std::string& folder : folders_) {
    paths.push_back(options_.directory + "/" + folder);
  }
  paths.push_back(options_.directory);
  paths.push_back(ParentOf(options_.directory));
  for (const std::string& path : paths) {
    const Status synced = co_await runtime_->files->SyncDirectory(path);
    if (!synced.ok()) {
      co_return synced;
    }
  }
  co_return Status::Ok();
}

}  // namespace redoubt::ctl
