// SPDX-License-Identifier: MIT
//
// A server that exists only as far as the tailer can see it: redo files and tablespaces on a
// simulated disk, SQL answers, and a lock. Tests make it log, switch and recycle files, crash and
// start again.
#pragma once

#include <cstdint>
#include <deque>
#include <memory>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "client/tail/source_probe.h"
#include "client/tail/sql_session.h"
#include "client/tail/volume_sink.h"
#include "common/innodb/log_block.h"
#include "tests/contract/node_harness.h"

namespace redoubt::tail {

// Whole mtrs as redo payload.
Bytes WriteMtr(uint32_t space, uint32_t page_no, uint8_t value);  // one 1-byte write
Bytes InsertMtr(uint32_t space, uint32_t page_no);                // one row-level change
Bytes FileCreateMtr(uint32_t space, uint32_t flags, std::string_view path);
Bytes FileDeleteMtr(uint32_t space, std::string_view path);
Bytes IndexLoadMtr(uint32_t space, uint32_t page_no, uint64_t index_id);
Bytes RootCreateMtr(uint32_t space, uint32_t page_no, uint64_t index_id);  // as btr_create logs it
// An mtr of many records, `bytes` long or a little more.
Bytes LongMtr(uint32_t space, size_t bytes);

// A page with valid checksum; `lsn` also becomes part of its content.
Bytes MakePage(uint32_t space, uint32_t page_no, Lsn lsn, uint32_t page_size = 16384);
// Page 0 with an FSP header.
Bytes MakePage0(uint32_t space, uint32_t page_count, uint32_t flags, Lsn lsn);

class FakeSource final : public SqlConnector, public SourceProbe {
 public:
  static constexpr char kDatadir[] = "/data";
  static constexpr char kRedo[] = "/data/#innodb_redo";
  static constexpr uint64_t kFileBytes = 2048 + 64 * 512;
  static constexpr char kUuid[] = "aaaaaaaa-0000-0000-0000-000000000001";

  explicit FakeSource(NodeHarness* node);

  // --- the redo ---
  // Makes the first redo file and ibdata1 with one page; the server is up.
  void Create();
  // Logs `payload` and writes the blocks out; it is flushed, too, unless `flush` is false.
  void Log(const Bytes& payload, bool flush = true);
  // Logs whole mtrs until the current file changes once more.
  void LogUntilSwitch(bool flush = true);
  // Removes the oldest file. In place: it becomes the next file to be used, with its old blocks.
  void DropOldest();
  void RecycleOldestInPlace();
  // Writes `bytes` over the file at an LSN.
  void Damage(Lsn lsn, const Bytes& bytes);
  std::string PathOf(Lsn lsn) const;
  Lsn current() const { return current_; }
  Lsn first_lsn() const { return first_lsn_; }
  // All payload from first_lsn() on as it stands now.
  const Bytes& history() const { return history_; }

  // --- the process ---
  // No SQL any more, but the process still writes.
  void BeginShutdown();
  void StopCleanly();
  // Bytes behind `valid_end` are void: the next run logs there.
  void Crash(Lsn valid_end);
  void StartAgain();
  // After StopCleanly: a new log set that begins at the next block.
  void RecreateRedo(Lsn begin_block);

  void PutSpace(std::string path, const std::vector<Bytes>& pages);
  void RemoveFile(std::string path);
  void WriteAt(std::string path, uint64_t offset, const Bytes& bytes);

  // --- SQL ---
  Task<Result<std::unique_ptr<SqlSession>>> Connect() override;
  Task<Result<bool>> ServerHasFilesOpen() override;
  Result<SqlRows> Answer(const std::string& statement, uint64_t session);
  void SessionEnds(uint64_t session);
  Task<void> Sleep(Duration duration);

  bool up = true;
  Lsn flushed;
  Lsn checkpoint;
  uint32_t log_uuid = 7;
  bool redo_enabled = true;
  uint64_t alter_instance_count = 0;
  int64_t redo_enabled_again_s = 0;  // 0: never switched
  uint64_t redo_capacity = 1 << 20;
  std::string server_uuid = kUuid;
  Duration answer_after{};      // how long a statement takes
  Duration dictionary_after{};  // how long a question about the dictionary takes beyond that
  Status dictionary_refuses;    // what it is answered when not OK
  Status refuse;                // what Connect says
  Status refuse_register;       // what the registration says
  uint64_t consumer_session = 0;
  Lsn consumer_lsn;
  std::vector<uint64_t> committed_indexes;

 private:
  struct FileOnDisk {
    uint64_t id;
    Lsn start;
  };
  void WriteHeader(const FileOnDisk& file);
  void AddFile();
  void WriteBlocks(Lsn from);

  NodeHarness* node_;
  std::deque<FileOnDisk> files_;
  uint64_t next_file_id_ = 0;
  Lsn first_lsn_{innodb::kFirstDataLsn};
  Lsn current_{innodb::kFirstDataLsn};
  Bytes history_;
  std::vector<uint64_t> group_starts_;  // offsets in history_
  uint64_t generation_ = 1;             // of the process; sessions of older ones are dead
  uint64_t next_session_ = 1;
};

// A volume in memory.
class FakeSink final : public VolumeSink {
 public:
  explicit FakeSink(Runtime* runtime) : runtime_(runtime), closing_(runtime->scheduler) {}

  Task<Result<Lsn>> Open(SourceIdentity identity) override;
  Task<Result<proto::VolumeState>> Look() override;
  Task<Result<std::vector<proto::SpaceInfo>>> Spaces() override;
  Task<Status> StartAt(Lsn start, std::string reason) override;
  Task<Status> Append(RedoAppend chunk) override;
  Lsn acknowledged() const override { return hold_acks ? held_at : end; }
  Lsn next_lsn() const override { return end; }
  Status failure() const override { return fail; }
  Task<Status> Compare(RedoAppend chunk) override;
  Task<Status> PutImages(ImageBatch batch) override;
  Task<Status> PutSpaces(std::vector<proto::SpaceEvent> events) override;
  Task<Status> PutSideFile(SideFileContent file, Lsn lsn) override;
  Task<Status> SetHorizon(Lsn horizon) override;
  void Interrupt() override { closing_.Set(); }
  Task<void> Close() override { co_return; }

  // Payload since the last StartAt.
  Bytes stream;
  Lsn begin;
  Lsn end;
  Lsn horizon;
  bool hold_acks = false;
  Lsn held_at;
  Status fail;
  std::vector<std::string> start_reasons;
  std::vector<RedoAppend> chunks;
  std::vector<proto::PageImage> images;
  std::vector<proto::SpaceEvent> events;
  std::vector<std::pair<std::string, bool>> side_files;  // path, deleted
  std::vector<uint32_t> wanting;
  // What happened, in order: "start 8204", "append 8204 8300", "images 5", "event 2 5" (kind,
  // space).
  std::vector<std::string> order;
  std::string source_id;

 private:
  Runtime* runtime_;
  Event closing_;
};

}  // namespace redoubt::tail
