// SPDX-License-Identifier: MIT
//
// The `pageserver` program: flags -> world and stores -> PageServer.
//
// Exit codes: 0 stopped by a signal, 1 cannot serve (address, damaged data, disk), 2 wrong command
// line, 3 the data directory cannot be used (missing rights, in use, other format).
#include <malloc.h>
#include <sys/resource.h>

#include <CLI/CLI.hpp>
#include <cstdio>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "common/runtime/asio/asio_world.h"
#include "pageserver/data_dir_lock.h"
#include "pageserver/server.h"
#include "pageserver/storage/rocksdb_kv_store.h"

namespace redoubt {
namespace {

constexpr int kExitCannotServe = 1;
constexpr int kExitUsage = 2;
constexpr int kExitDataDir = 3;

struct Flags {
  std::string data_dir;
  std::string listen;
  std::string role = "all";
  std::vector<std::string> log_servers;
  uint64_t cache_bytes = uint64_t{512} << 20;
  uint64_t log_lag_bytes = VolumeRegistryOptions().log_lag_bytes_max;
  uint32_t log_format = VolumeRegistryOptions().log_format;
  std::string log_level = "info";
};

// --cache-bytes is one number for the operator: most of it holds page images ready to be sent, the
// rest RocksDB's blocks.
constexpr uint64_t kBlockCacheShare = 8;
constexpr uint64_t kBlockCacheBytesMin = 8 << 20;

Task<Result<std::unique_ptr<KvStore>>> OpenRocksdb(Runtime* runtime, std::string path,
                                                   size_t block_cache_bytes) {
  RocksdbKvStoreOptions options;
  options.block_cache_bytes = block_cache_bytes;
  return RocksdbKvStore::Open(runtime, std::move(path), options);
}

int ExitCodeOf(const Status& status) {
  switch (status.code()) {
    case StatusCode::kUnsupported:
    case StatusCode::kUnavailable:
      return kExitDataDir;
    default:
      return kExitCannotServe;
  }
}

void PrintError(const Status& status) {
  std::fprintf(stderr, "pageserver: %s\n", status.ToString().c_str());
}

ServerRole RoleOf(const std::string& name) {
  if (name == "log") {
    return ServerRole::kLog;
  }
  return name == "page" ? ServerRole::kPage : ServerRole::kAll;
}

// The roles are known, and each has what it needs.
Status CheckRole(const Flags& flags) {
  if (flags.role != "all" && flags.role != "log" && flags.role != "page") {
    return InvalidArgument("unknown role \"" + flags.role +
                           "\", use --role all, --role log or --role page");
  }
  if (flags.role == "page" && flags.log_servers.empty()) {
    return InvalidArgument("--role page needs --log-servers HOST:PORT,... to get redo from");
  }
  if (flags.role != "page" && !flags.log_servers.empty()) {
    return InvalidArgument("--log-servers goes with --role page: role " + flags.role +
                           " has a log of its own");
  }
  return Status::Ok();
}

Task<int> Serve(Runtime* runtime, Event* stop_requested, Flags flags) {
  PageServerOptions options;
  options.role = RoleOf(flags.role);
  options.volumes.log_servers = flags.log_servers;
  options.volumes.log_lag_bytes_max = flags.log_lag_bytes;
  options.volumes.log_format = flags.log_format;
  options.data_dir = flags.data_dir;
  options.listen = flags.listen;
  const size_t block_cache_bytes =
      std::max(kBlockCacheBytesMin, flags.cache_bytes / kBlockCacheShare);
  options.page_cache_bytes =
      flags.cache_bytes > block_cache_bytes ? flags.cache_bytes - block_cache_bytes : 0;
  options.open_store = [block_cache_bytes](Runtime* r, std::string path) {
    return OpenRocksdb(r, std::move(path), block_cache_bytes);
  };
  PageServer server(runtime, std::move(options));
  const Status started = co_await server.Start();
  if (!started.ok()) {
    PrintError(started);
    co_return ExitCodeOf(started);
  }
  std::printf("pageserver ready on %s, data in %s\n", server.address().c_str(),
              flags.data_dir.c_str());
  std::fflush(stdout);
  co_await stop_requested->Wait();
  runtime->log->Info("stopping");
  co_await server.Stop();
  runtime->log->Info("stopped");
  co_return 0;
}

Result<LogLevel> ParseLogLevel(const std::string& name) {
  for (const LogLevel level :
       {LogLevel::kDebug, LogLevel::kInfo, LogLevel::kWarning, LogLevel::kError}) {
    if (LogLevelName(level) == name) {
      return level;
    }
  }
  return InvalidArgument("log level " + name + ": debug, info, warning, error are known");
}

// Every connection and many RocksDB files need a descriptor.
void RaiseDescriptorLimit() {
  rlimit limit{};
  if (getrlimit(RLIMIT_NOFILE, &limit) == 0 && limit.rlim_cur < limit.rlim_max) {
    limit.rlim_cur = limit.rlim_max;
    setrlimit(RLIMIT_NOFILE, &limit);
  }
}

// Batches, chunks and answers of some MiB come and go on many threads. What is freed of them should
// go back to the system instead of lying in an arena per thread: that was as much again as what is
// in use. Setting a threshold also keeps glibc from raising it by itself.
void TuneMalloc() {
  mallopt(M_ARENA_MAX, 2);
  mallopt(M_MMAP_THRESHOLD, 256 << 10);
  mallopt(M_TRIM_THRESHOLD, 4 << 20);
}

int Main(int argc, char** argv) {
  Flags flags;
  CLI::App app("Redoubt page server: keeps every version of every InnoDB page");
  app.add_option("--data-dir", flags.data_dir, "Directory for all that is kept")->required();
  app.add_option("--listen", flags.listen, "HOST:PORT to serve on; port 0 takes any free one")
      ->required();
  app.add_option("--role", flags.role,
                 "all; log: redo only; page: pages only, redo comes from --log-servers")
      ->capture_default_str();
  app.add_option("--log-servers", flags.log_servers,
                 "HOST:PORT,... of all log servers of the volumes, with --role page")
      ->delimiter(',');
  app.add_option("--cache-bytes", flags.cache_bytes,
                 "Memory for page images and blocks; accepts suffixes such as 512MiB")
      ->transform(CLI::AsSizeValue(false))
      ->capture_default_str();
  app.add_option(
         "--log-lag-bytes", flags.log_lag_bytes,
         "Redo of a volume kept at most for another log server that lags behind or is away; "
         "accepts suffixes such as 4GiB")
      ->transform(CLI::AsSizeValue(false))
      ->capture_default_str();
  app.add_option(
         "--log-format", flags.log_format,
         "Format of the redo files that are written. An older one keeps the way back to an "
         "older server open, during a rolling upgrade; it is refused once newer files exist")
      ->check(CLI::Range(kSegmentVersionOldest, kSegmentVersion))
      ->capture_default_str();
  app.add_option("--log-level", flags.log_level, "debug, info, warning or error")
      ->capture_default_str();
  app.set_config("--config", "", "Read options from a TOML or INI file; the command line wins");
  try {
    app.parse(argc, argv);
  } catch (const CLI::ParseError& error) {
    return app.exit(error) == 0 ? 0 : kExitUsage;
  }
  const Status role = CheckRole(flags);
  if (!role.ok()) {
    PrintError(role);
    return kExitUsage;
  }
  const Result<LogLevel> log_level = ParseLogLevel(flags.log_level);
  if (!log_level.ok()) {
    PrintError(log_level.status());
    return kExitUsage;
  }
  const Result<DataDirLock> lock = DataDirLock::Acquire(flags.data_dir);
  if (!lock.ok()) {
    PrintError(lock.status());
    return kExitDataDir;
  }
  RaiseDescriptorLimit();
  AsioWorldOptions world_options;
  world_options.log_level_min = *log_level;
  AsioWorld world(world_options);
  return world.Run(Serve(&world.runtime(), &world.stop_requested(), std::move(flags)));
}

}  // namespace
}  // namespace redoubt

int main(int argc, char** argv) {
  redoubt::TuneMalloc();  // before anything is allocated
  return redoubt::Main(argc, argv);
}
