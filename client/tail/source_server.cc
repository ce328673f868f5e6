// SPDX-License-Identifier: MIT
#include "client/tail/source_server.h"

#include <charconv>
#include <cmath>
#include <utility>

#include "common/base/check.h"
#include "common/innodb/log_file.h"
#include "common/innodb/page_format.h"

namespace redoubt::tail {
namespace {

Result<uint64_t> Number(const std::map<std::string, std::string>& variables,
                        const std::string& name) {
  const auto found = variables.find(name);
  if (found == variables.end()) {
    return Unsupported("the server has no " + name +
                       "; Redoubt follows MySQL 8.0.30 and later only");
  }
  uint64_t value = 0;
  const std::string& text = found->second;
  const auto end = std::from_chars(text.data(), text.data() + text.size(), value);
  if (end.ec != std::errc() || end.ptr != text.data() + text.size()) {
    return Unsupported("the server's " + name + " is no number: '" + text + "'");
  }
  return value;
}

std::string Text(const std::map<std::string, std::string>& variables, const std::string& name) {
  const auto found = variables.find(name);
  return found == variables.end() ? std::string() : found->second;
}

std::vector<std::string> Split(const std::string& text, char separator) {
  std::vector<std::string> parts;
  size_t begin = 0;
  for (;;) {
    const size_t end = text.find(separator, begin);
    const std::string part = text.substr(begin, end == std::string::npos ? end : end - begin);
    if (!part.empty()) {
      parts.push_back(part);
    }
    if (end == std::string::npos) {
      return parts;
    }
    begin = end + 1;
  }
}

// The name of the only system data file in innodb_data_file_path, "ibdata1:12M:autoextend".
Result<std::string> SystemFileName(const std::string& data_file_path) {
  const std::vector<std::string> files = Split(data_file_path, ';');
  if (files.size() != 1) {
    return Unsupported("innodb_data_file_path names " + std::to_string(files.size()) +
                       " system data files ('" + data_file_path +
                       "'); Redoubt follows servers with exactly one");
  }
  return files.front().substr(0, files.front().find(':'));
}

Result<SourceFacts> FactsFrom(const std::map<std::string, std::string>& variables) {
  SourceFacts facts;
  facts.version = Text(variables, "version");
  facts.server_uuid = Text(variables, "server_uuid");
  facts.datadir = AbsolutePath("/", Text(variables, "datadir"));
  REDOUBT_ASSIGN_OR_RETURN(const uint64_t page_size, Number(variables, "innodb_page_size"));
  REDOUBT_ASSIGN_OR_RETURN(facts.redo_capacity_bytes,
                           Number(variables, "innodb_redo_log_capacity"));
  if (!innodb::IsPageSize(page_size)) {
    return Unsupported("innodb_page_size " + std::to_string(page_size));
  }
  facts.page_size = static_cast<uint32_t>(page_size);
  facts.redo_directory = AbsolutePath(facts.datadir, Text(variables, "innodb_log_group_home_dir")) +
                         "/" + innodb::kLogDirectoryName;
  REDOUBT_ASSIGN_OR_RETURN(const std::string system_file,
                           SystemFileName(Text(variables, "innodb_data_file_path")));
  const std::string home = AbsolutePath(facts.datadir, Text(variables, "innodb_data_home_dir"));
  facts.system_file = AbsolutePath(home, system_file);
  std::vector<std::string> others = Split(Text(variables, "innodb_directories"), ';');
  others.push_back(Text(variables, "innodb_undo_directory"));
  others.push_back(home);
  for (const std::string& directory : others) {
    std::string path = AbsolutePath(facts.datadir, directory);
    if (path != facts.datadir && !path.starts_with(facts.datadir + "/")) {
      facts.other_directories.push_back(std::move(path));
    }
  }
  return facts;
}

Result<SourceSample> SampleFrom(const std::map<std::string, std::string>& variables) {
  SourceSample sample;
  REDOUBT_ASSIGN_OR_RETURN(const uint64_t flushed,
                           Number(variables, "Innodb_redo_log_flushed_to_disk_lsn"));
  REDOUBT_ASSIGN_OR_RETURN(const uint64_t current,
                           Number(variables, "Innodb_redo_log_current_lsn"));
  REDOUBT_ASSIGN_OR_RETURN(const uint64_t checkpoint,
                           Number(variables, "Innodb_redo_log_checkpoint_lsn"));
  REDOUBT_ASSIGN_OR_RETURN(const uint64_t uuid, Number(variables, "Innodb_redo_log_uuid"));
  REDOUBT_ASSIGN_OR_RETURN(sample.alter_instance_count, Number(variables, "Com_alter_instance"));
  sample.flushed = Lsn(flushed);
  sample.current = Lsn(current);
  sample.checkpoint = Lsn(checkpoint);
  sample.log_uuid = static_cast<uint32_t>(uuid);
  sample.redo_enabled = Text(variables, "Innodb_redo_log_enabled") != "OFF";
  return sample;
}

constexpr char kFactsStatement[] =
    "SHOW GLOBAL VARIABLES WHERE Variable_name IN ('version','server_uuid','datadir',"
    "'innodb_page_size','innodb_redo_log_capacity','innodb_log_group_home_dir',"
    "'innodb_data_file_path','innodb_data_home_dir','innodb_directories',"
    "'innodb_undo_directory')";
constexpr char kSampleStatement[] =
    "SHOW GLOBAL STATUS WHERE Variable_name IN ('Innodb_redo_log_flushed_to_disk_lsn',"
    "'Innodb_redo_log_current_lsn','Innodb_redo_log_checkpoint_lsn','Innodb_redo_log_uuid',"
    "'Innodb_redo_log_enabled','Com_alter_instance')";
// FILE_TYPE keeps temporary tablespaces out; FILE_ID is the space id.
constexpr char kFilesStatement[] =
    "SELECT FILE_ID, FILE_NAME FROM INFORMATION_SCHEMA.FILES "
    "WHERE ENGINE = 'InnoDB' AND FILE_TYPE <> 'TEMPORARY'";
// MY-013601: "InnoDB redo logging is enabled."
constexpr char kRedoEnabledStatement[] =
    "SELECT MAX(UNIX_TIMESTAMP(LOGGED)) FROM performance_schema.error_log "
    "WHERE ERROR_CODE = 'MY-013601'";

}  // namespace

std::string AbsolutePath(const std::string& base, const std::string& path) {
  std::string full = path.starts_with("/") ? path : base + "/" + path;
  std::string clean;
  for (const std::string& part : Split(full, '/')) {
    if (part != ".") {
      clean += "/" + part;
    }
  }
  return clean.empty() ? "/" : clean;
}

std::string PathInVolume(const std::string& datadir, const std::string& path) {
  return path.starts_with(datadir + "/") ? "." + path.substr(datadir.size()) : path;
}

SourceServer::SourceServer(Runtime* runtime, std::unique_ptr<SqlSession> session)
    : runtime_(runtime), session_(std::move(session)) {
  REDOUBT_CHECK(session_ != nullptr);
}

Task<Result<SourceServer::Variables>> SourceServer::ShowVariables(std::string statement) {
  const Result<SqlRows> rows = co_await session_->Query(std::move(statement));
  if (!rows.ok()) {
    co_return rows.status();
  }
  Variables variables;
  for (const SqlRow& row : *rows) {
    if (row.size() == 2 && row[0].has_value()) {
      variables[*row[0]] = row[1].value_or("");
    }
  }
  co_return variables;
}

Task<Result<SourceFacts>> SourceServer::Facts() {
  std::string statement = kFactsStatement;
  const Result<Variables> variables = co_await ShowVariables(std::move(statement));
  if (!variables.ok()) {
    co_return variables.status();
  }
  co_return FactsFrom(*variables);
}

Task<Result<SourceSample>> SourceServer::Sample() {
  std::string statement = kSampleStatement;
  const Result<Variables> variables = co_await ShowVariables(std::move(statement));
  if (!variables.ok()) {
    co_return variables.status();
  }
  Result<SourceSample> sample = SampleFrom(*variables);
  if (sample.ok()) {
    sample->wall_ns = runtime_->wall_clock->NowUnixNs();
  }
  co_return sample;
}

Task<Result<std::vector<SourceFile>>> SourceServer::Files() {
  std::string statement = "SELECT 'datadir', @@GLOBAL.datadir";
  const Result<Variables> variables = co_await ShowVariables(std::move(statement));
  if (!variables.ok()) {
    co_return variables.status();
  }
  const std::string datadir = AbsolutePath("/", Text(*variables, "datadir"));
  statement = kFilesStatement;
  const Result<SqlRows> rows = co_await session_->Query(std::move(statement));
  if (!rows.ok()) {
    co_return rows.status();
  }
  std::vector<SourceFile> files;
  for (const SqlRow& row : *rows) {
    if (row.size() != 2 || !row[0].has_value() || !row[1].has_value()) {
      continue;
    }
    uint64_t space = 0;
    std::from_chars(row[0]->data(), row[0]->data() + row[0]->size(), space);
    files.push_back({SpaceId(static_cast<uint32_t>(space)), AbsolutePath(datadir, *row[1])});
  }
  co_return files;
}

Task<Result<bool>> SourceServer::SpaceInUse(SpaceId space) {
  std::string statement = "SELECT STATE FROM INFORMATION_SCHEMA.INNODB_TABLESPACES WHERE SPACE = " +
                          std::to_string(space.value());
  const Result<SqlRows> rows = co_await session_->Query(std::move(statement));
  if (!rows.ok()) {
    co_return rows.status();
  }
  co_return rows->size() == 1 && rows->front().size() == 1 && rows->front()[0] != "discarded";
}

Task<Result<std::vector<uint64_t>>> SourceServer::CommittedIndexes(
    std::vector<uint64_t> index_ids) {
  std::vector<uint64_t> committed;
  if (index_ids.empty()) {
    co_return committed;
  }
  std::string statement =
      "SELECT INDEX_ID FROM INFORMATION_SCHEMA.INNODB_INDEXES WHERE INDEX_ID IN (";
  for (size_t i = 0; i < index_ids.size(); ++i) {
    statement += (i == 0 ? "" : ",") + std::to_string(index_ids[i]);
  }
  statement += ")";
  const Result<SqlRows> rows = co_await session_->Query(std::move(statement));
  if (!rows.ok()) {
    co_return rows.status();
  }
  for (const SqlRow& row : *rows) {
    if (row.size() == 1 && row[0].has_value()) {
      uint64_t id = 0;
      std::from_chars(row[0]->data(), row[0]->data() + row[0]->size(), id);
      committed.push_back(id);
    }
  }
  co_return committed;
}

Task<Result<std::optional<int64_t>>> SourceServer::RedoEnabledAgainAt() {
  std::string statement = kRedoEnabledStatement;
  const Result<SqlRows> rows = co_await session_->Query(std::move(statement));
  if (!rows.ok()) {
    co_return rows.status();
  }
  std::optional<int64_t> at;
  if (rows->size() == 1 && rows->front().size() == 1 && rows->front()[0].has_value()) {
    at = std::llround(std::stold("0" + *rows->front()[0]) * 1e9L);
  }
  co_return at;
}

Task<Status> SourceServer::RegisterConsumer() {
  std::string statement = "SELECT innodb_redo_log_consumer_register()";
  const Result<SqlRows> rows = co_await session_->Query(std::move(statement));
  if (!rows.ok()) {
    co_return rows.status();
  }
  if (rows->size() != 1 || rows->front().size() != 1 || rows->front()[0] != "0") {
    co_return Status(
        StatusCode::kAlreadyExists,
        "another redo log consumer is registered (a backup tool, or another redotail)");
  }
  co_return Status::Ok();
}

Task<Status> SourceServer::AdvanceConsumer(Lsn lsn) {
  std::string statement =
      "SELECT innodb_redo_log_consumer_advance(" + std::to_string(lsn.value()) + ")";
  const Result<SqlRows> rows = co_await session_->Query(std::move(statement));
  co_return rows.status();
}

Task<Status> SourceServer::UnregisterConsumer() {
  std::string statement = "SELECT innodb_redo_log_consumer_unregister()";
  const Result<SqlRows> rows = co_await session_->Query(std::move(statement));
  co_return rows.status();
}

Task<Status> SourceServer::EndWhenIdle(uint32_t seconds) {
  std::string statement = "SET SESSION wait_timeout = " + std::to_string(seconds) +
                          ", interactive_timeout = " + std::to_string(seconds);
  const Result<SqlRows> rows = co_await session_->Query(std::move(statement));
  co_return rows.status();
}

Task<Status> SourceServer::WaitForLocksAtMost(uint32_t seconds) {
  std::string statement = "SET SESSION lock_wait_timeout = " + std::to_string(seconds);
  const Result<SqlRows> rows = co_await session_->Query(std::move(statement));
  co_return rows.status();
}

}  // namespace redoubt::tail
