// SPDX-License-Identifier: MIT
//
// Goal: on a disk that is full or read-only the program says so, goes on with what needs no disk,
// and has lost nothing that it acknowledged when the disk is usable again. Method: the real binary
// on a small tmpfs that the test mounts, which takes root; without the right to mount, the same
// properties are shown without the program by LogVolume.AFullDiskIsReportedAndWritingGoesOn...,
// PageVolumeTest.AFullDiskHoldsIngestUp... and PageserverProgram.RefusesADirectoryBelowAFile.
#include <fcntl.h>
#include <sys/mount.h>

#include <cerrno>
#include <cstring>
#include <fstream>

#include "common/base/hash.h"
#include "tests/pageserver/rpc/program.h"
#include "tests/pageserver/rpc/program_client.h"

namespace redoubt {
namespace {

constexpr size_t kDiskBytes = size_t{96} << 20;
constexpr size_t kFreeBytes = size_t{16} << 20;
constexpr uint32_t kPages = 64;
constexpr size_t kWriteBytes = 8000;
constexpr size_t kWritesPerAppend = 100;

// Takes the space of a file system away, all but some.
class Filler {
 public:
  explicit Filler(fs::path path) : path_(std::move(path)) {}
  void LeaveFree(size_t bytes) {
    const int descriptor = open(path_.c_str(), O_WRONLY | O_CREAT | O_APPEND, 0644);
    ASSERT_GE(descriptor, 0);
    const std::string block(4096, 'f');
    while (fs::space(path_.parent_path()).free > bytes &&
           write(descriptor, block.data(), block.size()) > 0) {
    }
    close(descriptor);
  }
  void Release() { fs::remove(path_); }

 private:
  fs::path path_;
};

class PageserverDisk : public PageserverProgram {
 protected:
  void SetUp() override {
    PageserverProgram::SetUp();
    disk_ = root_ / "disk";
    fs::create_directory(disk_);
    const std::string size = "size=" + std::to_string(kDiskBytes);
    if (mount("tmpfs", disk_.c_str(), "tmpfs", 0, size.c_str()) != 0) {
      GTEST_SKIP() << "cannot mount a tmpfs: " << std::strerror(errno);
    }
    mounted_ = true;
  }
  void TearDown() override {
    if (mounted_) {
      EXPECT_EQ(umount2(disk_.c_str(), MNT_DETACH), 0) << std::strerror(errno);
    }
    PageserverProgram::TearDown();
  }
  void Remount(unsigned long flags) {
    ASSERT_EQ(mount("tmpfs", disk_.c_str(), "tmpfs", MS_REMOUNT | flags, nullptr), 0)
        << std::strerror(errno);
  }
  fs::path disk_;
  bool mounted_ = false;
};

// What was sent and what of it was acknowledged.
struct Sent {
  uint32_t volume_id = 0;
  Epoch epoch;
  RedoMaker redo;
  Lsn acknowledged;
  std::vector<uint64_t> values = std::vector<uint64_t>(kPages);  // as of `acknowledged`
  // Made, not acknowledged yet: is sent again as it is.
  Bytes pending;
  std::vector<uint64_t> pending_values;
  uint64_t content = 0;
};

void MakeAppend(Sent* sent) {
  sent->pending_values = sent->values;
  for (size_t i = 0; i < kWritesPerAppend; ++i) {
    const uint64_t value = ++sent->content;
    const auto page_no = static_cast<uint32_t>(value % kPages);
    Bytes noise(kWriteBytes);
    for (size_t at = 0; at + 8 <= noise.size(); at += 8) {
      StoreBe64(noise.data() + at, HashMix(value, at));
    }
    const Bytes mtr = sent->redo.WriteWithNoise(page_no, value, noise);
    sent->pending.insert(sent->pending.end(), mtr.begin(), mtr.end());
    sent->pending_values[page_no] = value;
  }
}

Task<Status> AppendSome(ServerWorld* world, Sent* sent) {
  if (sent->pending.empty()) {
    MakeAppend(sent);
  }
  Bytes bytes = sent->pending;
  proto::AppendRequest request =
      AppendOf(sent->volume_id, sent->epoch, sent->acknowledged, sent->redo.end());
  const Status status = co_await Append(world, std::move(request), std::move(bytes));
  if (status.ok()) {
    sent->acknowledged = sent->redo.end();
    sent->values = sent->pending_values;
    sent->pending.clear();
  }
  co_return status;
}

Task<void> ExpectEverything(ServerWorld* world, const Sent* sent) {
  for (uint32_t page_no = 0; page_no < kPages; ++page_no) {
    const uint64_t value = co_await ReadValue(world, sent->volume_id, page_no, sent->acknowledged);
    EXPECT_EQ(value, sent->values[page_no]) << "page " << page_no;
  }
}

Task<void> BeginVolume(ServerWorld* world, Sent* sent) {
  sent->volume_id = co_await world->CreateVolume("v");
  sent->epoch = co_await BeginLog(world, "v", sent->volume_id);
  sent->acknowledged = sent->redo.end();
  for (uint32_t page_no = 0; page_no < kPages; ++page_no) {
    const Bytes mtr = sent->redo.InitPage(page_no);
    sent->pending.insert(sent->pending.end(), mtr.begin(), mtr.end());
  }
  sent->pending_values = sent->values;
  const Status status = co_await AppendSome(world, sent);
  EXPECT_TRUE(status.ok()) << status.ToString();
}

// Appends until one is refused.
Task<void> FillDisk(ServerWorld* world, Sent* sent, std::string disk) {
  Status status;
  for (size_t i = 0; status.ok() && i < kDiskBytes / (kWriteBytes * kWritesPerAppend); ++i) {
    status = co_await AppendSome(world, sent);
  }
  EXPECT_EQ(status.code(), StatusCode::kNoSpace) << status.ToString();
  EXPECT_NE(status.message().find(disk), std::string::npos) << status.ToString();
}

Task<void> AppendUntilAccepted(ServerWorld* world, Sent* sent) {
  const TimePoint deadline = world->In(60);
  Status status = co_await AppendSome(world, sent);
  while (!status.ok() && world->runtime->scheduler->Now() < deadline) {
    co_await world->runtime->scheduler->Sleep(std::chrono::milliseconds(200));
    status = co_await AppendSome(world, sent);
  }
  EXPECT_TRUE(status.ok()) << status.ToString();
}

Task<proto::VolumeState> State(ServerWorld* world) {
  proto::VolumeStatusRequest request;
  request.set_name("v");
  const auto answer = co_await world->client->VolumeStatus(std::move(request), world->In(10));
  EXPECT_TRUE(answer.ok()) << answer.status().ToString();
  co_return answer.ok() ? answer->volume() : proto::VolumeState();
}

Task<void> AwaitPersisted(ServerWorld* world, Lsn lsn) {
  const TimePoint deadline = world->In(60);
  proto::VolumeState state = co_await State(world);
  while (state.persisted_lsn() < lsn.value() && world->runtime->scheduler->Now() < deadline) {
    co_await world->runtime->scheduler->Sleep(std::chrono::milliseconds(200));
    state = co_await State(world);
  }
  EXPECT_GE(state.persisted_lsn(), lsn.value());
  EXPECT_EQ(state.ingest_error(), "");
}

TEST_F(PageserverDisk, AFullDiskIsWaitedForAndNothingAcknowledgedIsLost) {
  Sent sent;
  Filler filler(disk_ / "filler");
  Program program(Arguments(disk_ / "data"));
  const std::string address = program.Address();
  ASSERT_NE(address, "") << program.text();
  Talk(address, &sent, BeginVolume);
  filler.LeaveFree(kFreeBytes);
  Talk(address, &sent,
       [this](ServerWorld* world, Sent* s) { return FillDisk(world, s, disk_.string()); });
  const Lsn accepted = sent.acknowledged;
  filler.LeaveFree(0);
  // The page store wants to write, too. It names itself, its path and what to do.
  ASSERT_TRUE(program.WaitFor("this is tried again")) << program.text();
  EXPECT_NE(program.text().find((disk_ / "data" / "pages").string()), std::string::npos);
  EXPECT_NE(program.text().find("free space on this disk"), std::string::npos) << program.text();
  Talk(address, &sent, ExpectEverything);
  Talk(address, &sent, [](ServerWorld* world, Sent* s) -> Task<void> {
    const Status status = co_await AppendSome(world, s);
    EXPECT_EQ(status.code(), StatusCode::kNoSpace) << "still: " << status.ToString();
  });
  EXPECT_EQ(sent.acknowledged, accepted);
  filler.Release();
  Talk(address, &sent, AppendUntilAccepted);
  EXPECT_GT(sent.acknowledged, accepted);
  for (int i = 0; i < 5; ++i) {
    Talk(address, &sent, AppendUntilAccepted);
  }
  ASSERT_TRUE(program.WaitFor("there is space again")) << program.text();
  Talk(address, &sent, [](ServerWorld* world, Sent* s) -> Task<void> {
    co_await ExpectEverything(world, s);
    co_await AwaitPersisted(world, s->acknowledged);
  });
  program.Signal(SIGTERM);
  EXPECT_EQ(program.ExitCode(), 0) << program.text();
  Program again(Arguments(disk_ / "data"));
  const std::string second = again.Address();
  ASSERT_NE(second, "") << again.text();
  Talk(second, &sent, ExpectEverything);
}

TEST_F(PageserverDisk, AKillOnAFullDiskLosesNothingAcknowledged) {
  Sent sent;
  Filler filler(disk_ / "filler");
  {
    Program program(Arguments(disk_ / "data"));
    const std::string address = program.Address();
    ASSERT_NE(address, "") << program.text();
    Talk(address, &sent, BeginVolume);
    filler.LeaveFree(kFreeBytes);
    Talk(address, &sent,
         [this](ServerWorld* world, Sent* s) { return FillDisk(world, s, disk_.string()); });
    filler.LeaveFree(0);
    program.Signal(SIGKILL);
    EXPECT_EQ(program.ExitCode(), -SIGKILL);
  }
  {
    Program full(Arguments(disk_ / "data"));
    EXPECT_GT(full.ExitCode(), 0) << "there is no room to open the page store";
    EXPECT_NE(full.text().find((disk_ / "data").string()), std::string::npos) << full.text();
    EXPECT_NE(full.text().find("No space left"), std::string::npos) << full.text();
  }
  filler.Release();
  Program again(Arguments(disk_ / "data"));
  const std::string address = again.Address();
  ASSERT_NE(address, "") << again.text();
  Talk(address, &sent, ExpectEverything);
  Talk(address, &sent, AppendUntilAccepted);
  Talk(address, &sent, ExpectEverything);
}

TEST_F(PageserverDisk, AReadOnlyFileSystemIsRefusedAndLosesNothing) {
  Sent sent;
  {
    Program program(Arguments(disk_ / "data"));
    const std::string address = program.Address();
    ASSERT_NE(address, "") << program.text();
    Talk(address, &sent, BeginVolume);
    Talk(address, &sent, AppendUntilAccepted);
    program.Signal(SIGTERM);
    EXPECT_EQ(program.ExitCode(), 0) << program.text();
  }
  Remount(MS_RDONLY);
  for (const std::string name : {"data", "new"}) {
    Program refused(Arguments(disk_ / name));
    EXPECT_EQ(refused.ExitCode(), 3) << refused.text();
    EXPECT_NE(refused.text().find((disk_ / name).string()), std::string::npos) << refused.text();
    EXPECT_NE(refused.text().find("Read-only file system"), std::string::npos) << refused.text();
  }
  Remount(0);
  Program again(Arguments(disk_ / "data"));
  const std::string address = again.Address();
  ASSERT_NE(address, "") << again.text();
  Talk(address, &sent, ExpectEverything);
}

}  // namespace
}  // namespace redoubt
