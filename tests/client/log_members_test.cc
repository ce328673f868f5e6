// SPDX-License-Identifier: MIT
//
// Goal: a log server that lost its disk, or a promise that it had not written down, becomes a
// member again, and never so that something acknowledged is lost. Method: three log servers as
// simulated machines, whose disks are wiped and stalled; writers and creations of the volume one
// after the other.
#include <gtest/gtest.h>

#include <functional>
#include <string>
#include <utility>
#include <vector>

#include "client/log_writer.h"
#include "client/volume_client.h"
#include "client/volume_creation.h"
#include "common/base/crc32c.h"
#include "common/runtime/rpc/reconnecting_channel.h"
#include "tests/pageserver/rpc/redo_maker.h"
#include "tests/sim/sim_test_util.h"
#include "tests/support/page_server_program.h"

namespace redoubt {
namespace {

constexpr uint64_t kUid = 77;
constexpr uint32_t kMtrs = 20;
const std::vector<std::string> kThree{"log1:7000", "log2:7000", "log3:7000"};
constexpr char kPageServer[] = "page:7000";

TimePoint In(Runtime* runtime, int ms) {
  return runtime->scheduler->Now() + std::chrono::milliseconds(ms);
}

Task<void> ServeForever(Runtime* runtime, std::string address) {
  PageServerOptions options = InMemoryPageServer(std::move(address));
  options.role = ServerRole::kLog;
  return RunPageServer(runtime, std::move(options));
}

Task<void> ServePagesForever(Runtime* runtime) {
  PageServerOptions options = InMemoryPageServer(kPageServer);
  options.role = ServerRole::kPage;
  options.volumes.log_servers = kThree;
  return RunPageServer(runtime, std::move(options));
}

LogWriterOptions Options() {
  LogWriterOptions options;
  options.volume = "v";
  options.append_timeout = std::chrono::seconds(1);
  options.prepare_timeout = std::chrono::milliseconds(300);
  return options;
}

proto::VolumeCreateRequest NewVolume() {
  proto::VolumeCreateRequest request;
  request.set_name("v");
  request.set_page_size(16384);
  return request;
}

Task<void> CreateAt(Runtime* runtime, std::string address, uint64_t uid, Status* status) {
  ReconnectingChannel channel(runtime, std::move(address), ReconnectingChannelOptions());
  VolumeClient client(&channel);
  proto::VolumeCreateRequest request = NewVolume();
  request.set_uid(uid);
  const auto created = co_await client.VolumeCreate(std::move(request), In(runtime, 3000));
  *status = created.status();
  co_await channel.Close();
}

Task<void> CreateEverywhere(Runtime* runtime, std::vector<std::string> addresses, Status* status) {
  proto::VolumeCreateRequest request = NewVolume();
  *status =
      co_await CreateVolume(runtime, std::move(addresses), std::move(request), In(runtime, 3000));
}

struct Log {
  Status status = Unavailable("not asked");
  proto::LogStatusResponse log;
};

Task<void> AskLog(Runtime* runtime, std::string address, Log* answer) {
  ReconnectingChannel channel(runtime, std::move(address), ReconnectingChannelOptions());
  VolumeClient client(&channel);
  proto::LogStatusRequest request;
  request.set_volume_id(1);
  const auto log = co_await client.LogStatus(std::move(request), In(runtime, 1000));
  answer->status = log.status();
  if (log.ok()) {
    answer->log = *log;
  }
  co_await channel.Close();
}

struct Writing {
  int start_ms = 5000;  // how long it may take to begin
  uint32_t mtrs = kMtrs;
  bool stays = false;
  Status status = Unavailable("not tried");
  Lsn begin;  // where it went on
  Lsn end;    // of what it was told to be durable
};

Task<Status> AppendSome(Runtime* runtime, LogWriter* writer, Writing* writing) {
  RedoMaker redo(writing->begin);
  Status status;
  for (uint32_t i = 0; i < writing->mtrs && status.ok(); ++i) {
    RedoAppend append = redo.AppendInit(i);
    status = co_await writer->Append(std::move(append), In(runtime, 3000));
  }
  if (status.ok()) {
    status = co_await writer->WaitAcknowledged(redo.end(), In(runtime, 3000));
  }
  writing->end = status.ok() ? redo.end() : Lsn{};
  co_return status;
}

Task<void> Write(Runtime* runtime, Writing* writing, bool* done) {
  LogWriter writer(runtime, kThree, Options());
  const Result<LogPosition> position =
      co_await writer.Start(Epoch(0), In(runtime, writing->start_ms));
  Status status = position.status();
  if (status.ok()) {
    writing->begin = position->end;
    if (writing->begin == Lsn{}) {
      writing->begin = RedoMaker::kStart;
      std::string reason = "first";
      status = co_await writer.StartAt(RedoMaker::kStart, std::move(reason), In(runtime, 3000));
    }
  }
  if (status.ok()) {
    status = co_await AppendSome(runtime, &writer, writing);
  }
  writing->status = status;
  *done = true;
  if (writing->stays) {
    Event never(runtime->scheduler);
    co_await never.Wait();
  }
  co_await writer.Stop();
}

// A log of its own at one server, as a writer of three members that was never heard of again left
// it: epoch 1, and of `redo` what lies from `begin` on.
Task<void> MakeLog(Runtime* runtime, std::string address, Lsn begin, const Bytes* redo,
                   Status* status) {
  ReconnectingChannel channel(runtime, std::move(address), ReconnectingChannelOptions());
  VolumeClient client(&channel);
  proto::PrepareRequest prepare;
  prepare.set_volume("v");
  prepare.set_epoch(1);
  const auto prepared = co_await client.Prepare(std::move(prepare), In(runtime, 3000));
  EXPECT_TRUE(prepared.ok()) << prepared.status().ToString();
  proto::LogEpochStartRequest epoch;
  epoch.set_volume_id(1);
  epoch.set_epoch(1);
  epoch.set_member_count(3);
  epoch.add_epochs()->set_epoch(1);
  const auto begun = co_await client.LogEpochStart(std::move(epoch), In(runtime, 3000));
  EXPECT_TRUE(begun.ok()) << begun.status().ToString();
  proto::StartAtRequest start;
  start.set_volume_id(1);
  start.set_epoch(1);
  start.set_start_lsn(begin.value());
  start.set_reason("the log");
  start.set_trimmed(begin != RedoMaker::kStart);
  const auto started = co_await client.StartAt(std::move(start), In(runtime, 3000));
  EXPECT_TRUE(started.ok()) << started.status().ToString();
  const size_t skipped = innodb::ToSn(begin).value() - innodb::ToSn(RedoMaker::kStart).value();
  const ByteView payload = ByteView(*redo).subspan(skipped);
  proto::AppendRequest append;
  append.set_volume_id(1);
  append.set_epoch(1);
  append.set_start_lsn(begin.value());
  append.set_first_mtr_lsn(begin.value());
  append.set_end_lsn(
      innodb::ToLsn(Sn(innodb::ToSn(RedoMaker::kStart).value() + redo->size())).value());
  append.set_payload_crc32c(Crc32c(payload));
  SharedPayload bytes = std::make_shared<const Bytes>(payload.begin(), payload.end());
  const auto appended =
      co_await client.Append(std::move(append), std::move(bytes), In(runtime, 3000));
  *status = appended.status();
  co_await channel.Close();
}

Task<void> Finish(Task<void> body, bool* done) {
  co_await std::move(body);
  *done = true;
}

class LogMembers : public ::testing::Test {
 protected:
  LogMembers() : world_(1) {
    for (const std::string& address : kThree) {
      servers_.push_back(world_.world.AddNode(address.substr(0, address.find(':'))));
      StartServer(servers_.size() - 1);
    }
  }

  void StartServer(size_t server) {
    const std::string address = kThree[server];
    world_.world.StartNode(
        servers_[server], sim::Program([address](Runtime* r) { return ServeForever(r, address); }));
    world_.RunFor(sim::kSecond / 2);
  }
  void CutPower(size_t server) {
    world_.world.KillNode(servers_[server], sim::KillKind::kPower, sim::CrashPolicy::kClean);
  }
  sim::SimDisk& Disk(size_t server) { return world_.world.DiskOf(servers_[server]); }

  // Runs a program on a machine of its own until it says that it is done.
  sim::NodeId Run(const std::function<Task<void>(Runtime*, bool*)>& body) {
    const sim::NodeId node = world_.world.AddNode("client" + std::to_string(++clients_));
    bool done = false;
    world_.world.StartNode(node, sim::Program([&](Runtime* r) { return body(r, &done); }));
    world_.world.RunUntil(
        world_.world.now_ns() + 60 * sim::kSecond, [&done] { return done; }, sim::kEventLimit);
    EXPECT_TRUE(done);
    return node;
  }
  Status Create(const std::string& address) {
    Status status;
    Run([&](Runtime* r, bool* done) { return Finish(CreateAt(r, address, kUid, &status), done); });
    return status;
  }
  Status CreateAtAll(std::vector<std::string> addresses = kThree) {
    Status status;
    Run([&](Runtime* r, bool* done) {
      return Finish(CreateEverywhere(r, addresses, &status), done);
    });
    return status;
  }
  void WriteSome(Writing* writing) {
    const sim::NodeId node = Run([&](Runtime* r, bool* done) { return Write(r, writing, done); });
    if (!writing->stays) {
      world_.RunFor(sim::kSecond);  // it tells what is committed, and ends
      world_.world.KillNode(node, sim::KillKind::kProcess, sim::CrashPolicy::kAll);
    }
  }
  Log LogOf(size_t server) {
    Log log;
    Run([&](Runtime* r, bool* done) { return Finish(AskLog(r, kThree[server], &log), done); });
    return log;
  }
  // The log of that server once it ends at `end`; or the last one that was seen of it.
  Log LogWithEnd(size_t server, Lsn end) {
    Log log;
    for (int i = 0; i < 20; ++i) {
      log = LogOf(server);
      if (log.status.ok() && Lsn(log.log.end_lsn()) == end) {
        break;
      }
      world_.RunFor(sim::kSecond);
    }
    return log;
  }

  sim::TestWorld world_;
  std::vector<sim::NodeId> servers_;
  int clients_ = 0;
};

// Whoever creates the volume again does not give it to a log server that lost its disk: with it a
// majority would be there that has forgotten what was acknowledged. The writer gives it.
TEST_F(LogMembers, CreatingAVolumeInUseGivesNothingToAServerThatLostItsDisk) {
  // A creation that was interrupted is finished.
  Status status = Create(kThree[0]);
  ASSERT_TRUE(status.ok()) << status.ToString();
  status = CreateAtAll();
  ASSERT_TRUE(status.ok()) << status.ToString();
  Writing first;
  WriteSome(&first);
  ASSERT_TRUE(first.status.ok()) << first.status.ToString();
  CutPower(2);
  Writing second;  // which the third one does not get
  WriteSome(&second);
  ASSERT_TRUE(second.status.ok()) << second.status.ToString();
  CutPower(1);
  Disk(1).Wipe();
  StartServer(1);
  StartServer(2);
  world_.world.StartNode(world_.world.AddNode("page"), sim::Program(&ServePagesForever));
  world_.RunFor(sim::kSecond / 2);
  std::vector<std::string> all = kThree;
  all.emplace_back(kPageServer);
  for (int tried = 0; tried < 2; ++tried) {
    status = CreateAtAll(all);
    EXPECT_EQ(status.code(), StatusCode::kAlreadyExists) << status.ToString();
    EXPECT_NE(status.message().find(kThree[1] + " may have lost it"), std::string::npos)
        << status.ToString();
  }
  status = Create(kPageServer);
  EXPECT_EQ(status.code(), StatusCode::kAlreadyExists) << "a page server holds no redo";
  CutPower(0);
  Writing early;
  WriteSome(&early);
  EXPECT_FALSE(early.status.ok()) << "it went on at LSN " << early.begin.value()
                                  << ", acknowledged was redo up to LSN " << second.end.value();
  StartServer(0);
  Writing later;
  later.stays = true;
  WriteSome(&later);
  ASSERT_TRUE(later.status.ok()) << later.status.ToString();
  EXPECT_EQ(later.begin, second.end);
  const Log filled = LogWithEnd(1, later.end);
  EXPECT_EQ(Lsn(filled.log.end_lsn()), later.end) << filled.status.ToString();
}

// A server's status names a promise that it is still writing down. When the power goes before that
// is done it comes back without, and has forgotten nothing that anybody was told.
TEST_F(LogMembers, APromiseThatWasNeverAnsweredIsNotHeldAgainstAServer) {
  Status status = CreateAtAll();
  ASSERT_TRUE(status.ok()) << status.ToString();
  Writing first;
  WriteSome(&first);
  ASSERT_TRUE(first.status.ok()) << first.status.ToString();
  const Log before = LogWithEnd(2, first.end);
  ASSERT_TRUE(before.status.ok()) << before.status.ToString();
  Disk(2).StallUntil(world_.world.now_ns() + 60 * sim::kSecond);
  Writing second;
  second.stays = true;
  WriteSome(&second);
  ASSERT_TRUE(second.status.ok()) << second.status.ToString();
  world_.RunFor(2 * sim::kSecond);
  const Log promising = LogOf(2);
  ASSERT_GT(promising.log.epoch(), before.log.epoch()) << promising.status.ToString();
  CutPower(2);
  Disk(2).ClearFaults();
  StartServer(2);
  const Log back = LogWithEnd(2, second.end);
  ASSERT_TRUE(back.status.ok()) << back.status.ToString();
  EXPECT_EQ(Lsn(back.log.end_lsn()), second.end) << "it was left out";
}

// Of two logs that another one is filled up from, the one that reaches back further counts: page
// servers that it knows may want what the other has trimmed.
TEST_F(LogMembers, ALogThatBeginsAnewReachesBackAsFarAsAnyOther) {
  RedoMaker redo;
  Bytes bytes;
  for (uint32_t i = 0; i < kMtrs; ++i) {
    const Bytes mtr = redo.InitPage(i);
    bytes.insert(bytes.end(), mtr.begin(), mtr.end());
  }
  const Lsn middle = redo.end();
  for (uint32_t i = 0; i < kMtrs; ++i) {
    const Bytes mtr = redo.Write(i, i);
    bytes.insert(bytes.end(), mtr.begin(), mtr.end());
  }
  for (const size_t trimmed : {size_t{0}, size_t{1}}) {
    SCOPED_TRACE(kThree[trimmed] + " has trimmed");
    for (size_t server = 0; server < 3; ++server) {
      CutPower(server);
      Disk(server).Wipe();
      StartServer(server);
    }
    for (size_t server = 0; server < 2; ++server) {
      Status status = Create(kThree[server]);
      ASSERT_TRUE(status.ok()) << status.ToString();
      const Lsn begin = server == trimmed ? middle : RedoMaker::kStart;
      Run([&](Runtime* r, bool* done) {
        return Finish(MakeLog(r, kThree[server], begin, &bytes, &status), done);
      });
      ASSERT_TRUE(status.ok()) << status.ToString();
    }
    ASSERT_EQ(Lsn(LogOf(trimmed).log.readable_from_lsn()), middle);
    Writing writing;
    writing.stays = true;
    WriteSome(&writing);
    ASSERT_TRUE(writing.status.ok()) << writing.status.ToString();
    EXPECT_EQ(writing.begin, redo.end());
    const Log filled = LogWithEnd(2, writing.end);
    ASSERT_TRUE(filled.status.ok()) << filled.status.ToString();
    EXPECT_EQ(Lsn(filled.log.end_lsn()), writing.end);
    EXPECT_EQ(Lsn(filled.log.begin_lsn()), RedoMaker::kStart);
    EXPECT_EQ(filled.log.readable_from_lsn(), 0U) << "nothing is missing";
  }
}

}  // namespace
}  // namespace redoubt
