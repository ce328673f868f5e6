// SPDX-License-Identifier: MIT
//
// Goal: whoever sends nonsense again and again costs the log a line now and then, every one is
// counted, and a single one is logged at once. Method: virtual time and a log that is kept; then a
// server on a simulated machine and a thousand connections that send garbage.
#include "pageserver/rpc/warning_limit.h"

#include <gtest/gtest.h>

#include <string>
#include <utility>
#include <vector>

#include "pageserver/rpc/rpc_server.h"
#include "tests/contract/node_harness.h"

namespace redoubt {
namespace {

class KeptLog final : public EventLog {
 public:
  void Write(LogLevel level, std::string_view message) override {
    if (level == LogLevel::kWarning) {
      lines.emplace_back(message);
    }
  }
  std::vector<std::string> lines;
};

constexpr Duration kInterval = std::chrono::seconds(10);

TEST(WarningLimit, LogsTheFirstAndSumsUpTheRest) {
  NodeHarness node;
  KeptLog log;
  Runtime runtime = *node.runtime();
  runtime.log = &log;
  WarningLimit limit(&runtime, "doors slammed", kInterval);
  TaskGroup group(runtime.scheduler);
  group.Spawn(limit.Run(&group));
  limit.Warn("one");
  EXPECT_EQ(log.lines, std::vector<std::string>{"one"}) << "at once";
  for (int i = 0; i < 500; ++i) {
    limit.Warn("many " + std::to_string(i));
    node.RunFor(std::chrono::milliseconds(10));
  }
  EXPECT_EQ(log.lines.size(), 1U);
  node.RunFor(kInterval);
  ASSERT_EQ(log.lines.size(), 2U);
  EXPECT_EQ(log.lines[1], "500 more doors slammed, the last one: many 499");
  // Without a pause: one line an interval.
  for (int i = 0; i < 6000; ++i) {
    limit.Warn("again");
    node.RunFor(std::chrono::milliseconds(10));
  }
  EXPECT_LE(log.lines.size(), 2U + 7U);
  node.RunFor(2 * kInterval);
  const size_t before = log.lines.size();
  limit.Warn("late");
  EXPECT_EQ(log.lines.size(), before + 1) << "after a quiet interval at once again";
  limit.Warn("last");
  group.Stop();
  limit.Wake();
  node.Await(group.Join());
  EXPECT_EQ(log.lines.back(), "1 more doors slammed, the last one: last") << "nothing is lost";
}

class NoHandler final : public RpcHandler {
 public:
  Task<RpcReply> Handle(Frame /*request*/) override { co_return RpcReply(); }
};

// True: the server closed the connection.
Task<bool> SendGarbage(Runtime* runtime, std::string address) {
  const TimePoint deadline = runtime->scheduler->Now() + std::chrono::seconds(5);
  Result<std::unique_ptr<Connection>> connection =
      co_await runtime->network->Connect(std::move(address), deadline);
  EXPECT_TRUE(connection.ok()) << connection.status().ToString();
  const Bytes garbage(100, 0x55);
  const std::vector<ByteView> parts{garbage};
  const Status sent = co_await (*connection)->Write(parts);
  EXPECT_TRUE(sent.ok());
  FrameReader reader(connection->get(), FrameLimits());
  const Result<Frame> answer = co_await reader.Next();
  EXPECT_TRUE(answer.ok()) << "it says why";
  const Result<Frame> end = co_await reader.Next();
  co_return end.status().code() == StatusCode::kUnavailable;
}

TEST(WarningLimit, AThousandBadConnectionsAreCountedAndCostAFewLines) {
  NodeHarness node;
  KeptLog log;
  Runtime runtime = *node.runtime();
  runtime.log = &log;
  NoHandler handler;
  RpcServerOptions options;
  options.listen = "node:7000";
  RpcServer server(&runtime, &handler, options);
  ASSERT_TRUE(node.Await(server.Start()).ok());
  for (int i = 0; i < 1000; ++i) {
    EXPECT_TRUE(node.Await(SendGarbage(node.runtime(), "node:7000")));
  }
  EXPECT_EQ(server.counters().bad_frames, 1000U);
  node.RunFor(2 * kInterval);
  EXPECT_GE(log.lines.size(), 2U);
  EXPECT_LE(log.lines.size(), 4U);
  node.Await(server.Stop());
}

}  // namespace
}  // namespace redoubt
