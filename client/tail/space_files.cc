// SPDX-License-Identifier: MIT
#include "client/tail/space_files.h"

#include <algorithm>
#include <set>
#include <string_view>
#include <utility>

#include "common/innodb/page_format.h"

namespace redoubt::tail {
namespace {

// Directories below an external one are schemas; deeper ones are not InnoDB's.
constexpr int kDepthMax = 3;

bool MayBeSpaceFile(std::string_view name, bool at_top) {
  if (name.ends_with(".ibd") || name.ends_with(".ibu")) {
    return true;
  }
  // Undo files are named freely when a DBA makes them, but must end in .ibu; the first two do not.
  return at_top && name.starts_with("undo_") && !name.ends_with(".log");
}

// Paths of what may be a tablespace in `directory` and the directories below it.
Task<Status> Collect(Runtime* runtime, std::string directory, int depth,
                     std::vector<std::string>* paths) {
  const Result<std::vector<DirectoryEntry>> entries = co_await runtime->files->List(directory);
  if (!entries.ok()) {
    // A schema may be dropped meanwhile, and innodb_directories may name what is not there.
    co_return entries.status().code() == StatusCode::kNotFound ? Status::Ok() : entries.status();
  }
  for (const DirectoryEntry& entry : *entries) {
    std::string path = directory + "/" + entry.name;
    if (entry.is_directory) {
      if (!entry.name.starts_with("#") && depth + 1 < kDepthMax) {
        const Status status = co_await Collect(runtime, std::move(path), depth + 1, paths);
        if (!status.ok()) {
          co_return status;
        }
      }
    } else if (MayBeSpaceFile(entry.name, depth == 0)) {
      paths->push_back(std::move(path));
    }
  }
  co_return Status::Ok();
}

}  // namespace

Task<Result<std::optional<SpaceFile>>> LookAtSpaceFile(Runtime* runtime, std::string path,
                                                       uint32_t page_size) {
  const Result<std::unique_ptr<File>> file = co_await runtime->files->Open(path, OpenMode::kRead);
  if (!file.ok()) {
    if (file.status().code() == StatusCode::kNotFound) {
      co_return std::optional<SpaceFile>();
    }
    co_return file.status();
  }
  uint8_t head[64];
  const Result<size_t> got = co_await (*file)->ReadAt(0, head);
  const Result<uint64_t> size = co_await (*file)->Size();
  if (!got.ok() || !size.ok()) {
    co_return got.ok() ? size.status() : got.status();
  }
  if (*got < sizeof(head)) {
    co_return std::optional<SpaceFile>();
  }
  const innodb::FspHeader header = innodb::DecodeFspHeader(head);
  const SpaceId space(innodb::SpaceIdOf(head));
  const bool system = innodb::PageTypeOf(head) == innodb::kPageTypeFspHeader;
  if (header.space != space || innodb::PageNoOf(head) != 0 || innodb::IsTemporarySpace(space) ||
      (space == innodb::kSystemSpace && !system)) {
    co_return std::optional<SpaceFile>();
  }
  SpaceFile found;
  found.space = space;
  found.path = std::move(path);
  found.flags = header.flags.raw;
  const uint32_t zip_size = header.flags.zip_page_size();
  found.page_count = static_cast<uint32_t>(*size / (zip_size != 0 ? zip_size : page_size));
  co_return std::optional<SpaceFile>(std::move(found));
}

Task<Result<std::vector<SpaceFile>>> ScanSpaceFiles(Runtime* runtime, SourceFacts facts,
                                                    std::vector<std::string> more) {
  std::vector<std::string> paths{facts.system_file};
  std::vector<std::string> directories = facts.other_directories;
  directories.insert(directories.begin(), facts.datadir);
  for (const std::string& directory : directories) {
    const Status status = co_await Collect(runtime, directory, 0, &paths);
    if (!status.ok()) {
      co_return status;
    }
  }
  paths.insert(paths.end(), more.begin(), more.end());
  std::vector<SpaceFile> found;
  std::set<std::string> seen_paths;
  std::set<SpaceId> seen_spaces;
  for (std::string& path : paths) {
    if (!seen_paths.insert(path).second) {
      continue;
    }
    const bool is_system_file = path == facts.system_file;
    Result<std::optional<SpaceFile>> file =
        co_await LookAtSpaceFile(runtime, std::move(path), facts.page_size);
    if (!file.ok()) {
      co_return file.status();
    }
    // Space 0 is in one file only; a page 0 that was not written yet says 0, too.
    if (file->has_value() && ((*file)->space == innodb::kSystemSpace) == is_system_file &&
        seen_spaces.insert((*file)->space).second) {
      found.push_back(std::move(**file));
    }
  }
  std::sort(found.begin(), found.end(),
            [](const SpaceFile& a, const SpaceFile& b) { return a.space < b.space; });
  co_return found;
}

}  // namespace redoubt::tail
