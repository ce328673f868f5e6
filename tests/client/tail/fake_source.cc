// SPDX-License-Identifier: MIT
#include "tests/client/tail/fake_source.h"

#include <algorithm>
#include <charconv>

#include "common/innodb/log_file.h"
#include "common/innodb/page_format.h"
#include "common/innodb/redo_type.h"

namespace redoubt::tail {
namespace {

using innodb::kLogBlockBytes;
using innodb::kLogBlockPayloadBytes;

void PutC32(uint32_t value, Bytes* out) {
  ByteWriter writer(out);
  if (value < 0x80) {
    writer.U8(static_cast<uint8_t>(value));
  } else if (value < 0x4000) {
    writer.U16(static_cast<uint16_t>(0x8000 | value));
  } else if (value >= 0xFFFFFC00) {
    writer.U16(static_cast<uint16_t>(0xF800 | (value & 0x3FF)));
  } else {
    writer.U8(0xF0);
    writer.U32(value);
  }
}

Bytes Record(uint8_t type, uint32_t space, uint32_t page_no) {
  Bytes out{type};
  PutC32(space, &out);
  PutC32(page_no, &out);
  return out;
}

constexpr uint8_t kSingle = innodb::kSingleRecordFlag;

void PutPath(std::string_view path, Bytes* out) {
  ByteWriter writer(out);
  writer.U16(static_cast<uint16_t>(path.size() + 1));
  writer.Append(AsBytes(path));
  writer.U8(0);
}

class FakeSession final : public SqlSession {
 public:
  FakeSession(FakeSource* source, uint64_t id) : source_(source), id_(id) {}
  ~FakeSession() override { source_->SessionEnds(id_); }
  Task<Result<SqlRows>> Query(std::string statement) override {
    if (source_->answer_after != Duration(0)) {
      co_await source_->Sleep(source_->answer_after);
    }
    if (statement.find("INNODB_INDEXES") != std::string::npos) {
      co_await source_->Sleep(source_->dictionary_after);
    }
    co_return source_->Answer(statement, id_);
  }

 private:
  FakeSource* source_;
  uint64_t id_;
};

}  // namespace

Bytes WriteMtr(uint32_t space, uint32_t page_no, uint8_t value) {
  Bytes out = Record(kSingle | 1, space, page_no);
  ByteWriter writer(&out);
  writer.U16(100);
  writer.U8(value & 0x7F);
  return out;
}

Bytes InsertMtr(uint32_t space, uint32_t page_no) {
  // MLOG_REC_SEC_DELETE_MARK: u8 value, u16 offset.
  Bytes out = Record(kSingle | 11, space, page_no);
  ByteWriter writer(&out);
  writer.U8(1);
  writer.U16(120);
  return out;
}

Bytes FileCreateMtr(uint32_t space, uint32_t flags, std::string_view path) {
  Bytes out = Record(kSingle | 33, space, 0);
  ByteWriter(&out).U32(flags);
  PutPath(path, &out);
  return out;
}

Bytes FileDeleteMtr(uint32_t space, std::string_view path) {
  Bytes out = Record(kSingle | 35, space, 0);
  PutPath(path, &out);
  return out;
}

Bytes IndexLoadMtr(uint32_t space, uint32_t page_no, uint64_t index_id) {
  Bytes out = Record(kSingle | 61, space, page_no);
  ByteWriter(&out).U64(index_id);
  return out;
}

Bytes RootCreateMtr(uint32_t space, uint32_t page_no, uint64_t index_id) {
  Bytes out;
  const auto add = [&](uint8_t type, const Bytes& body) {
    const Bytes head = Record(type, space, page_no);
    out.insert(out.end(), head.begin(), head.end());
    out.insert(out.end(), body.begin(), body.end());
  };
  add(59, {});          // INIT_FILE_PAGE2
  add(2, {0, 82, 50});  // offset in the leaf segment's header
  add(2, {0, 92, 60});  // and in the top segment's
  add(37, {});          // COMP_PAGE_CREATE
  Bytes id{0, 66};      // 8 bytes at PAGE_INDEX_ID
  PutC32(static_cast<uint32_t>(index_id >> 32), &id);
  ByteWriter(&id).U32(static_cast<uint32_t>(index_id));
  add(8, id);
  out.push_back(31);
  return out;
}

Bytes LongMtr(uint32_t space, size_t bytes) {
  Bytes out;
  for (uint32_t n = 0; out.size() < bytes; ++n) {
    const Bytes head = Record(1, space, 3 + n % 50);
    out.insert(out.end(), head.begin(), head.end());
    out.insert(out.end(), {0, 100, static_cast<uint8_t>(n & 0x7F)});
  }
  out.push_back(31);
  return out;
}

Bytes MakePage(uint32_t space, uint32_t page_no, Lsn lsn, uint32_t page_size) {
  Bytes page(page_size);
  StoreBe32(page.data() + innodb::kPageNoOffset, page_no);
  StoreBe16(page.data() + innodb::kPageTypeOffset, innodb::kPageTypeIndex);
  StoreBe32(page.data() + innodb::kPageSpaceIdOffset, space);
  for (size_t i = 200; i < 2000; ++i) {
    page[i] = static_cast<uint8_t>(i * 7 + lsn.value());
  }
  innodb::StampPage(page, lsn);
  return page;
}

Bytes MakePage0(uint32_t space, uint32_t page_count, uint32_t flags, Lsn lsn) {
  Bytes page(16384);
  StoreBe16(page.data() + innodb::kPageTypeOffset, innodb::kPageTypeFspHeader);
  StoreBe32(page.data() + innodb::kPageSpaceIdOffset, space);
  StoreBe32(page.data() + innodb::kFspSpaceIdOffset, space);
  StoreBe32(page.data() + innodb::kFspSizeOffset, page_count);
  StoreBe32(page.data() + innodb::kFspFlagsOffset, flags);
  innodb::StampPage(page, lsn);
  return page;
}

FakeSource::FakeSource(NodeHarness* node)
    : flushed(innodb::kFirstDataLsn), checkpoint(innodb::kFirstDataLsn), node_(node) {}

void FakeSource::Create() {
  ASSERT_TRUE(node_->Await(node_->runtime()->files->CreateDirectories(kRedo)).ok());
  AddFile();
  WriteBlocks(current_);
  PutSpace("ibdata1", {MakePage0(0, 1, 0, Lsn(8040))});
}

void FakeSource::WriteAt(std::string path, uint64_t offset, const Bytes& bytes) {
  const std::string full = std::string(kDatadir) + "/" + path;
  const Result<std::unique_ptr<File>> file =
      node_->Await(node_->runtime()->files->Open(full, OpenMode::kCreate));
  ASSERT_TRUE(file.ok()) << file.status().ToString();
  ASSERT_TRUE(node_->Await((*file)->WriteAt(offset, bytes)).ok());
}

void FakeSource::PutSpace(std::string path, const std::vector<Bytes>& pages) {
  const size_t slash = path.find('/');
  if (slash != std::string::npos) {
    const std::string directory = std::string(kDatadir) + "/" + path.substr(0, slash);
    ASSERT_TRUE(node_->Await(node_->runtime()->files->CreateDirectories(directory)).ok());
  }
  uint64_t offset = 0;
  for (const Bytes& page : pages) {
    WriteAt(path, offset, page);
    offset += page.size();
  }
}

void FakeSource::RemoveFile(std::string path) {
  const std::string full = std::string(kDatadir) + "/" + path;
  ASSERT_TRUE(node_->Await(node_->runtime()->files->Remove(full)).ok());
}

void FakeSource::WriteHeader(const FileOnDisk& file) {
  Bytes block(512);
  innodb::LogFileHeader header;
  header.log_uuid = log_uuid;
  header.start_lsn = file.start;
  header.creator = "MySQL 9.7.4";
  innodb::WriteLogFileHeader(header, block);
  const std::string path =
      "#innodb_redo/" + innodb::FormatLogFileName(innodb::LogFileName{file.id, false});
  WriteAt(path, 0, block);
  Bytes point(512);
  innodb::WriteLogCheckpoint(Lsn(0), point);
  WriteAt(path, innodb::kLogCheckpoint1Offset, point);
  WriteAt(path, innodb::kLogEncryptionOffset, Bytes(512));
  WriteAt(path, innodb::kLogCheckpoint2Offset, point);
}

void FakeSource::AddFile() {
  const Lsn start = files_.empty() ? innodb::AlignToBlock(current_)
                                   : Lsn(files_.back().start.value() + kFileBytes - 2048);
  files_.push_back({next_file_id_++, start});
  WriteHeader(files_.back());
  const std::string path =
      "#innodb_redo/" + innodb::FormatLogFileName(innodb::LogFileName{files_.back().id, false});
  WriteAt(path, kFileBytes - 1, Bytes(1));
}

std::string FakeSource::PathOf(Lsn lsn) const {
  for (const FileOnDisk& file : files_) {
    if (file.start <= lsn && lsn.value() < file.start.value() + kFileBytes - 2048) {
      return "#innodb_redo/" + innodb::FormatLogFileName(innodb::LogFileName{file.id, false});
    }
  }
  return "";
}

void FakeSource::Log(const Bytes& payload, bool flush) {
  const Lsn from = current_;
  group_starts_.push_back(history_.size());
  history_.insert(history_.end(), payload.begin(), payload.end());
  current_ = innodb::AdvanceLsn(first_lsn_, history_.size());
  WriteBlocks(from);
  if (flush) {
    flushed = current_;
  }
}

// Writes every block from the one of `from` to the current one.
void FakeSource::WriteBlocks(Lsn from) {
  for (Lsn block = innodb::AlignToBlock(from); block <= current_;
       block = Lsn(block.value() + kLogBlockBytes)) {
    const Lsn data(block.value() + innodb::kLogBlockHeaderBytes);
    const uint64_t base = innodb::ToSn(first_lsn_).value();
    const uint64_t begin = std::max(innodb::ToSn(data).value(), base) - base;  // offset in history_
    const uint64_t end = std::min<uint64_t>(
        innodb::ToSn(data).value() + kLogBlockPayloadBytes - base, history_.size());
    Bytes content(innodb::ToSn(data).value() < base ? base - innodb::ToSn(data).value() : 0);
    if (begin < end) {
      content.insert(content.end(), history_.begin() + static_cast<ptrdiff_t>(begin),
                     history_.begin() + static_cast<ptrdiff_t>(end));
    }
    uint16_t first_group = 0;
    for (const uint64_t start : group_starts_) {
      const Lsn lsn = innodb::AdvanceLsn(first_lsn_, start);
      if (innodb::AlignToBlock(lsn) == block && lsn < current_) {
        first_group = static_cast<uint16_t>(lsn.value() - block.value());
        break;
      }
    }
    Bytes bytes(kLogBlockBytes);
    innodb::WriteLogBlock(block, content, first_group, bytes);
    if (PathOf(block).empty()) {
      AddFile();
    }
    const auto file = std::find_if(files_.begin(), files_.end(), [block](const FileOnDisk& f) {
      return f.start <= block && block.value() < f.start.value() + kFileBytes - 2048;
    });
    ASSERT_NE(file, files_.end());
    WriteAt(PathOf(block), innodb::LogFileOffset(file->start, block), bytes);
  }
}

void FakeSource::LogUntilSwitch(bool flush) {
  const uint64_t id = files_.back().id;
  while (files_.back().id == id) {
    Log(LongMtr(5, 900), flush);
  }
}

void FakeSource::DropOldest() {
  const FileOnDisk file = files_.front();
  files_.pop_front();
  RemoveFile("#innodb_redo/" + innodb::FormatLogFileName(innodb::LogFileName{file.id, false}));
}

void FakeSource::RecycleOldestInPlace() {
  const FileOnDisk old = files_.front();
  files_.pop_front();
  const std::string redo = std::string(kRedo) + "/";
  const std::string from = redo + innodb::FormatLogFileName(innodb::LogFileName{old.id, false});
  files_.push_back({next_file_id_++, Lsn(files_.back().start.value() + kFileBytes - 2048)});
  const std::string to =
      redo + innodb::FormatLogFileName(innodb::LogFileName{files_.back().id, false});
  ASSERT_TRUE(node_->Await(node_->runtime()->files->Rename(from, to)).ok());
  WriteHeader(files_.back());
}

void FakeSource::Damage(Lsn lsn, const Bytes& bytes) {
  for (const FileOnDisk& file : files_) {
    if (file.start <= lsn && lsn.value() < file.start.value() + kFileBytes - 2048) {
      WriteAt(PathOf(lsn), innodb::LogFileOffset(file.start, lsn), bytes);
    }
  }
}

void FakeSource::BeginShutdown() {
  ++generation_;
  consumer_session = 0;
  refuse = Unavailable("Server shutdown in progress");
}

void FakeSource::StopCleanly() {
  refuse = Status::Ok();
  flushed = current_;
  checkpoint = current_;
  up = false;
  ++generation_;
}

void FakeSource::Crash(Lsn valid_end) {
  up = false;
  ++generation_;
  current_ = valid_end;
  history_.resize(innodb::ToSn(valid_end).value() - innodb::ToSn(first_lsn_).value());
  while (!group_starts_.empty() && group_starts_.back() >= history_.size()) {
    group_starts_.pop_back();
  }
}

void FakeSource::StartAgain() {
  up = true;
  flushed = current_;
  consumer_session = 0;
  WriteBlocks(current_);
}

void FakeSource::RecreateRedo(Lsn begin_block) {
  while (!files_.empty()) {
    DropOldest();
  }
  ++log_uuid;
  next_file_id_ = 0;
  first_lsn_ = Lsn(begin_block.value() + innodb::kLogBlockHeaderBytes);
  current_ = first_lsn_;
  history_.clear();
  group_starts_.clear();
  flushed = current_;
  checkpoint = current_;
  AddFile();
  WriteBlocks(current_);
}

Task<Result<std::unique_ptr<SqlSession>>> FakeSource::Connect() {
  if (!refuse.ok()) {
    co_return refuse;
  }
  if (!up) {
    co_return Unavailable("no server on the socket");
  }
  std::unique_ptr<SqlSession> session =
      std::make_unique<FakeSession>(this, generation_ << 32 | next_session_++);
  co_return std::move(session);
}

Task<Result<bool>> FakeSource::ServerHasFilesOpen() { co_return up; }

Task<void> FakeSource::Sleep(Duration duration) {
  co_await node_->runtime()->scheduler->Sleep(duration);
}

void FakeSource::SessionEnds(uint64_t session) {
  if (consumer_session == session) {
    consumer_session = 0;
  }
}

Result<SqlRows> FakeSource::Answer(const std::string& statement, uint64_t session) {
  if (!up || session >> 32 != generation_) {
    return Unavailable("server has gone away");
  }
  const auto has = [&statement](std::string_view part) {
    return statement.find(part) != std::string::npos;
  };
  const auto row = [](std::string name, std::string value) { return SqlRow{name, value}; };
  if (has("SHOW GLOBAL VARIABLES")) {
    return SqlRows{row("version", "9.7.4"),
                   row("server_uuid", server_uuid),
                   row("datadir", std::string(kDatadir) + "/"),
                   row("innodb_page_size", "16384"),
                   row("innodb_redo_log_capacity", std::to_string(redo_capacity)),
                   row("innodb_log_group_home_dir", "./"),
                   row("innodb_data_file_path", "ibdata1:12M:autoextend"),
                   row("innodb_data_home_dir", ""),
                   row("innodb_directories", ""),
                   row("innodb_undo_directory", "./")};
  }
  if (has("SHOW GLOBAL STATUS")) {
    return SqlRows{row("Innodb_redo_log_flushed_to_disk_lsn", std::to_string(flushed.value())),
                   row("Innodb_redo_log_current_lsn", std::to_string(current_.value())),
                   row("Innodb_redo_log_checkpoint_lsn", std::to_string(checkpoint.value())),
                   row("Innodb_redo_log_uuid", std::to_string(log_uuid)),
                   row("Innodb_redo_log_enabled", redo_enabled ? "ON" : "OFF"),
                   row("Com_alter_instance", std::to_string(alter_instance_count))};
  }
  if (has("consumer_register")) {
    if (!refuse_register.ok()) {
      return refuse_register;
    }
    if (consumer_session != 0) {
      return SqlRows{{"1"}};
    }
    consumer_session = session;
    consumer_lsn = checkpoint;
    return SqlRows{{"0"}};
  }
  if (has("consumer_advance")) {
    const size_t open = statement.find('(');
    uint64_t lsn = 0;
    std::from_chars(statement.data() + open + 1, statement.data() + statement.size(), lsn);
    consumer_lsn = std::max(consumer_lsn, Lsn(lsn));
    return SqlRows{{"0"}};
  }
  if (has("consumer_unregister")) {
    SessionEnds(session);
    return SqlRows{{"0"}};
  }
  if (has("error_log")) {
    return SqlRows{{redo_enabled_again_s == 0
                        ? SqlValue()
                        : SqlValue(std::to_string(redo_enabled_again_s) + ".500000")}};
  }
  if (has("INNODB_INDEXES")) {
    if (!dictionary_refuses.ok()) {
      return dictionary_refuses;
    }
    SqlRows rows;
    for (const uint64_t id : committed_indexes) {
      rows.push_back({std::to_string(id)});
    }
    return rows;
  }
  if (has("INNODB_TABLESPACES")) {
    return SqlRows{{"normal"}};
  }
  if (has("@@GLOBAL.datadir")) {
    return SqlRows{row("datadir", kDatadir)};
  }
  return SqlRows{};
}

Task<Result<Lsn>> FakeSink::Open(SourceIdentity identity) {
  if (!source_id.empty() && source_id != identity.server_uuid) {
    co_return InvalidArgument("the volume holds server " + source_id);
  }
  source_id = identity.server_uuid;
  co_return end;
}

Task<Result<proto::VolumeState>> FakeSink::Look() {
  proto::VolumeState state;
  state.set_commit_lsn(end.value());
  state.set_applied_lsn(end.value());
  state.set_horizon_lsn(horizon.value());
  for (const uint32_t space : wanting) {
    state.add_spaces_wanting_images(space);
  }
  co_return state;
}

Task<Result<std::vector<proto::SpaceInfo>>> FakeSink::Spaces() {
  std::vector<proto::SpaceInfo> spaces;
  for (const proto::SpaceEvent& event : events) {
    if (event.kind() == proto::SpaceEvent::PRESENT) {
      proto::SpaceInfo info;
      info.set_space(event.space());
      info.set_path(event.path());
      spaces.push_back(info);
    }
  }
  co_return spaces;
}

Task<Status> FakeSink::StartAt(Lsn start, std::string reason) {
  if (start < end) {
    co_return InvalidArgument("below the end");
  }
  EXPECT_NE(start, end) << "no hole tells that something was lost";
  order.push_back("start " + std::to_string(start.value()));
  start_reasons.push_back(std::move(reason));
  begin = start;
  end = start;
  stream.clear();
  co_return Status::Ok();
}

Task<Status> FakeSink::Append(RedoAppend chunk) {
  EXPECT_EQ(chunk.range.start, end);
  EXPECT_EQ(chunk.payload->size(),
            innodb::ToSn(chunk.range.end).value() - innodb::ToSn(chunk.range.start).value());
  order.push_back("append " + std::to_string(chunk.range.start.value()) + " " +
                  std::to_string(chunk.range.end.value()));
  stream.insert(stream.end(), chunk.payload->begin(), chunk.payload->end());
  end = chunk.range.end;
  chunks.push_back(std::move(chunk));
  co_return Status::Ok();
}

Task<Status> FakeSink::Compare(RedoAppend chunk) {
  if (chunk.range.start < begin || chunk.range.end > end) {
    co_return Status(StatusCode::kGap, "not held");
  }
  const uint64_t offset = innodb::ToSn(chunk.range.start).value() - innodb::ToSn(begin).value();
  const bool same = std::equal(chunk.payload->begin(), chunk.payload->end(),
                               stream.begin() + static_cast<ptrdiff_t>(offset));
  co_return same ? Status::Ok() : Corruption("other bytes");
}

Task<Status> FakeSink::PutImages(ImageBatch batch) {
  EXPECT_EQ(batch.bytes.size(), batch.images.size() * 16384);
  for (const proto::PageImage& image : batch.images) {
    order.push_back("image " + std::to_string(image.space()) + ":" +
                    std::to_string(image.page_no()));
    images.push_back(image);
  }
  co_return Status::Ok();
}

Task<Status> FakeSink::PutSpaces(std::vector<proto::SpaceEvent> more) {
  for (const proto::SpaceEvent& event : more) {
    order.push_back("event " + proto::SpaceEvent::Kind_Name(event.kind()) + " " +
                    std::to_string(event.space()));
    events.push_back(event);
  }
  co_return Status::Ok();
}

Task<Status> FakeSink::PutSideFile(SideFileContent file, Lsn lsn) {
  EXPECT_NE(lsn, Lsn{});
  side_files.emplace_back(file.path, file.deleted);
  co_return Status::Ok();
}

Task<Status> FakeSink::SetHorizon(Lsn to) {
  horizon = to;
  order.push_back("horizon " + std::to_string(to.value()));
  co_return Status::Ok();
}

}  // namespace redoubt::tail
