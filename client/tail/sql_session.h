// SPDX-License-Identifier: MIT
//
// SQL to the server that is followed, as far as the tailer needs it: statements that return a small
// table of text. MysqlConnector is the real one; tests have their own.
#pragma once

#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "common/base/result.h"
#include "common/runtime/task.h"

namespace redoubt::tail {

// nullopt: SQL NULL.
using SqlValue = std::optional<std::string>;
using SqlRow = std::vector<SqlValue>;
using SqlRows = std::vector<SqlRow>;

class SqlSession {
 public:
  // Ends the session.
  virtual ~SqlSession() = default;
  // One statement at a time. kUnavailable: the session is lost (server down, killed, timed out),
  // make a new one. kUnauthenticated: a privilege is missing, named. kInvalidArgument: the server
  // refused the statement otherwise; the session goes on.
  virtual Task<Result<SqlRows>> Query(std::string statement) = 0;
};

class SqlConnector {
 public:
  virtual ~SqlConnector() = default;
  // kUnavailable: no server there, or not ready. kUnauthenticated: wrong user or password.
  virtual Task<Result<std::unique_ptr<SqlSession>>> Connect() = 0;
};

}  // namespace redoubt::tail
