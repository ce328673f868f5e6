// SPDX-License-Identifier: MIT
//
// pagectl compute: a mysqld of innodb-patch/ in mode STATELESS as a process of this machine. Its
// directory is scratch: start makes it when it is not there, and any other machine may start the
// same volume, which fences the one before.
#pragma once

#include <string>
#include <vector>

#include "client/ctl/console.h"
#include "common/runtime/runtime.h"

namespace redoubt::ctl {

struct ComputeStartOptions {
  std::string directory;     // of the server; made when absent
  std::string volume;        // innodb_pageserver_volume
  std::string log_servers;   // HOST:PORT,...; an odd number
  std::string page_servers;  // HOST:PORT,...; empty: the log servers
  std::string mysqld = "mysqld";
  std::vector<std::string> more;  // options for mysqld; they win over the ones made here
};

// The command line of mysqld, its name first. Of `more`, options that must come first
// (--no-defaults, --defaults-*) do.
std::vector<std::string> MysqldArguments(const ComputeStartOptions& options);

// Returns when the server answers, or with kExitProblem and the end of its error log when it ended.
Task<int> ComputeStart(Runtime* runtime, Console* console, ComputeStartOptions options);
// A clean shutdown; waits for its end, at most `patience` (kExitProblem then, and when none runs).
Task<int> ComputeStop(Runtime* runtime, Console* console, std::string directory, Duration patience);
// kExitProblem: none runs.
Task<int> ComputeStatus(Runtime* runtime, Console* console, std::string directory);

}  // namespace redoubt::ctl
