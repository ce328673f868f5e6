// SPDX-License-Identifier: MIT
//
// redotail: follows an unmodified MySQL server into a volume of a page server.
#include <CLI/CLI.hpp>
#include <cstdio>
#include <filesystem>
#include <fstream>
#include <memory>
#include <string>
#include <utility>

#include "client/tail/cold_copy.h"
#include "client/tail/dry_run_sink.h"
#include "client/tail/mysql_session.h"
#include "client/tail/remote_sink.h"
#include "client/tail/source_probe.h"
#include "client/tail/tailer.h"
#include "common/runtime/asio/asio_world.h"

namespace {

using redoubt::Result;
using redoubt::Status;
using redoubt::StatusCode;
using redoubt::Task;
namespace tail = redoubt::tail;

struct Flags {
  std::string datadir;
  std::string mysql;
  std::string mysql_user;
  std::string mysql_password_file;
  std::string to;
  std::string volume;
  uint64_t watchdog_bytes = 0;
  uint32_t watchdog_seconds = 60;
  uint32_t poll_ms = 200;
  uint64_t import_rate = 0;
  std::string json_status;
  std::vector<std::string> log_servers;
  bool cold = false;
  bool dry_run = false;
  bool quiet = false;
  bool verbose = false;
};

int ParseFlags(int argc, char** argv, Flags* flags, bool* done) {
  CLI::App app{
      "Follows the redo of a running, unmodified MySQL server into a volume of a page server.\n"
      "The user needs BACKUP_ADMIN and PROCESS; SELECT on performance_schema helps.\n"
      "SIGTERM: catch up with what is flushed, stop, exit 0.\n"
      "Exit codes: 1 trouble, 2 wrong flags, 3 MySQL refused the user, 4 this server cannot be "
      "followed into\nthis volume, 5 another writer has taken the volume over."};
  app.add_option("--datadir", flags->datadir, "The server's data directory")->required();
  app.add_option("--mysql", flags->mysql, "unix:SOCKET of the server");
  app.add_option("--mysql-user", flags->mysql_user, "MySQL user");
  app.add_option("--mysql-password-file", flags->mysql_password_file,
                 "File whose first line is the password");
  app.add_option("--to", flags->to, "Page server, HOST:PORT");
  app.add_option("--volume", flags->volume, "Volume; created when it does not exist");
  app.add_option("--watchdog-bytes", flags->watchdog_bytes,
                 "Hold back at most so many bytes of the server's redo (0: half of its capacity)");
  app.add_option("--watchdog-seconds", flags->watchdog_seconds,
                 "Hold redo back at most so long without progress")
      ->capture_default_str();
  app.add_option("--poll-ms", flags->poll_ms, "How often the server is asked for its flushed LSN")
      ->check(CLI::Range(10, 10000))
      ->capture_default_str();
  app.add_option("--import-rate", flags->import_rate,
                 "Read at most so many bytes a second while importing (0: unlimited)");
  app.add_option("--json-status", flags->json_status,
                 "Keep the state in this file, twice a second");
  app.add_flag(
      "--cold", flags->cold,
      "Copy the files of a server that was shut down cleanly into an empty volume, and end");
  app.add_option(
         "--log-servers", flags->log_servers,
         "With --cold: HOST:PORT,... of all log servers of the volume, when --to is not the "
         "only one")
      ->delimiter(',');
  app.add_flag("--dry-run", flags->dry_run, "Read and parse everything, send nothing");
  app.add_flag("-q,--quiet", flags->quiet, "No progress lines");
  app.add_flag("--verbose", flags->verbose, "Debug messages, too");
  try {
    app.parse(argc, argv);
  } catch (const CLI::ParseError& error) {
    *done = true;
    return app.exit(error) == 0 ? 0 : 2;
  }
  if (!flags->dry_run && (flags->to.empty() || flags->volume.empty())) {
    std::fprintf(stderr, "redotail: --to HOST:PORT and --volume NAME are needed (or --dry-run)\n");
    *done = true;
    return 2;
  }
  if (!flags->cold && (flags->mysql.empty() || flags->mysql_user.empty())) {
    std::fprintf(stderr, "redotail: --mysql and --mysql-user are needed (or --cold)\n");
    *done = true;
    return 2;
  }
  if (!flags->cold && !flags->log_servers.empty()) {
    std::fprintf(stderr, "redotail: a running server is followed into one log server (--to)\n");
    *done = true;
    return 2;
  }
  return 0;
}

bool ReadPassword(const std::string& path, std::string* password) {
  if (path.empty()) {
    return true;
  }
  std::ifstream file(path);
  std::getline(file, *password);
  return !file.bad() && file.is_open();
}

int ExitCode(const Status& status) {
  switch (status.code()) {
    case StatusCode::kOk:
    case StatusCode::kCancelled:
    case StatusCode::kDeadlineExceeded:
      return 0;
    case StatusCode::kUnauthenticated:
      return 3;
    case StatusCode::kInvalidArgument:
    case StatusCode::kUnsupported:
    case StatusCode::kCorruption:
      return 4;
    case StatusCode::kStaleEpoch:
      return 5;
    default:
      return 1;
  }
}

std::unique_ptr<tail::VolumeSink> MakeSink(redoubt::Runtime* runtime, const Flags& flags) {
  if (flags.dry_run) {
    return std::make_unique<tail::DryRunSink>(runtime);
  }
  tail::RemoteSinkOptions remote;
  remote.address = flags.to;
  remote.log_servers = flags.log_servers;
  remote.volume = flags.volume;
  return std::make_unique<tail::RemoteSink>(runtime, std::move(remote));
}

Task<int> ColdMain(redoubt::Runtime* runtime, redoubt::Event* stop, const Flags* flags) {
  std::string datadir = tail::AbsolutePath("/", std::filesystem::absolute(flags->datadir).string());
  const std::unique_ptr<tail::VolumeSink> sink = MakeSink(runtime, *flags);
  tail::LockProbe probe(runtime->blocking, datadir + "/ibdata1");
  const Status status =
      co_await tail::CopyCold(runtime, sink.get(), &probe, stop, std::move(datadir));
  co_await sink->Close();
  if (!status.ok()) {
    runtime->log->Error("redotail --cold: " + status.ToString());
  }
  co_return status.code() == StatusCode::kCancelled ? 1 : ExitCode(status);
}

Task<int> Main(redoubt::Runtime* runtime, redoubt::Event* stop, tail::MysqlConnector* connector,
               const Flags* flags) {
  tail::TailerOptions options;
  options.datadir = tail::AbsolutePath("/", std::filesystem::absolute(flags->datadir).string());
  options.watch.poll_interval = std::chrono::milliseconds(flags->poll_ms);
  options.registration.bytes_max = flags->watchdog_bytes;
  options.registration.seconds_max = flags->watchdog_seconds;
  options.import_bytes_per_second = flags->import_rate;
  options.quiet = flags->quiet;
  options.json_status_path = flags->json_status;
  const std::unique_ptr<tail::VolumeSink> sink = MakeSink(runtime, *flags);
  tail::LockProbe probe(runtime->blocking, options.datadir + "/ibdata1");
  tail::Tailer tailer(runtime, connector, &probe, sink.get(), std::move(options));
  const Status status = co_await tailer.Run(stop);
  if (status.code() == StatusCode::kDeadlineExceeded) {
    runtime->log->Warning(status.message());
  } else if (!status.ok() && status.code() != StatusCode::kCancelled) {
    runtime->log->Error("redotail ends: " + status.ToString());
  }
  co_return ExitCode(status);
}

}  // namespace

int main(int argc, char** argv) {
  Flags flags;
  bool done = false;
  const int parsed = ParseFlags(argc, argv, &flags, &done);
  if (done) {
    return parsed;
  }
  redoubt::AsioWorldOptions world_options;
  world_options.log_level_min =
      flags.verbose ? redoubt::LogLevel::kDebug : redoubt::LogLevel::kInfo;
  if (flags.cold) {
    redoubt::AsioWorld world(world_options);
    return world.Run(ColdMain(&world.runtime(), &world.stop_requested(), &flags));
  }
  const Result<std::string> socket = tail::ParseMysqlSocket(flags.mysql);
  if (!socket.ok()) {
    std::fprintf(stderr, "redotail: --mysql: %s\n", socket.status().message().c_str());
    return 2;
  }
  tail::MysqlAddress address;
  address.socket = *socket;
  address.user = flags.mysql_user;
  if (!ReadPassword(flags.mysql_password_file, &address.password)) {
    std::fprintf(stderr, "redotail: cannot read %s\n", flags.mysql_password_file.c_str());
    return 2;
  }
  redoubt::AsioWorld world(world_options);
  tail::MysqlConnector connector(world.runtime().blocking, std::move(address));
  return world.Run(Main(&world.runtime(), &world.stop_requested(), &connector, &flags));
}
