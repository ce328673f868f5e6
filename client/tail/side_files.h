// SPDX-License-Identifier: MIT
//
// The small files of a data directory that are not tablespaces and that a restored server wants:
// auto.cnf, mysqld-auto.cnf, keys and certificates, .sdi, CSV and MyISAM files.
//
// They are not transactional: the newest content at or below an LSN counts, seen within one poll.
#pragma once

#include <cstdint>
#include <map>
#include <string>

#include "client/tail/volume_sink.h"
#include "common/base/result.h"
#include "common/base/types.h"
#include "common/runtime/runtime.h"

namespace redoubt::tail {

// Whether a file of this name (last part of the path) is kept.
bool IsSideFileName(const std::string& name);
// Permission bits for a restored file: keys are for their owner only.
uint32_t SideFileMode(const std::string& name);

class SideFiles {
 public:
  static constexpr uint64_t kFileBytesMax = 4 << 20;
  static constexpr uint64_t kTotalBytesMax = 16 << 20;

  SideFiles(Runtime* runtime, VolumeSink* sink);

  // Sends what is new or changed since the last call, and what is gone, as of `lsn`. Files that do
  // not fit the limits are named in a warning once.
  Task<Status> Update(std::string datadir, Lsn lsn);
  // The next Update sends everything.
  void Forget() { sent_.clear(); }
  uint64_t sent_count() const { return sent_count_; }

 private:
  struct Sent {
    uint64_t hash = 0;
    uint64_t round = 0;
  };
  Task<Status> UpdateDirectory(std::string datadir, std::string below, Lsn lsn);
  Task<Status> UpdateFile(std::string datadir, std::string path, std::string name, Lsn lsn);

  Runtime* runtime_;
  VolumeSink* sink_;
  std::map<std::string, Sent> sent_;
  uint64_t round_ = 0;
  uint64_t round_bytes_ = 0;
  uint64_t sent_count_ = 0;
  bool limit_reported_ = false;
};

}  // namespace redoubt::tail
