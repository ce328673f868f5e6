// SPDX-License-Identifier: MIT
//
// The load of tests/integration/cluster_test.py: a database server's client side on real processes,
// with the simulator's model as the truth and its checkers as the judges.
//
//   cluster_load create   the volume on all servers
//   cluster_load run      writes and reads until SIGTERM; may be killed and started again, and
//                         taken over by another one
//   cluster_load check    the last writer: compares everything, prints the verdict
//
// Exit codes of run: 0 stopped, 3 fenced by a newer writer. Of check: 0 pass, 10 safety, 11
// liveness, 14 too little was done.
#include <CLI/CLI.hpp>
#include <cstdio>
#include <memory>
#include <utility>

#include "common/runtime/asio/asio_world.h"
#include "common/runtime/task_group.h"
#include "tests/cluster/cluster_reader.h"
#include "tests/cluster/cluster_verifier.h"
#include "tests/cluster/cluster_writer.h"

namespace redoubt::cluster {
namespace {

constexpr int kExitFailed = 1;
constexpr int kExitFenced = 3;
constexpr std::chrono::seconds kCreatePatience(60);

Task<int> Create(Runtime* runtime, const ClusterOptions* options) {
  const Status status =
      co_await CreateVolumes(runtime, options, runtime->scheduler->Now() + kCreatePatience);
  if (!status.ok()) {
    std::fprintf(stderr, "cluster_load: %s\n", status.ToString().c_str());
  }
  co_return status.ok() ? 0 : kExitFailed;
}

Task<int> Load(Runtime* runtime, Event* stop, const ClusterOptions* options) {
  Truth truth(*options);
  Chronicle chronicle(options->chronicle, options->who);
  ClusterWriter writer(runtime, options, &truth, &chronicle, stop);
  std::vector<std::unique_ptr<ClusterReader>> readers;
  Event end(runtime->scheduler);
  TaskGroup reading(runtime->scheduler);
  for (const std::string& server : options->page_servers) {
    readers.push_back(
        std::make_unique<ClusterReader>(runtime, options, &truth, &chronicle, server));
    std::function<Lsn()> durable = [&writer] { return writer.acknowledged(); };
    reading.Spawn(readers.back()->ReadUntil(&end, std::move(durable)));
  }
  const Status status = co_await writer.Run();
  end.Set();
  co_await reading.Join();
  for (const std::unique_ptr<ClusterReader>& reader : readers) {
    co_await reader->Close();
  }
  if (!status.ok()) {
    runtime->log->Info("writer " + options->who + " ended: " + status.ToString());
  }
  co_return status.ok() ? 0 : kExitFenced;
}

Task<int> Check(Runtime* runtime, const ClusterOptions* options, Duration patience) {
  Truth truth(*options);
  Chronicle chronicle(options->chronicle, options->who);
  ClusterVerifier verifier(runtime, options, &truth, &chronicle,
                           runtime->scheduler->Now() + patience);
  const int code = co_await verifier.Run();
  co_return code;
}

int Main(int argc, char** argv) {
  ClusterOptions options;
  uint32_t patience_s = 120;
  CLI::App app("Loads a cluster of real processes and checks what it answers");
  app.require_subcommand(1);
  CLI::App* create = app.add_subcommand("create", "The volume on all servers");
  CLI::App* run = app.add_subcommand("run", "Writes and reads until SIGTERM");
  CLI::App* check = app.add_subcommand("check", "Compares everything, prints the verdict");
  for (CLI::App* part : {create, run, check}) {
    part->add_option("--log-servers", options.log_servers, "HOST:PORT,...")
        ->delimiter(',')
        ->required();
    part->add_option("--page-servers", options.page_servers, "HOST:PORT,...")
        ->delimiter(',')
        ->required();
    part->add_option("--seed", options.seed, "of the model")->capture_default_str();
    part->add_option("--volume", options.volume)->capture_default_str();
  }
  for (CLI::App* part : {run, check}) {
    part->add_option("--chronicle", options.chronicle, "what clients were told")->required();
    part->add_option("--who", options.who, "this process's name in it")->required();
  }
  run->add_option("--redo-bytes-per-s", options.redo_bytes_per_s)->capture_default_str();
  run->add_option("--claim-bytes", options.claim_bytes)->group("");  // a lie: hidden
  run->add_option("--damage-page-at", options.damage_page_at)->group("");
  check->add_option("--seconds-max", patience_s)->capture_default_str();
  CLI11_PARSE(app, argc, argv);
  AsioWorldOptions world_options;
  world_options.log_level_min = LogLevel::kInfo;
  AsioWorld world(world_options);
  Runtime* runtime = &world.runtime();
  return world.Run(create->parsed() ? Create(runtime, &options)
                   : run->parsed()  ? Load(runtime, &world.stop_requested(), &options)
                                    : Check(runtime, &options, std::chrono::seconds(patience_s)));
}

}  // namespace
}  // namespace redoubt::cluster

int main(int argc, char** argv) { return redoubt::cluster::Main(argc, argv); }
