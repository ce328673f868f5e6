// SPDX-License-Identifier: MIT
//
// A LogVolume on a simulated machine, for tests: opened, taken over, appended to, crashed, damaged.
#pragma once

#include <gtest/gtest.h>

#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "common/base/crc32c.h"
#include "common/base/hash.h"
#include "common/innodb/log_block.h"
#include "pageserver/log/log_volume.h"
#include "tests/contract/node_harness.h"

namespace redoubt {

inline constexpr Lsn kStart{8204};
inline constexpr char kDirectory[] = "/data/log/1";

inline LogVolumeOptions SmallOptions() {
  LogVolumeOptions options;
  options.store.directory = kDirectory;
  options.store.volume = VolumeId(1);
  options.store.volume_uid = 77;
  options.store.segment_bytes_max = 8 << 10;
  options.tail_bytes_max = 4 << 10;
  options.batch_bytes_max = 4 << 10;
  return options;
}

// A log volume on a simulated machine, and what a correct one holds.
class LogWorld {
 public:
  explicit LogWorld(uint64_t seed = 1, sim::SimOptions options = {}) : node(seed, options) {}
  ~LogWorld() { log.reset(); }

  Status Open(LogVolumeOptions options = SmallOptions()) {
    log = std::make_unique<LogVolume>(node.runtime(), std::move(options));
    const Status status = node.Await(log->Start());
    if (!status.ok()) {
      log.reset();
    }
    return status;
  }
  // Both halves of an epoch's start, as the only log server of the volume.
  void Take() {
    const Result<PreparedEpoch> prepared = node.Await(log->Prepare(Epoch(0)));
    ASSERT_TRUE(prepared.ok()) << prepared.status().ToString();
    epoch = prepared->epoch;
    next = prepared->end;
    const Result<Lsn> begun = node.Await(log->BeginEpoch(Continue(*prepared)));
    ASSERT_TRUE(begun.ok()) << begun.status().ToString();
    ASSERT_EQ(*begun, prepared->end);
  }
  static EpochStartIn Continue(const PreparedEpoch& prepared) {
    EpochStartIn begin;
    begin.epoch = prepared.epoch;
    begin.start = prepared.end;
    begin.history = prepared.history;
    begin.history.push_back({prepared.epoch, prepared.end});
    return begin;
  }
  void Begin(LogVolumeOptions options = SmallOptions()) {
    ASSERT_TRUE(Open(std::move(options)).ok());
    Take();
    const Status begun = node.Await(log->StartAt(epoch, kStart, "test", false));
    ASSERT_TRUE(begun.ok()) << begun.ToString();
    next = kStart;
  }
  void Stop() {
    node.Await(log->Stop());
    log.reset();
  }
  void Crash(sim::CrashPolicy policy) {
    log.reset();
    node.Kill(policy);
    node.Start();
  }

  RedoChunk MakeChunk(size_t bytes, uint64_t content) {
    RedoChunk chunk;
    chunk.epoch = epoch;
    chunk.range = {next, innodb::AdvanceLsn(next, bytes)};
    chunk.first_mtr_lsn = next;
    Bytes payload(bytes);
    for (size_t i = 0; i < bytes; ++i) {
      payload[i] = static_cast<uint8_t>(HashMix(content, i));
    }
    chunk.payload_crc32c = Crc32c(payload);
    chunk.payload = std::make_shared<const Bytes>(std::move(payload));
    return chunk;
  }
  // Appends `bytes` behind what was appended so far.
  AppendOutcome Append(size_t bytes, uint64_t content = 1) {
    RedoChunk chunk = MakeChunk(bytes, content);
    const AppendOutcome outcome = AppendChunk(chunk);
    if (outcome.status.ok()) {
      next = chunk.range.end;
    }
    return outcome;
  }
  // A whole number of mtrs.
  AppendOutcome AppendChunk(RedoChunk chunk, Lsn commit = Lsn{}) {
    const WriterTold told{commit, {}, chunk.range.end};
    return node.Await(log->FinishAppend(log->BeginAppend(std::move(chunk), told)));
  }
  // Everything from `from` to the end, through the feed.
  Result<Bytes> ReadAll(Lsn from) {
    Bytes bytes;
    while (from < log->status().commit) {
      const Result<FeedBatch> batch =
          node.Await(log->Read(from, 1500, node.runtime()->scheduler->Now()));
      if (!batch.ok()) {
        return batch.status();
      }
      EXPECT_FALSE(batch->chunks.empty());
      if (batch->chunks.empty()) {
        break;
      }
      for (const RedoChunk& chunk : batch->chunks) {
        EXPECT_EQ(Crc32c(*chunk.payload), chunk.payload_crc32c);
        bytes.insert(bytes.end(), chunk.payload->begin(), chunk.payload->end());
        from = chunk.range.end;
      }
    }
    return bytes;
  }
  std::vector<std::string> Files() {
    const auto entries = node.Await(node.runtime()->files->List(kDirectory));
    std::vector<std::string> names;
    for (const DirectoryEntry& entry : *entries) {
      names.push_back(entry.name);
    }
    return names;
  }
  // Changes one byte of a file; the volume must be closed.
  void Damage(const std::string& name, uint64_t offset) {
    auto file = node.Await(
        node.runtime()->files->Open(std::string(kDirectory) + "/" + name, OpenMode::kReadWrite));
    ASSERT_TRUE(file.ok());
    Bytes byte(1);
    ASSERT_TRUE(node.Await((*file)->ReadAt(offset, MutableByteView(byte))).ok());
    byte[0] ^= 0x40;
    ASSERT_TRUE(node.Await((*file)->WriteAt(offset, byte)).ok());
  }
  // Exchanges [a, a + bytes) with [b, b + bytes) of a file; the volume must be closed.
  void Exchange(const std::string& name, uint64_t a, uint64_t b, size_t bytes) {
    auto file = node.Await(
        node.runtime()->files->Open(std::string(kDirectory) + "/" + name, OpenMode::kReadWrite));
    ASSERT_TRUE(file.ok());
    Bytes at_a(bytes);
    Bytes at_b(bytes);
    ASSERT_EQ(*node.Await((*file)->ReadAt(a, MutableByteView(at_a))), bytes);
    ASSERT_EQ(*node.Await((*file)->ReadAt(b, MutableByteView(at_b))), bytes);
    ASSERT_TRUE(node.Await((*file)->WriteAt(a, at_b)).ok());
    ASSERT_TRUE(node.Await((*file)->WriteAt(b, at_a)).ok());
  }

  NodeHarness node;
  std::unique_ptr<LogVolume> log;
  Epoch epoch;
  Lsn next;
};

}  // namespace redoubt
