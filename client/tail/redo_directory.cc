// SPDX-License-Identifier: MIT
#include "client/tail/redo_directory.h"

#include <algorithm>
#include <optional>
#include <utility>

#include "common/innodb/log_file.h"

namespace redoubt::tail {
namespace {

// nullopt: the file vanished or has no valid header now.
Task<Result<std::optional<RedoFile>>> LookAt(FileSystem* files, std::string path, uint64_t id) {
  const Result<std::unique_ptr<File>> file = co_await files->Open(path, OpenMode::kRead);
  if (!file.ok()) {
    if (file.status().code() == StatusCode::kNotFound) {
      co_return std::optional<RedoFile>();
    }
    co_return file.status();
  }
  Bytes lead(innodb::kLogFileHeaderBytes);
  const Result<size_t> got = co_await (*file)->ReadAt(0, lead);
  if (!got.ok()) {
    co_return got.status();
  }
  const Result<uint64_t> size = co_await (*file)->Size();
  if (!size.ok()) {
    co_return size.status();
  }
  if (*got < lead.size() || *size <= innodb::kLogFileHeaderBytes) {
    co_return std::optional<RedoFile>();
  }
  const Result<innodb::LogFileLead> parsed = innodb::ParseLogFileLead(lead);
  if (!parsed.ok()) {
    if (parsed.status().code() == StatusCode::kCorruption) {
      co_return std::optional<RedoFile>();
    }
    co_return parsed.status().WithContext(path);
  }
  RedoFile found;
  found.path = std::move(path);
  found.id = id;
  found.range = {parsed->header.start_lsn, innodb::LogFileEndLsn(parsed->header.start_lsn, *size)};
  found.log_uuid = parsed->header.log_uuid;
  found.flags = parsed->header.flags;
  found.checkpoint = parsed->checkpoint_lsn;
  found.encrypted = parsed->encryption.has_value();
  co_return std::optional<RedoFile>(std::move(found));
}

}  // namespace

const RedoFile* RedoDirectory::Find(Lsn lsn) const {
  for (auto file = files.rbegin(); file != files.rend(); ++file) {
    if (file->range.Contains(lsn)) {
      return &*file;
    }
  }
  return nullptr;
}

Lsn RedoDirectory::Checkpoint() const {
  Lsn highest;
  for (const RedoFile& file : files) {
    if (file.range.Contains(file.checkpoint)) {
      highest = std::max(highest, file.checkpoint);
    }
  }
  return highest;
}

Task<Result<RedoDirectory>> ScanRedoDirectory(Runtime* runtime, std::string path) {
  const Result<std::vector<DirectoryEntry>> entries = co_await runtime->files->List(path);
  if (!entries.ok()) {
    co_return entries.status();
  }
  RedoDirectory directory;
  directory.path = path;
  for (const DirectoryEntry& entry : *entries) {
    const std::optional<innodb::LogFileName> name = innodb::ParseLogFileName(entry.name);
    if (!name.has_value() || name->spare || entry.is_directory) {
      continue;
    }
    std::string file_path = path + "/" + entry.name;
    Result<std::optional<RedoFile>> file =
        co_await LookAt(runtime->files, std::move(file_path), name->id);
    if (!file.ok()) {
      co_return file.status();
    }
    if (file->has_value()) {
      directory.files.push_back(std::move(**file));
    }
  }
  std::sort(directory.files.begin(), directory.files.end(),
            [](const RedoFile& a, const RedoFile& b) { return a.range.start < b.range.start; });
  const uint32_t uuid = directory.log_uuid();
  std::erase_if(directory.files, [uuid](const RedoFile& file) { return file.log_uuid != uuid; });
  co_return directory;
}

}  // namespace redoubt::tail
