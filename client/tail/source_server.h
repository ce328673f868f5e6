// SPDX-License-Identifier: MIT
//
// The questions that the tailer asks the server, as typed calls. Every answer is checked: a
// variable that is missing or no number is kUnsupported, with its name.
#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "client/tail/sql_session.h"
#include "common/base/result.h"
#include "common/base/types.h"
#include "common/runtime/runtime.h"

namespace redoubt::tail {

// What does not change while a server runs.
struct SourceFacts {
  std::string version;
  std::string server_uuid;
  uint32_t page_size = 0;
  std::string datadir;         // absolute, without a trailing slash
  std::string redo_directory;  // absolute path of #innodb_redo
  // Absolute: where else tablespaces may lie (innodb_undo_directory, innodb_directories).
  std::vector<std::string> other_directories;
  std::string system_file;  // absolute path of ibdata1
  uint64_t redo_capacity_bytes = 0;
};

// One look at the log.
struct SourceSample {
  Lsn flushed;  // synced on the server's disk
  Lsn current;
  Lsn checkpoint;
  uint32_t log_uuid = 0;
  bool redo_enabled = true;
  uint64_t alter_instance_count = 0;  // ALTER INSTANCE statements since the server started
  int64_t wall_ns = 0;                // when it was taken
};

struct SourceFile {
  SpaceId space;
  std::string path;  // absolute
};

class SourceServer {
 public:
  SourceServer(Runtime* runtime, std::unique_ptr<SqlSession> session);

  // kUnsupported: a server that cannot be followed (several system files, system tablespace
  // elsewhere), with what is wrong.
  Task<Result<SourceFacts>> Facts();
  Task<Result<SourceSample>> Sample();
  // Data files of all tablespaces that the server knows (PROCESS privilege), temporary ones left
  // out.
  Task<Result<std::vector<SourceFile>>> Files();
  // Whether the data dictionary has this tablespace and it is in use, neither dropped nor
  // discarded.
  Task<Result<bool>> SpaceInUse(SpaceId space);
  // Which of these indexes the data dictionary has: they are built and committed. The server looks
  // at every table, so it waits for whoever alters one.
  Task<Result<std::vector<uint64_t>>> CommittedIndexes(std::vector<uint64_t> index_ids);
  // When redo logging was last enabled again after ALTER INSTANCE DISABLE INNODB REDO_LOG, as far
  // as the server's error log in memory tells; nullopt: never. Unix time in nanoseconds.
  Task<Result<std::optional<int64_t>>> RedoEnabledAgainAt();

  // The redo consumer of the server (BACKUP_ADMIN). Bound to this session. kAlreadyExists: another
  // consumer is registered.
  Task<Status> RegisterConsumer();
  // Redo below `lsn` may be recycled. Ignores an LSN that the server knows already.
  Task<Status> AdvanceConsumer(Lsn lsn);
  Task<Status> UnregisterConsumer();
  // The server ends this session by itself when it hears nothing from us for so long.
  Task<Status> EndWhenIdle(uint32_t seconds);
  // How long a statement of this session waits for each lock on a table before it fails.
  Task<Status> WaitForLocksAtMost(uint32_t seconds);

 private:
  using Variables = std::map<std::string, std::string>;
  Task<Result<Variables>> ShowVariables(std::string statement);

  Runtime* runtime_;
  std::unique_ptr<SqlSession> session_;
};

// "/a/b/" and "." resolved against `base` ("/x"): "/a/b", "/x". Pure text.
std::string AbsolutePath(const std::string& base, const std::string& path);
// The form in which redo names files of the data directory: "./db/t.ibd" for "<datadir>/db/t.ibd";
// other paths unchanged.
std::string PathInVolume(const std::string& datadir, const std::string& path);

}  // namespace redoubt::tail
