// SPDX-License-Identifier: MIT
#include "client/tail/side_files.h"

#include <cctype>
#include <utility>

#include "common/base/hash.h"

namespace redoubt::tail {
namespace {

// "binlog.000001", "host-relay-bin.000012": a counter as the last part.
bool HasCounterSuffix(const std::string& name) {
  const size_t dot = name.rfind('.');
  if (dot == std::string::npos || name.size() - dot < 7) {
    return false;
  }
  for (size_t i = dot + 1; i < name.size(); ++i) {
    if (std::isdigit(static_cast<unsigned char>(name[i])) == 0) {
      return false;
    }
  }
  return true;
}

}  // namespace

bool IsSideFileName(const std::string& name) {
  // Tablespaces, redo, doublewrite, temporary things, logs, what a server makes anew at its start,
  // and what a patched one notes about this very directory.
  static constexpr const char* kNotPrefixes[] = {
      "#", "ibdata", "ibtmp", "ib_log", "ib_buffer_pool", "undo_", "redoubt_", "."};
  static constexpr const char* kNotSuffixes[] = {".ibd",   ".ibu", ".dblwr", ".log",
                                                 ".err",   ".pid", ".sock",  ".lock",
                                                 ".index", ".tmp", ".TMD",   ".redoubt"};
  for (const char* prefix : kNotPrefixes) {
    if (name.starts_with(prefix)) {
      return false;
    }
  }
  for (const char* suffix : kNotSuffixes) {
    if (name.ends_with(suffix)) {
      return false;
    }
  }
  return !HasCounterSuffix(name);
}

uint32_t SideFileMode(const std::string& name) {
  if (name.ends_with("key.pem") && name != "public_key.pem") {
    return 0600;
  }
  return name.ends_with(".pem") ? 0644 : 0640;
}

SideFiles::SideFiles(Runtime* runtime, VolumeSink* sink) : runtime_(runtime), sink_(sink) {}

Task<Status> SideFiles::Update(std::string datadir, Lsn lsn) {
  ++round_;
  round_bytes_ = 0;
  std::string top;
  const Status status = co_await UpdateDirectory(datadir, std::move(top), lsn);
  if (!status.ok()) {
    co_return status;
  }
  for (auto sent = sent_.begin(); sent != sent_.end();) {
    if (sent->second.round == round_) {
      ++sent;
      continue;
    }
    SideFileContent gone;
    gone.path = sent->first;
    gone.deleted = true;
    const Status removed = co_await sink_->PutSideFile(std::move(gone), lsn);
    if (!removed.ok()) {
      co_return removed;
    }
    sent = sent_.erase(sent);
  }
  co_return Status::Ok();
}

Task<Status> SideFiles::UpdateDirectory(std::string datadir, std::string below, Lsn lsn) {
  std::string directory = below.empty() ? datadir : datadir + "/" + below;
  const Result<std::vector<DirectoryEntry>> entries =
      co_await runtime_->files->List(std::move(directory));
  if (!entries.ok()) {
    co_return entries.status().code() == StatusCode::kNotFound ? Status::Ok() : entries.status();
  }
  for (const DirectoryEntry& entry : *entries) {
    std::string path = below.empty() ? entry.name : below + "/" + entry.name;
    Status status;
    if (entry.is_directory) {
      if (below.empty() && !entry.name.starts_with("#")) {
        status = co_await UpdateDirectory(datadir, std::move(path), lsn);
      }
    } else if (IsSideFileName(entry.name)) {
      status = co_await UpdateFile(datadir, std::move(path), entry.name, lsn);
    }
    if (!status.ok()) {
      co_return status;
    }
  }
  co_return Status::Ok();
}

Task<Status> SideFiles::UpdateFile(std::string datadir, std::string path, std::string name,
                                   Lsn lsn) {
  const std::string full_path = datadir + "/" + path;
  const Result<std::unique_ptr<File>> file =
      co_await runtime_->files->Open(full_path, OpenMode::kRead);
  if (!file.ok()) {
    // Gone, a socket, or not for us to read: a backup of the tablespaces does not depend on it.
    co_return Status::Ok();
  }
  const Result<uint64_t> size = co_await (*file)->Size();
  if (!size.ok()) {
    co_return Status::Ok();
  }
  if (*size > kFileBytesMax || round_bytes_ + *size > kTotalBytesMax) {
    if (!limit_reported_) {
      limit_reported_ = true;
      runtime_->log->Warning(
          full_path + " (" + std::to_string(*size) +
          " bytes) is not kept: side files are limited to 4 MiB each and 16 MiB together");
    }
    co_return Status::Ok();
  }
  SideFileContent content;
  content.bytes.resize(*size);
  const Result<size_t> got = co_await (*file)->ReadAt(0, content.bytes);
  if (!got.ok()) {
    co_return Status::Ok();
  }
  content.bytes.resize(*got);
  round_bytes_ += *got;
  const uint64_t hash = HashBytes(*got, content.bytes);
  const auto [sent, fresh] = sent_.try_emplace(path);
  sent->second.round = round_;
  if (!fresh && sent->second.hash == hash) {
    co_return Status::Ok();
  }
  sent->second.hash = hash;
  ++sent_count_;
  content.path = std::move(path);
  content.mode = SideFileMode(name);
  const Status status = co_await sink_->PutSideFile(std::move(content), lsn);
  co_return status;
}

}  // namespace redoubt::tail
