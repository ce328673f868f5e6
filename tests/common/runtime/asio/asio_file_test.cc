// SPDX-License-Identifier: MIT
//
// Goal: files behave as file_system.h says, and an error names call, path and reason.
// Method: a temporary directory; /dev/full for a full disk.
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/stat.h>
#include <unistd.h>

#include <filesystem>
#include <string>
#include <utility>
#include <vector>

#include "common/runtime/task_group.h"
#include "tests/common/runtime/asio/world_test_support.h"

namespace redoubt {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;

class AsioFileTest : public ::testing::Test {
 protected:
  AsioFileTest() : world_(QuietOptions()) {
    std::string name = ::testing::TempDir() + "redoubt-files-XXXXXX";
    REDOUBT_CHECK(mkdtemp(name.data()) != nullptr);
    directory_ = name;
  }
  AsioFileTest(const AsioFileTest&) = delete;
  AsioFileTest& operator=(const AsioFileTest&) = delete;
  ~AsioFileTest() override {
    chmod(directory_.c_str(), 0700);
    std::filesystem::remove_all(directory_);
  }
  FileSystem* files() { return world_.runtime().files; }
  AsioWorld world_;
  std::string directory_;
};

Task<std::unique_ptr<File>> MustOpen(FileSystem* files, std::string path, OpenMode mode) {
  Result<std::unique_ptr<File>> file = co_await files->Open(path, mode);
  REDOUBT_CHECK(file.ok());
  co_return std::move(*file);
}

Task<void> WriteAndRead(FileSystem* files, std::string directory) {
  const std::string path = directory + "/a";
  const std::unique_ptr<File> file = co_await MustOpen(files, path, OpenMode::kCreateNew);
  const Status first = co_await file->WriteAt(3, AsBytes("defXX"));
  EXPECT_TRUE(first.ok());
  const Status second = co_await file->WriteAt(0, AsBytes("abc"));
  EXPECT_TRUE(second.ok());
  const Status synced = co_await file->Sync();
  EXPECT_TRUE(synced.ok());
  const Status both = co_await file->WriteAndSync(6, AsBytes("gh"));
  EXPECT_TRUE(both.ok());
  Bytes into(100);
  const Result<size_t> all = co_await file->ReadAt(0, into);
  EXPECT_EQ(AsText(ByteView(into).first(*all)), "abcdefgh");
  const Result<size_t> tail = co_await file->ReadAt(6, into);
  EXPECT_EQ(AsText(ByteView(into).first(*tail)), "gh");
  const Result<size_t> beyond = co_await file->ReadAt(8, into);
  EXPECT_EQ(*beyond, 0U);
  const Status cut = co_await file->Truncate(4);
  EXPECT_TRUE(cut.ok());
  const Result<uint64_t> size = co_await file->Size();
  EXPECT_EQ(*size, 4U);
  const Result<FileInfo> info = co_await files->Stat(path);
  EXPECT_EQ(info->size_bytes, 4U);
  EXPECT_GT(info->inode, 0U);
  EXPECT_FALSE(info->is_directory);
}

TEST_F(AsioFileTest, ReadsWhatWasWrittenWhereItWasWritten) {
  RunIn(&world_, WriteAndRead(files(), directory_));
}

Task<void> BigFile(FileSystem* files, std::string path) {
  const std::unique_ptr<File> file = co_await MustOpen(files, path, OpenMode::kCreate);
  Bytes bytes(5'000'000);
  for (size_t i = 0; i < bytes.size(); ++i) {
    bytes[i] = static_cast<uint8_t>(i * 31 >> 8);
  }
  const Status written = co_await file->WriteAt(7, bytes);
  EXPECT_TRUE(written.ok());
  Bytes back(bytes.size());
  const Result<size_t> got = co_await file->ReadAt(7, back);
  EXPECT_EQ(*got, bytes.size());
  EXPECT_TRUE(back == bytes);
}

TEST_F(AsioFileTest, CarriesMegabytes) { RunIn(&world_, BigFile(files(), directory_ + "/big")); }

Task<Status> OpenStatus(FileSystem* files, std::string path, OpenMode mode) {
  const Result<std::unique_ptr<File>> file = co_await files->Open(path, mode);
  co_return file.status();
}

Task<void> OpenModes(FileSystem* files, std::string directory) {
  const std::string path = directory + "/a";
  for (const OpenMode mode : {OpenMode::kRead, OpenMode::kReadWrite}) {
    const Status missing = co_await OpenStatus(files, path, mode);
    EXPECT_EQ(missing.code(), StatusCode::kNotFound);
    EXPECT_EQ(missing.message(), "open " + path + ": No such file or directory");
  }
  const Status created = co_await OpenStatus(files, path, OpenMode::kCreate);
  EXPECT_TRUE(created.ok());
  const Status kept = co_await OpenStatus(files, path, OpenMode::kCreate);
  EXPECT_TRUE(kept.ok());
  const Status exists = co_await OpenStatus(files, path, OpenMode::kCreateNew);
  EXPECT_EQ(exists.code(), StatusCode::kAlreadyExists);
  const Status no_parent = co_await OpenStatus(files, directory + "/none/a", OpenMode::kCreate);
  EXPECT_EQ(no_parent.code(), StatusCode::kNotFound);
  const Status is_directory = co_await OpenStatus(files, directory, OpenMode::kRead);
  EXPECT_EQ(is_directory.code(), StatusCode::kIoError);
  EXPECT_THAT(is_directory.message(), HasSubstr("Is a directory"));
  const std::unique_ptr<File> read_only = co_await MustOpen(files, path, OpenMode::kRead);
  const Status refused = co_await read_only->WriteAt(0, AsBytes("x"));
  EXPECT_EQ(refused.code(), StatusCode::kIoError);
}

TEST_F(AsioFileTest, OpenModesCreateAndRefuseAsNamed) {
  RunIn(&world_, OpenModes(files(), directory_));
}

std::vector<std::string> Names(const Result<std::vector<DirectoryEntry>>& entries) {
  std::vector<std::string> names;
  for (const DirectoryEntry& entry : *entries) {
    names.push_back(entry.name + (entry.is_directory ? "/" : ""));
  }
  return names;
}

Task<void> NamesInDirectories(FileSystem* files, std::string directory) {
  const Status made = co_await files->CreateDirectories(directory + "/x/y");
  EXPECT_TRUE(made.ok());
  const Status again = co_await files->CreateDirectories(directory + "/x/y/");
  EXPECT_TRUE(again.ok()) << again.ToString();
  for (const char* name : {"/b", "/a", "/x/z"}) {
    const Status created = co_await OpenStatus(files, directory + name, OpenMode::kCreateNew);
    EXPECT_TRUE(created.ok());
  }
  const Result<std::vector<DirectoryEntry>> before = co_await files->List(directory);
  EXPECT_THAT(Names(before), ElementsAre("a", "b", "x/"));
  const Status moved = co_await files->Rename(directory + "/a", directory + "/x/z");
  EXPECT_TRUE(moved.ok());
  const Status removed = co_await files->Remove(directory + "/x/y");
  EXPECT_TRUE(removed.ok());
  const Status synced = co_await files->SyncDirectory(directory + "/x");
  EXPECT_TRUE(synced.ok());
  const Result<std::vector<DirectoryEntry>> after = co_await files->List(directory + "/x");
  EXPECT_THAT(Names(after), ElementsAre("z"));
}

TEST_F(AsioFileTest, ListsSortedAndMovesOverWhatIsThere) {
  RunIn(&world_, NamesInDirectories(files(), directory_));
}

Task<void> ErrorsOnNames(FileSystem* files, std::string directory) {
  const std::string missing = directory + "/missing";
  const Result<std::vector<DirectoryEntry>> listed = co_await files->List(missing);
  EXPECT_EQ(listed.status().code(), StatusCode::kNotFound);
  const Result<FileInfo> info = co_await files->Stat(missing);
  EXPECT_EQ(info.status().code(), StatusCode::kNotFound);
  const Status removed = co_await files->Remove(missing);
  EXPECT_EQ(removed.code(), StatusCode::kNotFound);
  const Status moved = co_await files->Rename(missing, directory + "/other");
  EXPECT_EQ(moved.code(), StatusCode::kNotFound);
  EXPECT_THAT(moved.message(), HasSubstr(missing + " to " + directory + "/other"));
  const Status synced = co_await files->SyncDirectory(missing);
  EXPECT_EQ(synced.code(), StatusCode::kNotFound);
  const Status created = co_await OpenStatus(files, directory + "/file", OpenMode::kCreate);
  EXPECT_TRUE(created.ok());
  const Status below_file = co_await files->CreateDirectories(directory + "/file/x");
  EXPECT_FALSE(below_file.ok());
  const Status made = co_await files->CreateDirectories(directory + "/full/x");
  EXPECT_TRUE(made.ok());
  const Status not_empty = co_await files->Remove(directory + "/full");
  EXPECT_EQ(not_empty.code(), StatusCode::kIoError);
  EXPECT_THAT(not_empty.message(), HasSubstr("not empty"));
}

TEST_F(AsioFileTest, ErrorsOnNamesSayWhatAndWhere) {
  RunIn(&world_, ErrorsOnNames(files(), directory_));
}

Task<void> FullDisk(FileSystem* files) {
  const std::unique_ptr<File> file = co_await MustOpen(files, "/dev/full", OpenMode::kReadWrite);
  const Status status = co_await file->WriteAt(0, AsBytes("x"));
  EXPECT_EQ(status.code(), StatusCode::kNoSpace);
  EXPECT_THAT(status.message(), HasSubstr("write /dev/full"));
  EXPECT_THAT(status.message(), HasSubstr("free space"));
  const Status synced = co_await file->WriteAndSync(0, AsBytes("x"));
  EXPECT_EQ(synced.code(), StatusCode::kNoSpace);
  EXPECT_THAT(synced.message(), HasSubstr("write /dev/full"));
}

TEST_F(AsioFileTest, AFullDiskIsNoSpace) { RunIn(&world_, FullDisk(files())); }

Task<void> ReadOnlyDirectory(FileSystem* files, std::string directory) {
  const Status status = co_await OpenStatus(files, directory + "/a", OpenMode::kCreate);
  EXPECT_EQ(status.code(), StatusCode::kIoError);
  EXPECT_THAT(status.message(), HasSubstr(directory + "/a"));
  EXPECT_THAT(status.message(), HasSubstr("check owner, mode and mount"));
}

// Root may write anywhere, so the attempt is made by somebody else in a process of its own.
int TryAsNobody(std::string directory) {
  if (geteuid() == 0) {
    REDOUBT_CHECK(seteuid(65534) == 0);
  }
  AsioWorld world(QuietOptions());
  RunIn(&world, ReadOnlyDirectory(world.runtime().files, std::move(directory)));
  return ::testing::Test::HasFailure() ? 1 : 0;
}

TEST_F(AsioFileTest, AReadOnlyDirectorySaysWhatToCheck) {
  ASSERT_EQ(chmod(directory_.c_str(), 0555), 0);
  EXPECT_EXIT(_exit(TryAsNobody(directory_)), ::testing::ExitedWithCode(0), "");
}

Task<void> ReadLoop(File* file, int64_t* rounds) {
  Bytes into(1 << 20);
  for (;;) {
    const Result<size_t> got = co_await file->ReadAt(0, into);
    REDOUBT_CHECK(got.ok());
    ++*rounds;
  }
}

// The buffers live in the destroyed frames; a thread may be reading into them at that moment.
Task<void> DestroyReaders(Runtime* runtime, std::string path) {
  const std::unique_ptr<File> file = co_await MustOpen(runtime->files, path, OpenMode::kCreate);
  const Bytes bytes(1 << 20, 7);
  const Status written = co_await file->WriteAt(0, bytes);
  EXPECT_TRUE(written.ok());
  int64_t rounds = 0;
  for (int i = 0; i < 20; ++i) {
    TaskGroup group(runtime->scheduler);
    for (int reader = 0; reader < 6; ++reader) {
      group.Spawn(ReadLoop(file.get(), &rounds));
    }
    co_await runtime->scheduler->Sleep(std::chrono::milliseconds(1));
  }
}

TEST_F(AsioFileTest, DestroyedReadersWaitForTheirThread) {
  RunIn(&world_, DestroyReaders(&world_.runtime(), directory_ + "/a"));
}

}  // namespace
}  // namespace redoubt
