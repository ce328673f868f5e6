// SPDX-License-Identifier: MIT
//
// Goal: a client gets through the whole server what the services promise: redo in, pages out,
// durable over a restart, and clear refusals. Method: a real server on loopback with the in-memory
// store.
#include <filesystem>
#include <fstream>

#include "client/log_writer.h"
#include "common/base/crc32c.h"
#include "common/innodb/page_format.h"
#include "common/runtime/task_group.h"
#include "pageserver/log/redo_segment.h"
#include "tests/pageserver/rpc/server_fixture.h"

namespace redoubt {
namespace {

Task<void> AppendThenReadBody(ServerWorld* world) {
  const uint32_t id = co_await world->CreateVolume("v");
  const Epoch epoch = co_await BeginLog(world, "v", id);
  RedoMaker redo;
  Lsn at = redo.end();
  Bytes bytes = redo.InitPage(7);
  const Status init = co_await Append(world, AppendOf(id, epoch, at, redo.end()), std::move(bytes));
  EXPECT_TRUE(init.ok()) << init.ToString();
  std::vector<Lsn> ends;
  for (uint64_t value = 1; value <= 20; ++value) {
    at = redo.end();
    bytes = redo.Write(7, value);
    const Status status =
        co_await Append(world, AppendOf(id, epoch, at, redo.end()), std::move(bytes));
    EXPECT_TRUE(status.ok()) << status.ToString();
    ends.push_back(redo.end());
  }
  // Every version, oldest and newest, before and after a restart.
  for (int life = 0; life < 2; ++life) {
    for (uint64_t value = 1; value <= 20; ++value) {
      const uint64_t read = co_await ReadValue(world, id, 7, ends[value - 1]);
      EXPECT_EQ(read, value);
    }
    co_await world->Restart();
  }
  const uint64_t newest = co_await ReadValue(world, id, 7, redo.end());
  EXPECT_EQ(newest, 20U);
}
TEST_F(ServerTest, ServesEveryVersionThatWasAppended) { RunWith(&AppendThenReadBody); }

Task<void> RefusalsBody(ServerWorld* world) {
  const uint32_t id = co_await world->CreateVolume("v");
  const Epoch epoch = co_await BeginLog(world, "v", id);
  RedoMaker redo;
  const Lsn first = redo.end();
  Bytes init = redo.InitPage(7);
  const Lsn second = redo.end();
  Bytes write = redo.Write(7, 1);
  const Lsn third = redo.end();

  Status status = co_await Append(world, AppendOf(id, epoch, second, third), write);
  EXPECT_EQ(status.code(), StatusCode::kGap) << status.ToString();
  status = co_await Append(world, AppendOf(id, epoch, first, third), init);
  EXPECT_EQ(status.code(), StatusCode::kInvalidArgument) << "length: " << status.ToString();
  proto::AppendRequest damaged = AppendOf(id, epoch, first, second);
  damaged.set_payload_crc32c(Crc32c(init) ^ 1);
  status = co_await Append(world, std::move(damaged), init);
  EXPECT_EQ(status.code(), StatusCode::kCorruption) << status.ToString();
  status = co_await Append(world, AppendOf(id + 1, epoch, first, second), init);
  EXPECT_EQ(status.code(), StatusCode::kNotFound) << "volume: " << status.ToString();
  status = co_await Append(world, AppendOf(id, Epoch(epoch.value() + 1), first, second), init);
  EXPECT_EQ(status.code(), StatusCode::kInvalidArgument) << "epoch: " << status.ToString();

  status = co_await Append(world, AppendOf(id, epoch, first, second), init);
  EXPECT_TRUE(status.ok()) << status.ToString();
  status = co_await Append(world, AppendOf(id, epoch, first, second), init);
  EXPECT_TRUE(status.ok()) << "retry: " << status.ToString();
  Bytes other = init;
  other.back() ^= 1;
  status = co_await Append(world, AppendOf(id, epoch, first, second), other);
  EXPECT_EQ(status.code(), StatusCode::kCorruption) << "overlap: " << status.ToString();

  std::string volume = "v";
  const Result<proto::PrepareResponse> prepared = co_await TakeOver(world, std::move(volume));
  EXPECT_EQ(prepared->end_lsn(), second.value());
  status = co_await Append(world, AppendOf(id, epoch, second, third), write);
  EXPECT_EQ(status.code(), StatusCode::kStaleEpoch) << status.ToString();
  co_await world->Restart();
  status = co_await Append(world, AppendOf(id, epoch, second, third), write);
  EXPECT_EQ(status.code(), StatusCode::kStaleEpoch) << "after restart: " << status.ToString();
  status = co_await Append(world, AppendOf(id, Epoch(prepared->epoch()), second, third), write);
  EXPECT_TRUE(status.ok()) << status.ToString();
}
TEST_F(ServerTest, RefusesWhatDoesNotContinueTheLog) { RunWith(&RefusalsBody); }

Task<void> VolumesBody(ServerWorld* world) {
  const uint32_t first = co_await world->CreateVolume("a");
  proto::VolumeCreateRequest again;
  again.set_name("a");
  again.set_page_size(16384);
  const auto taken = co_await world->client->VolumeCreate(std::move(again), world->In(10));
  EXPECT_EQ(taken.status().code(), StatusCode::kAlreadyExists);
  for (const std::string& name : {std::string("../x"), std::string(), std::string(65, 'x')}) {
    proto::VolumeCreateRequest bad;
    bad.set_name(name);
    bad.set_page_size(16384);
    const auto refused = co_await world->client->VolumeCreate(std::move(bad), world->In(10));
    EXPECT_EQ(refused.status().code(), StatusCode::kInvalidArgument) << name;
  }
  proto::VolumeCreateRequest odd;
  odd.set_name("odd");
  odd.set_page_size(10000);
  const auto refused = co_await world->client->VolumeCreate(std::move(odd), world->In(10));
  EXPECT_EQ(refused.status().code(), StatusCode::kInvalidArgument);
  co_await BeginLog(world, "a", first);
  co_await world->Restart();
  const auto listed = co_await world->client->VolumeList(world->In(10));
  EXPECT_TRUE(listed.ok());
  EXPECT_EQ(listed->volumes_size(), 1);
  EXPECT_EQ(listed->volumes(0).name(), "a");

  proto::VolumeDeleteRequest unconfirmed;
  unconfirmed.set_name("a");
  const auto kept = co_await world->client->VolumeDelete(std::move(unconfirmed), world->In(10));
  EXPECT_EQ(kept.status().code(), StatusCode::kInvalidArgument);
  proto::VolumeDeleteRequest confirmed;
  confirmed.set_name("a");
  confirmed.set_confirm("a");
  const auto deleted = co_await world->client->VolumeDelete(std::move(confirmed), world->In(10));
  EXPECT_TRUE(deleted.ok()) << deleted.status().ToString();
  EXPECT_FALSE(std::filesystem::exists(world->options.data_dir + "/log/1"));
  const uint32_t second = co_await world->CreateVolume("a");
  EXPECT_NE(first, second) << "a number is never used again";
  proto::VolumeStatusRequest status;
  status.set_name("a");
  const auto state = co_await world->client->VolumeStatus(std::move(status), world->In(10));
  EXPECT_TRUE(state.ok());
  EXPECT_EQ(state->volume().commit_lsn(), 0U) << "nothing of the deleted volume shows";
}
TEST_F(ServerTest, CreatesListsAndDeletesVolumes) { RunWith(&VolumesBody); }

Task<void> WriterBody(ServerWorld* world) {
  const uint32_t id = co_await world->CreateVolume("v");
  LogWriterOptions options;
  options.volume = "v";
  options.window_bytes = 4096;
  std::vector<std::string> addresses{world->server->address()};
  LogWriter writer(world->runtime, std::move(addresses), std::move(options));
  const Result<LogPosition> position = co_await writer.Start(Epoch(0), world->In(10));
  EXPECT_TRUE(position.ok()) << position.status().ToString();
  EXPECT_EQ(position->end, Lsn(0));
  std::string reason = "test";
  const Status begun = co_await writer.StartAt(RedoMaker::kStart, std::move(reason), world->In(10));
  EXPECT_TRUE(begun.ok()) << begun.ToString();
  RedoMaker redo;
  for (uint64_t value = 0; value < 2000; ++value) {
    RedoAppend append;
    append.range.start = redo.end();
    append.first_mtr_lsn = redo.end();
    Bytes bytes = value == 0 ? redo.InitPage(3) : redo.Write(3, value);
    append.range.end = redo.end();
    append.payload = std::make_shared<const Bytes>(std::move(bytes));
    const Status appended = co_await writer.Append(std::move(append), world->In(10));
    EXPECT_TRUE(appended.ok()) << appended.ToString();
  }
  const Status durable = co_await writer.WaitAcknowledged(redo.end(), world->In(10));
  EXPECT_TRUE(durable.ok()) << durable.ToString();
  proto::SetHorizonRequest horizon;
  horizon.set_volume_id(id);
  horizon.set_epoch(position->epoch.value());
  horizon.set_horizon_lsn(RedoMaker::kStart.value());
  const auto set = co_await world->client->SetHorizon(std::move(horizon), world->In(10));
  EXPECT_TRUE(set.ok());
  const uint64_t newest = co_await ReadValue(world, id, 3, redo.end());
  EXPECT_EQ(newest, 1999U);
  // Another writer takes over: this one must notice and stop.
  proto::PrepareRequest takeover;
  takeover.set_volume("v");
  const auto prepared = co_await world->client->Prepare(std::move(takeover), world->In(10));
  EXPECT_TRUE(prepared.ok());
  RedoAppend stale;
  stale.range.start = redo.end();
  Bytes bytes = redo.Write(3, 1);
  stale.range.end = redo.end();
  stale.payload = std::make_shared<const Bytes>(std::move(bytes));
  const Status taken = co_await writer.Append(std::move(stale), world->In(10));
  EXPECT_TRUE(taken.ok()) << "only the window took it";
  const Status refused = co_await writer.WaitAcknowledged(redo.end(), world->In(10));
  EXPECT_EQ(refused.code(), StatusCode::kStaleEpoch) << refused.ToString();
  co_await writer.Stop();
}
TEST_F(ServerTest, LogWriterStreamsAndNoticesThatItWasFenced) { RunWith(&WriterBody); }

Task<Status> PutSpace(ServerWorld* world, uint32_t volume_id, Epoch epoch, std::string path,
                      Lsn lsn = RedoMaker::kStart) {
  proto::SpacePutRequest request;
  request.set_volume_id(volume_id);
  request.set_epoch(epoch.value());
  proto::SpaceEvent* event = request.add_events();
  event->set_kind(proto::SpaceEvent::PRESENT);
  event->set_space(5);
  event->set_lsn(lsn.value());
  event->set_page_count(8);
  event->set_path(std::move(path));
  const auto answer = co_await world->client->SpacePut(std::move(request), world->In(10));
  co_return answer.status();
}

Task<Status> PutSideFile(ServerWorld* world, uint32_t volume_id, Epoch epoch, std::string path) {
  proto::SideFilePutRequest request;
  request.set_volume_id(volume_id);
  request.set_epoch(epoch.value());
  request.set_lsn(RedoMaker::kStart.value());
  request.set_path(std::move(path));
  auto bytes = std::make_shared<const Bytes>(Bytes{'x'});
  const auto answer =
      co_await world->client->SideFilePut(std::move(request), std::move(bytes), world->In(10));
  co_return answer.status();
}

Task<void> PathsBody(ServerWorld* world) {
  const uint32_t id = co_await world->CreateVolume("v");
  const Epoch epoch = co_await BeginLog(world, "v", id);
  RedoMaker redo;
  Bytes bytes = redo.InitPage(7);
  const Status appended =
      co_await Append(world, AppendOf(id, epoch, RedoMaker::kStart, redo.end()), std::move(bytes));
  EXPECT_TRUE(appended.ok()) << appended.ToString();
  const uint64_t applied = co_await ReadValue(world, id, 7, redo.end());
  EXPECT_EQ(applied, 0U);
  // Later paths of the same space at the same LSN replace earlier ones.
  for (const std::string path : {"./db/t.ibd", "../outside/gts.ibd", "/mnt/fast/db/t.ibd"}) {
    const Status put = co_await PutSpace(world, id, epoch, path);
    EXPECT_TRUE(put.ok()) << put.ToString();
    proto::SpaceListRequest list;
    list.set_volume_id(id);
    list.set_read_lsn(RedoMaker::kStart.value());
    const auto listed = co_await world->client->SpaceList(std::move(list), world->In(10));
    EXPECT_TRUE(listed.ok()) << listed.status().ToString();
    EXPECT_TRUE(listed.ok() && listed->spaces_size() == 1 && listed->spaces(0).path() == path)
        << path;
  }
  for (const std::string& path : {std::string(), std::string(4097, 'x'), std::string("a\0b", 3)}) {
    const Status put = co_await PutSpace(world, id, epoch, path);
    EXPECT_EQ(put.code(), StatusCode::kInvalidArgument) << put.ToString();
    EXPECT_NE(put.message().find("tablespace 5"), std::string::npos) << put.ToString();
  }
  const Status inside = co_await PutSideFile(world, id, epoch, "mysql/general_log.CSV");
  EXPECT_TRUE(inside.ok()) << inside.ToString();
  for (const std::string path : {"", "..", "../auto.cnf", "a/../../b", "a/..", "/etc/passwd"}) {
    const Status put = co_await PutSideFile(world, id, epoch, path);
    EXPECT_EQ(put.code(), StatusCode::kInvalidArgument) << path << ": " << put.ToString();
    EXPECT_NE(put.message().find("side file"), std::string::npos) << put.ToString();
  }
}
TEST_F(ServerTest, TablespacesMayLieAnywhereAndSideFilesMayNot) { RunWith(&PathsBody); }

// What the next tailer needs after one that died in the import that repairs a hole.
Task<void> SpacesBehindAHoleBody(ServerWorld* world) {
  const uint32_t id = co_await world->CreateVolume("v");
  LogWriterOptions options;
  options.volume = "v";
  std::vector<std::string> addresses{world->server->address()};
  LogWriter writer(world->runtime, std::move(addresses), std::move(options));
  const Result<LogPosition> position = co_await writer.Start(Epoch(0), world->In(10));
  EXPECT_TRUE(position.ok()) << position.status().ToString();
  std::string reason = "test";
  Status status = co_await writer.StartAt(RedoMaker::kStart, std::move(reason), world->In(10));
  EXPECT_TRUE(status.ok()) << status.ToString();
  RedoMaker before;
  RedoAppend append = before.AppendInit(7);
  status = co_await writer.Append(std::move(append), world->In(10));
  EXPECT_TRUE(status.ok()) << status.ToString();

  RedoMaker after(Lsn(RedoMaker::kStart.value() + 10 * 512));
  const Lsn resumed = after.end();
  reason = "lost";
  status = co_await writer.StartAt(resumed, std::move(reason), world->In(10));
  EXPECT_TRUE(status.ok()) << status.ToString();
  status = co_await PutSpace(world, id, position->epoch, "./db/t.ibd", resumed);
  EXPECT_TRUE(status.ok()) << status.ToString();
  append = after.AppendInit(7);
  status = co_await writer.Append(std::move(append), world->In(10));
  EXPECT_TRUE(status.ok()) << status.ToString();
  proto::SpaceListRequest request;
  request.set_volume_id(id);
  uint64_t applied = 0;
  for (int i = 0; i < 1000; ++i) {
    request.set_unreadable_too(true);
    proto::SpaceListRequest copy = request;
    const auto known = co_await world->client->SpaceList(std::move(copy), world->In(10));
    EXPECT_TRUE(known.ok()) << known.status().ToString();
    if (!known.ok()) {
      break;
    }
    applied = known->read_lsn();
    if (applied == after.end().value()) {
      EXPECT_TRUE(known->spaces_size() == 1 && known->spaces(0).space() == 5);
      break;
    }
    co_await world->runtime->scheduler->Sleep(std::chrono::milliseconds(10));
  }
  EXPECT_EQ(applied, after.end().value());
  proto::SpaceListRequest copy = request;
  copy.set_read_lsn(resumed.value());
  const auto past = co_await world->client->SpaceList(std::move(copy), world->In(10));
  EXPECT_EQ(past.status().code(), StatusCode::kInvalidArgument) << past.status().ToString();
  request.set_unreadable_too(false);
  const auto readable = co_await world->client->SpaceList(std::move(request), world->In(10));
  EXPECT_EQ(readable.status().code(), StatusCode::kHole) << readable.status().ToString();
  co_await writer.Stop();
}
TEST_F(ServerTest, SpacesAreKnownBehindLostRedo) { RunWith(&SpacesBehindAHoleBody); }

// The status of one page of a read: of the whole call, or of the page.
Task<Status> ReadStatus(ServerWorld* world, uint32_t volume_id, Lsn read_lsn) {
  proto::GetPagesRequest request;
  request.set_volume_id(volume_id);
  request.set_read_lsn(read_lsn.value());
  request.set_deadline_ms(200);
  proto::PageRef* ref = request.add_pages();
  ref->set_space(5);
  ref->set_page_no(7);
  const auto answer = co_await world->client->GetPages(std::move(request), world->In(10));
  if (!answer.ok()) {
    co_return answer.status();
  }
  EXPECT_EQ(answer->message.pages_size(), 1);
  const proto::StatusProto& status = answer->message.pages(0).status();
  co_return Status(static_cast<StatusCode>(status.code()), status.message());
}

Task<void> BadReadsBody(ServerWorld* world) {
  const uint32_t id = co_await world->CreateVolume("v");
  const Epoch epoch = co_await BeginLog(world, "v", id);
  RedoMaker redo;
  const Lsn start = redo.end();
  Bytes bytes = redo.InitPage(7);
  Status status = co_await Append(world, AppendOf(id, epoch, start, redo.end()), std::move(bytes));
  EXPECT_TRUE(status.ok()) << status.ToString();

  status = co_await ReadStatus(world, id + 1, redo.end());
  EXPECT_EQ(status.code(), StatusCode::kNotFound) << status.ToString();
  EXPECT_NE(status.message().find(std::to_string(id + 1)), std::string::npos) << status.ToString();
  const Lsn below(start.value() - 4);
  status = co_await ReadStatus(world, id, below);
  EXPECT_EQ(status.code(), StatusCode::kBelowHorizon) << status.ToString();
  EXPECT_NE(status.message().find(std::to_string(start.value())), std::string::npos)
      << status.ToString();
  const Lsn beyond(redo.end().value() + 1000);
  status = co_await ReadStatus(world, id, beyond);
  EXPECT_EQ(status.code(), StatusCode::kDeadlineExceeded) << status.ToString();
  EXPECT_NE(status.message().find(std::to_string(beyond.value())), std::string::npos)
      << status.ToString();

  // The volume's pages have 16 KiB, this image has 8.
  proto::PutImagesRequest images;
  images.set_volume_id(id);
  images.set_epoch(epoch.value());
  proto::PageImage* image = images.add_images();
  image->set_space(5);
  image->set_page_no(7);
  image->set_lsn(redo.end().value());
  auto half = std::make_shared<const Bytes>(Bytes(8192));
  const auto put =
      co_await world->client->PutImages(std::move(images), std::move(half), world->In(10));
  EXPECT_EQ(put.status().code(), StatusCode::kInvalidArgument) << put.status().ToString();
  EXPECT_NE(put.status().message().find("16384"), std::string::npos) << put.status().ToString();

  const uint64_t value = co_await ReadValue(world, id, 7, redo.end());
  EXPECT_EQ(value, 0U) << "what was accepted before is served";
}
TEST_F(ServerTest, ReadsThatCannotBeAnsweredSayWhy) { RunWith(&BadReadsBody); }

Task<void> ReadNewest(ServerWorld* world, uint32_t volume_id, Lsn* read_lsn) {
  proto::GetPagesRequest request;
  request.set_volume_id(volume_id);
  request.set_deadline_ms(5000);
  proto::PageRef* ref = request.add_pages();
  ref->set_space(5);
  ref->set_page_no(7);
  const auto answer = co_await world->client->GetPages(std::move(request), world->In(10));
  EXPECT_TRUE(answer.ok()) << answer.status().ToString();
  *read_lsn = answer.ok() ? Lsn(answer->message.read_lsn()) : Lsn();
}

Task<void> RaiseHorizon(ServerWorld* world, uint32_t id, Epoch epoch, Lsn lsn) {
  proto::SetHorizonRequest horizon;
  horizon.set_volume_id(id);
  horizon.set_epoch(epoch.value());
  horizon.set_horizon_lsn(lsn.value());
  const auto set = co_await world->client->SetHorizon(std::move(horizon), world->In(10));
  EXPECT_TRUE(set.ok()) << set.status().ToString();
}

// While redo up to the horizon is not applied yet, as right after a start, "the newest" is not what
// is: the read waits and names the LSN at which it was answered.
Task<void> NewestBeforeAnythingIsAppliedBody(ServerWorld* world) {
  const uint32_t id = co_await world->CreateVolume("v");
  const Epoch epoch = co_await BeginLog(world, "v", id);
  RedoMaker redo;
  const Lsn start = redo.end();
  Bytes bytes = redo.InitPage(7);
  co_await RaiseHorizon(world, id, epoch, redo.end());
  Lsn read_lsn;
  TaskGroup reading(world->runtime->scheduler);
  reading.Spawn(ReadNewest(world, id, &read_lsn));
  co_await world->runtime->scheduler->Sleep(std::chrono::milliseconds(50));
  EXPECT_EQ(read_lsn, Lsn{}) << "answered too early";
  const Status status =
      co_await Append(world, AppendOf(id, epoch, start, redo.end()), std::move(bytes));
  EXPECT_TRUE(status.ok()) << status.ToString();
  co_await reading.Join();
  EXPECT_EQ(read_lsn, redo.end());
}
TEST_F(ServerTest, NewestWaitsUntilSomethingIsApplied) {
  RunWith(&NewestBeforeAnythingIsAppliedBody);
}

// An imported volume is there at the LSN of its import before any redo follows: on a server with a
// log, on a page server beside it, and after a restart of both.
Task<void> SeededBody(ServerWorld* world) {
  const uint32_t id = co_await world->CreateVolume("v");
  const Epoch epoch = co_await BeginLog(world, "v", id);
  ServerWorld pages;
  pages.runtime = world->runtime;
  pages.options = TestServerOptions(world->data_dir + "/pages");
  pages.options.role = ServerRole::kPage;
  pages.options.volumes.log_servers = {world->server->address()};
  co_await pages.Start();
  const uint32_t there = co_await pages.CreateVolume("v");
  for (ServerWorld* server : {world, &pages}) {
    const uint32_t volume = server == world ? id : there;
    proto::SpacePutRequest present;
    present.set_volume_id(volume);
    present.set_epoch(epoch.value());
    proto::SpaceEvent* event = present.add_events();
    event->set_kind(proto::SpaceEvent::PRESENT);
    event->set_space(5);
    event->set_lsn(RedoMaker::kStart.value());
    event->set_path("./db/t.ibd");
    event->set_page_count(8);
    const auto known = co_await server->client->SpacePut(std::move(present), world->In(10));
    EXPECT_TRUE(known.ok()) << known.status().ToString();
    proto::PutImagesRequest images;
    images.set_volume_id(volume);
    images.set_epoch(epoch.value());
    proto::PageImage* image = images.add_images();
    image->set_space(5);
    image->set_page_no(7);
    image->set_lsn(RedoMaker::kStart.value());
    Bytes page(16384);
    StoreBe32(page.data() + innodb::kPageNoOffset, 7);
    StoreBe32(page.data() + innodb::kPageSpaceIdOffset, 5);
    StoreBe64(page.data() + 100, 4711);
    innodb::StampPage(MutableByteView(page), RedoMaker::kStart);
    auto payload = std::make_shared<const Bytes>(std::move(page));
    const auto put =
        co_await server->client->PutImages(std::move(images), std::move(payload), world->In(10));
    EXPECT_TRUE(put.ok()) << put.status().ToString();
    co_await RaiseHorizon(server, volume, epoch, RedoMaker::kStart);
  }
  for (int life = 0; life < 2; ++life) {
    uint64_t value = co_await ReadValue(world, id, 7, RedoMaker::kStart);
    EXPECT_EQ(value, 4711U);
    value = co_await ReadValue(&pages, there, 7, RedoMaker::kStart);
    EXPECT_EQ(value, 4711U);
    co_await pages.Stop();
    co_await world->Restart();
    pages.options.volumes.log_servers = {world->server->address()};
    co_await pages.Start();
  }
  // And redo goes on from there.
  RedoMaker redo;
  const Lsn start = redo.end();
  Bytes bytes = redo.Write(7, 4712);
  const Status appended =
      co_await Append(world, AppendOf(id, epoch, start, redo.end()), std::move(bytes));
  EXPECT_TRUE(appended.ok()) << appended.ToString();
  uint64_t value = co_await ReadValue(world, id, 7, redo.end());
  EXPECT_EQ(value, 4712U);
  value = co_await ReadValue(&pages, there, 7, redo.end());
  EXPECT_EQ(value, 4712U);
  value = co_await ReadValue(&pages, there, 7, start);
  EXPECT_EQ(value, 4711U);
  co_await pages.Stop();
}
TEST_F(ServerTest, AnImportedVolumeIsReadableBeforeAnyRedo) { RunWith(&SeededBody); }

Task<void> AskSpaces(ServerWorld* world, uint32_t volume_id, uint64_t read_lsn, Lsn* answered) {
  proto::SpaceListRequest request;
  request.set_volume_id(volume_id);
  request.set_read_lsn(read_lsn);
  const auto answer = co_await world->client->SpaceList(std::move(request), world->In(10));
  EXPECT_TRUE(answer.ok()) << answer.status().ToString();
  *answered = answer.ok() ? Lsn(answer->read_lsn()) : Lsn{};
}
Task<void> AskSideFiles(ServerWorld* world, uint32_t volume_id, bool* answered) {
  proto::SideFileListRequest request;
  request.set_volume_id(volume_id);
  const auto answer = co_await world->client->SideFileList(std::move(request), world->In(10));
  EXPECT_TRUE(answer.ok()) << answer.status().ToString();
  *answered = true;
}
Task<void> AskDynamicMeta(ServerWorld* world, uint32_t volume_id, bool* answered) {
  proto::DynamicMetaRequest request;
  request.set_volume_id(volume_id);
  const auto answer = co_await world->client->DynamicMeta(std::move(request), world->In(10));
  EXPECT_TRUE(answer.ok()) << answer.status().ToString();
  *answered = true;
}
Task<void> AskScan(ServerWorld* world, uint32_t volume_id, uint64_t read_lsn, int* page_count) {
  proto::ScanPagesRequest request;
  request.set_volume_id(volume_id);
  request.set_space(5);
  request.set_read_lsn(read_lsn);
  const auto answer = co_await world->client->ScanPages(std::move(request), world->In(10));
  EXPECT_TRUE(answer.ok()) << answer.status().ToString();
  *page_count = answer.ok() ? answer->message.pages_size() : -1;
}

// The same rule for every question that names an LSN or "the newest".
Task<void> QuestionsWaitBody(ServerWorld* world) {
  const uint32_t id = co_await world->CreateVolume("v");
  const Epoch epoch = co_await BeginLog(world, "v", id);
  RedoMaker redo;
  const Lsn start = redo.end();
  Bytes bytes = redo.InitPage(7);
  co_await RaiseHorizon(world, id, epoch, redo.end());
  Lsn newest;
  Lsn named;
  bool side_files = false;
  bool dynamic_meta = false;
  int page_count = 0;
  TaskGroup asking(world->runtime->scheduler);
  asking.Spawn(AskSpaces(world, id, 0, &newest));
  asking.Spawn(AskSpaces(world, id, redo.end().value(), &named));
  asking.Spawn(AskSideFiles(world, id, &side_files));
  asking.Spawn(AskDynamicMeta(world, id, &dynamic_meta));
  asking.Spawn(AskScan(world, id, redo.end().value(), &page_count));
  co_await world->runtime->scheduler->Sleep(std::chrono::milliseconds(100));
  EXPECT_EQ(newest, Lsn{}) << "answered before anything was applied";
  EXPECT_EQ(named, Lsn{});
  EXPECT_FALSE(side_files);
  EXPECT_FALSE(dynamic_meta);
  EXPECT_EQ(page_count, 0);
  const Status status =
      co_await Append(world, AppendOf(id, epoch, start, redo.end()), std::move(bytes));
  EXPECT_TRUE(status.ok()) << status.ToString();
  co_await asking.Join();
  EXPECT_GE(newest, start);
  EXPECT_EQ(named, redo.end());
  EXPECT_TRUE(side_files);
  EXPECT_TRUE(dynamic_meta);
  EXPECT_EQ(page_count, 1);
}
TEST_F(ServerTest, EveryQuestionWaitsUntilItsLsnIsApplied) { RunWith(&QuestionsWaitBody); }

Task<void> DamagedVolumeBody(ServerWorld* world) {
  RedoMaker redo;
  const Lsn start = redo.end();
  const Bytes init = redo.InitPage(7);
  uint32_t ids[2] = {};
  Epoch epochs[2];
  for (int i = 0; i < 2; ++i) {
    const std::string name = i == 0 ? "damaged" : "good";
    ids[i] = co_await world->CreateVolume(name);
    epochs[i] = co_await BeginLog(world, name, ids[i]);
    const Status status =
        co_await Append(world, AppendOf(ids[i], epochs[i], start, redo.end()), init);
    EXPECT_TRUE(status.ok()) << status.ToString();
  }
  co_await world->Stop();
  // A clean stop marked the end, so this byte is known to have been durable.
  const std::string directory = world->options.data_dir + "/log/" + std::to_string(ids[0]);
  for (const auto& entry : std::filesystem::directory_iterator(directory)) {
    if (entry.path().extension() == ".redo") {
      std::fstream file(entry.path(), std::ios::in | std::ios::out | std::ios::binary);
      file.seekp(kSegmentHeaderBytes + kRecordHeaderBytes);
      file.put('\x55');
    }
  }
  co_await world->Start();
  const Status refused =
      co_await Append(world, AppendOf(ids[0], epochs[0], start, redo.end()), init);
  EXPECT_EQ(refused.code(), StatusCode::kCorruption) << refused.ToString();
  EXPECT_NE(refused.message().find(directory), std::string::npos) << refused.ToString();
  proto::VolumeStatusRequest request;
  request.set_name("damaged");
  const auto state = co_await world->client->VolumeStatus(std::move(request), world->In(10));
  EXPECT_TRUE(state.ok());
  EXPECT_NE(state->volume().ingest_error().find("damaged"), std::string::npos);
  const uint64_t value = co_await ReadValue(world, ids[1], 7, redo.end());
  EXPECT_EQ(value, 0U) << "the other volume is served";
  proto::VolumeDeleteRequest remove;
  remove.set_name("damaged");
  remove.set_confirm("damaged");
  const auto removed = co_await world->client->VolumeDelete(std::move(remove), world->In(10));
  EXPECT_TRUE(removed.ok()) << "a damaged volume can be removed";
}
TEST_F(ServerTest, ADamagedVolumeIsRefusedAndTheOthersAreServed) { RunWith(&DamagedVolumeBody); }

// Sets one byte of a small file and its checksum, which is its last four bytes.
void ChangeSmallFile(const std::string& path, size_t offset, uint8_t value) {
  std::ifstream in(path, std::ios::binary);
  Bytes bytes{std::istreambuf_iterator<char>(in), std::istreambuf_iterator<char>()};
  ASSERT_GT(bytes.size(), offset + 4) << path;
  bytes[offset] = value;
  const size_t body = bytes.size() - 4;
  StoreBe32(bytes.data() + body, Crc32c(ByteView(bytes).first(body)));
  std::ofstream out(path, std::ios::binary | std::ios::trunc);
  out.write(reinterpret_cast<const char*>(bytes.data()), static_cast<int64_t>(bytes.size()));
}

// Refused with the file's name, counted where an operator looks, and nobody else's business.
Task<void> ForeignFilesBody(ServerWorld* world) {
  RedoMaker redo;
  const Lsn start = redo.end();
  const Bytes init = redo.InitPage(7);
  const std::vector<std::string> names{"older", "foreign", "sound"};
  std::vector<uint32_t> ids;
  std::vector<Epoch> epochs;
  for (const std::string& name : names) {
    ids.push_back(co_await world->CreateVolume(name));
    epochs.push_back(co_await BeginLog(world, name, ids.back()));
    const Status status =
        co_await Append(world, AppendOf(ids.back(), epochs.back(), start, redo.end()), init);
    EXPECT_TRUE(status.ok()) << status.ToString();
  }
  co_await world->Stop();
  const auto epoch_file = [&](size_t i) {
    return world->options.data_dir + "/log/" + std::to_string(ids[i]) + "/epoch";
  };
  ChangeSmallFile(epoch_file(0), 11, 1);     // the format's version
  ChangeSmallFile(epoch_file(1), 13, 0x55);  // the volume's random id
  co_await world->Start();
  for (size_t i = 0; i < 2; ++i) {
    for (uint64_t tried = 1; tried <= 2; ++tried) {
      const Status refused =
          co_await Append(world, AppendOf(ids[i], epochs[i], start, redo.end()), init);
      EXPECT_EQ(refused.code(), StatusCode::kUnsupported) << refused.ToString();
      EXPECT_NE(refused.message().find(epoch_file(i)), std::string::npos) << refused.ToString();
      proto::VolumeStatusRequest ask;
      ask.set_name(names[i]);
      const auto state = co_await world->client->VolumeStatus(std::move(ask), world->In(10));
      EXPECT_TRUE(state.ok()) << state.status().ToString();
      EXPECT_EQ(state->volume().refused_size(), 1) << state->ShortDebugString();
      EXPECT_EQ(state->volume().refused(0).reason(), "unsupported");
      EXPECT_EQ(state->volume().refused(0).count(), tried);
    }
  }
  const uint64_t value = co_await ReadValue(world, ids[2], 7, redo.end());
  EXPECT_EQ(value, 0U) << "the sound volume is served";
}
TEST_F(ServerTest, FilesOfAnotherFormatOrServerAreRefusedCountedAndNobodyElsesBusiness) {
  RunWith(&ForeignFilesBody);
}

}  // namespace
}  // namespace redoubt
