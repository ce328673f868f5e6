// SPDX-License-Identifier: MIT
//
// Goal: each kind of damage shows what a device would show, where it said, for as long as it
// should; space comes back as on a file system. Method: a bare SimDisk.
#include <gtest/gtest.h>

#include <bit>
#include <optional>
#include <string>

#include "sim/runtime/sim_disk.h"
#include "sim/runtime/sim_file_system.h"
#include "tests/sim/sim_test_util.h"

namespace redoubt::sim {
namespace {

constexpr size_t kSector = 512;

struct DamagedDisk {
  explicit DamagedDisk(uint64_t seed = 1)
      : root(seed), disk(DiskOptions(), &root, 0), draw(&root, "test", 0) {}
  InodeId Synced(const std::string& path, const std::string& content) {
    const Result<InodeId> inode = disk.Open(path, OpenMode::kCreate);
    REDOUBT_CHECK(inode.ok());
    Put(*inode, 0, content);
    return *inode;
  }
  void Put(InodeId inode, uint64_t offset, const std::string& text) {
    REDOUBT_CHECK(disk.Write(inode, offset, AsBytes(text)).ok());
    disk.PromoteFile(inode, disk.Mark());
    disk.PromoteDirectory(1, disk.Mark());
  }
  std::string Content(InodeId inode) {
    Bytes bytes(disk.Size(inode));
    disk.Read(inode, 0, MutableByteView(bytes));
    return std::string(AsText(bytes));
  }
  RandomRoot root;
  SimDisk disk;
  SeededStream draw;
};

std::string Letters(size_t sectors) {
  std::string text;
  for (size_t i = 0; i < sectors; ++i) {
    text += std::string(kSector, static_cast<char>('a' + i));
  }
  return text;
}

TEST(SimDiskDamage, UnreadableSectorStaysWhereItIsUntilItIsWrittenOver) {
  DamagedDisk test;
  const InodeId file = test.Synced("/f", Letters(8));
  const auto spot = test.disk.DamageSector(DamageKind::kUnreadable, "f", &test.draw);
  ASSERT_TRUE(spot.has_value());
  EXPECT_EQ(spot->path, "/f");
  EXPECT_EQ(spot->offset % kSector, 0U);
  for (int i = 0; i < 3; ++i) {
    EXPECT_EQ(test.disk.FindBadSector(file, 0, 8 * kSector), spot->offset);
    EXPECT_EQ(test.disk.FindBadSector(file, spot->offset + 100, 1), spot->offset);
    EXPECT_EQ(test.disk.FindBadSector(file, 0, spot->offset), std::nullopt);
  }
  test.Put(file, spot->offset, "half");
  EXPECT_EQ(test.disk.FindBadSector(file, spot->offset, 1), spot->offset);
  test.Put(file, spot->offset, std::string(kSector, 'n'));
  EXPECT_EQ(test.disk.FindBadSector(file, 0, 8 * kSector), std::nullopt);
}

TEST(SimDiskDamage, BitFlipChangesOneBitAndKeepsTheRightBytes) {
  DamagedDisk test;
  const InodeId file = test.Synced("/f", Letters(4));
  const auto spot = test.disk.DamageSector(DamageKind::kBitFlip, "f", &test.draw);
  ASSERT_TRUE(spot.has_value());
  const std::string right = Letters(4);
  const std::string shown = test.Content(file);
  int differing = 0;
  for (size_t i = 0; i < right.size(); ++i) {
    differing += right[i] == shown[i] ? 0 : 1;
  }
  EXPECT_EQ(differing, 1);
  const auto flipped = static_cast<uint8_t>(right[spot->offset] ^ shown[spot->offset]);
  EXPECT_EQ(std::popcount(flipped), 1);
  // It survives a crash, and a write of the whole sector ends it.
  test.disk.Close(file);
  test.disk.Crash(CrashPolicy::kSeeded);
  const Result<InodeId> again = test.disk.Open("/f", OpenMode::kRead);
  EXPECT_EQ(test.Content(*again), shown);
  const uint64_t sector = spot->offset / kSector;
  test.Put(*again, sector * kSector, right.substr(sector * kSector, kSector));
  EXPECT_EQ(test.Content(*again), right);
}

// What the page cache holds is right; the medium shows again when it is written in part.
TEST(SimDiskDamage, PageCacheHidesDamageUntilTheWriteIsSynced) {
  DamagedDisk test;
  const InodeId file = test.Synced("/f", std::string(kSector, 'a'));
  ASSERT_TRUE(test.disk.DamageSector(DamageKind::kUnreadable, "", &test.draw).has_value());
  ASSERT_TRUE(test.disk.Write(file, 10, AsBytes("xyz")).ok());
  EXPECT_EQ(test.disk.FindBadSector(file, 0, kSector), std::nullopt);
  EXPECT_EQ(test.Content(file).substr(8, 6), "aaxyza");
  test.disk.PromoteFile(file, test.disk.Mark());
  EXPECT_EQ(test.disk.FindBadSector(file, 0, kSector), 0U);
}

TEST(SimDiskDamage, LostWriteLeavesWhatWasThereBefore) {
  DamagedDisk test;
  const InodeId file = test.Synced("/dir-f", Letters(2));
  test.disk.DamageNextWrite(DamageKind::kLostWrite, "other");
  test.Put(file, 0, std::string(kSector, 'x'));
  EXPECT_EQ(test.Content(file)[0], 'x') << "another file was meant";
  test.disk.DamageNextWrite(DamageKind::kLostWrite, "dir-f");
  ASSERT_TRUE(test.disk.Write(file, kSector, AsBytes(std::string(2 * kSector, 'y'))).ok());
  EXPECT_EQ(test.Content(file)[kSector], 'y') << "not synced: the page cache";
  test.disk.PromoteFile(file, test.disk.Mark());
  const std::string shown = test.Content(file);
  EXPECT_EQ(shown.size(), 3 * kSector) << "the size is the file system's";
  EXPECT_EQ(shown.substr(kSector, kSector), std::string(kSector, 'b'));
  EXPECT_EQ(shown.substr(2 * kSector), std::string(kSector, '\0'));
  test.Put(file, 0, std::string(kSector, 'z'));
  EXPECT_EQ(test.Content(file)[0], 'z') << "one write only";
}

TEST(SimDiskDamage, MisdirectedWriteLiesElsewhere) {
  DamagedDisk test;
  const InodeId meant = test.Synced("/meant", Letters(4));
  const InodeId other = test.Synced("/other", std::string(8 * kSector, 'o'));
  test.disk.DamageNextWrite(DamageKind::kMisdirected, "meant");
  test.Put(meant, kSector, std::string(kSector, 'M'));
  EXPECT_EQ(test.Content(meant)[kSector], 'b') << "never arrived";
  ASSERT_EQ(test.disk.damage_log().size(), 2U);
  const DamageSpot& victim = test.disk.damage_log().back();
  const InodeId there = victim.path == "/other" ? other : meant;
  EXPECT_EQ(test.Content(there).substr(victim.offset, kSector), std::string(kSector, 'M'));
}

TEST(SimDiskDamage, DamagesNothingWhereNothingIsSynced) {
  DamagedDisk test;
  const Result<InodeId> file = test.disk.Open("/f", OpenMode::kCreate);
  ASSERT_TRUE(test.disk.Write(*file, 0, AsBytes(Letters(3))).ok());
  const uint64_t draws = test.root.draw_count();
  EXPECT_FALSE(test.disk.DamageSector(DamageKind::kBitFlip, "f", &test.draw).has_value());
  EXPECT_EQ(test.root.draw_count(), draws);
}

// A removed file gives its space back once nobody has it open; a full disk commits its journal
// first.
TEST(SimDiskDamage, SpaceComesBackWhenAFileIsRemovedAndClosed) {
  DamagedDisk test;
  test.disk.SetCapacity(1000);
  const InodeId old_file = test.Synced("/old", std::string(900, 'o'));
  const Result<InodeId> file = test.disk.Open("/new", OpenMode::kCreate);
  const std::string more(500, 'n');
  EXPECT_EQ(test.disk.Write(*file, 0, AsBytes(more)).code(), StatusCode::kNoSpace);
  ASSERT_TRUE(test.disk.Remove("/old").ok());
  EXPECT_EQ(test.disk.Write(*file, 0, AsBytes(more)).code(), StatusCode::kNoSpace) << "it is open";
  test.disk.Close(old_file);
  EXPECT_TRUE(test.disk.Write(*file, 0, AsBytes(more)).ok());
  EXPECT_EQ(test.disk.used_bytes(), 500U);
  EXPECT_EQ(test.disk.Truncate(*file, 1001).code(), StatusCode::kNoSpace);
  EXPECT_TRUE(test.disk.Truncate(*file, 1000).ok());
  EXPECT_TRUE(test.disk.Truncate(*file, 0).ok());
  EXPECT_EQ(test.disk.used_bytes(), 0U);
}

struct Times {
  int64_t sync_ns = 0;
  Status read;
};

Task<void> SyncAndRead(Runtime* runtime, SimDisk* disk, Times* times, int64_t stall_ns) {
  Result<std::unique_ptr<File>> file = co_await runtime->files->Open("/f", OpenMode::kCreate);
  const std::string text = Letters(2);
  const Status written = co_await (*file)->WriteAt(0, AsBytes(text));
  EXPECT_TRUE(written.ok());
  const TimePoint begin = runtime->scheduler->Now();
  if (stall_ns > 0) {
    disk->StallUntil(ToNs(begin) + stall_ns);
  }
  const Status synced = co_await (*file)->Sync();
  EXPECT_TRUE(synced.ok());
  times->sync_ns = (runtime->scheduler->Now() - begin).count();
  RandomRoot root(1);
  SeededStream draw(&root, "test", 0);
  EXPECT_TRUE(disk->DamageSector(DamageKind::kUnreadable, "", &draw).has_value());
  Bytes bytes(2 * kSector);
  const Result<size_t> got = co_await (*file)->ReadAt(0, MutableByteView(bytes));
  times->read = got.status();
}

Times TimesOf(uint32_t slowdown, int64_t stall_ns) {
  TestWorld test;
  Times times;
  const NodeId node = test.world.AddNode("a");
  SimDisk& disk = test.world.DiskOf(node);
  disk.options().slowdown = slowdown;
  test.world.StartNode(
      node, Program([&](Runtime* r) { return SyncAndRead(r, &disk, &times, stall_ns); }));
  test.RunFor(100 * kSecond);
  return times;
}

TEST(SimDiskDamage, StallsAndThrottlingTakeTheirTime) {
  const Times usual = TimesOf(1, 0);
  EXPECT_GT(usual.sync_ns, 0);
  EXPECT_EQ(TimesOf(50, 0).sync_ns, 50 * usual.sync_ns);
  EXPECT_EQ(TimesOf(1, 5 * kSecond).sync_ns, usual.sync_ns + 5 * kSecond);
}

TEST(SimDiskDamage, ReadingAnUnreadableSectorFailsWithFileAndOffset) {
  const Times times = TimesOf(1, 0);
  EXPECT_EQ(times.read.code(), StatusCode::kIoError);
  EXPECT_NE(times.read.message().find("/f"), std::string::npos) << times.read.ToString();
  EXPECT_NE(times.read.message().find("at offset"), std::string::npos) << times.read.ToString();
}

}  // namespace
}  // namespace redoubt::sim
