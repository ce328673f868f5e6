// SPDX-License-Identifier: MIT
#include "sim/cluster/server_program.h"

#include <utility>

#include "pageserver/storage/memory_kv_store.h"

namespace redoubt::sim {
namespace {

PageServerOptions OptionsFor(const RunSettings& settings) {
  PageServerOptions options;
  options.data_dir = kServerDataDir;
  options.listen = settings.server_address;
  options.open_store = [](Runtime* runtime, std::string path) {
    return MemoryKvStore::Open(runtime, std::move(path));
  };
  options.page_cache_bytes = settings.page_cache_bytes;
  options.volumes.log_segment_bytes = settings.log_segment_bytes;
  options.volumes.log_tail_bytes = settings.log_tail_bytes;
  options.volumes.page_batch_bytes = settings.page_batch_bytes;
  return options;
}

}  // namespace

ServerProgram::ServerProgram(Runtime* runtime, RunContext* context)
    : runtime_(runtime), context_(context) {
  server_ = std::make_unique<PageServer>(runtime, OptionsFor(context->settings));
}

Task<void> ServerProgram::Run() {
  const Status status = co_await server_->Start();
  if (!status.ok()) {
    context_->findings.Report("C1", "the server cannot start: " + status.ToString());
    co_return;
  }
  for (const VolumeRegistry::Listed& volume : server_->volumes().List()) {
    if (!volume.failure.ok()) {
      context_->findings.Report(
          "C1", "volume " + volume.settings->name + " cannot start: " + volume.failure.ToString());
    }
  }
  runtime_->log->Info("ready at " + server_->address());
}

}  // namespace redoubt::sim
