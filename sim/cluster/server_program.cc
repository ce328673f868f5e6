// SPDX-License-Identifier: MIT
#include "sim/cluster/server_program.h"

#include <algorithm>
#include <string>
#include <utility>
#include <vector>

#include "pageserver/storage/memory_kv_store.h"
#include "pageserver/storage/rocksdb_kv_store.h"
#include "sim/cluster/watched_store.h"

namespace redoubt::sim {
namespace {

constexpr int64_t kRestartNs = 300'000'000;

// One job at a time, and no threads. Nothing leaves the block cache: what does is decided by cache
// keys, which are made of session ids, and by the addresses of the blocks.
RocksdbKvStoreOptions RocksdbOptions(rocksdb::Env* env) {
  RocksdbKvStoreOptions options;
  options.env = env;
  options.background_job_count = 1;
  options.table_open_thread_count = 1;
  options.block_cache_bytes = size_t{1} << 30;
  return options;
}

// `rocksdb` may be null: the in-memory store.
KvStoreFactory StoreFactory(SimRocksdb* rocksdb) {
  if (rocksdb == nullptr) {
    return [](Runtime* runtime, std::string path) {
      return MemoryKvStore::Open(runtime, std::move(path));
    };
  }
  return [rocksdb](Runtime* runtime, std::string path) {
    return RocksdbKvStore::Open(runtime, std::move(path), RocksdbOptions(rocksdb->env()));
  };
}

Task<Result<std::unique_ptr<KvStore>>> OpenWatched(KvStoreFactory open, StoreWatchers watchers,
                                                   Runtime* runtime, std::string path) {
  Result<std::unique_ptr<KvStore>> store = co_await open(runtime, std::move(path));
  if (!store.ok()) {
    co_return store.status();
  }
  co_return co_await WatchStore(runtime, std::move(*store), std::move(watchers));
}

PageServerOptions OptionsFor(const RunSettings& settings, uint64_t size_percent, ServerRole role,
                             std::string address, std::vector<std::string> log_servers,
                             SimRocksdb* rocksdb, StoreWatchers watchers) {
  const auto sized = [size_percent](uint64_t size) {
    // 0: as the scenario says.
    return size_percent == 0 ? size : std::max<uint64_t>(size * size_percent / 100, 4096);
  };
  PageServerOptions options;
  options.role = role;
  options.data_dir = kServerDataDir;
  options.listen = std::move(address);
  if (role == ServerRole::kPage) {
    options.volumes.log_servers = std::move(log_servers);
  }
  options.open_store = [open = StoreFactory(rocksdb), watchers = std::move(watchers)](
                           Runtime* runtime, std::string path) {
    return OpenWatched(open, watchers, runtime, std::move(path));
  };
  options.page_cache_bytes = sized(settings.page_cache_bytes);
  options.volumes.log_segment_bytes = sized(settings.log_segment_bytes);
  options.volumes.log_tail_bytes = sized(settings.log_tail_bytes);
  options.volumes.page_batch_bytes = sized(settings.page_batch_bytes);
  options.volumes.page_flush_interval = Duration(settings.page_flush_ns);
  return options;
}

// Of a file of redo; 0: of anything else. By the bytes, not by the server's own code.
uint32_t VersionOfSegment(SimDisk* disk, const std::string& path) {
  constexpr size_t kVersionOffset = 8;
  const Result<InodeId> inode =
      path.ends_with(".redo") ? disk->Open(path, OpenMode::kRead) : NotFound(path);
  if (!inode.ok()) {
    return 0;
  }
  Bytes head(kVersionOffset + 4);
  const size_t count = disk->Read(*inode, 0, MutableByteView(head));
  disk->Close(*inode);
  return count == head.size() ? LoadBe32(head.data() + kVersionOffset) : 0;
}

}  // namespace

ServerProgram::ServerProgram(NodeIdentity self, Runtime* runtime, RunContext* context,
                             ServerRole role, std::string address)
    : runtime_(runtime),
      context_(context),
      node_(self.node),
      role_(role),
      address_(std::move(address)) {
  if (context->settings.rocksdb_store && role != ServerRole::kLog) {
    rocksdb_ = std::make_unique<SimRocksdb>(self, *runtime);
    runtime_ = rocksdb_->runtime();
  }
}

// What it has synced since somebody looked: the others may trim up to there.
ServerProgram::~ServerProgram() {
  const std::optional<LogVolumeStatus> log = LogOf(context_->settings.volume);
  if (log.has_value()) {
    context_->kept.Died(std::string(context_->world->NameOf(node_)), log->end);
  }
}

// The server and every volume of it.
Task<Status> ServerProgram::Start() {
  const auto configured = context_->size_percent.find(node_);
  const bool changed = configured != context_->size_percent.end();
  const uint64_t size_percent = changed ? configured->second : 0;
  std::vector<std::string> log_servers;
  for (const ServerPlace& place : context_->log_servers) {
    log_servers.push_back(place.address);
  }
  StoreWatchers watchers{&context_->StoreOf(node_), &context_->PositionOf(node_),
                         context_->settings.neighbour_interval_ns, [this] {
                           context_->world->Record(node_, TraceKind::kOperation, 0, 0,
                                                   "the page store is flushed");
                         }};
  if (context_->rotten_servers.contains(node_)) {
    watchers.content->Forget();
  }
  PageServerOptions options =
      OptionsFor(context_->settings, size_percent, role_, address_, std::move(log_servers),
                 rocksdb_.get(), std::move(watchers));
  if (context_->LogFormatOf(node_) != 0) {
    options.volumes.log_format = context_->LogFormatOf(node_);
  }
  cache_bytes_max_ = options.page_cache_bytes;
  server_ = std::make_unique<PageServer>(runtime_, std::move(options));
  const Status status = co_await server_->Start();
  up_ = status.ok();
  if (!up_) {
    co_return status.WithContext("the server cannot start");
  }
  if (!server_->page_role_failure().ok()) {
    co_return server_->page_role_failure();
  }
  for (const VolumeRegistry::Listed& listed : server_->volumes().List()) {
    if (!listed.volume.ok()) {
      co_return listed.volume.status().WithContext("volume " + listed.settings->name +
                                                   " cannot start");
    }
    const Status& pages = (*listed.volume)->pages_failure;
    if (!pages.ok()) {
      co_return pages.WithContext("the pages of volume " + listed.settings->name +
                                  " cannot be served");
    }
  }
  co_return Status::Ok();
}

Task<void> ServerProgram::Run() {
  const SimDisk& disk = context_->world->DiskOf(node_);
  while (true) {
    const uint64_t errors_before = disk.error_count();
    const Status status = co_await Start();
    if (status.ok()) {
      break;
    }
    runtime_->log->Error(status.ToString());
    if (IsRightlyRefused(status)) {
      runtime_->log->Info("the operator keeps the new version");
      context_->log_formats[node_] = 0;
      co_await server_->Stop();
      co_await runtime_->scheduler->Sleep(Duration(kRestartNs));
      continue;
    }
    const bool passes = status.code() == StatusCode::kNoSpace || disk.error_count() > errors_before;
    if (!passes) {
      // What is damaged stays; the rest of the server is up.
      if (!context_->damaged_servers.contains(node_)) {
        context_->findings.ReportLoss("C1", status.ToString());
      }
      break;
    }
    co_await server_->Stop();
    co_await runtime_->scheduler->Sleep(Duration(kRestartNs));
  }
  if (!up_) {
    co_return;  // until somebody replaces its disk
  }
  serving_ = true;
  CheckLogFormat();
  runtime_->log->Info("ready at " + server_->address());
}

// A downgrade after the new version has written its own files.
bool ServerProgram::IsRightlyRefused(const Status& status) const {
  return status.code() == StatusCode::kUnsupported && context_->LogFormatOf(node_) != 0 &&
         context_->ran_newest_format.contains(node_);
}

// A server that keeps to an older format has no file that is newer: an older server could start.
void ServerProgram::CheckLogFormat() {
  const uint32_t format = context_->LogFormatOf(node_);
  if (format == 0) {
    context_->ran_newest_format.insert(node_);
    return;
  }
  SimDisk& disk = context_->world->DiskOf(node_);
  const std::string logs = std::string(kServerDataDir) + "/log";
  const Result<std::vector<DirectoryEntry>> volumes = disk.List(logs);
  for (const DirectoryEntry& volume : volumes.ok() ? *volumes : std::vector<DirectoryEntry>()) {
    const std::string directory = logs + '/' + volume.name;
    const Result<std::vector<DirectoryEntry>> files = disk.List(directory);
    for (const DirectoryEntry& file : files.ok() ? *files : std::vector<DirectoryEntry>()) {
      const uint32_t version = VersionOfSegment(&disk, directory + '/' + file.name);
      if (version > format) {
        context_->findings.Report("C6", "a server that keeps to log format " +
                                            std::to_string(format) + " has " + file.name +
                                            " of version " + std::to_string(version));
      }
    }
  }
}

std::optional<LogVolumeStatus> ServerProgram::LogOf(const std::string& volume) const {
  if (server_ == nullptr || !serving_) {
    return std::nullopt;
  }
  const Result<VolumeRef> found = server_->volumes().FindByName(volume);
  if (!found.ok() || (*found)->log == nullptr) {
    return std::nullopt;
  }
  return (*found)->log->status();
}

std::optional<ServerProgram::PagesSaid> ServerProgram::PagesOf(const std::string& volume) const {
  if (server_ == nullptr || !serving_) {
    return std::nullopt;
  }
  const Result<VolumeRef> found = server_->volumes().FindByName(volume);
  if (!found.ok() || (*found)->pages == nullptr) {
    return std::nullopt;
  }
  return PagesSaid{(*found)->settings.id, (*found)->pages->status().persisted};
}

void ServerProgram::Describe(NodeState* state) const {
  if (server_ == nullptr || !serving_) {
    return;
  }
  state->role = role_ == ServerRole::kLog ? 'L' : role_ == ServerRole::kPage ? 'P' : 'A';
  const Result<VolumeRef> found = server_->volumes().FindByName(context_->settings.volume);
  if (!found.ok()) {
    return;
  }
  if ((*found)->log != nullptr) {
    const LogVolumeStatus log = (*found)->log->status();
    state->epoch = log.epoch.value();
    state->end_lsn = log.end.value();
    state->commit_lsn = log.commit.value();
  }
  if ((*found)->pages != nullptr) {
    const PageVolumeStatus pages = (*found)->pages->status();
    state->applied_lsn = pages.applied.value();
    state->persisted_lsn = pages.persisted.value();
  }
}

std::optional<ServerProgram::CacheUse> ServerProgram::CacheUsed() const {
  if (server_ == nullptr || !serving_ || role_ == ServerRole::kLog) {
    return std::nullopt;
  }
  return CacheUse{server_->cache().bytes(), cache_bytes_max_};
}

Task<void> ServerProgram::Stop() {
  serving_ = false;
  // Nobody sees what it syncs until it has stopped.
  context_->kept.Forget(std::string(context_->world->NameOf(node_)));
  if (server_ != nullptr) {
    co_await server_->Stop();
  }
}

}  // namespace redoubt::sim
