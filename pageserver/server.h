// SPDX-License-Identifier: MIT
//
// A page server: log, pages, or both, of all its volumes behind one address. Runs in production and
// in the simulator alike; what differs is in Runtime and in the store factory.
//
//   <data dir>/FORMAT    "redoubt-pageserver <version>"
//   <data dir>/volumes, log/   see volume_registry.h
//   <data dir>/pages/    the ordered store
//   <data dir>/reader    only without a log role: see log/reader_name.h
//
// Crash: as the registry, the logs and the store promise. Suspends: Start, Stop.
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <string>

#include "common/base/result.h"
#include "common/runtime/runtime.h"
#include "pageserver/page/page_cache.h"
#include "pageserver/rpc/dispatcher.h"
#include "pageserver/rpc/rpc_server.h"
#include "pageserver/storage/kv_store.h"
#include "pageserver/volume_registry.h"

namespace redoubt {

// Opens or creates the store in directory `path` (RocksdbKvStore::Open, MemoryKvStore::Open).
using KvStoreFactory =
    std::function<Task<Result<std::unique_ptr<KvStore>>>(Runtime* runtime, std::string path)>;

enum class ServerRole : uint8_t {
  kAll,   // log and pages
  kLog,   // redo only: there is no ordered store, and page requests are refused
  kPage,  // pages only: redo comes from the log servers of `volumes`, and log requests are refused
};

struct PageServerOptions {
  ServerRole role = ServerRole::kAll;
  std::string data_dir;
  std::string listen;         // "host:port"; port 0 takes any
  KvStoreFactory open_store;  // not used with kLog
  size_t page_cache_bytes = 128 << 20;
  VolumeRegistryOptions volumes;  // data_dir is filled in here
  RpcServerOptions rpc;           // listen is filled in here
};

class PageServer {
 public:
  PageServer(Runtime* runtime, PageServerOptions options);
  PageServer(const PageServer&) = delete;
  PageServer& operator=(const PageServer&) = delete;
  // Stop must have returned, unless the whole node is being destroyed.
  ~PageServer();

  // Recovers and serves. What is damaged is named, in the log and to whoever asks for it, and the
  // rest is served: a volume whose redo cannot be read, the page role when its store cannot be.
  // After an error nothing runs; the object can only be destroyed.
  // kUnsupported: the directory has a newer format or is not ours. kIoError: it cannot be used, or
  // the address cannot be bound. kCorruption: the volume list. kNoSpace: no room to begin with.
  Task<Status> Start();
  // Closes connections, writes what is in memory, closes the store. Idempotent.
  Task<void> Stop();

  // Where clients connect to; after Start.
  std::string address() const { return rpc_->address(); }
  VolumeRegistry& volumes() { return *registry_; }
  // Not OK: the page role serves nothing, since its store cannot be opened.
  const Status& page_role_failure() const { return options_.volumes.page_role_failure; }
  const RpcServer& rpc() const { return *rpc_; }
  // Requires a page role.
  const PageCache& cache() const { return *cache_; }

 private:
  std::string StorePath() const { return options_.data_dir + "/pages"; }
  Task<Status> CheckFormat();
  Task<Status> OpenStore();
  Task<Status> FindReaderName();
  // OK when the page role alone is down for `status`: noted as its failure, with what to do.
  Status LeavePagesOut(const Status& status);
  Task<Status> StartParts();
  Task<void> CloseStore();

  Runtime* runtime_;
  PageServerOptions options_;
  std::unique_ptr<KvStore> store_;
  std::unique_ptr<PageCache> cache_;
  std::unique_ptr<VolumeRegistry> registry_;
  std::unique_ptr<Dispatcher> dispatcher_;
  std::unique_ptr<RpcServer> rpc_;
};

}  // namespace redoubt
