// SPDX-License-Identifier: MIT
#include "client/tail/mysql_session.h"

#include <errmsg.h>
#include <mysql.h>
#include <mysqld_error.h>

#include <utility>

namespace redoubt::tail {
namespace {

struct Closer {
  void operator()(MYSQL* mysql) const { mysql_close(mysql); }
};
using Handle = std::unique_ptr<MYSQL, Closer>;

// Shared by the session and the job that runs, which finishes even when nobody waits for it any
// more.
using SharedHandle = std::shared_ptr<MYSQL>;

StatusCode CodeOf(unsigned int error_number) {
  switch (error_number) {
    case ER_ACCESS_DENIED_ERROR:
    case ER_DBACCESS_DENIED_ERROR:
    case ER_TABLEACCESS_DENIED_ERROR:
    case ER_SPECIFIC_ACCESS_DENIED_ERROR:
    case ER_ACCESS_DENIED_NO_PASSWORD_ERROR:
    case ER_MUST_CHANGE_PASSWORD:
    case ER_MUST_CHANGE_PASSWORD_LOGIN:
    case ER_HOST_NOT_PRIVILEGED:
    case 3118:  // ER_ACCOUNT_HAS_BEEN_LOCKED
    case CR_AUTH_PLUGIN_CANNOT_LOAD:
      return StatusCode::kUnauthenticated;
    case ER_SERVER_SHUTDOWN:
    case ER_CON_COUNT_ERROR:
    case ER_QUERY_INTERRUPTED:
    case 3168:  // ER_SERVER_ISNT_AVAILABLE
    case 4031:  // ER_CLIENT_INTERACTION_TIMEOUT
      return StatusCode::kUnavailable;
    default:
      // 2000 .. 2999 are the client library's own: no socket, lost connection, protocol.
      return error_number >= 2000 && error_number < 3000 ? StatusCode::kUnavailable
                                                         : StatusCode::kInvalidArgument;
  }
}

Status ErrorOf(MYSQL* mysql, const std::string& what) {
  const unsigned int number = mysql_errno(mysql);
  return {CodeOf(number),
          what + ": " + mysql_error(mysql) + " (error " + std::to_string(number) + ")"};
}

Result<SharedHandle> ConnectNow(const MysqlAddress& address) {
  Handle mysql(mysql_init(nullptr));
  if (mysql == nullptr) {
    return ResourceExhausted("no memory for a MySQL connection");
  }
  const unsigned int connect_timeout = address.connect_timeout_seconds;
  const unsigned int statement_timeout = address.statement_timeout_seconds;
  mysql_options(mysql.get(), MYSQL_OPT_CONNECT_TIMEOUT, &connect_timeout);
  mysql_options(mysql.get(), MYSQL_OPT_READ_TIMEOUT, &statement_timeout);
  mysql_options(mysql.get(), MYSQL_OPT_WRITE_TIMEOUT, &statement_timeout);
  // A Unix socket needs no certificate check; the library would refuse self-signed ones.
  my_bool off = 0;
  mysql_options(mysql.get(), MYSQL_OPT_SSL_VERIFY_SERVER_CERT, &off);
  if (mysql_real_connect(mysql.get(), nullptr, address.user.c_str(), address.password.c_str(),
                         nullptr, 0, address.socket.c_str(), 0) == nullptr) {
    const Status refused =
        ErrorOf(mysql.get(), "MySQL at " + address.socket + ", user " + address.user);
    if (refused.code() != StatusCode::kUnauthenticated) {
      return refused;
    }
    return Status(refused.code(), refused.message() +
                                      "; look at --mysql-user, --mysql-password-file (its first "
                                      "line counts) and the account's rights");
  }
  return SharedHandle(std::move(mysql));
}

Result<SqlRows> QueryNow(MYSQL* mysql, const std::string& statement) {
  if (mysql_real_query(mysql, statement.data(), statement.size()) != 0) {
    return ErrorOf(mysql, statement.substr(0, 120));
  }
  SqlRows rows;
  MYSQL_RES* const result = mysql_store_result(mysql);
  if (result == nullptr) {
    if (mysql_field_count(mysql) != 0) {
      return ErrorOf(mysql, statement.substr(0, 120));
    }
    return rows;
  }
  const unsigned int field_count = mysql_num_fields(result);
  while (MYSQL_ROW fields = mysql_fetch_row(result)) {
    const unsigned long* const lengths = mysql_fetch_lengths(result);
    SqlRow row;
    for (unsigned int i = 0; i < field_count; ++i) {
      row.push_back(fields[i] == nullptr ? SqlValue() : std::string(fields[i], lengths[i]));
    }
    rows.push_back(std::move(row));
  }
  mysql_free_result(result);
  return rows;
}

class MysqlSession final : public SqlSession {
 public:
  MysqlSession(BlockingExecutor* executor, SharedHandle mysql)
      : executor_(executor), mysql_(std::move(mysql)) {}

  Task<Result<SqlRows>> Query(std::string statement) override {
    auto work = [mysql = mysql_, statement = std::move(statement)] {
      return QueryNow(mysql.get(), statement);
    };
    Result<SqlRows> rows = co_await RunBlocking(executor_, std::move(work));
    co_return rows;
  }

 private:
  BlockingExecutor* executor_;
  SharedHandle mysql_;
};

}  // namespace

Result<std::string> ParseMysqlSocket(const std::string& text) {
  constexpr std::string_view kPrefix = "unix:";
  if (!text.starts_with(kPrefix) || text.size() == kPrefix.size()) {
    return InvalidArgument("'" + text +
                           "' is not unix:SOCKET (the path of the server's Unix socket)");
  }
  return text.substr(kPrefix.size());
}

MysqlConnector::MysqlConnector(BlockingExecutor* executor, MysqlAddress address)
    : executor_(executor), address_(std::move(address)) {}

Task<Result<std::unique_ptr<SqlSession>>> MysqlConnector::Connect() {
  auto work = [address = address_] { return ConnectNow(address); };
  Result<SharedHandle> mysql = co_await RunBlocking(executor_, std::move(work));
  if (!mysql.ok()) {
    co_return mysql.status();
  }
  std::unique_ptr<SqlSession> session =
      std::make_unique<MysqlSession>(executor_, std::move(*mysql));
  co_return std::move(session);
}

}  // namespace redoubt::tail
