// SPDX-License-Identifier: MIT
//
// Goal: pagectl shows who reads a log and what it refused, and makes a reader leave only when it is
// told so for certain. Method: the commands against a real server on loopback; what they print goes
// to a file.
#include <cstdio>
#include <filesystem>
#include <string>

#include "client/ctl/commands.h"
#include "tests/pageserver/rpc/server_fixture.h"

namespace redoubt::ctl {
namespace {

// A console of which the test reads stdout and stderr together.
class Paper {
 public:
  Paper(Runtime* runtime, bool json)
      : file_(std::tmpfile()), console_(runtime->scheduler, {json, false, 80, file_, file_}) {}
  ~Paper() { std::fclose(file_); }
  Paper(const Paper&) = delete;
  Paper& operator=(const Paper&) = delete;
  Console* console() { return &console_; }
  std::string text() {
    std::fflush(file_);
    std::rewind(file_);
    std::string text(64 << 10, '\0');
    text.resize(std::fread(text.data(), 1, text.size(), file_));
    return text;
  }
  bool Says(const std::string& what) { return text().find(what) != std::string::npos; }

 private:
  std::FILE* file_;
  Console console_;
};

Task<void> NoteReader(ServerWorld* world, uint32_t id, Lsn persisted) {
  proto::LogStatusRequest request;
  request.set_volume_id(id);
  request.set_reader("page-a");
  request.set_persisted_lsn(persisted.value());
  const auto noted = co_await world->client->LogStatus(std::move(request), world->In(10));
  EXPECT_TRUE(noted.ok()) << noted.status().ToString();
}

// pagectl volume status v.
Task<void> ShowStatus(ServerWorld* world, Paper* paper) {
  const ServerAddress server{world->server->address()};
  const int code = co_await VolumeStatus(world->runtime, paper->console(), server, "v");
  EXPECT_EQ(code, kExitOk);
}

Task<void> ShowsBody(ServerWorld* world) {
  const uint32_t id = co_await world->CreateVolume("v");
  const Epoch epoch = co_await BeginLog(world, "v", id);
  co_await NoteReader(world, id, RedoMaker::kStart);
  RedoMaker redo;
  const Lsn start = redo.end();
  Bytes bytes = redo.InitPage(3);
  const Status stale = co_await Append(
      world, AppendOf(id, Epoch(epoch.value() - 1), start, redo.end()), std::move(bytes));
  EXPECT_EQ(stale.code(), StatusCode::kStaleEpoch);
  Paper people(world->runtime, false);
  co_await ShowStatus(world, &people);
  EXPECT_TRUE(people.Says("page-a  has persisted 8204")) << people.text();
  EXPECT_TRUE(people.Says("1 requests: stale epoch")) << people.text();
  EXPECT_FALSE(people.Says("NO REDO COMES")) << people.text();
  Paper machine(world->runtime, true);
  co_await ShowStatus(world, &machine);
  EXPECT_TRUE(machine.Says("\"readers\":[{\"name\":\"page-a\",\"persisted_lsn\":8204}]"))
      << machine.text();
  EXPECT_TRUE(machine.Says("\"refused\":{\"stale epoch\":1}")) << machine.text();
  EXPECT_TRUE(machine.Says("\"feed_server\":\"\",\"feed_problem\":\"\"")) << machine.text();
  Paper list(world->runtime, true);
  const ServerAddress server{world->server->address()};
  const int code = co_await VolumeList(world->runtime, list.console(), server);
  EXPECT_EQ(code, kExitOk);
  EXPECT_TRUE(list.Says("\"bad_frames\":0")) << list.text();
}
TEST_F(ServerTest, VolumeStatusShowsReadersAndWhatWasRefused) { RunWith(&ShowsBody); }

// Goal: nobody takes a log that does not answer, or none, for one without readers and refusals.
Task<void> SilentLogBody(ServerWorld* world) {
  const uint32_t id = co_await world->CreateVolume("v");
  const Epoch epoch = co_await BeginLog(world, "v", id);
  RedoMaker redo;
  const Lsn start = redo.end();
  Bytes bytes = redo.InitPage(3);
  const Status appended =
      co_await Append(world, AppendOf(id, epoch, start, redo.end()), std::move(bytes));
  EXPECT_TRUE(appended.ok()) << appended.ToString();
  co_await world->Stop();
  const std::string directory = world->options.data_dir + "/log/" + std::to_string(id);
  std::filesystem::resize_file(directory + "/epoch", 3);
  co_await world->Start();
  Paper machine(world->runtime, true);
  co_await ShowStatus(world, &machine);
  EXPECT_TRUE(machine.Says("\"has_log\":true,\"log_problem\":\"corruption: ")) << machine.text();
  EXPECT_TRUE(machine.Says("\"readers\":null,\"log_kept_from_lsn\":null")) << machine.text();
  Paper people(world->runtime, false);
  co_await ShowStatus(world, &people);
  EXPECT_TRUE(people.Says("LOG TELLS NOTHING")) << people.text();
  EXPECT_TRUE(people.Says(directory)) << people.text();
  EXPECT_TRUE(people.Says("requests: corruption")) << "counted although nothing is served";
}
TEST_F(ServerTest, VolumeStatusSaysThatTheLogDoesNotAnswer) { RunWith(&SilentLogBody); }

Task<Result<std::unique_ptr<KvStore>>> Damaged(Runtime* /*runtime*/, std::string path) {
  co_return Corruption("the page store " + path + " was flushed before, yet CURRENT is gone");
}

// Goal: an operator who asks for a volume's status sees that its pages are not served, why, and
// what to do, and that its log is.
Task<void> NoPagesBody(ServerWorld* world) {
  co_await world->CreateVolume("v");
  co_await world->Stop();
  world->options.open_store = &Damaged;
  co_await world->Start();
  Paper people(world->runtime, false);
  co_await ShowStatus(world, &people);
  EXPECT_TRUE(people.Says("no pages are served: the page store " + world->options.data_dir))
      << people.text();
  EXPECT_TRUE(people.Says("mend the disk and start this server again")) << people.text();
  EXPECT_FALSE(people.Says("LOG TELLS NOTHING")) << people.text();
  Paper machine(world->runtime, true);
  co_await ShowStatus(world, &machine);
  EXPECT_TRUE(machine.Says("\"ingest_error\":\"corruption: ")) << machine.text();
  EXPECT_TRUE(machine.Says("\"has_log\":true,\"log_problem\":\"\"")) << machine.text();
}
TEST_F(ServerTest, VolumeStatusSaysThatThePagesAreNotServed) { RunWith(&NoPagesBody); }

// A page role that follows the log of `world`.
Task<void> NoLogBody(ServerWorld* world) {
  const uint32_t id = co_await world->CreateVolume("v");
  co_await BeginLog(world, "v", id);
  PageServerOptions options = TestServerOptions(world->data_dir + "/pages");
  options.role = ServerRole::kPage;
  options.volumes.log_servers = {world->server->address()};
  ServerWorld pages;
  pages.runtime = world->runtime;
  pages.options = std::move(options);
  co_await pages.Start();
  co_await pages.CreateVolume("v");
  Paper machine(world->runtime, true);
  co_await ShowStatus(&pages, &machine);
  EXPECT_TRUE(machine.Says("\"has_log\":false,\"log_problem\":\"\",\"readers\":null"))
      << machine.text();
  Paper people(world->runtime, false);
  co_await ShowStatus(&pages, &people);
  EXPECT_FALSE(people.Says("LOG TELLS NOTHING")) << people.text();
  co_await pages.Stop();
}
TEST_F(ServerTest, VolumeStatusSaysThatThereIsNoLog) { RunWith(&NoLogBody); }

Task<int> Forget(ServerWorld* world, Paper* paper, std::string reader, bool confirmed) {
  const ServerAddress server{world->server->address()};
  ForgetReaderOptions options{"v", std::move(reader), confirmed};
  const int code =
      co_await ForgetReader(world->runtime, paper->console(), server, std::move(options));
  co_return code;
}

Task<void> ForgetsBody(ServerWorld* world) {
  const uint32_t id = co_await world->CreateVolume("v");
  co_await BeginLog(world, "v", id);
  co_await NoteReader(world, id, RedoMaker::kStart);
  Paper unsure(world->runtime, false);
  int code = co_await Forget(world, &unsure, "page-a", false);
  EXPECT_EQ(code, kExitUsage);
  EXPECT_TRUE(unsure.Says("say --yes")) << unsure.text();
  Paper other(world->runtime, true);
  code = co_await Forget(world, &other, "page-b", true);
  EXPECT_EQ(code, kExitProblem);
  EXPECT_TRUE(other.Says("its readers are page-a")) << "not touched: " << other.text();
  EXPECT_TRUE(other.Says("\"code\":\"not found\"")) << other.text();
  Paper sure(world->runtime, true);
  code = co_await Forget(world, &sure, "page-a", true);
  EXPECT_EQ(code, kExitOk);
  EXPECT_TRUE(sure.Says("{\"forgotten\":\"page-a\",\"readers\":[]")) << sure.text();
  co_await world->Restart();
  Paper again(world->runtime, false);
  code = co_await Forget(world, &again, "page-a", true);
  EXPECT_EQ(code, kExitProblem) << "gone for good";
  EXPECT_TRUE(again.Says("nobody reads it from outside")) << again.text();
}
TEST_F(ServerTest, AReaderLeavesOnlyWhenThatIsConfirmed) { RunWith(&ForgetsBody); }

}  // namespace
}  // namespace redoubt::ctl
