// SPDX-License-Identifier: MIT
#include "pageserver/volume_registry.h"

#include <algorithm>
#include <utility>

#include "common/base/check.h"
#include "pageserver/log/durable_files.h"
#include "pageserver/log/remote_volume.h"
#include "pageserver/storage/keys.h"

namespace redoubt {
namespace {

constexpr char kCatalogName[] = "volumes";
constexpr size_t kCatalogBytesMax = 16 << 20;
constexpr size_t kSourceIdCharsMax = 256;
constexpr Duration kLookUpTimeout = std::chrono::seconds(5);

std::string Label(const VolumeSettings& settings) { return "volume " + settings.name; }

}  // namespace

VolumeRegistry::VolumeRegistry(Runtime* runtime, KvStore* store, PageCache* cache,
                               VolumeRegistryOptions options)
    : runtime_(runtime),
      store_(store),
      cache_(cache),
      options_(std::move(options)),
      changing_(runtime->scheduler, 1) {}

VolumeRegistry::~VolumeRegistry() = default;

std::string VolumeRegistry::LogDirectory(VolumeId id) const {
  return options_.data_dir + "/log/" + std::to_string(id.value());
}

Task<Status> VolumeRegistry::Start() {
  const Status read = co_await ReadCatalog();
  if (!read.ok()) {
    co_return read;
  }
  const Status finished = co_await FinishDeletions();
  if (!finished.ok()) {
    co_return finished;
  }
  // Nothing adds or removes slots before Start has returned.
  for (auto& [id, slot] : slots_) {
    if (slot.deleting) {
      continue;
    }
    slot.failure = co_await StartVolume(&slot);
    if (!slot.failure.ok()) {
      runtime_->log->Error(Label(slot.volume->settings) +
                           " cannot be served: " + slot.failure.ToString());
    }
  }
  co_return Status::Ok();
}

// What was being deleted when the server ended.
Task<Status> VolumeRegistry::FinishDeletions() {
  std::vector<VolumeId> deleting;
  for (const auto& [id, slot] : slots_) {
    if (slot.deleting) {
      deleting.push_back(id);
    }
  }
  bool changed = false;
  for (const VolumeId id : deleting) {
    const Status removed = co_await RemoveData(id);
    if (removed.ok()) {
      slots_.erase(id);
      changed = true;
      continue;
    }
    Slot& slot = slots_.at(id);
    slot.failure = removed.WithContext(Label(slot.volume->settings) + " is being deleted");
    runtime_->log->Error("the deletion cannot be finished, the next start tries again: " +
                         slot.failure.ToString());
  }
  if (!changed) {
    co_return Status::Ok();
  }
  const Status written = co_await WriteCatalog();
  co_return written;
}

Task<void> VolumeRegistry::Stop() {
  stopping_ = true;
  co_await changing_.Acquire(1);
  for (auto& [id, slot] : slots_) {
    co_await StopVolume(slot.volume.get());
  }
  changing_.Release(1);
}

Task<Status> VolumeRegistry::ReadCatalog() {
  const std::string path = options_.data_dir + "/" + kCatalogName;
  const Result<Bytes> bytes = co_await ReadWholeFile(runtime_->files, path, kCatalogBytesMax);
  if (bytes.status().code() == StatusCode::kNotFound) {
    co_return Status::Ok();
  }
  if (!bytes.ok()) {
    co_return bytes.status();
  }
  Result<VolumeCatalog> catalog = DecodeCatalog(*bytes);
  if (!catalog.ok()) {
    co_return Status(catalog.status().code(),
                     "volume list " + path + ": " + catalog.status().message() +
                         ": without it no volume is known; put a copy of it in its place, or give "
                         "this server an empty data directory if others have its redo");
  }
  next_id_ = catalog->next_id;
  for (CatalogEntry& entry : catalog->entries) {
    Slot& slot = slots_[entry.settings.id];
    slot.deleting = entry.deleting;
    slot.volume = std::make_unique<Volume>(runtime_->scheduler, std::move(entry.settings));
  }
  co_return Status::Ok();
}

Task<Status> VolumeRegistry::WriteCatalog() {
  VolumeCatalog catalog;
  catalog.next_id = next_id_;
  for (const auto& [id, slot] : slots_) {
    catalog.entries.push_back({slot.volume->settings, slot.deleting});
  }
  Bytes bytes = EncodeCatalog(catalog);
  std::string name = kCatalogName;
  const Status written =
      co_await ReplaceFile(runtime_->files, options_.data_dir, std::move(name), std::move(bytes));
  co_return written;
}

Task<Status> VolumeRegistry::StartVolume(Slot* slot) {
  Volume* volume = slot->volume.get();
  Status started;
  if (has_log_role()) {
    started = co_await StartLog(volume);
  } else {
    started = co_await StartFeed(volume);
  }
  co_return started.WithContext(Label(volume->settings));
}

Task<Status> VolumeRegistry::StartLog(Volume* volume) {
  LogVolumeOptions log_options;
  log_options.store.directory = LogDirectory(volume->settings.id);
  log_options.store.volume = volume->settings.id;
  log_options.store.volume_uid = volume->settings.uid;
  log_options.store.segment_bytes_max = options_.log_segment_bytes;
  log_options.store.format_version = options_.log_format;
  log_options.store.space_ahead_bytes =
      std::min(log_options.store.space_ahead_bytes, options_.log_segment_bytes / 8);
  log_options.tail_bytes_max = options_.log_tail_bytes;
  log_options.lag_bytes_max = options_.log_lag_bytes_max;
  log_options.has_page_role = has_page_role();
  auto log = std::make_unique<LogVolume>(runtime_, std::move(log_options));
  const Status log_started = co_await log->Start();
  if (!log_started.ok()) {
    co_return log_started;
  }
  const Status agrees = co_await StartPagesBeside(volume, log.get());
  if (!agrees.ok()) {
    co_await log->Stop();
    co_return agrees;
  }
  volume->log = std::move(log);
  co_return Status::Ok();
}

// Pages that cannot be served do not keep the log from being served. Until they can, it knows of no
// redo that they hold, so it trims nothing. An error: what the pages hold shows that the log is
// damaged.
Task<Status> VolumeRegistry::StartPagesBeside(Volume* volume, LogVolume* log) {
  if (!has_page_role()) {
    co_return Status::Ok();
  }
  const Status pages_started = co_await StartPages(volume, log);
  if (!pages_started.ok()) {
    volume->pages_failure = pages_started.WithContext(Label(volume->settings));
    runtime_->log->Error("a log is served without its pages: " + volume->pages_failure.ToString());
    co_return Status::Ok();
  }
  const Lsn persisted = volume->pages->status().persisted;
  const Lsn log_end = log->status().end;
  if (persisted > log_end) {
    co_await volume->pages->Stop();
    volume->pages = nullptr;
    co_return Corruption("the pages hold redo up to LSN " + std::to_string(persisted.value()) +
                         ", yet the log ends at LSN " + std::to_string(log_end.value()) +
                         ": acknowledged redo was lost from " + LogDirectory(volume->settings.id));
  }
  log->NoteCommitted(persisted);
  co_return Status::Ok();
}

Task<Status> VolumeRegistry::StartFeed(Volume* volume) {
  if (store_ == nullptr) {
    co_return options_.page_role_failure;
  }
  RemoteFeedOptions feed_options;
  feed_options.log_servers = options_.log_servers;
  feed_options.volume = {volume->settings.name, volume->settings.uid, options_.reader_name};
  auto feed = std::make_unique<RemoteFeed>(runtime_, std::move(feed_options));
  const Status pages_started = co_await StartPages(volume, feed.get());
  if (!pages_started.ok()) {
    co_await feed->Stop();
    co_return pages_started;
  }
  volume->feed = std::move(feed);
  co_return Status::Ok();
}

Task<Status> VolumeRegistry::StartPages(Volume* volume, RedoFeed* feed) {
  if (store_ == nullptr) {
    co_return options_.page_role_failure;
  }
  PageVolumeOptions page_options;
  page_options.volume = volume->settings.id;
  page_options.page_size = volume->settings.page_size;
  page_options.batch_bytes = options_.page_batch_bytes;
  page_options.flush_interval = options_.page_flush_interval;
  auto pages =
      std::make_unique<PageVolume>(runtime_, store_, cache_, feed, std::move(page_options));
  const Status pages_started = co_await pages->Start();
  if (pages_started.ok()) {
    volume->pages = std::move(pages);
  }
  co_return pages_started;
}

// Pages first: they pull from the log, and what they still hold in memory is written.
Task<void> VolumeRegistry::StopVolume(Volume* volume) {
  if (volume->feed != nullptr) {
    volume->feed->Shutdown();
  }
  if (volume->pages != nullptr) {
    co_await volume->pages->Stop();
  }
  if (volume->feed != nullptr) {
    co_await volume->feed->Stop();
  }
  if (volume->log != nullptr) {
    co_await volume->log->Stop();
  }
}

Status VolumeRegistry::CheckNew(const NewVolume& wanted) const {
  REDOUBT_RETURN_IF_ERROR(CheckVolumeName(wanted.name));
  REDOUBT_RETURN_IF_ERROR(CheckPageSize(wanted.page_size));
  if (wanted.source_id.size() > kSourceIdCharsMax) {
    return InvalidArgument("source id of " + std::to_string(wanted.source_id.size()) +
                           " characters, at most " + std::to_string(kSourceIdCharsMax) +
                           " are kept");
  }
  for (const auto& [id, slot] : slots_) {
    const VolumeSettings& there = slot.volume->settings;
    const bool same_uid = there.uid == wanted.uid;
    if (there.name != wanted.name && wanted.uid != 0 && same_uid) {
      return InvalidArgument("volume " + there.name + " has the uid that was given for volume " +
                             wanted.name);
    }
    if (there.name != wanted.name) {
      continue;
    }
    if (wanted.uid != 0 && (!same_uid || there.page_size != wanted.page_size)) {
      return InvalidArgument("volume " + wanted.name +
                             " exists with another uid or page size: it is no replica of the one "
                             "that is wanted; delete it first if it is not needed");
    }
    return {StatusCode::kAlreadyExists, "volume " + wanted.name + " exists"};
  }
  if (slots_.size() >= options_.volumes_max) {
    return ResourceExhausted("there are " + std::to_string(slots_.size()) +
                             " volumes, no more are allowed");
  }
  return Status::Ok();
}

Task<Status> VolumeRegistry::AskLogServers(NewVolume* wanted) {
  REDOUBT_CO_RETURN_IF_ERROR(CheckVolumeName(wanted->name));
  std::vector<std::string> log_servers = options_.log_servers;
  std::string name = wanted->name;
  Result<RemoteVolumeInfo> info =
      co_await LookUpVolume(runtime_, std::move(log_servers), std::move(name),
                            runtime_->scheduler->Now() + kLookUpTimeout);
  if (!info.ok()) {
    co_return info.status();
  }
  if ((wanted->uid != 0 && wanted->uid != info->uid) ||
      (wanted->page_size != 0 && wanted->page_size != info->page_size)) {
    co_return InvalidArgument("the log servers hold volume " + wanted->name +
                              " with another uid or page size than the one that is wanted");
  }
  wanted->uid = info->uid;
  wanted->page_size = info->page_size;
  wanted->source_id = std::move(info->source_id);
  co_return Status::Ok();
}

Task<Result<VolumeId>> VolumeRegistry::Create(NewVolume wanted) {
  if (!has_log_role()) {
    const Status asked = co_await AskLogServers(&wanted);
    if (!asked.ok()) {
      co_return asked;
    }
  }
  co_await changing_.Acquire(1);
  const VolumeId id(next_id_);
  Status status = stopping_ ? Unavailable("the server is stopping") : CheckNew(wanted);
  if (status.ok()) {
    VolumeSettings settings;
    settings.id = id;
    settings.uid = wanted.uid != 0 ? wanted.uid : runtime_->random->Next();
    settings.page_size = wanted.page_size;
    settings.name = std::move(wanted.name);
    settings.source_id = std::move(wanted.source_id);
    ++next_id_;
    Slot& slot = slots_[id];
    slot.failure = Unavailable("the volume is being created");
    slot.volume = std::make_unique<Volume>(runtime_->scheduler, std::move(settings));
    status = co_await WriteCatalog();
    if (status.ok()) {
      status = co_await StartVolume(&slot);
      slot.failure = status;
    } else {
      slots_.erase(id);
    }
  }
  changing_.Release(1);
  if (!status.ok()) {
    co_return status;
  }
  co_return id;
}

Task<Status> VolumeRegistry::Delete(std::string name) {
  co_await changing_.Acquire(1);
  const auto found = std::find_if(slots_.begin(), slots_.end(), [&](const auto& entry) {
    return entry.second.volume->settings.name == name;
  });
  Status status;
  if (stopping_) {
    status = Unavailable("the server is stopping");
  } else if (found == slots_.end()) {
    status = NotFound("no volume " + name);
  } else if (!options_.page_role_failure.ok()) {
    status = options_.page_role_failure.WithContext("volume " + name + " cannot be deleted");
  } else {
    // std::map: the slot stays where it is, and only Delete erases.
    Slot& slot = found->second;
    const VolumeId id = found->first;
    slot.deleting = true;
    slot.failure = NotFound("volume " + name + " is being deleted");
    status = co_await WriteCatalog();
    if (status.ok()) {
      Volume& volume = *slot.volume;
      if (volume.feed != nullptr) {
        co_await volume.feed->Leave();
      }
      co_await StopVolume(&volume);
      while (volume.use_count > 0) {
        co_await volume.unused.Wait();
      }
      volume.pages = nullptr;
      volume.feed = nullptr;
      volume.log = nullptr;
      status = co_await RemoveData(id);
    }
    if (status.ok()) {
      slots_.erase(id);
      status = co_await WriteCatalog();
    }
  }
  changing_.Release(1);
  co_return status;
}

Task<Status> VolumeRegistry::RemoveData(VolumeId id) {
  if (has_page_role()) {
    const Status pages_removed = co_await RemovePages(id);
    if (!pages_removed.ok()) {
      co_return pages_removed;
    }
  }
  const Status removed = co_await RemoveLogDirectory(id);
  co_return removed;
}

Task<Status> VolumeRegistry::RemovePages(VolumeId id) {
  if (store_ == nullptr) {
    co_return options_.page_role_failure;
  }
  cache_->RemoveVolume(id);
  const std::string begin = VolumePrefix(id);
  const std::string end = PrefixEnd(begin);
  KvBatch batch;
  for (const KvFamily family :
       {KvFamily::kDelta, KvFamily::kImage, KvFamily::kSpace, KvFamily::kMeta}) {
    batch.DeleteRange(family, begin, end);
  }
  const Status deleted = co_await store_->Write(std::move(batch));
  if (!deleted.ok()) {
    co_return deleted;
  }
  const Status flushed = co_await store_->Flush();
  co_return flushed;
}

Task<Status> VolumeRegistry::RemoveLogDirectory(VolumeId id) {
  const std::string directory = LogDirectory(id);
  const Result<std::vector<DirectoryEntry>> entries = co_await runtime_->files->List(directory);
  if (entries.status().code() == StatusCode::kNotFound) {
    co_return Status::Ok();
  }
  if (!entries.ok()) {
    co_return entries.status();
  }
  for (const DirectoryEntry& entry : *entries) {
    const std::string path = directory + "/" + entry.name;
    const Status removed = co_await runtime_->files->Remove(path);
    if (!removed.ok()) {
      co_return removed;
    }
  }
  const Status removed = co_await runtime_->files->Remove(directory);
  if (!removed.ok()) {
    co_return removed;
  }
  const std::string parent = options_.data_dir + "/log";
  const Status synced = co_await runtime_->files->SyncDirectory(parent);
  co_return synced;
}

Result<VolumeRef> VolumeRegistry::Use(Slot* slot) {
  if (stopping_) {
    return Unavailable("the server is stopping");
  }
  if (!slot->failure.ok()) {
    return slot->failure;
  }
  return VolumeRef(slot->volume.get());
}

Result<VolumeRef> VolumeRegistry::UseForRequest(Slot* slot) {
  Result<VolumeRef> volume = Use(slot);
  if (!volume.ok()) {
    return slot->volume->refused.NotedUnserved(volume.status());
  }
  return volume;
}

Result<VolumeRef> VolumeRegistry::Find(VolumeId id) {
  const auto found = slots_.find(id);
  if (found == slots_.end()) {
    ++unknown_count_;
    return NotFound("no volume with number " + std::to_string(id.value()));
  }
  return UseForRequest(&found->second);
}

Result<VolumeRef> VolumeRegistry::FindByName(const std::string& name) {
  for (auto& [id, slot] : slots_) {
    if (slot.volume->settings.name == name) {
      return UseForRequest(&slot);
    }
  }
  ++unknown_count_;
  return NotFound("no volume " + name);
}

std::vector<VolumeRegistry::Listed> VolumeRegistry::List() {
  std::vector<Listed> listed;
  for (auto& [id, slot] : slots_) {
    listed.push_back({&slot.volume->settings, &slot.volume->refused, Use(&slot)});
  }
  return listed;
}

}  // namespace redoubt
