// SPDX-License-Identifier: MIT
#include "pageserver/log/durable_files.h"

#include <memory>
#include <utility>

namespace redoubt {
namespace {

// "" has no parent; "a" has "."; "/a" has "/".
std::string ParentOf(const std::string& path) {
  const size_t slash = path.rfind('/');
  if (slash == std::string::npos) {
    return path == "." ? "" : ".";
  }
  if (slash == 0) {
    return path.size() == 1 ? "" : "/";
  }
  return path.substr(0, slash);
}

}  // namespace

Task<Status> CreateDurableDirectories(FileSystem* files, std::string path) {
  while (path.size() > 1 && path.back() == '/') {
    path.pop_back();
  }
  std::string existing = ParentOf(path);
  while (!existing.empty()) {
    const Result<FileInfo> info = co_await files->Stat(existing);
    if (info.ok()) {
      break;
    }
    existing = ParentOf(existing);
  }
  const Status created = co_await files->CreateDirectories(path);
  if (!created.ok()) {
    co_return created;
  }
  bool ours = true;
  for (std::string at = ParentOf(path); !at.empty(); at = ParentOf(at)) {
    const Status synced = co_await files->SyncDirectory(at);
    if (!synced.ok() && ours) {
      co_return synced;
    }
    ours = ours && at != existing;
  }
  co_return Status::Ok();
}

Task<Status> ReplaceFile(FileSystem* files, std::string directory, std::string name, Bytes bytes) {
  const std::string path = directory + "/" + name;
  const std::string temporary = path + ".tmp";
  Result<std::unique_ptr<File>> file = co_await files->Open(temporary, OpenMode::kCreate);
  if (!file.ok()) {
    co_return file.status();
  }
  const Status cut = co_await (*file)->Truncate(0);
  if (!cut.ok()) {
    co_return cut;
  }
  const Status written = co_await (*file)->WriteAt(0, bytes);
  if (!written.ok()) {
    co_return written;
  }
  const Status synced = co_await (*file)->Sync();
  if (!synced.ok()) {
    co_return synced;
  }
  *file = nullptr;
  const Status renamed = co_await files->Rename(temporary, path);
  if (!renamed.ok()) {
    co_return renamed;
  }
  const Status named = co_await files->SyncDirectory(directory);
  co_return named;
}

Task<Result<Bytes>> ReadWholeFile(FileSystem* files, std::string path, size_t bytes_max) {
  Result<std::unique_ptr<File>> file = co_await files->Open(path, OpenMode::kRead);
  if (!file.ok()) {
    co_return file.status();
  }
  const Result<uint64_t> size = co_await (*file)->Size();
  if (!size.ok()) {
    co_return size.status();
  }
  if (*size > bytes_max) {
    co_return ResourceExhausted(path + " has " + std::to_string(*size) +
                                " bytes, expected at most " + std::to_string(bytes_max));
  }
  Bytes bytes(*size);
  const Result<size_t> got = co_await (*file)->ReadAt(0, MutableByteView(bytes));
  if (!got.ok()) {
    co_return got.status();
  }
  bytes.resize(*got);
  co_return bytes;
}

}  // namespace redoubt
