// SPDX-License-Identifier: MIT
//
// Goal: a segment with space written ahead is read back to where its records end: neither zeroes,
// nor garbage, nor sound records that belong elsewhere are taken for redo there, and damage of what
// was synced is refused all the same. Method: RedoStore over the simulated disk; the test edits the
// files between two lives as a crash or a bad disk would, and remembers every byte.
#include <gtest/gtest.h>

#include <algorithm>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "common/base/crc32c.h"
#include "common/base/hash.h"
#include "common/innodb/log_block.h"
#include "pageserver/log/durable_files.h"
#include "pageserver/log/redo_store.h"
#include "tests/contract/node_harness.h"

namespace redoubt {
namespace {

constexpr Lsn kStart{8204};
constexpr uint64_t kSpaceAhead = 4 << 10;

RedoStoreOptions OptionsOf(uint64_t uid) {
  RedoStoreOptions options;
  options.directory = "/data/log/" + std::to_string(uid);
  options.volume = VolumeId(1);
  options.volume_uid = uid;
  options.segment_bytes_max = 64 << 10;
  options.space_ahead_bytes = kSpaceAhead;
  return options;
}

// One log and the bytes that a correct one holds.
class SpaceAhead {
 public:
  explicit SpaceAhead(NodeHarness* node, uint64_t seed = 1, uint64_t uid = 77)
      : node_(node), seed_(seed), options_(OptionsOf(uid)) {}

  Status Open() {
    store = std::make_unique<RedoStore>(node_->runtime(), options_);
    Status opened = node_->Await(store->Open());
    if (!opened.ok()) {
      store.reset();
    }
    return opened;
  }
  void KeepTo(uint32_t format_version) { options_.format_version = format_version; }
  void Begin() {
    ASSERT_TRUE(Open().ok());
    ASSERT_TRUE(node_->Await(store->StartAt(kStart, "test", false)).ok());
  }
  void Crash(sim::CrashPolicy policy) {
    store.reset();
    node_->Kill(policy);
    node_->Start();
  }
  uint64_t Draw(uint64_t bound) { return HashMix(seed_, ++drawn_) % bound; }

  Status Append(size_t bytes) {
    RedoChunk chunk;
    chunk.epoch = Epoch(1);
    chunk.range = {store->end(), innodb::AdvanceLsn(store->end(), bytes)};
    Bytes payload(bytes);
    std::generate(payload.begin(), payload.end(), [&] { return static_cast<uint8_t>(Draw(256)); });
    chunk.payload_crc32c = Crc32c(payload);
    chunk.payload = std::make_shared<const Bytes>(payload);
    const std::vector<RedoChunk> chunks{chunk};
    const Status status = node_->Await(store->Append(&chunks, Lsn{}));
    if (status.ok()) {
      redo.insert(redo.end(), payload.begin(), payload.end());
    }
    return status;
  }
  void ExpectAll() {
    const Result<std::vector<RedoChunk>> chunks =
        node_->Await(store->Read(kStart, 1 << 30, store->end()));
    ASSERT_TRUE(chunks.ok()) << chunks.status().ToString();
    Bytes got;
    for (const RedoChunk& chunk : *chunks) {
      got.insert(got.end(), chunk.payload->begin(), chunk.payload->end());
    }
    ASSERT_EQ(got.size(), redo.size());
    ASSERT_TRUE(got == redo);
  }

  std::vector<std::string> Paths() {
    const auto entries = node_->Await(node_->runtime()->files->List(options_.directory));
    std::vector<std::string> paths;
    for (const DirectoryEntry& entry : *entries) {
      paths.push_back(options_.directory + "/" + entry.name);
    }
    return paths;
  }
  Bytes FileOf(const std::string& path) {
    return *node_->Await(ReadWholeFile(node_->runtime()->files, path, 1 << 20));
  }
  void Replace(const std::string& path, Bytes bytes) {
    const size_t slash = path.rfind('/');
    ASSERT_TRUE(node_
                    ->Await(ReplaceFile(node_->runtime()->files, path.substr(0, slash),
                                        path.substr(slash + 1), std::move(bytes)))
                    .ok());
  }
  // Where the records of a file end.
  static size_t RecordsEnd(const Bytes& file) {
    size_t at = kSegmentHeaderBytes;
    while (at + kRecordHeaderBytes <= file.size() && LoadBe32(file.data() + at) == kRecordMagic) {
      at += kRecordHeaderBytes + LoadBe32(file.data() + at + 72);
    }
    return at;
  }

  std::unique_ptr<RedoStore> store;
  Bytes redo;

 private:
  NodeHarness* node_;
  uint64_t seed_;
  RedoStoreOptions options_;
  uint64_t drawn_ = 0;
};

TEST(SpaceAhead, ALargeAppendWritesNoMoreThanItself) {
  NodeHarness node;
  SpaceAhead log(&node);
  log.Begin();
  ASSERT_TRUE(log.Append(40'000).ok());
  const std::vector<std::string> paths = log.Paths();
  ASSERT_EQ(paths.size(), 1U);
  const Bytes file = log.FileOf(paths.front());
  EXPECT_EQ(SpaceAhead::RecordsEnd(file), file.size());
  ASSERT_TRUE(log.Append(100).ok());
  const Bytes longer = log.FileOf(paths.front());
  EXPECT_EQ(SpaceAhead::RecordsEnd(longer) + kSpaceAhead, longer.size());
  log.ExpectAll();
}

TEST(SpaceAhead, AppendsLeaveTheFileAsLongAsItIs) {
  NodeHarness node;
  SpaceAhead log(&node);
  log.Begin();
  ASSERT_TRUE(log.Append(500).ok());
  const std::string path = log.Paths().front();
  const size_t size = log.FileOf(path).size();
  EXPECT_EQ(size, kSegmentHeaderBytes + kRecordHeaderBytes + 500 + kSpaceAhead);
  for (int i = 0; i < 7; ++i) {
    ASSERT_TRUE(log.Append(500).ok());
    EXPECT_EQ(log.FileOf(path).size(), size);
  }
  ASSERT_TRUE(log.Append(500).ok());
  EXPECT_GT(log.FileOf(path).size(), size);
  log.Crash(sim::CrashPolicy::kClean);
  ASSERT_TRUE(log.Open().ok());
  log.ExpectAll();
}

TEST(SpaceAhead, GoesNoFartherThanASegment) {
  NodeHarness node;
  SpaceAhead log(&node);
  log.Begin();
  while (log.Paths().size() < 3) {
    ASSERT_TRUE(log.Append(1500).ok());
  }
  const Bytes first = log.FileOf(log.Paths().front());
  EXPECT_EQ(first.size(), SpaceAhead::RecordsEnd(first)) << "zeroes stay behind a full segment";
  log.ExpectAll();
}

// Whatever a crash may leave in space that was never acknowledged is void.
TEST(SpaceAhead, WhatLiesBehindTheLastRecordIsNeverRedo) {
  size_t opened_with_garbage = 0;
  for (uint64_t seed = 1; seed <= 300; ++seed) {
    SCOPED_TRACE("seed " + std::to_string(seed));
    NodeHarness node(seed);
    SpaceAhead log(&node, seed);
    log.Begin();
    for (int life = 0; life < 4; ++life) {
      for (uint64_t count = 1 + log.Draw(6); count > 0; --count) {
        ASSERT_TRUE(log.Append(1 + log.Draw(900)).ok());
      }
      if (log.Draw(3) == 0) {
        ASSERT_TRUE(node.Await(log.store->Seal(Lsn{})).ok());
      }
      log.Crash(sim::CrashPolicy::kClean);
      const std::string path = log.Paths().back();
      Bytes file = log.FileOf(path);
      const size_t end = SpaceAhead::RecordsEnd(file);
      switch (log.Draw(5)) {
        case 0:  // the file's size did not make it
          file.resize(end + log.Draw(file.size() - end + 1));
          break;
        case 1:  // or grew without the data
          file.resize(file.size() + log.Draw(5000));
          break;
        case 2: {  // sectors of a torn record, its first one perhaps not among them
          const size_t from = end + log.Draw(700);
          file.resize(std::max(file.size(), from + 900));
          for (size_t i = from; i < from + 1 + log.Draw(900); ++i) {
            file[i] = static_cast<uint8_t>(log.Draw(256));
          }
          ++opened_with_garbage;
          break;
        }
        case 3: {  // records of the segment itself, sound ones, at another place
          const size_t bytes = end - kSegmentHeaderBytes;
          const Bytes records(file.begin() + kSegmentHeaderBytes,
                              file.begin() + static_cast<ptrdiff_t>(end));
          const size_t at = end + (log.Draw(2) == 0 ? 0 : log.Draw(300));
          file.resize(std::max(file.size(), at + bytes));
          std::copy(records.begin(), records.end(), file.begin() + static_cast<ptrdiff_t>(at));
          ++opened_with_garbage;
          break;
        }
        default:
          break;
      }
      log.Replace(path, std::move(file));
      const Status opened = log.Open();
      ASSERT_TRUE(opened.ok()) << opened.ToString();
      log.ExpectAll();
      ASSERT_FALSE(testing::Test::HasFatalFailure());
    }
  }
  EXPECT_GT(opened_with_garbage, 300U);
}

// One bit of anything that something behind it claims to be durable.
TEST(SpaceAhead, DamageOfSyncedBytesIsRefusedWithFileAndOffset) {
  for (uint64_t seed = 1; seed <= 200; ++seed) {
    SCOPED_TRACE("seed " + std::to_string(seed));
    NodeHarness node(seed);
    SpaceAhead log(&node, seed);
    log.Begin();
    for (uint64_t count = 2 + log.Draw(8); count > 0; --count) {
      ASSERT_TRUE(log.Append(1 + log.Draw(900)).ok());
    }
    ASSERT_TRUE(node.Await(log.store->Seal(Lsn{})).ok());
    log.Crash(sim::CrashPolicy::kClean);
    const std::string path = log.Paths().back();
    const Bytes good = log.FileOf(path);
    // The seal itself claims nothing of itself.
    const size_t claimed = SpaceAhead::RecordsEnd(good) - kRecordHeaderBytes;
    Bytes bad = good;
    const size_t from = kSegmentHeaderBytes + log.Draw(claimed - kSegmentHeaderBytes);
    if (log.Draw(2) == 0) {
      bad[from] ^= static_cast<uint8_t>(1U << log.Draw(8));
    } else {  // a lost write: what was there before, the zeroes of space ahead
      const size_t until = std::min(claimed, from + 1 + log.Draw(512));
      std::fill(bad.begin() + static_cast<ptrdiff_t>(from),
                bad.begin() + static_cast<ptrdiff_t>(until), uint8_t{0});
      if (bad == good) {
        continue;
      }
    }
    log.Replace(path, std::move(bad));
    const Status refused = log.Open();
    ASSERT_EQ(refused.code(), StatusCode::kCorruption) << refused.ToString();
    EXPECT_NE(refused.message().find(path + " at offset "), std::string::npos)
        << refused.ToString();
    log.Replace(path, good);
    ASSERT_TRUE(log.Open().ok());
    log.ExpectAll();
  }
}

// The next record of another volume's log fits in everything but its owner.
TEST(SpaceAhead, TheRecordsOfAnotherVolumeAreNone) {
  NodeHarness node;
  SpaceAhead log(&node, 1, 77);
  SpaceAhead other(&node, 2, 78);
  log.Begin();
  other.Begin();
  ASSERT_TRUE(log.Append(400).ok());
  for (int i = 0; i < 3; ++i) {
    ASSERT_TRUE(other.Append(400).ok());
  }
  other.store.reset();
  log.Crash(sim::CrashPolicy::kClean);
  const Bytes foreign = other.FileOf(other.Paths().front());
  const std::string path = log.Paths().front();
  Bytes mixed = log.FileOf(path);
  const size_t end = SpaceAhead::RecordsEnd(mixed);
  std::copy(foreign.begin() + static_cast<ptrdiff_t>(end), foreign.begin() + 3000,
            mixed.begin() + static_cast<ptrdiff_t>(end));
  log.Replace(path, std::move(mixed));
  const Status opened = log.Open();
  ASSERT_TRUE(opened.ok()) << opened.ToString();
  log.ExpectAll();
}

TEST(SpaceAhead, AFullDiskGivesItUpBeforeItRefusesAnAppend) {
  NodeHarness node;
  SpaceAhead log(&node);
  log.Begin();
  node.disk().SetCapacity(node.disk().used_bytes() + kRecordHeaderBytes + 300);
  ASSERT_TRUE(log.Append(300).ok());
  EXPECT_EQ(log.Append(300).code(), StatusCode::kNoSpace);
  EXPECT_TRUE(log.store->stopped().ok());
  node.disk().SetCapacity(1 << 30);
  ASSERT_TRUE(log.Append(300).ok());
  log.Crash(sim::CrashPolicy::kClean);
  ASSERT_TRUE(log.Open().ok());
  log.ExpectAll();
}

// What cannot be cut off is void all the same: the next segment says where its predecessor ends.
TEST(SpaceAhead, ASegmentThatCannotBeCutBackIsVoidBehindItsEnd) {
  for (const uint64_t ahead : {uint64_t{0}, uint64_t{5}}) {
    NodeHarness node;
    SpaceAhead log(&node);
    log.Begin();
    for (uint64_t i = 0; i < 1 + ahead; ++i) {
      ASSERT_TRUE(log.Append(300).ok());
    }
    const std::string path = log.Paths().front();
    const size_t size = log.FileOf(path).size();
    node.disk().FailNext(sim::FileOp::kTruncate, ".redo", StatusCode::kIoError, 1);
    node.disk().SetCapacity(node.disk().used_bytes());
    Status full;
    while (full.ok()) {
      full = log.Append(300);
    }
    ASSERT_EQ(full.code(), StatusCode::kNoSpace);
    EXPECT_EQ(log.FileOf(path).size(), size) << "not cut";
    node.disk().SetCapacity(1 << 30);
    for (int i = 0; i < 3; ++i) {
      ASSERT_TRUE(log.Append(300).ok());
    }
    log.Crash(sim::CrashPolicy::kClean);
    ASSERT_TRUE(log.Open().ok());
    log.ExpectAll();
  }
}

// A full disk does not matter while there is space ahead.
TEST(SpaceAhead, IsUsedUpBeforeAnAppendIsRefused) {
  NodeHarness node;
  SpaceAhead log(&node);
  log.Begin();
  ASSERT_TRUE(log.Append(300).ok());
  node.disk().SetCapacity(node.disk().used_bytes());
  const size_t fitting = kSpaceAhead / (kRecordHeaderBytes + 300);
  for (size_t i = 0; i < fitting; ++i) {
    ASSERT_TRUE(log.Append(300).ok()) << i;
  }
  EXPECT_EQ(log.Append(300).code(), StatusCode::kNoSpace);
  node.disk().SetCapacity(1 << 30);
  ASSERT_TRUE(log.Append(300).ok());
  log.Crash(sim::CrashPolicy::kClean);
  ASSERT_TRUE(log.Open().ok());
  log.ExpectAll();
}

// A file as version 2 wrote it: no space ahead, and records whose checksum knows no volume.
Bytes AsVersion2(const Bytes& file, uint64_t sequence) {
  const size_t end = SpaceAhead::RecordsEnd(file);
  Bytes old(file.begin(), file.begin() + static_cast<ptrdiff_t>(end));
  StoreBe32(old.data() + 8, 2);
  StoreBe32(old.data() + kSegmentHeaderBytes - 4,
            Crc32c(ByteView(old).first(kSegmentHeaderBytes - 4)));
  for (size_t at = kSegmentHeaderBytes; at < end;) {
    const ByteView rest = ByteView(old).subspan(at + 8, kRecordHeaderBytes - 8);
    StoreBe32(old.data() + at + 4, Crc32c(rest));
    EXPECT_EQ(LoadBe64(old.data() + at + 8), sequence);
    at += kRecordHeaderBytes + LoadBe32(old.data() + at + 72);
  }
  return old;
}

// What is written under --log-format 2 is, byte for byte, what a server wrote that knew no other
// format; and it says no when that cannot be kept up.
TEST(SpaceAhead, AnOlderFormatIsWrittenOnDemandAndRefusesNewerFiles) {
  NodeHarness node;
  SpaceAhead log(&node);
  SpaceAhead old(&node, 1, 78);
  old.KeepTo(kSegmentVersionOldest);
  log.Begin();
  old.Begin();
  for (int i = 0; i < 5; ++i) {
    ASSERT_TRUE(log.Append(400).ok());
    ASSERT_TRUE(old.Append(400).ok());
  }
  Bytes wanted = AsVersion2(log.FileOf(log.Paths().front()), 1);
  StoreBe64(wanted.data() + 16, 78);  // the volume's uid
  StoreBe32(wanted.data() + kSegmentHeaderBytes - 4,
            Crc32c(ByteView(wanted).first(kSegmentHeaderBytes - 4)));
  EXPECT_EQ(old.FileOf(old.Paths().front()), wanted);

  log.store.reset();
  old.Crash(sim::CrashPolicy::kClean);
  ASSERT_TRUE(old.Open().ok());
  ASSERT_TRUE(old.Append(300).ok());
  old.ExpectAll();
  old.Crash(sim::CrashPolicy::kClean);
  old.KeepTo(kSegmentVersion);
  ASSERT_TRUE(old.Open().ok()) << "the newer server reads it";
  ASSERT_TRUE(old.Append(300).ok());
  old.ExpectAll();
  old.Crash(sim::CrashPolicy::kClean);
  old.KeepTo(kSegmentVersionOldest);
  const Status refused = old.Open();
  EXPECT_EQ(refused.code(), StatusCode::kUnsupported) << refused.ToString();
  EXPECT_NE(refused.message().find("--log-format"), std::string::npos) << refused.ToString();
  EXPECT_NE(refused.message().find(old.Paths().back()), std::string::npos) << refused.ToString();
  old.KeepTo(kSegmentVersion);
  ASSERT_TRUE(old.Open().ok()) << "a refusal changes nothing";
  old.ExpectAll();
}

TEST(SpaceAhead, FilesOfVersion2StillOpen) {
  for (const bool sealed : {false, true}) {
    for (const bool torn : {false, true}) {
      NodeHarness node;
      SpaceAhead log(&node);
      log.Begin();
      for (int i = 0; i < 5; ++i) {
        ASSERT_TRUE(log.Append(400).ok());
      }
      if (sealed) {
        ASSERT_TRUE(node.Await(log.store->Seal(Lsn{})).ok());
      }
      log.Crash(sim::CrashPolicy::kClean);
      const std::string path = log.Paths().front();
      Bytes old = AsVersion2(log.FileOf(path), 1);
      const size_t third = kSegmentHeaderBytes + 2 * (kRecordHeaderBytes + 400);
      Bytes damaged = old;
      damaged[third + 100] ^= 1;
      old.resize(old.size() + (torn ? 50 : 0), 0x5A);
      log.Replace(path, std::move(damaged));
      const Status refused = log.Open();
      ASSERT_EQ(refused.code(), StatusCode::kCorruption) << refused.ToString();
      EXPECT_NE(refused.message().find(std::to_string(third)), std::string::npos);
      log.Replace(path, std::move(old));
      const Status opened = log.Open();
      ASSERT_TRUE(opened.ok()) << opened.ToString();
      log.ExpectAll();
      ASSERT_TRUE(log.Append(400).ok()) << "and goes on";
      log.Crash(sim::CrashPolicy::kClean);
      ASSERT_TRUE(log.Open().ok());
      log.ExpectAll();
      const Bytes newest = log.FileOf(log.Paths().back());
      EXPECT_EQ(LoadBe32(newest.data() + 8), kSegmentVersion);
    }
  }
}

}  // namespace
}  // namespace redoubt
