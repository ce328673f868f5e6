// SPDX-License-Identifier: MIT
//
// The commands of pagectl that talk to a server. Each prints its result, or its problem, and
// returns the exit code.
#pragma once

#include <cstdint>
#include <functional>
#include <optional>
#include <string>

#include "client/ctl/console.h"
#include "common/base/types.h"
#include "common/runtime/runtime.h"

namespace redoubt::ctl {

struct ServerAddress {
  std::string address;  // host:port
  Duration timeout = std::chrono::seconds(30);
};

struct VolumeCreateOptions {
  std::string name;
  uint32_t page_size = 16384;
};
struct VolumeDeleteOptions {
  std::string name;
  bool confirmed = false;
};
struct PageGetOptions {
  std::string volume;
  PageId page;
  std::optional<Lsn> lsn;
  bool hex_only = false;
  std::string out_file;  // empty: print
};
struct PageHistoryOptions {
  std::string volume;
  PageId page;
  Lsn from;
  std::optional<Lsn> to;
  uint32_t entries_max = 1000;
};
struct ForgetReaderOptions {
  std::string volume;
  std::string reader;
  bool confirmed = false;
};
struct SpaceListOptions {
  std::string volume;
  std::optional<Lsn> lsn;
};
// Exactly one way to name the moment; neither: the newest applied.
struct Moment {
  std::optional<Lsn> lsn;
  std::optional<int64_t> time_unix_ns;
};
struct RestoreCommandOptions {
  std::string volume;
  Moment moment;
  std::string directory;
  bool allow_partial = false;
  std::function<Status(const std::string& path, uint32_t mode)> set_mode;
};
struct CompareCommandOptions {
  std::string volume;
  Moment moment;
  std::string datadir;
};

Task<int> VolumeList(Runtime* runtime, Console* console, ServerAddress server);
Task<int> VolumeCreate(Runtime* runtime, Console* console, ServerAddress server,
                       VolumeCreateOptions options);
Task<int> VolumeStatus(Runtime* runtime, Console* console, ServerAddress server, std::string name);
Task<int> VolumeDelete(Runtime* runtime, Console* console, ServerAddress server,
                       VolumeDeleteOptions options);
// At one log server. kExitProblem: it has no such reader.
Task<int> ForgetReader(Runtime* runtime, Console* console, ServerAddress server,
                       ForgetReaderOptions options);
Task<int> PageGet(Runtime* runtime, Console* console, ServerAddress server, PageGetOptions options);
Task<int> PageHistory(Runtime* runtime, Console* console, ServerAddress server,
                      PageHistoryOptions options);
Task<int> SpaceList(Runtime* runtime, Console* console, ServerAddress server,
                    SpaceListOptions options);
Task<int> VerifyVolume(Runtime* runtime, Console* console, ServerAddress server,
                       std::string volume);
Task<int> RestoreVolume(Runtime* runtime, Console* console, ServerAddress server,
                        RestoreCommandOptions options);
Task<int> CompareVolume(Runtime* runtime, Console* console, ServerAddress server,
                        CompareCommandOptions options);

}  // namespace redoubt::ctl
