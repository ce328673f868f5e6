// SPDX-License-Identifier: MIT
//
// Goal: over the wire a log server does what a writer of several log servers, and a page role
// elsewhere, need of it: volumes that are replicas of each other, both halves of an epoch's start,
// the commit LSN, reads of either kind, clear refusals. Method: a real server on loopback, with and
// without a page role; the test is the writer.
#include <filesystem>

#include "common/base/crc32c.h"
#include "common/runtime/rpc/typed_call.h"
#include "pageserver/log/epoch_history.h"
#include "tests/pageserver/rpc/server_fixture.h"

namespace redoubt {
namespace {

constexpr uint64_t kUid = 0x1122334455667788;

PageServerOptions LogRoleOptions() {
  PageServerOptions options = TestServerOptions({});
  options.role = ServerRole::kLog;
  options.open_store = nullptr;
  return options;
}

Task<Result<proto::VolumeCreateResponse>> Create(ServerWorld* world, std::string name, uint64_t uid,
                                                 uint32_t page_size) {
  proto::VolumeCreateRequest request;
  request.set_name(name);
  request.set_page_size(page_size);
  request.set_uid(uid);
  const Result<proto::VolumeCreateResponse> answer =
      co_await world->client->VolumeCreate(std::move(request), world->In(10));
  co_return answer;
}

Task<void> UidBody(ServerWorld* world) {
  const auto created = co_await Create(world, "v", kUid, 16384);
  EXPECT_TRUE(created.ok()) << created.status().ToString();
  for (int life = 0; life < 2; ++life) {
    const auto again = co_await Create(world, "v", kUid, 16384);
    EXPECT_EQ(again.status().code(), StatusCode::kAlreadyExists);
    const auto unnamed = co_await Create(world, "v", 0, 16384);
    EXPECT_EQ(unnamed.status().code(), StatusCode::kAlreadyExists);
    const auto other_uid = co_await Create(world, "v", kUid + 1, 16384);
    EXPECT_EQ(other_uid.status().code(), StatusCode::kInvalidArgument);
    const auto other_size = co_await Create(world, "v", kUid, 4096);
    EXPECT_EQ(other_size.status().code(), StatusCode::kInvalidArgument);
    const auto other_name = co_await Create(world, "w", kUid, 16384);
    EXPECT_EQ(other_name.status().code(), StatusCode::kInvalidArgument);
    proto::PrepareRequest prepare;
    prepare.set_volume("v");
    const auto prepared = co_await world->client->Prepare(std::move(prepare), world->In(10));
    EXPECT_TRUE(prepared.ok());
    EXPECT_EQ(prepared->volume_uid(), kUid);
    proto::LogStatusRequest log;
    log.set_volume_id(created->volume_id());
    const auto status = co_await world->client->LogStatus(std::move(log), world->In(10));
    EXPECT_TRUE(status.ok());
    EXPECT_EQ(status->volume_uid(), kUid);
    EXPECT_EQ(status->epoch(), prepared->epoch());
    const auto listed = co_await world->client->VolumeList(world->In(10));
    EXPECT_TRUE(listed.ok());
    EXPECT_EQ(listed->volumes(0).volume_uid(), kUid);
    co_await world->Restart();
  }
}
TEST_F(ServerTest, AVolumeKeepsTheUidThatItsReplicasShare) { RunWith(&UidBody); }
TEST_F(ServerTest, ALogServerKeepsTheUidToo) { RunWith(LogRoleOptions(), &UidBody); }

Task<Status> EpochStart(ServerWorld* world, uint32_t id, EpochHistory history) {
  proto::LogEpochStartRequest begin;
  begin.set_volume_id(id);
  begin.set_epoch(history.back().epoch.value());
  begin.set_start_lsn(history.back().start.value());
  begin.set_member_count(3);
  for (const EpochBegin& entry : history) {
    proto::EpochStart* out = begin.add_epochs();
    out->set_epoch(entry.epoch.value());
    out->set_start_lsn(entry.start.value());
  }
  const auto begun = co_await world->client->LogEpochStart(std::move(begin), world->In(10));
  co_return begun.status();
}

Task<Result<WithPayload<proto::LogReadResponse>>> ReadLog(ServerWorld* world, uint32_t id, Lsn from,
                                                          Epoch epoch, std::string reader,
                                                          Lsn persisted) {
  proto::LogReadRequest request;
  request.set_volume_id(id);
  request.set_start_lsn(from.value());
  request.set_bytes_max(1 << 20);
  request.set_deadline_ms(1);
  request.set_epoch(epoch.value());
  request.set_reader(reader);
  request.set_persisted_lsn(persisted.value());
  Result<WithPayload<proto::LogReadResponse>> answer =
      co_await world->client->LogRead(std::move(request), world->In(10));
  co_return answer;
}

Task<void> WantCount(ServerWorld* world, uint32_t id, std::string reason, uint64_t wanted) {
  proto::LogStatusRequest ask;
  ask.set_volume_id(id);
  const auto status = co_await world->client->LogStatus(std::move(ask), world->In(10));
  EXPECT_TRUE(status.ok());
  uint64_t count = 0;
  for (const proto::RefusedCount& refused : status->refused()) {
    count += refused.reason() == reason ? refused.count() : 0;
  }
  EXPECT_EQ(count, wanted) << reason << ": " << status->ShortDebugString();
}

// A newer writer may not go on below what is committed at `end`, where epoch 5's last append, which
// starts at `last`, ends.
Task<void> NewerWriterBody(ServerWorld* world, uint32_t id, Lsn last, Lsn end) {
  proto::PrepareRequest newer;
  newer.set_volume("v");
  newer.set_epoch(8);
  const auto promised = co_await world->client->Prepare(std::move(newer), world->In(10));
  EXPECT_TRUE(promised.ok());
  EXPECT_EQ(promised->end_lsn(), end.value());
  EXPECT_EQ(promised->commit_lsn(), end.value());
  EXPECT_EQ(promised->last_mtr_lsn(), last.value());
  EXPECT_EQ(promised->begin_lsn(), 0U);
  EXPECT_EQ(promised->epochs_size(), 1);
  EpochHistory too_low{{Epoch(5), Lsn{}}, {Epoch(8), last}};
  Status status = co_await EpochStart(world, id, too_low);
  EXPECT_EQ(status.code(), StatusCode::kCorruption) << status.ToString();
  EpochHistory on{{Epoch(5), Lsn{}}, {Epoch(8), end}};
  status = co_await EpochStart(world, id, on);
  EXPECT_TRUE(status.ok()) << status.ToString();
  co_await world->Restart();
  proto::LogStatusRequest log;
  log.set_volume_id(id);
  const auto after = co_await world->client->LogStatus(std::move(log), world->In(10));
  EXPECT_TRUE(after.ok());
  EXPECT_EQ(after->end_lsn(), end.value());
  EXPECT_EQ(after->epoch(), 8U);
  EXPECT_EQ(after->readers_size(), 1);
  EXPECT_EQ(after->readers(0).name(), "page-1:7400");
}
// A member of three, of which the test plays the others.
Task<void> MemberBody(ServerWorld* world) {
  const uint32_t id = co_await world->CreateVolume("v");
  proto::PrepareRequest prepare;
  prepare.set_volume("v");
  prepare.set_epoch(5);
  const auto prepared = co_await world->client->Prepare(prepare, world->In(10));
  EXPECT_TRUE(prepared.ok());
  const auto refused = co_await world->client->Prepare(prepare, world->In(10));
  EXPECT_EQ(refused.status().code(), StatusCode::kStaleEpoch);
  RedoMaker redo;
  const Lsn first = redo.end();
  Bytes init = redo.InitPage(7);
  const Lsn second = redo.end();
  Bytes write = redo.Write(7, 1);
  const Lsn third = redo.end();
  Status status = co_await Append(world, AppendOf(id, Epoch(5), first, second), init);
  EXPECT_EQ(status.code(), StatusCode::kInvalidArgument) << "not begun: " << status.ToString();
  EpochHistory history{{Epoch(5), Lsn{}}};
  status = co_await EpochStart(world, id, history);
  EXPECT_TRUE(status.ok()) << status.ToString();
  proto::StartAtRequest start;
  start.set_volume_id(id);
  start.set_epoch(5);
  start.set_start_lsn(first.value());
  const auto started = co_await world->client->StartAt(std::move(start), world->In(10));
  EXPECT_TRUE(started.ok()) << started.status().ToString();
  status = co_await Append(world, AppendOf(id, Epoch(5), first, second), init);
  EXPECT_TRUE(status.ok()) << status.ToString();
  proto::AppendRequest append = AppendOf(id, Epoch(5), second, third);
  append.set_commit_lsn(second.value());
  status = co_await Append(world, std::move(append), write);
  EXPECT_TRUE(status.ok()) << status.ToString();

  std::string reader = "page-1:7400";
  auto read = co_await ReadLog(world, id, first, Epoch{}, reader, Lsn{});
  EXPECT_TRUE(read.ok());
  EXPECT_EQ(read->message.chunks_size(), 1);
  EXPECT_EQ(read->message.commit_lsn(), second.value());
  EXPECT_EQ(read->payload, init);
  std::string none;
  read = co_await ReadLog(world, id, first, Epoch(5), none, Lsn{});
  EXPECT_TRUE(read.ok());
  EXPECT_EQ(read->message.chunks_size(), 2) << "the writer sees what is synced";
  read = co_await ReadLog(world, id, first, Epoch(4), none, Lsn{});
  EXPECT_EQ(read.status().code(), StatusCode::kStaleEpoch);
  proto::LogCommitRequest commit;
  commit.set_volume_id(id);
  commit.set_epoch(5);
  commit.set_commit_lsn(third.value());
  const auto told = co_await world->client->LogCommit(std::move(commit), world->In(10));
  EXPECT_TRUE(told.ok()) << told.status().ToString();
  read = co_await ReadLog(world, id, second, Epoch{}, reader, second);
  EXPECT_TRUE(read.ok());
  EXPECT_EQ(read->message.chunks_size(), 1);
  co_await NewerWriterBody(world, id, second, third);
}
TEST_F(ServerTest, IsAMemberOfSeveralLogServers) { RunWith(&MemberBody); }
TEST_F(ServerTest, ALogServerIsAMemberOfSeveral) { RunWith(LogRoleOptions(), &MemberBody); }

// A page server that is one of several log servers, of which the writer has not begun the epoch
// yet: what redo does not say may be sent again, an older writer may not.
Task<void> SeedingTooEarlyBody(ServerWorld* world) {
  const uint32_t id = co_await world->CreateVolume("v");
  const auto horizon = [id](uint64_t epoch) {
    proto::SetHorizonRequest request;
    request.set_volume_id(id);
    request.set_epoch(epoch);
    request.set_horizon_lsn(RedoMaker::kStart.value());
    return request;
  };
  auto set = co_await world->client->SetHorizon(horizon(5), world->In(10));
  EXPECT_EQ(set.status().code(), StatusCode::kUnavailable) << "not promised yet";
  proto::PrepareRequest prepare;
  prepare.set_volume("v");
  prepare.set_epoch(5);
  const auto prepared = co_await world->client->Prepare(std::move(prepare), world->In(10));
  EXPECT_TRUE(prepared.ok());
  set = co_await world->client->SetHorizon(horizon(5), world->In(10));
  EXPECT_EQ(set.status().code(), StatusCode::kUnavailable) << set.status().ToString();
  EXPECT_NE(set.status().message().find("try again"), std::string::npos) << set.status().ToString();
  co_await WantCount(world, id, "unavailable", 2);
  set = co_await world->client->SetHorizon(horizon(4), world->In(10));
  EXPECT_EQ(set.status().code(), StatusCode::kStaleEpoch) << set.status().ToString();
  co_await WantCount(world, id, "stale epoch", 1);
  set = co_await world->client->SetHorizon(horizon(0), world->In(10));
  EXPECT_FALSE(set.ok()) << "no epoch is 0";
  EpochHistory history{{Epoch(5), Lsn{}}};
  const Status begun = co_await EpochStart(world, id, history);
  EXPECT_TRUE(begun.ok()) << begun.ToString();
  set = co_await world->client->SetHorizon(horizon(5), world->In(10));
  EXPECT_TRUE(set.ok()) << set.status().ToString();
}
TEST_F(ServerTest, SeedingBeforeTheEpochHasBegunMayBeTriedAgain) { RunWith(&SeedingTooEarlyBody); }

// The bound of what is kept for a log server that is away, as an operator sets it.
Task<void> LagBody(ServerWorld* world) {
  const uint32_t id = co_await world->CreateVolume("v");
  proto::PrepareRequest prepare;
  prepare.set_volume("v");
  prepare.set_epoch(5);
  const auto prepared = co_await world->client->Prepare(std::move(prepare), world->In(10));
  EXPECT_TRUE(prepared.ok());
  EpochHistory history{{Epoch(5), Lsn{}}};
  Status status = co_await EpochStart(world, id, history);
  EXPECT_TRUE(status.ok()) << status.ToString();
  proto::StartAtRequest start;
  start.set_volume_id(id);
  start.set_epoch(5);
  start.set_start_lsn(RedoMaker::kStart.value());
  const auto started = co_await world->client->StartAt(std::move(start), world->In(10));
  EXPECT_TRUE(started.ok()) << started.status().ToString();
  RedoMaker redo;
  for (uint32_t i = 0; i < 40; ++i) {
    const Lsn from = redo.end();
    Bytes bytes = redo.InitPage(7);
    for (uint32_t value = 0; value < 100; ++value) {
      const Bytes write = redo.Write(7, value);
      bytes.insert(bytes.end(), write.begin(), write.end());
    }
    status = co_await Append(world, AppendOf(id, Epoch(5), from, redo.end()), std::move(bytes));
    EXPECT_TRUE(status.ok()) << status.ToString();
  }
  proto::LogCommitRequest commit;
  commit.set_volume_id(id);
  commit.set_epoch(5);
  commit.set_commit_lsn(redo.end().value());
  commit.set_keep_from_lsn(RedoMaker::kStart.value());
  const auto told = co_await world->client->LogCommit(std::move(commit), world->In(10));
  EXPECT_TRUE(told.ok()) << told.status().ToString();
  // A reader that has all: only the log server that is away wants the redo.
  uint64_t readable_from = 0;
  for (int i = 0; i < 50 && readable_from == 0; ++i) {
    proto::LogStatusRequest ask;
    ask.set_volume_id(id);
    ask.set_reader("page-1");
    ask.set_persisted_lsn(redo.end().value());
    const auto log = co_await world->client->LogStatus(std::move(ask), world->In(10));
    EXPECT_TRUE(log.ok()) << log.status().ToString();
    readable_from = log.ok() ? log->readable_from_lsn() : 0;
    co_await world->runtime->scheduler->Sleep(std::chrono::milliseconds(20));
  }
  if (world->options.volumes.log_lag_bytes_max < (1 << 20)) {
    EXPECT_GT(readable_from, RedoMaker::kStart.value());
    EXPECT_LE(readable_from, redo.end().value() - world->options.volumes.log_lag_bytes_max);
  } else {
    EXPECT_EQ(readable_from, 0U) << "nothing was trimmed";
  }
}
TEST_F(ServerTest, KeepsRedoForAnAbsentLogServerUpToTheBound) {
  PageServerOptions options = LogRoleOptions();
  options.volumes.log_segment_bytes = 1 << 10;
  options.volumes.log_lag_bytes_max = 4 << 10;
  RunWith(options, &LagBody);
}
TEST_F(ServerTest, KeepsAllForAnAbsentLogServerWithinTheBound) {
  PageServerOptions options = LogRoleOptions();
  options.volumes.log_segment_bytes = 1 << 10;
  RunWith(options, &LagBody);
}

// Whatever a writer or reader does wrong is refused with its reason, counted, and changes nothing.
Task<void> RefusedBody(ServerWorld* world) {
  const uint32_t id = co_await world->CreateVolume("v");
  const uint32_t other = co_await world->CreateVolume("w");
  const Epoch epoch = co_await BeginLog(world, "v", id);
  RedoMaker redo;
  const Lsn first = redo.end();
  Bytes init = redo.InitPage(7);
  const Lsn end = redo.end();
  Status status = co_await Append(world, AppendOf(id, epoch, first, end), init);
  EXPECT_TRUE(status.ok()) << status.ToString();

  status = co_await Append(world, AppendOf(id, Epoch(epoch.value() - 1), first, end), init);
  EXPECT_EQ(status.code(), StatusCode::kStaleEpoch) << status.ToString();
  co_await WantCount(world, id, "stale epoch", 1);
  Bytes changed = init;
  changed.back() ^= 1;
  status = co_await Append(world, AppendOf(id, epoch, first, end), changed);
  EXPECT_EQ(status.code(), StatusCode::kCorruption) << "overlaps with other bytes";
  co_await WantCount(world, id, "corruption", 1);
  proto::AppendRequest damaged = AppendOf(id, epoch, end, innodb::AdvanceLsn(end, init.size()));
  damaged.set_payload_crc32c(Crc32c(init) ^ 1);
  const auto payload = std::make_shared<const Bytes>(init);
  RpcRequest raw{proto::LOG_APPEND, Serialise(damaged), payload};
  const Result<Frame> answer = co_await world->channel->Call(std::move(raw), world->In(10));
  EXPECT_TRUE(answer.ok());
  const auto refused = DecodeAnswer<proto::AppendResponse>("Append", answer->header);
  EXPECT_EQ(refused.status().code(), StatusCode::kCorruption) << "wrong checksum";
  co_await WantCount(world, id, "corruption", 2);
  const Lsn beyond = innodb::AdvanceLsn(end, 1000);
  status = co_await Append(
      world, AppendOf(id, epoch, beyond, innodb::AdvanceLsn(beyond, init.size())), init);
  EXPECT_EQ(status.code(), StatusCode::kGap) << status.ToString();
  co_await WantCount(world, id, "gap", 1);

  // Another volume than the one that is meant: the number alone does not do.
  proto::LogReadRequest read;
  read.set_volume_id(other);
  read.set_volume_uid(12345);
  read.set_reader("page-x");
  const auto foreign = co_await world->client->LogRead(std::move(read), world->In(10));
  EXPECT_EQ(foreign.status().code(), StatusCode::kNotFound) << foreign.status().ToString();
  proto::LogStatusRequest ask;
  ask.set_volume_id(other);
  ask.set_volume_uid(12345);
  ask.set_reader("page-x");
  const auto asked = co_await world->client->LogStatus(std::move(ask), world->In(10));
  EXPECT_EQ(asked.status().code(), StatusCode::kNotFound) << asked.status().ToString();
  co_await WantCount(world, other, "not found", 2);
  co_await WantCount(world, id, "not found", 0);
  // A reader that has this redo from a log with another history.
  proto::LogReadRequest parted;
  parted.set_volume_id(id);
  parted.set_start_lsn(innodb::AdvanceLsn(first, 1).value());
  parted.mutable_written_under()->set_epoch(epoch.value() + 7);
  const auto no_replica = co_await world->client->LogRead(std::move(parted), world->In(10));
  EXPECT_EQ(no_replica.status().code(), StatusCode::kCorruption) << no_replica.status().ToString();

  const auto listed = co_await world->client->VolumeList(world->In(10));
  EXPECT_TRUE(listed.ok());
  EXPECT_EQ(listed->server().unknown_volume(), 0U);
  EXPECT_GT(listed->server().requests(), 10U);
  proto::LogStatusRequest nowhere;
  nowhere.set_volume_id(99);
  const auto unknown = co_await world->client->LogStatus(std::move(nowhere), world->In(10));
  EXPECT_EQ(unknown.status().code(), StatusCode::kNotFound);
  const auto after = co_await world->client->VolumeList(world->In(10));
  EXPECT_TRUE(after.ok());
  EXPECT_EQ(after->server().unknown_volume(), 1U);
  proto::LogStatusRequest last;
  last.set_volume_id(id);
  const auto state = co_await world->client->LogStatus(std::move(last), world->In(10));
  EXPECT_TRUE(state.ok());
  EXPECT_EQ(state->end_lsn(), end.value()) << "nothing changed";
  EXPECT_EQ(state->readers_size(), 0);
}
TEST_F(ServerTest, WhatIsRefusedIsCountedAndChangesNothing) { RunWith(&RefusedBody); }

// A page role that says that it will not come back no longer holds redo up.
Task<void> LeavesBody(ServerWorld* world) {
  const uint32_t id = co_await world->CreateVolume("v");
  for (const bool leaves : {false, true}) {
    for (const std::string name : {"page-a", "page-b"}) {
      proto::LogStatusRequest ask;
      ask.set_volume_id(id);
      ask.set_reader(name);
      ask.set_persisted_lsn(9000);
      ask.set_reader_leaves(leaves && name == "page-a");
      const auto asked = co_await world->client->LogStatus(std::move(ask), world->In(10));
      EXPECT_TRUE(asked.ok()) << asked.status().ToString();
    }
    co_await world->Restart();
    proto::LogStatusRequest ask;
    ask.set_volume_id(id);
    const auto state = co_await world->client->LogStatus(std::move(ask), world->In(10));
    EXPECT_TRUE(state.ok());
    EXPECT_EQ(state->readers_size(), leaves ? 1 : 2);
  }
}
TEST_F(ServerTest, ForgetsAReaderThatLeaves) { RunWith(LogRoleOptions(), &LeavesBody); }

Task<void> NoPagesBody(ServerWorld* world) {
  const uint32_t id = co_await world->CreateVolume("v");
  std::string volume = "v";
  const auto taken = co_await TakeOver(world, std::move(volume));
  EXPECT_TRUE(taken.ok());
  proto::SetHorizonRequest horizon;
  horizon.set_volume_id(id);
  horizon.set_epoch(taken->epoch());
  horizon.set_horizon_lsn(RedoMaker::kStart.value());
  const auto set = co_await world->client->SetHorizon(std::move(horizon), world->In(10));
  EXPECT_EQ(set.status().code(), StatusCode::kUnsupported);
  proto::WaitLsnRequest wait;
  wait.set_volume_id(id);
  const auto waited = co_await world->client->WaitLsn(std::move(wait), world->In(10));
  EXPECT_EQ(waited.status().code(), StatusCode::kUnsupported);
  EXPECT_NE(waited.status().message().find("no page role"), std::string::npos)
      << waited.status().ToString();
  EXPECT_FALSE(std::filesystem::exists(world->options.data_dir + "/pages"));
  proto::VolumeStatusRequest status;
  status.set_name("v");
  const auto state = co_await world->client->VolumeStatus(std::move(status), world->In(10));
  EXPECT_TRUE(state.ok());
  EXPECT_EQ(state->volume().applied_lsn(), 0U);
  EXPECT_EQ(state->volume().ingest_error(), "");
  proto::VolumeDeleteRequest remove;
  remove.set_name("v");
  remove.set_confirm("v");
  const auto removed = co_await world->client->VolumeDelete(std::move(remove), world->In(10));
  EXPECT_TRUE(removed.ok()) << removed.status().ToString();
  EXPECT_FALSE(std::filesystem::exists(world->options.data_dir + "/log/1"));
}
TEST_F(ServerTest, ALogServerAnswersPageRequestsWithWhyNot) {
  RunWith(LogRoleOptions(), &NoPagesBody);
}

}  // namespace
}  // namespace redoubt
