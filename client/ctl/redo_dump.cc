// SPDX-License-Identifier: MIT
#include "client/ctl/redo_dump.h"

#include <algorithm>
#include <memory>
#include <utility>

#include "client/ctl/redo_text.h"
#include "common/innodb/log_block.h"
#include "common/innodb/mtr_assembler.h"

namespace redoubt::ctl {
namespace {

using innodb::kLogBlockBytes;
using innodb::LogBlockCheck;
using innodb::LogBlockState;

constexpr size_t kReadBytes = size_t{1} << 20;
static_assert(kReadBytes % kLogBlockBytes == 0);

Task<Result<RedoFile>> ReadLead(FileSystem* files, std::string path) {
  const auto opened = co_await files->Open(path, OpenMode::kRead);
  if (!opened.ok()) {
    co_return opened.status();
  }
  File* const file = opened->get();
  const Result<uint64_t> size = co_await file->Size();
  if (!size.ok()) {
    co_return size.status();
  }
  Bytes lead(innodb::kLogFileHeaderBytes);
  const Result<size_t> got = co_await file->ReadAt(0, lead);
  if (!got.ok()) {
    co_return got.status();
  }
  if (*got < lead.size() || *size % kLogBlockBytes != 0) {
    co_return Corruption(path + " is no redo file: its size is " + std::to_string(*size));
  }
  Result<innodb::LogFileLead> parsed = innodb::ParseLogFileLead(lead);
  if (!parsed.ok()) {
    co_return parsed.status().WithContext(path);
  }
  const Lsn end = innodb::LogFileEndLsn(parsed->header.start_lsn, *size);
  co_return RedoFile{std::move(path), *std::move(parsed), end};
}

// The paths of the directory's redo files; empty when there are none.
Task<Result<std::vector<std::string>>> ListRedoFiles(FileSystem* files, std::string directory) {
  const auto entries = co_await files->List(directory);
  if (!entries.ok()) {
    co_return entries.status();
  }
  std::vector<std::string> paths;
  for (const DirectoryEntry& entry : *entries) {
    const auto name = innodb::ParseLogFileName(entry.name);
    if (name && !name->spare) {
      paths.push_back(directory + "/" + entry.name);
    }
  }
  co_return paths;
}

Task<Result<std::vector<std::string>>> FindPaths(FileSystem* files, std::string path) {
  const Result<FileInfo> info = co_await files->Stat(path);
  if (!info.ok()) {
    co_return info.status();
  }
  if (!info->is_directory) {
    co_return std::vector<std::string>{path};
  }
  const std::string inner = path + "/" + innodb::kLogDirectoryName;
  const Result<FileInfo> inner_info = co_await files->Stat(inner);
  const std::string directory = inner_info.ok() ? inner : path;
  Result<std::vector<std::string>> paths = co_await ListRedoFiles(files, directory);
  if (paths.ok() && paths->empty()) {
    co_return NotFound(directory + " holds no redo files (#ib_redo<number>)");
  }
  co_return paths;
}

std::string FileText(const RedoFile& file) {
  const innodb::LogFileHeader& header = file.lead.header;
  std::string text = "file " + file.path + " lsn " + std::to_string(header.start_lsn.value()) +
                     ".." + std::to_string(file.end_lsn.value()) + " creator \"" + header.creator +
                     "\" uuid " + std::to_string(header.log_uuid);
  if (file.lead.checkpoint_lsn.value() != 0) {
    text += " checkpoint " + std::to_string(file.lead.checkpoint_lsn.value());
  }
  text += (header.flags & innodb::kLogNoLogging) != 0 ? " redo-disabled" : "";
  text += (header.flags & innodb::kLogCrashUnsafe) != 0 ? " crash-unsafe" : "";
  text += (header.flags & innodb::kLogFileFull) != 0 ? " full" : "";
  text += file.lead.encryption ? " encrypted" : "";
  return text;
}

std::string FileJson(const RedoFile& file) {
  JsonWriter json;
  json.BeginObject().Field("file", file.path);
  json.Field("start_lsn", file.lead.header.start_lsn.value());
  json.Field("end_lsn", file.end_lsn.value());
  json.Field("checkpoint_lsn", file.lead.checkpoint_lsn.value());
  json.Field("creator", file.lead.header.creator);
  json.Field("log_uuid", file.lead.header.log_uuid);
  json.Field("flags", file.lead.header.flags).EndObject();
  return json.text();
}

// Why the log ended, and whether that is a problem.
struct LogEnd {
  std::string reason;
  bool problem = false;
};

class Dumper {
 public:
  Dumper(Runtime* runtime, Console* console, RedoDumpOptions options)
      : runtime_(runtime), console_(console), options_(std::move(options)) {}

  Task<int> Run();

 private:
  Task<Status> DumpFile(const RedoFile* file);
  // False: the dump ends here, see end_.
  bool TakeBlock(ByteView block, Lsn block_lsn);
  void StartIn(const LogBlockCheck& block, Lsn block_lsn);
  void Feed(ByteView payload, Lsn payload_lsn);
  Status Show(const innodb::MtrView& mtr);
  void EndAt(Lsn lsn, std::string reason, bool problem);
  int Report();

  Runtime* runtime_;
  Console* console_;
  RedoDumpOptions options_;
  std::unique_ptr<innodb::MtrAssembler> assembler_;
  std::optional<LogEnd> end_;
  Lsn next_block_;
  uint64_t mtr_count_ = 0;
  uint64_t record_count_ = 0;
};

Task<int> Dumper::Run() {
  const auto files = co_await FindRedoFiles(runtime_->files, options_.path);
  if (!files.ok()) {
    co_return console_->Fail(kExitFiles, files.status());
  }
  for (const RedoFile& file : *files) {
    console_->Print(console_->json() ? FileJson(file) : FileText(file));
  }
  for (size_t i = 0; i < files->size() && !end_; ++i) {
    const RedoFile& file = (*files)[i];
    if (options_.from && file.end_lsn <= *options_.from) {
      continue;
    }
    if (i > 0 && next_block_.value() != 0 && file.lead.header.start_lsn != next_block_) {
      EndAt(next_block_, "the next file is missing: " + file.path + " starts later", true);
      break;
    }
    const Status read = co_await DumpFile(&file);
    if (!read.ok()) {
      co_return console_->Fail(kExitFiles, read);
    }
  }
  co_return Report();
}

Task<Status> Dumper::DumpFile(const RedoFile* file) {
  const auto opened = co_await runtime_->files->Open(file->path, OpenMode::kRead);
  if (!opened.ok()) {
    co_return opened.status();
  }
  const Lsn file_start = file->lead.header.start_lsn;
  Lsn at = file_start;
  if (options_.from && !assembler_ && *options_.from > at) {
    at = innodb::AlignToBlock(*options_.from);
  }
  Bytes buffer(kReadBytes);
  while (at < file->end_lsn && !end_) {
    const Result<size_t> got =
        co_await (*opened)->ReadAt(innodb::LogFileOffset(file_start, at), buffer);
    if (!got.ok()) {
      co_return got.status();
    }
    const size_t usable = *got - *got % kLogBlockBytes;
    if (usable == 0) {
      co_return IoError("read " + file->path + ": it became shorter");
    }
    for (size_t offset = 0; offset < usable && !end_; offset += kLogBlockBytes) {
      const ByteView block = ByteView(buffer).subspan(offset, kLogBlockBytes);
      if (!TakeBlock(block, at)) {
        break;
      }
      at = Lsn(at.value() + kLogBlockBytes);
    }
  }
  next_block_ = at;
  co_return Status::Ok();
}

bool Dumper::TakeBlock(ByteView block, Lsn block_lsn) {
  const LogBlockCheck check = innodb::CheckLogBlock(block, block_lsn);
  if (!check.valid()) {
    const bool damaged =
        check.state != LogBlockState::kBlank && check.state != LogBlockState::kStale;
    EndAt(block_lsn, "block is " + std::string(innodb::LogBlockStateName(check.state)), damaged);
    return false;
  }
  if (!assembler_) {
    StartIn(check, block_lsn);
  } else {
    Feed(check.payload, Lsn(block_lsn.value() + innodb::kLogBlockHeaderBytes));
  }
  if (!end_ && check.state == LogBlockState::kPartial) {
    EndAt(Lsn(block_lsn.value() + check.header.data_length), "last block, partly filled", false);
  }
  return !end_;
}

void Dumper::StartIn(const LogBlockCheck& block, Lsn block_lsn) {
  const size_t group = block.header.first_rec_group;
  const size_t skipped = group - std::min(group, innodb::kLogBlockHeaderBytes);
  if (group == 0 || skipped > block.payload.size()) {
    return;  // no mtr starts here
  }
  const Lsn start =
      innodb::AdvanceLsn(Lsn(block_lsn.value() + innodb::kLogBlockHeaderBytes), skipped);
  assembler_ = std::make_unique<innodb::MtrAssembler>(start);
  Feed(block.payload.subspan(skipped), start);
}

void Dumper::Feed(ByteView payload, Lsn payload_lsn) {
  const Status fed =
      assembler_->Feed(payload, [this](const innodb::MtrView& mtr) { return Show(mtr); });
  if (!fed.ok() && !end_) {
    EndAt(payload_lsn, fed.message(), true);
  }
}

// An error stops the assembler: used for the end of the range, with end_ set.
Status Dumper::Show(const innodb::MtrView& mtr) {
  if (options_.to && mtr.start_lsn >= *options_.to) {
    EndAt(mtr.start_lsn, "end of the range", false);
    return Cancelled("end of the range");
  }
  if (options_.from && mtr.end_lsn <= *options_.from) {
    return Status::Ok();
  }
  ++mtr_count_;
  record_count_ += mtr.records.size();
  if (console_->json()) {
    JsonWriter json;
    if (MtrJson(mtr, options_.page, &json)) {
      console_->Print(json.text());
    }
  } else {
    console_->PrintRaw(MtrText(mtr, options_.page));
  }
  return Status::Ok();
}

void Dumper::EndAt(Lsn lsn, std::string reason, bool problem) {
  end_ = LogEnd{"at LSN " + std::to_string(lsn.value()) + ": " + std::move(reason), problem};
}

int Dumper::Report() {
  if (!end_) {
    end_ = LogEnd{"at the end of the last file", false};
  }
  const Lsn usable = assembler_ ? assembler_->end_lsn() : Lsn();
  if (console_->json()) {
    JsonWriter json;
    json.BeginObject().Field("end", end_->reason).Field("problem", end_->problem);
    json.Field("mtr_count", mtr_count_).Field("record_count", record_count_);
    json.Field("end_lsn", usable.value()).EndObject();
    console_->Print(json.text());
  } else {
    console_->Print("end " + end_->reason + "; " + std::to_string(mtr_count_) + " mtrs, " +
                    std::to_string(record_count_) + " records" +
                    (assembler_ ? ", last whole mtr ends at " + std::to_string(usable.value())
                                : ", no mtr starts in the range"));
  }
  return end_->problem ? kExitProblem : kExitOk;
}

}  // namespace

Task<Result<std::vector<RedoFile>>> FindRedoFiles(FileSystem* files, std::string path) {
  const Result<std::vector<std::string>> paths = co_await FindPaths(files, std::move(path));
  if (!paths.ok()) {
    co_return paths.status();
  }
  std::vector<RedoFile> found;
  for (const std::string& name : *paths) {
    Result<RedoFile> file = co_await ReadLead(files, name);
    if (!file.ok()) {
      co_return file.status();
    }
    found.push_back(*std::move(file));
  }
  std::sort(found.begin(), found.end(), [](const RedoFile& a, const RedoFile& b) {
    return a.lead.header.start_lsn < b.lead.header.start_lsn;
  });
  co_return found;
}

Task<int> DumpRedo(Runtime* runtime, Console* console, RedoDumpOptions options) {
  Dumper dumper(runtime, console, std::move(options));
  co_return co_await dumper.Run();
}

}  // namespace redoubt::ctl
