// SPDX-License-Identifier: MIT
//
// SqlSession over libmariadb and a Unix socket. The library blocks, so each statement is a job of
// the BlockingExecutor, bounded by the timeouts.
#pragma once

#include <cstdint>
#include <memory>
#include <string>

#include "client/tail/sql_session.h"
#include "common/runtime/runtime.h"

namespace redoubt::tail {

struct MysqlAddress {
  std::string socket;  // path of the server's Unix socket
  std::string user;
  std::string password;
  uint32_t connect_timeout_seconds = 5;
  // A statement that takes longer counts as a lost session.
  uint32_t statement_timeout_seconds = 20;
};

// "unix:PATH". kInvalidArgument.
Result<std::string> ParseMysqlSocket(const std::string& text);

class MysqlConnector final : public SqlConnector {
 public:
  MysqlConnector(BlockingExecutor* executor, MysqlAddress address);
  Task<Result<std::unique_ptr<SqlSession>>> Connect() override;

 private:
  BlockingExecutor* executor_;
  MysqlAddress address_;
};

}  // namespace redoubt::tail
