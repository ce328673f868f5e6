// SPDX-License-Identifier: MIT
#include "pageserver/server.h"

#include <charconv>
#include <utility>

#include "common/base/check.h"
#include "pageserver/log/durable_files.h"
#include "pageserver/log/reader_name.h"

namespace redoubt {
namespace {

constexpr char kFormatName[] = "FORMAT";
constexpr std::string_view kFormatPrefix = "redoubt-pageserver ";
constexpr uint32_t kFormatVersion = 1;
constexpr size_t kFormatBytesMax = 256;

// What may lie in a directory that is new to us.
bool MayPrecedeFormat(const std::string& name) {
  return name == "LOCK" || name == "FORMAT.tmp" || name == "lost+found";
}

Status CheckFormatText(std::string_view text, const std::string& path) {
  uint32_t version = 0;
  const std::string_view number = text.substr(std::min(text.size(), kFormatPrefix.size()));
  const auto read = std::from_chars(number.data(), number.data() + number.size(), version);
  if (!text.starts_with(kFormatPrefix) || read.ec != std::errc()) {
    return Corruption(path + " does not say which format the data directory has");
  }
  if (version != kFormatVersion) {
    return Unsupported("the data directory has format " + std::to_string(version) + " (" + path +
                       "), this server knows format " + std::to_string(kFormatVersion) +
                       ": use the version that wrote it, or a newer one");
  }
  return Status::Ok();
}

}  // namespace

PageServer::PageServer(Runtime* runtime, PageServerOptions options)
    : runtime_(runtime), options_(std::move(options)) {
  REDOUBT_CHECK(options_.role == ServerRole::kLog || options_.open_store != nullptr);
  REDOUBT_CHECK((options_.role == ServerRole::kPage) == !options_.volumes.log_servers.empty());
  options_.volumes.data_dir = options_.data_dir;
  options_.rpc.listen = options_.listen;
}

PageServer::~PageServer() = default;

Task<Status> PageServer::CheckFormat() {
  const Status created = co_await CreateDurableDirectories(runtime_->files, options_.data_dir);
  if (!created.ok()) {
    co_return created;
  }
  const std::string path = options_.data_dir + "/" + kFormatName;
  const Result<Bytes> bytes = co_await ReadWholeFile(runtime_->files, path, kFormatBytesMax);
  if (bytes.ok()) {
    co_return CheckFormatText(AsText(*bytes), path);
  }
  if (bytes.status().code() != StatusCode::kNotFound) {
    co_return bytes.status();
  }
  const Result<std::vector<DirectoryEntry>> entries =
      co_await runtime_->files->List(options_.data_dir);
  if (!entries.ok()) {
    co_return entries.status();
  }
  for (const DirectoryEntry& entry : *entries) {
    if (!MayPrecedeFormat(entry.name)) {
      co_return Unsupported("directory " + options_.data_dir + " holds " + entry.name + " and no " +
                            kFormatName +
                            " file: it is no data directory of a page server, and not empty");
    }
  }
  const std::string text = std::string(kFormatPrefix) + std::to_string(kFormatVersion) + "\n";
  Bytes content(text.begin(), text.end());
  std::string name = kFormatName;
  const Status written =
      co_await ReplaceFile(runtime_->files, options_.data_dir, std::move(name), std::move(content));
  co_return written;
}

Task<Status> PageServer::OpenStore() {
  std::string store_path = StorePath();
  Result<std::unique_ptr<KvStore>> store =
      co_await options_.open_store(runtime_, std::move(store_path));
  cache_ = std::make_unique<PageCache>(options_.page_cache_bytes);
  if (!store.ok()) {
    co_return LeavePagesOut(store.status());
  }
  store_ = std::move(*store);
  co_return Status::Ok();
}

Task<Status> PageServer::FindReaderName() {
  Result<std::string> name = co_await ReaderNameOf(runtime_, options_.data_dir);
  if (!name.ok()) {
    co_await CloseStore();
    co_return LeavePagesOut(name.status());
  }
  options_.volumes.reader_name = std::move(*name);
  co_return Status::Ok();
}

Status PageServer::LeavePagesOut(const Status& status) {
  // A full disk is no damage: with space the next start finds everything.
  if (status.code() != StatusCode::kCorruption && status.code() != StatusCode::kIoError) {
    return status;
  }
  const std::string what_to_do =
      options_.role == ServerRole::kPage
          ? "mend the disk and start this server again, or give it an empty data directory: it "
            "builds its pages anew"
          : "redo is taken and kept meanwhile; mend the disk and start this server again, or "
            "move " +
                StorePath() + " away first: pages are then built anew from the redo that is kept";
  options_.volumes.page_role_failure =
      Status(status.code(), "no pages are served: " + status.message() + "; " + what_to_do);
  runtime_->log->Error(options_.volumes.page_role_failure.ToString());
  return Status::Ok();
}

Task<Status> PageServer::Start() {
  REDOUBT_CHECK(registry_ == nullptr);
  Status status = co_await CheckFormat();
  if (!status.ok()) {
    co_return status;
  }
  if (options_.role != ServerRole::kLog) {
    status = co_await OpenStore();
    if (!status.ok()) {
      co_return status;
    }
  }
  status = co_await StartParts();
  if (!status.ok()) {
    co_await Stop();
  }
  co_return status;
}

Task<Status> PageServer::StartParts() {
  if (options_.role == ServerRole::kPage && store_ != nullptr) {
    const Status named = co_await FindReaderName();
    if (!named.ok()) {
      co_return named;
    }
  }
  registry_ =
      std::make_unique<VolumeRegistry>(runtime_, store_.get(), cache_.get(), options_.volumes);
  const Status started = co_await registry_->Start();
  if (!started.ok()) {
    co_return started;
  }
  dispatcher_ = std::make_unique<Dispatcher>(
      runtime_, registry_.get(),
      DispatcherRoles{options_.role != ServerRole::kPage, options_.role != ServerRole::kLog});
  rpc_ = std::make_unique<RpcServer>(runtime_, dispatcher_.get(), options_.rpc);
  dispatcher_->ShowCounters(&rpc_->counters());
  const Status serving = co_await rpc_->Start();
  co_return serving;
}

Task<void> PageServer::Stop() {
  // Connections first, so that nothing new comes; then the volumes, which ends waiting requests;
  // then what is left of them.
  if (rpc_ != nullptr) {
    rpc_->Close();
  }
  if (registry_ != nullptr) {
    co_await registry_->Stop();
  }
  if (rpc_ != nullptr) {
    co_await rpc_->Stop();
  }
  // Volumes refer to the store.
  rpc_ = nullptr;
  dispatcher_ = nullptr;
  registry_ = nullptr;
  co_await CloseStore();
}

Task<void> PageServer::CloseStore() {
  if (store_ == nullptr) {
    co_return;
  }
  const Status closed = co_await store_->Close();
  if (!closed.ok()) {
    runtime_->log->Error("closing the page store: " + closed.ToString());
  }
  store_ = nullptr;
}

}  // namespace redoubt
