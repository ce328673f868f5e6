// SPDX-License-Identifier: MIT
//
// Goal: pages that cannot be served are the business of the volumes that have them: the log of the
// same volume, and other volumes, are served, the server starts, and each refusal says why and is
// counted. Method: a server whose store refuses what a test says.
#include <memory>
#include <optional>
#include <string>
#include <utility>

#include "pageserver/storage/keys.h"
#include "tests/pageserver/rpc/server_fixture.h"

namespace redoubt {
namespace {

// A store in memory that has lost what it says of one volume, or cannot be written to.
class DamagedStore final : public KvStore {
 public:
  struct Faults {
    std::optional<VolumeId> unreadable = std::nullopt;
    bool unwritable = false;
  };

  DamagedStore(std::unique_ptr<KvStore> store, Faults faults)
      : store_(std::move(store)), faults_(faults) {}

  static Task<Result<std::unique_ptr<KvStore>>> Open(Runtime* runtime, std::string path,
                                                     Faults faults) {
    Result<std::unique_ptr<KvStore>> store = co_await MemoryKvStore::Open(runtime, std::move(path));
    if (!store.ok()) {
      co_return store.status();
    }
    co_return Result<std::unique_ptr<KvStore>>(
        std::make_unique<DamagedStore>(std::move(*store), faults));
  }

  Result<std::optional<std::string>> Get(KvFamily family, std::string_view key) const override {
    if (faults_.unreadable.has_value() && key.starts_with(VolumePrefix(*faults_.unreadable))) {
      return Corruption("table 000007.sst of the page store: block checksum mismatch");
    }
    return store_->Get(family, key);
  }
  std::unique_ptr<KvIterator> NewIterator(KvFamily family) const override {
    return store_->NewIterator(family);
  }
  Task<Status> Write(KvBatch batch) override {
    if (faults_.unwritable) {
      co_return IoError("the page store is closed for writing");
    }
    const Status written = co_await store_->Write(std::move(batch));
    co_return written;
  }
  Task<Status> Flush() override { return store_->Flush(); }
  Task<Status> Close() override { return store_->Close(); }

 private:
  std::unique_ptr<KvStore> store_;
  Faults faults_;
};

KvStoreFactory WithFaults(DamagedStore::Faults faults) {
  return [faults](Runtime* runtime, std::string path) {
    return DamagedStore::Open(runtime, std::move(path), faults);
  };
}

struct TwoVolumes {
  const char* names[2] = {"one", "two"};
  uint32_t ids[2] = {};
  Epoch epochs[2];
  RedoMaker redo;
};

Task<void> AppendTo(ServerWorld* world, TwoVolumes* volumes, int which, Lsn start, Bytes bytes) {
  proto::AppendRequest request =
      AppendOf(volumes->ids[which], volumes->epochs[which], start, volumes->redo.end());
  const Status status = co_await Append(world, std::move(request), std::move(bytes));
  EXPECT_TRUE(status.ok()) << status.ToString();
}

Task<void> MakeTwo(ServerWorld* world, TwoVolumes* volumes) {
  const Lsn start = volumes->redo.end();
  const Bytes init = volumes->redo.InitPage(7);
  for (int i = 0; i < 2; ++i) {
    volumes->ids[i] = co_await world->CreateVolume(volumes->names[i]);
    volumes->epochs[i] = co_await BeginLog(world, volumes->names[i], volumes->ids[i]);
    Bytes copy = init;
    co_await AppendTo(world, volumes, i, start, std::move(copy));
  }
}

Task<Status> ReadPage(ServerWorld* world, uint32_t id) {
  proto::GetPagesRequest request;
  request.set_volume_id(id);
  request.add_pages()->set_page_no(7);
  const auto answer = co_await world->client->GetPages(std::move(request), world->In(10));
  co_return answer.status();
}

Task<Status> DeleteVolume(ServerWorld* world, std::string name) {
  proto::VolumeDeleteRequest request;
  request.set_name(name);
  request.set_confirm(name);
  const auto removed = co_await world->client->VolumeDelete(std::move(request), world->In(10));
  co_return removed.status();
}

Task<void> OneVolumeBody(ServerWorld* world) {
  TwoVolumes volumes;
  co_await MakeTwo(world, &volumes);
  const KvStoreFactory sound = world->options.open_store;
  const Lsn start = volumes.redo.end();
  co_await world->Stop();
  world->options.open_store = WithFaults({.unreadable = VolumeId(volumes.ids[0])});
  co_await world->Start();
  const Bytes write = volumes.redo.Write(7, 41);
  for (int i = 0; i < 2; ++i) {
    Bytes copy = write;
    co_await AppendTo(world, &volumes, i, start, std::move(copy));
  }
  for (uint64_t tried = 1; tried <= 2; ++tried) {
    const Status refused = co_await ReadPage(world, volumes.ids[0]);
    EXPECT_EQ(refused.code(), StatusCode::kCorruption) << refused.ToString();
    EXPECT_NE(refused.message().find("volume one: table 000007.sst"), std::string::npos)
        << refused.ToString();
    const proto::VolumeState state = co_await StateOf(world, "one");
    EXPECT_NE(state.ingest_error().find("000007.sst"), std::string::npos);
    EXPECT_EQ(state.commit_lsn(), volumes.redo.end().value()) << "its log is served";
    EXPECT_EQ(state.refused_size(), 1);
    EXPECT_EQ(state.refused(0).reason(), "corruption");
    EXPECT_EQ(state.refused(0).count(), tried);
  }
  const uint64_t other = co_await ReadValue(world, volumes.ids[1], 7, volumes.redo.end());
  EXPECT_EQ(other, 41U) << "the other volume is served";
  const proto::VolumeState state = co_await StateOf(world, "two");
  EXPECT_EQ(state.ingest_error(), "");
  EXPECT_EQ(state.refused_size(), 0);
  co_await world->Stop();
  world->options.open_store = sound;
  co_await world->Start();
  const uint64_t mended = co_await ReadValue(world, volumes.ids[0], 7, volumes.redo.end());
  EXPECT_EQ(mended, 41U) << "from the redo that was kept";
}
TEST_F(ServerTest, DamagedPagesOfOneVolumeLeaveItsLogAndTheOthersServed) {
  RunWith(&OneVolumeBody);
}

Task<void> DeletionBody(ServerWorld* world) {
  TwoVolumes volumes;
  co_await MakeTwo(world, &volumes);
  const KvStoreFactory sound = world->options.open_store;
  co_await world->Stop();
  world->options.open_store = WithFaults({.unwritable = true});
  co_await world->Start();
  const Status failed = co_await DeleteVolume(world, "one");
  EXPECT_EQ(failed.code(), StatusCode::kIoError) << failed.ToString();
  co_await world->Restart();
  const Status refused = co_await ReadPage(world, volumes.ids[0]);
  EXPECT_NE(refused.message().find("volume one is being deleted"), std::string::npos)
      << refused.ToString();
  const uint64_t value = co_await ReadValue(world, volumes.ids[1], 7, volumes.redo.end());
  EXPECT_EQ(value, 0U) << "the other volume is served";
  co_await world->Stop();
  world->options.open_store = sound;
  co_await world->Start();
  const Status gone = co_await ReadPage(world, volumes.ids[0]);
  EXPECT_EQ(gone.code(), StatusCode::kNotFound) << "the deletion was finished: " << gone.ToString();
  const uint64_t again = co_await ReadValue(world, volumes.ids[1], 7, volumes.redo.end());
  EXPECT_EQ(again, 0U);
}
TEST_F(ServerTest, ADeletionThatCannotBeFinishedKeepsNobodyFromBeingServed) {
  RunWith(&DeletionBody);
}

Task<Result<std::unique_ptr<KvStore>>> NoRoom(Runtime* /*runtime*/, std::string path) {
  co_return Status(StatusCode::kNoSpace, "cannot open the page store " + path + ": no space");
}

// With space it opens: whoever starts servers tries again, and no page role stays down for it.
Task<void> NoRoomBody(ServerWorld* world) {
  co_await world->Stop();
  PageServerOptions options = world->options;
  options.open_store = &NoRoom;
  PageServer server(world->runtime, std::move(options));
  const Status started = co_await server.Start();
  EXPECT_EQ(started.code(), StatusCode::kNoSpace) << started.ToString();
  co_await server.Stop();
  co_await world->Start();
}
TEST_F(ServerTest, AFullDiskIsNoDamageAndEndsTheStart) { RunWith(&NoRoomBody); }

}  // namespace
}  // namespace redoubt
