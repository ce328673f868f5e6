// SPDX-License-Identifier: MIT
//
// Reads the redo files of a data directory at rest: the valid set, its checkpoint, and the payload
// from a checkpoint to the end of the log. For tests and measurements; the product's reader follows
// a live server.
#pragma once

#include <filesystem>
#include <functional>
#include <string>
#include <vector>

#include "common/base/result.h"
#include "common/innodb/log_file.h"
#include "tests/tools/input_file.h"

namespace redoubt::tools {

class RedoSource {
 public:
  // `data_dir`: the directory that contains #innodb_redo.
  static Result<RedoSource> Open(const std::filesystem::path& data_dir);

  // The highest checkpoint that lies inside its own file.
  Lsn checkpoint_lsn() const { return checkpoint_lsn_; }
  const std::string& creator() const { return creator_; }
  // The first LSN of the oldest file.
  Lsn start_lsn() const { return files_.front().header.start_lsn; }

  // Where parsing starts for `checkpoint`: the first mtr start in its block or a later one.
  // kCorruption: the checkpoint is not in these files, or no block behind it is readable.
  Result<Lsn> FirstMtr(Lsn checkpoint) const;
  // Calls `sink` with consecutive payload from the data LSN `from` to the log's end.
  Status ReadFrom(Lsn from, const std::function<Status(ByteView)>& sink) const;
  // Why the log ended, after ReadFrom: "blank block at LSN 123".
  const std::string& end_reason() const { return end_reason_; }

 private:
  struct File {
    innodb::LogFileHeader header;
    InputFile file;
    uint64_t id = 0;
  };
  // Reads up to out.size() bytes of whole blocks from `lsn` (a block start) on; 0 past the last
  // file.
  size_t ReadBlocks(Lsn lsn, MutableByteView out) const;

  std::vector<File> files_;
  Lsn checkpoint_lsn_;
  std::string creator_;
  mutable std::string end_reason_;
};

}  // namespace redoubt::tools
