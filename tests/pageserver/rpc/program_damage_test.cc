// SPDX-License-Identifier: MIT
//
// Goal: a page store that cannot be opened takes only the page role down. The program starts, its
// log role takes redo, every request for pages gets the reason with the file's name and what to do,
// and nothing is made anew in the store's place. Method: the real binary and files that are damaged
// while it is down.
#include <filesystem>
#include <fstream>
#include <functional>

#include "tests/pageserver/rpc/program.h"
#include "tests/pageserver/rpc/program_client.h"

namespace redoubt {
namespace {

constexpr uint32_t kPageNo = 7;

struct Volumes {
  std::vector<std::string> names{"a", "b"};
  std::vector<uint32_t> ids;
  std::vector<Epoch> epochs;
  RedoMaker redo;
  Lsn acknowledged;  // of each
  uint64_t value = 0;
  std::string store;  // its directory
};

Task<void> AppendToEach(ServerWorld* world, Volumes* volumes) {
  const Lsn start = volumes->redo.end();
  const bool first = volumes->acknowledged == Lsn{};
  const Bytes bytes =
      first ? volumes->redo.InitPage(kPageNo) : volumes->redo.Write(kPageNo, ++volumes->value);
  for (size_t i = 0; i < volumes->ids.size(); ++i) {
    proto::AppendRequest request =
        AppendOf(volumes->ids[i], volumes->epochs[i], start, volumes->redo.end());
    Bytes copy = bytes;
    const Status status = co_await Append(world, std::move(request), std::move(copy));
    EXPECT_TRUE(status.ok()) << volumes->names[i] << ": " << status.ToString();
  }
  volumes->acknowledged = volumes->redo.end();
}

Task<void> Begin(ServerWorld* world, Volumes* volumes) {
  for (const std::string& name : volumes->names) {
    volumes->ids.push_back(co_await world->CreateVolume(name));
    volumes->epochs.push_back(co_await BeginLog(world, name, volumes->ids.back()));
  }
  co_await AppendToEach(world, volumes);
  co_await AppendToEach(world, volumes);
}

Task<void> ExpectPages(ServerWorld* world, Volumes* volumes) {
  for (const uint32_t id : volumes->ids) {
    const uint64_t value = co_await ReadValue(world, id, kPageNo, volumes->acknowledged);
    EXPECT_EQ(value, volumes->value) << "volume " << id;
  }
}

uint64_t RefusedFor(const proto::VolumeState& state, std::string_view reason) {
  for (const proto::RefusedCount& refused : state.refused()) {
    if (refused.reason() == reason) {
      return refused.count();
    }
  }
  return 0;
}

// Every volume says why its pages are not there, to a reader and in its status, and counts it.
Task<void> ExpectNoPages(ServerWorld* world, Volumes* volumes) {
  for (size_t i = 0; i < volumes->ids.size(); ++i) {
    proto::GetPagesRequest request;
    request.set_volume_id(volumes->ids[i]);
    request.add_pages()->set_page_no(kPageNo);
    const auto answer = co_await world->client->GetPages(std::move(request), world->In(10));
    const Status& refused = answer.status();
    EXPECT_TRUE(refused.code() == StatusCode::kCorruption || refused.code() == StatusCode::kIoError)
        << refused.ToString();
    EXPECT_NE(refused.message().find(volumes->store), std::string::npos) << refused.ToString();
    EXPECT_NE(refused.message().find("start this server again"), std::string::npos)
        << refused.ToString();
    const proto::VolumeState state = co_await StateOf(world, volumes->names[i]);
    EXPECT_NE(refused.message().find("volume " + volumes->names[i]), std::string::npos);
    EXPECT_NE(state.ingest_error().find(volumes->store), std::string::npos) << state.ingest_error();
    EXPECT_EQ(RefusedFor(state, StatusCodeName(refused.code())), 1U) << state.ShortDebugString();
  }
}

Task<void> ExpectLogOnly(ServerWorld* world, Volumes* volumes) {
  co_await ExpectNoPages(world, volumes);
  co_await AppendToEach(world, volumes);
  // Its pages would stay, so the volume does.
  proto::VolumeDeleteRequest remove;
  remove.set_name("a");
  remove.set_confirm("a");
  const auto removed = co_await world->client->VolumeDelete(std::move(remove), world->In(10));
  EXPECT_FALSE(removed.ok());
  EXPECT_NE(removed.status().message().find(volumes->store), std::string::npos)
      << removed.status().ToString();
}

fs::path FileLike(const fs::path& directory, std::string_view part) {
  for (const auto& entry : fs::directory_iterator(directory)) {
    if (entry.path().filename().string().find(part) != std::string::npos) {
      return entry.path();
    }
  }
  ADD_FAILURE() << "no file like " << part << " in " << directory;
  return {};
}

struct Damage {
  const char* name;
  std::function<void(const fs::path& store)> harm;
};

const std::vector<Damage>& Damages() {
  static const std::vector<Damage> damages{
      {"a byte of the list of tables is another one",
       [](const fs::path& store) {
         std::fstream file(FileLike(store, "MANIFEST-"),
                           std::ios::in | std::ios::out | std::ios::binary);
         file.seekp(20);
         file.put('\x55');
       }},
      {"the list of tables is gone",
       [](const fs::path& store) { fs::remove(FileLike(store, "MANIFEST-")); }},
      {"the name of the list of tables is gone",
       [](const fs::path& store) { fs::remove(store / "CURRENT"); }},
      {"a table is gone", [](const fs::path& store) { fs::remove(FileLike(store, ".sst")); }},
  };
  return damages;
}

class PageserverDamage : public PageserverProgram {
 protected:
  // One life of the program, in which it does `body`.
  template <typename Body>
  void Live(const std::vector<std::string>& arguments, Volumes* volumes, Body body) {
    Program program(arguments);
    const std::string address = program.Address();
    ASSERT_NE(address, "") << program.text();
    Talk(address, volumes, body);
    program.Signal(SIGTERM);
    EXPECT_EQ(program.ExitCode(), 0) << program.text();
  }
};

TEST_F(PageserverDamage, APageStoreThatCannotBeOpenedLeavesTheLogRoleServing) {
  int number = 0;
  for (const Damage& damage : Damages()) {
    SCOPED_TRACE(damage.name);
    const fs::path data = root_ / ("data" + std::to_string(++number));
    const std::vector<std::string> arguments = Arguments(data);
    Volumes volumes;
    volumes.store = data / "pages";
    Live(arguments, &volumes, Begin);
    damage.harm(volumes.store);
    for (int life = 0; life < 2; ++life) {
      Live(arguments, &volumes, ExpectLogOnly);
    }
    // As the status says.
    fs::rename(volumes.store, data / "damaged");
    Live(arguments, &volumes, ExpectPages);
  }
}

// Two programs: the page server of a volume whose log is elsewhere.
TEST_F(PageserverDamage, APageServerThatCannotOpenItsStoreSaysSoOfEachVolume) {
  std::vector<std::string> log_arguments = Arguments(root_ / "log");
  log_arguments.insert(log_arguments.end(), {"--role", "log"});
  Program log(log_arguments);
  const std::string log_address = log.Address();
  ASSERT_NE(log_address, "") << log.text();
  const auto create = [](ServerWorld* world, Volumes* volumes) -> Task<void> {
    for (const std::string& name : volumes->names) {
      volumes->ids.push_back(co_await world->CreateVolume(name));
    }
  };
  Volumes there;
  Talk(log_address, &there, create);
  const fs::path data = root_ / "data";
  std::vector<std::string> arguments = Arguments(data);
  arguments.insert(arguments.end(), {"--role", "page", "--log-servers", log_address});
  Volumes volumes;
  Live(arguments, &volumes, create);
  volumes.store = data / "pages";
  fs::remove(fs::path(volumes.store) / "CURRENT");
  Live(arguments, &volumes, ExpectNoPages);
  EXPECT_FALSE(fs::exists(fs::path(volumes.store) / "CURRENT")) << "nothing was made in its place";
  fs::rename(data, root_ / "damaged");
  Volumes anew;
  Live(arguments, &anew, create);
  // The name under which it reads redo.
  volumes.store = data / "reader";
  std::ofstream(volumes.store) << "page-?";
  Live(arguments, &volumes, ExpectNoPages);
}

}  // namespace
}  // namespace redoubt
