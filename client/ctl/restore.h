// SPDX-License-Identifier: MIT
//
// Writes a data directory as of one LSN, on which a stock mysqld starts.
//
// What is in it: each space's file as plain pages with valid checksums (never-written pages as
// holes of the file), the side files, and a fresh redo log of one file (common/innodb/log_file.h,
// BuildLogSet) that starts at or after the restored LSN and holds nothing but the dynamic metadata,
// so that no AUTO_INCREMENT counter goes back. The server rolls back by itself what was in flight
// at that LSN.
//
// A space is left out, by name, when the page server cannot follow it (unsupported) or does not
// know one of its pages; a page that its extent descriptor marks free does not count, because
// nobody reads it. The system tablespace, the dictionary and the undo spaces cannot be left out:
// without them the restore fails.
//
// Crash: nothing; the redo log is written last, everything is synced before success is reported,
// and an interrupted directory has no redo log.
#pragma once

#include <cstdint>
#include <functional>
#include <string>
#include <vector>

#include "client/ctl/console.h"
#include "client/ctl/volume_reader.h"
#include "common/runtime/runtime.h"

namespace redoubt::ctl {

struct RestoreOptions {
  // Must be absent or empty; its parent must exist.
  std::string directory;
  // Sets the permission bits of a file that was restored; may be empty.
  std::function<Status(const std::string& path, uint32_t mode)> set_mode;
  // Said now and then: pages done and to do.
  std::function<void(uint64_t done, uint64_t total)> on_progress;
};

struct LeftOut {
  SpaceId space;
  std::string path;
  std::string reason;
};

struct RestoreSummary {
  Lsn lsn;
  uint64_t file_count = 0;
  uint64_t page_count = 0;     // in the files
  uint64_t pages_written = 0;  // the others are holes
  uint64_t file_bytes = 0;
  uint64_t free_unknown_count = 0;  // unknown pages that are marked free, written as holes
  uint64_t side_file_count = 0;
  uint64_t dynamic_meta_bytes = 0;
  std::vector<LeftOut> left_out;       // spaces
  std::vector<LeftOut> skipped_files;  // side files with paths that no data directory can have
  bool complete() const { return left_out.empty() && skipped_files.empty(); }
};

class Restore {
 public:
  // `runtime` and `reader` outlive the restore.
  Restore(Runtime* runtime, VolumeReader* reader, RestoreOptions options);
  // OK: summary() says what was written. Otherwise the directory is unfinished and exit_code() says
  // whose fault it was.
  Task<Status> Run();

  const RestoreSummary& summary() const { return summary_; }
  ExitCode exit_code() const { return exit_code_; }

 private:
  class Writer;

  Task<Status> PrepareDirectory();
  Task<Status> ChooseSpaces();
  Task<Status> WriteSideFiles();
  Task<Status> WriteSideFile(const SideFileCopy* file);
  Task<Status> WriteRedo();
  Task<Status> SyncDirectories();
  // Makes the folders of `relative` below the directory.
  Task<Status> MakeFolders(std::string relative);
  Status LeaveOut(const SpaceFile& space, std::string reason);
  // Remembers that what failed was a file here, not the server.
  Status FileFailure(Status status);

  Runtime* runtime_;
  VolumeReader* reader_;
  RestoreOptions options_;
  RestoreSummary summary_;
  ExitCode exit_code_ = kExitServer;
  std::vector<SpaceFile> spaces_;     // that are written
  std::vector<std::string> placed_;   // their paths, relative to the directory
  std::vector<std::string> folders_;  // made below the directory, sorted, unique
};

}  // namespace redoubt::ctl
