// SPDX-License-Identifier: MIT
//
// The volumes of a server: creates, finds, deletes them, and starts and stops them all.
//
//   <data dir>/volumes            the catalog
//   <data dir>/log/<volume id>/   redo segments and epoch file of a volume
//   the ordered store             page history of all volumes, keys beginning with the volume id
//
// Invariants: names are unique; ids are never used again; a volume in the catalog without
// `deleting` is started. Crash: a volume exists when Create returned OK, and is gone for good when
// Delete did; in between either, finished at the next Start. Suspends: Start, Stop, Create, Delete.
#pragma once

#include <map>
#include <memory>
#include <string>

#include "common/base/result.h"
#include "common/runtime/runtime.h"
#include "common/runtime/sync.h"
#include "pageserver/page/page_cache.h"
#include "pageserver/storage/kv_store.h"
#include "pageserver/volume.h"
#include "pageserver/volume_catalog.h"

namespace redoubt {

struct VolumeRegistryOptions {
  std::string data_dir;
  size_t volumes_max = 256;
  uint64_t log_segment_bytes = 64 << 20;
  // Format of redo segments; an older one for as long as an older server may have to take over.
  uint32_t log_format = kSegmentVersion;
  size_t log_tail_bytes = 32 << 20;
  // Redo that only a log server which lags behind or is away still wants is kept up to so much.
  uint64_t log_lag_bytes_max = LogVolumeOptions().lag_bytes_max;
  size_t page_batch_bytes = 8 << 20;
  Duration page_flush_interval = PageVolumeOptions().flush_interval;
  // Not empty: this server has no log role. All log servers of its volumes, "host:port", and the
  // name under which it reads from them.
  std::vector<std::string> log_servers;
  std::string reader_name;
  // Not OK: there is a page role, but it cannot serve any volume (damaged page store), and there is
  // no store. Logs are served; of volumes and requests that need pages this is the answer.
  Status page_role_failure;
};

struct NewVolume {
  std::string name;
  uint32_t page_size = 16384;  // 0, without a log role: as the log servers have it
  std::string source_id;
  // 0: drawn here, or without a log role asked of the log servers. The volume's replicas on several
  // servers have the same one.
  uint64_t uid = 0;
};

class VolumeRegistry {
 public:
  // `store` and `cache` outlive the registry. Without a store, and without a page_role_failure,
  // this server has no page role: its volumes have a log and no pages. With log servers in
  // `options` they have pages and no log.
  VolumeRegistry(Runtime* runtime, KvStore* store, PageCache* cache, VolumeRegistryOptions options);
  VolumeRegistry(const VolumeRegistry&) = delete;
  VolumeRegistry& operator=(const VolumeRegistry&) = delete;
  ~VolumeRegistry();

  // Reads the catalog, finishes deletions, starts every volume. A volume that cannot be started
  // (damaged log, say) does not keep the others from starting: it is listed, and answers with why.
  // Nor do damaged pages keep the volume's log from being served, nor does a deletion that cannot
  // be finished keep anything: it is tried again at the next start.
  Task<Status> Start();
  // Stops every volume; what pages hold in memory is written.
  Task<void> Stop();

  // kAlreadyExists (also when it is the very same, uid and all), kInvalidArgument (name, page size,
  // a uid that is not the one of the volume that exists), kResourceExhausted (too many), disk
  // errors. Without a log role also those of LookUpVolume, and kInvalidArgument when uid or page
  // size are not what the log servers have.
  Task<Result<VolumeId>> Create(NewVolume wanted);
  // kNotFound; kUnavailable while another change is under way. Returns when everything is removed.
  // Refused while there is a page_role_failure: the volume's pages would stay.
  Task<Status> Delete(std::string name);

  // For a request. kNotFound; or why the volume could not be started, which is counted there.
  Result<VolumeRef> Find(VolumeId id);
  Result<VolumeRef> FindByName(const std::string& name);
  // How often Find or FindByName found none.
  uint64_t unknown_count() const { return unknown_count_; }
  struct Listed {
    const VolumeSettings* settings;
    const RefusedRequests* refused;
    Result<VolumeRef> volume;  // or why it cannot be served
  };
  // Every volume, ascending by id.
  std::vector<Listed> List();

 private:
  struct Slot {
    std::unique_ptr<Volume> volume;
    Status failure;  // not OK: not started
    bool deleting = false;
  };

  Task<Status> ReadCatalog();
  Task<Status> FinishDeletions();
  Task<Status> WriteCatalog();
  Task<Status> StartVolume(Slot* slot);
  Task<Status> StartLog(Volume* volume);
  Task<Status> StartPagesBeside(Volume* volume, LogVolume* log);
  Task<Status> StartFeed(Volume* volume);
  Task<Status> StartPages(Volume* volume, RedoFeed* feed);
  static Task<void> StopVolume(Volume* volume);
  // Fills in what the log servers know of the volume.
  Task<Status> AskLogServers(NewVolume* wanted);
  Status CheckNew(const NewVolume& wanted) const;
  Task<Status> RemovePages(VolumeId id);
  Task<Status> RemoveData(VolumeId id);
  Task<Status> RemoveLogDirectory(VolumeId id);
  Result<VolumeRef> Use(Slot* slot);
  Result<VolumeRef> UseForRequest(Slot* slot);
  std::string LogDirectory(VolumeId id) const;
  bool has_log_role() const { return options_.log_servers.empty(); }
  bool has_page_role() const { return store_ != nullptr || !options_.page_role_failure.ok(); }

  Runtime* runtime_;
  KvStore* store_;
  PageCache* cache_;
  VolumeRegistryOptions options_;
  uint32_t next_id_ = 1;
  uint64_t unknown_count_ = 0;
  std::map<VolumeId, Slot> slots_;
  // One change of the catalog at a time.
  Semaphore changing_;
  bool stopping_ = false;
};

}  // namespace redoubt
