// SPDX-License-Identifier: MIT
#include "sim/runtime/sim_disk.h"

#include <gtest/gtest.h>

#include <string>

#include "sim/runtime/sim_file_system.h"
#include "tests/sim/sim_test_util.h"

namespace redoubt::sim {
namespace {

struct DiskTest {
  explicit DiskTest(uint64_t seed = 1) : root(seed), disk(DiskOptions(), &root, 0) {}
  InodeId Create(const std::string& path) {
    const Result<InodeId> inode = disk.Open(path, OpenMode::kCreate);
    REDOUBT_CHECK(inode.ok());
    return *inode;
  }
  void Write(InodeId inode, uint64_t offset, const std::string& text) {
    const Status status = disk.Write(inode, offset, AsBytes(text));
    REDOUBT_CHECK(status.ok());
  }
  void SyncAll(InodeId inode) {
    disk.PromoteFile(inode, disk.Mark());
    disk.PromoteDirectory(1, disk.Mark());
  }
  void Crash(InodeId inode, CrashPolicy policy) {
    disk.Close(inode);
    disk.Crash(policy);
  }
  // "<missing>" when there is no such file.
  std::string Content(const std::string& path) {
    const Result<InodeId> inode = disk.Open(path, OpenMode::kRead);
    if (!inode.ok()) {
      return "<missing>";
    }
    Bytes bytes(disk.Size(*inode));
    disk.Read(*inode, 0, MutableByteView(bytes));
    disk.Close(*inode);
    return std::string(AsText(bytes));
  }
  RandomRoot root;
  SimDisk disk;
};

TEST(SimDisk, CleanCrashKeepsExactlyWhatWasSynced) {
  DiskTest test;
  const InodeId file = test.Create("/f");
  test.Write(file, 0, "synced");
  test.SyncAll(file);
  test.Write(file, 6, " not synced");
  EXPECT_EQ(test.Content("/f"), "synced not synced");
  test.Crash(file, CrashPolicy::kClean);
  EXPECT_EQ(test.Content("/f"), "synced");
}

TEST(SimDisk, WhatHappensToAFrozenDiskIsShownAndThenForgotten) {
  DiskTest test;
  const InodeId file = test.Create("/f");
  test.Write(file, 0, "before");
  const uint64_t used = test.disk.used_bytes();
  test.disk.Freeze();
  test.Write(file, 6, " and after");
  test.SyncAll(file);
  test.disk.Freeze();  // the first moment counts
  ASSERT_TRUE(test.disk.Rename("/f", "/g").ok());
  EXPECT_EQ(test.Content("/g"), "before and after");
  test.disk.Close(file);
  test.disk.Thaw();
  EXPECT_EQ(test.Content("/f"), "before");
  EXPECT_EQ(test.Content("/g"), "<missing>");
  EXPECT_EQ(test.disk.used_bytes(), used);
  test.disk.Thaw();
  EXPECT_EQ(test.Content("/f"), "before");
  test.disk.Crash(CrashPolicy::kClean);
  EXPECT_EQ(test.Content("/f"), "<missing>") << "its sync was on the frozen disk";
}

TEST(SimDisk, AllCrashKeepsEverything) {
  DiskTest test;
  const InodeId file = test.Create("/f");
  test.Write(file, 0, "not synced");
  test.Crash(file, CrashPolicy::kAll);
  EXPECT_EQ(test.Content("/f"), "not synced");
}

// A synced file whose name was never synced is gone; a synced name of an unsynced file is empty.
TEST(SimDisk, NamesAndDataAreDurableSeparately) {
  DiskTest test;
  const InodeId nameless = test.Create("/nameless");
  test.Write(nameless, 0, "data");
  test.disk.PromoteFile(nameless, test.disk.Mark());
  test.Crash(nameless, CrashPolicy::kClean);
  EXPECT_EQ(test.Content("/nameless"), "<missing>");

  const InodeId empty = test.Create("/empty");
  test.Write(empty, 0, "data");
  test.disk.PromoteDirectory(1, test.disk.Mark());
  test.Crash(empty, CrashPolicy::kClean);
  EXPECT_EQ(test.Content("/empty"), "");
}

// A rename is one operation: after any crash the file is under the old or the new name, not both or
// none.
TEST(SimDisk, RenameIsAtomicUnderEveryPolicy) {
  int renamed = 0;
  for (uint64_t seed = 1; seed <= 60; ++seed) {
    DiskTest test(seed);
    const InodeId old_file = test.Create("/target");
    test.Write(old_file, 0, "old");
    test.SyncAll(old_file);
    test.disk.Close(old_file);
    const InodeId file = test.Create("/temp");
    test.Write(file, 0, "new");
    test.SyncAll(file);
    ASSERT_TRUE(test.disk.Rename("/temp", "/target").ok());
    EXPECT_EQ(test.Content("/target"), "new");
    test.Crash(file, CrashPolicy::kSeeded);
    const bool is_new = test.Content("/target") == "new";
    EXPECT_EQ(test.Content("/target"), is_new ? "new" : "old");
    EXPECT_EQ(test.Content("/temp"), is_new ? "<missing>" : "new");
    renamed += is_new ? 1 : 0;
  }
  EXPECT_GT(renamed, 5);
  EXPECT_LT(renamed, 55);
}

// Under every policy a synced prefix is intact, whatever happened behind it.
TEST(SimDisk, NoPolicyTouchesSyncedBytes) {
  for (uint64_t seed = 1; seed <= 100; ++seed) {
    DiskTest test(seed);
    const InodeId file = test.Create("/f");
    test.Write(file, 0, std::string(10'000, 's'));
    test.SyncAll(file);
    test.Write(file, 10'000, std::string(20'000, 'u'));
    test.Crash(file, CrashPolicy::kSeeded);
    EXPECT_EQ(test.Content("/f").substr(0, 10'000), std::string(10'000, 's')) << "seed " << seed;
  }
}

// Torn and block crashes really give mixtures, at the promised borders.
TEST(SimDisk, TornCrashMixesOldAndNewSectors) {
  bool mixed = false;
  for (uint64_t seed = 1; seed <= 20; ++seed) {
    DiskTest test(seed);
    const InodeId file = test.Create("/f");
    test.Write(file, 0, std::string(16'384, 'o'));
    test.SyncAll(file);
    test.Write(file, 0, std::string(16'384, 'n'));
    test.Crash(file, CrashPolicy::kBlocks);
    const std::string content = test.Content("/f");
    ASSERT_EQ(content.size(), 16'384U);
    for (size_t block = 0; block < 4; ++block) {
      const std::string part = content.substr(block * 4096, 4096);
      EXPECT_TRUE(part == std::string(4096, 'o') || part == std::string(4096, 'n'));
    }
    mixed = mixed || (content.find('o') != content.npos && content.find('n') != content.npos);
  }
  EXPECT_TRUE(mixed);
}

// A prefix crash keeps the first k operations of the whole disk.
TEST(SimDisk, PrefixCrashRespectsTheOrderAcrossFiles) {
  for (uint64_t seed = 1; seed <= 50; ++seed) {
    DiskTest test(seed);
    const InodeId first = test.Create("/first");
    const InodeId second = test.Create("/second");
    test.SyncAll(first);
    test.SyncAll(second);
    test.Write(first, 0, "1");
    test.Write(second, 0, "2");
    test.disk.Close(first);
    test.Crash(second, CrashPolicy::kPrefix);
    EXPECT_FALSE(test.Content("/second") == "2" && test.Content("/first").empty());
  }
}

// After a failed sync the bytes are shown but never become durable, even if a later sync succeeds.
TEST(SimDisk, FailedSyncDropsWhatWasPending) {
  DiskTest test;
  const InodeId file = test.Create("/f");
  test.Write(file, 0, "aaaa");
  test.SyncAll(file);
  test.Write(file, 0, "bb");
  test.disk.DropPending(file, test.disk.Mark());
  test.Write(file, 2, "cc");
  test.disk.PromoteFile(file, test.disk.Mark());
  EXPECT_EQ(test.Content("/f"), "bbcc");
  test.Crash(file, CrashPolicy::kAll);
  EXPECT_EQ(test.Content("/f"), "aacc");
}

TEST(SimDisk, SyncCoversOnlyWhatCameBeforeItsMark) {
  DiskTest test;
  const InodeId file = test.Create("/f");
  test.Write(file, 0, "before");
  const uint64_t mark = test.disk.Mark();
  test.Write(file, 6, "after");
  test.disk.PromoteFile(file, mark);
  test.disk.PromoteDirectory(1, test.disk.Mark());
  test.Crash(file, CrashPolicy::kClean);
  EXPECT_EQ(test.Content("/f"), "before");
}

TEST(SimDisk, FullDiskRefusesGrowthOnly) {
  DiskTest test;
  test.disk.SetCapacity(10);
  const InodeId file = test.Create("/f");
  test.Write(file, 0, "0123456789");
  EXPECT_EQ(test.disk.Write(file, 5, AsBytes("tuvwxy")).code(), StatusCode::kNoSpace);
  EXPECT_EQ(test.Content("/f"), "01234tuvwx") << "what fits was written";
  EXPECT_TRUE(test.disk.Write(file, 5, AsBytes("abcde")).ok());
  EXPECT_EQ(test.Content("/f"), "01234abcde");
}

TEST(SimDisk, UnsyncedDirectoriesTakeTheirContentWithThem) {
  DiskTest test;
  ASSERT_TRUE(test.disk.CreateDirectories("/a/b").ok());
  const InodeId file = test.Create("/a/b/f");
  test.Write(file, 0, "x");
  test.disk.PromoteFile(file, test.disk.Mark());
  const Result<InodeId> inner = test.disk.FindDirectory("/a/b");
  test.disk.PromoteDirectory(*inner, test.disk.Mark());
  test.Crash(file, CrashPolicy::kClean);
  EXPECT_FALSE(test.disk.FindDirectory("/a").ok());
  EXPECT_EQ(test.disk.used_bytes(), 0U);
}

TEST(SimDisk, InjectedErrorsHitTheirTargetAndCount) {
  DiskTest test;
  test.disk.FailNext(FileOp::kSync, "journal", StatusCode::kIoError, 2);
  EXPECT_TRUE(test.disk.CheckFault(FileOp::kSync, "/data/other").ok());
  EXPECT_FALSE(test.disk.CheckFault(FileOp::kSync, "/data/journal").ok());
  EXPECT_TRUE(test.disk.CheckFault(FileOp::kWrite, "/data/journal").ok());
  EXPECT_FALSE(test.disk.CheckFault(FileOp::kSync, "/data/journal").ok());
  EXPECT_TRUE(test.disk.CheckFault(FileOp::kSync, "/data/journal").ok());
  EXPECT_EQ(test.disk.op_count(), 5U);
}

struct FsReport {
  std::string second_life;
  bool synced = false;
};

Task<void> WriteThenWait(Runtime* runtime, FsReport* report) {
  const Status made = co_await runtime->files->CreateDirectories("/data");
  REDOUBT_CHECK(made.ok());
  Result<std::unique_ptr<File>> file = co_await runtime->files->Open("/data/f", OpenMode::kCreate);
  Status status = co_await (*file)->WriteAt(0, AsBytes("hello"));
  REDOUBT_CHECK(status.ok());
  status = co_await (*file)->Sync();
  status = co_await runtime->files->SyncDirectory("/data");
  status = co_await runtime->files->SyncDirectory("/");
  report->synced = true;
  status = co_await (*file)->WriteAt(5, AsBytes(" world"));
  co_await runtime->scheduler->SleepUntil(kNever);
}

Task<void> ReadBack(Runtime* runtime, FsReport* report) {
  Result<std::unique_ptr<File>> file = co_await runtime->files->Open("/data/f", OpenMode::kRead);
  if (!file.ok()) {
    report->second_life = file.status().ToString();
    co_return;
  }
  Bytes bytes(100);
  const Result<size_t> got = co_await (*file)->ReadAt(0, MutableByteView(bytes));
  report->second_life = std::string(AsText(ByteView(bytes).first(*got)));
}

std::string SecondLife(KillKind kind, CrashPolicy policy) {
  TestWorld test;
  FsReport report;
  const NodeId node = test.world.AddNode("a");
  test.world.StartNode(node, Program([&](Runtime* r) { return WriteThenWait(r, &report); }));
  test.RunFor(kSecond);
  EXPECT_TRUE(report.synced);
  test.world.KillNode(node, kind, policy);
  test.world.StartNode(node, Program([&](Runtime* r) { return ReadBack(r, &report); }));
  test.RunFor(kSecond);
  return report.second_life;
}

// The disk is the machine's, not the process's: it is there in the node's next life.
TEST(SimFileSystem, DiskSurvivesTheNodeAsThePolicySays) {
  EXPECT_EQ(SecondLife(KillKind::kProcess, CrashPolicy::kClean), "hello world");
  EXPECT_EQ(SecondLife(KillKind::kPower, CrashPolicy::kClean), "hello");
  EXPECT_EQ(SecondLife(KillKind::kPower, CrashPolicy::kAll), "hello world");
}

}  // namespace
}  // namespace redoubt::sim
