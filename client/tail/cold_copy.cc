// SPDX-License-Identifier: MIT
#include "client/tail/cold_copy.h"

#include <algorithm>
#include <string_view>
#include <utility>
#include <vector>

#include "client/tail/side_files.h"
#include "client/tail/source_server.h"
#include "client/tail/space_copier.h"
#include "client/tail/space_events.h"
#include "client/tail/space_files.h"
#include "client/tail/stream_scan.h"
#include "common/base/bytes.h"
#include "common/innodb/page_format.h"

namespace redoubt::tail {
namespace {

constexpr size_t kFlushLsnOffset = 26;
constexpr size_t kHeadBytes = 64;
constexpr Duration kBegunPoll = std::chrono::milliseconds(50);
constexpr std::string_view kUuidKey = "server-uuid=";

struct ColdSource {
  SourceFacts facts;
  Lsn shutdown_lsn;
};

// At most `length` bytes from the beginning of the file.
Task<Result<Bytes>> ReadHead(Runtime* runtime, std::string path, size_t length) {
  const Result<std::unique_ptr<File>> file =
      co_await runtime->files->Open(std::move(path), OpenMode::kRead);
  if (!file.ok()) {
    co_return file.status();
  }
  Bytes bytes(length);
  const Result<size_t> got = co_await (*file)->ReadAt(0, bytes);
  if (!got.ok()) {
    co_return got.status();
  }
  bytes.resize(*got);
  co_return bytes;
}

// "" when auto.cnf says none: then any server may go on with the volume.
std::string UuidIn(const Bytes& auto_cnf) {
  const std::string_view text(reinterpret_cast<const char*>(auto_cnf.data()), auto_cnf.size());
  const size_t at = text.find(kUuidKey);
  if (at == std::string_view::npos) {
    return "";
  }
  const std::string_view rest = text.substr(at + kUuidKey.size());
  return std::string(rest.substr(0, rest.find_first_of("\r\n")));
}

Task<Result<ColdSource>> LookAtSource(Runtime* runtime, std::string datadir) {
  ColdSource source;
  source.facts.datadir = datadir;
  source.facts.system_file = datadir + "/ibdata1";
  std::string system_file = source.facts.system_file;
  const Result<Bytes> head = co_await ReadHead(runtime, std::move(system_file), kHeadBytes);
  if (!head.ok()) {
    co_return head.status();
  }
  if (head->size() < kHeadBytes) {
    co_return InvalidArgument(source.facts.system_file + " is too short for a system tablespace");
  }
  source.facts.page_size = innodb::DecodeFspHeader(*head).flags.page_size();
  source.shutdown_lsn = Lsn(LoadBe64(head->data() + kFlushLsnOffset));
  std::string auto_cnf = datadir + "/auto.cnf";
  const Result<Bytes> identity = co_await ReadHead(runtime, std::move(auto_cnf), 4096);
  if (identity.ok()) {
    source.facts.server_uuid = UuidIn(*identity);
  }
  co_return source;
}

// The volume, with an empty log or one that begins where the server was shut down and has nothing
// yet.
Task<Status> BeginLog(VolumeSink* sink, const ColdSource* source) {
  // Before Open, which would fence the volume's writer.
  const Result<proto::VolumeState> before = co_await sink->Look();
  if (before.ok() && before->commit_lsn() > source->shutdown_lsn.value()) {
    co_return InvalidArgument("the volume has redo up to LSN " +
                              std::to_string(before->commit_lsn()) +
                              " already; a cold copy goes into an empty one");
  }
  SourceIdentity identity;
  identity.server_uuid = source->facts.server_uuid;
  identity.page_size = source->facts.page_size;
  const Result<Lsn> end = co_await sink->Open(std::move(identity));
  if (!end.ok()) {
    co_return end.status();
  }
  if (*end == source->shutdown_lsn) {
    co_return Status::Ok();
  }
  if (*end != Lsn{}) {
    co_return InvalidArgument("the volume has redo up to LSN " + std::to_string(end->value()) +
                              " already; a cold copy goes into an empty one");
  }
  const Status status = co_await sink->StartAt(source->shutdown_lsn, "cold copy");
  co_return status;
}

Task<Status> CopyOne(VolumeSink* sink, SpaceCopier* copier, const ColdSource* source,
                     SpaceFile file) {
  const std::string path = PathInVolume(source->facts.datadir, file.path);
  const SpaceId space = file.space;
  std::vector<proto::SpaceEvent> events{PresentEvent(file, path, source->shutdown_lsn)};
  const std::string reason = UnsupportedReason(file.flags);
  if (!reason.empty()) {
    events.push_back(UnsupportedEvent(space, path, reason, source->shutdown_lsn));
  }
  const Status announced = co_await sink->PutSpaces(std::move(events));
  if (!announced.ok() || !reason.empty()) {
    co_return announced;
  }
  const Result<SpaceCopy> copy = co_await copier->Copy(std::move(file));
  if (!copy.ok()) {
    co_return copy.status();
  }
  if (!copy->unsupported_reason.empty() || copy->vanished) {
    co_return InvalidArgument(copy->vanished ? path + " vanished" : copy->unsupported_reason);
  }
  if (copy->page_lsn_max > source->shutdown_lsn) {
    co_return InvalidArgument(
        path + " has a page with LSN " + std::to_string(copy->page_lsn_max.value()) +
        ", behind the last clean shutdown at " + std::to_string(source->shutdown_lsn.value()) +
        ": start the server and shut it down cleanly");
  }
  co_return Status::Ok();
}

// Nothing has to be applied: the images are all there is at `lsn`.
Task<Status> SetHorizonWhenBegun(Runtime* runtime, VolumeSink* sink, Event* stop, Lsn lsn) {
  for (;;) {
    const Result<proto::VolumeState> volume = co_await sink->Look();
    if (volume.ok() && !volume->ingest_error().empty() &&
        !volume->ingest_error().starts_with("unavailable")) {
      co_return Corruption("the page server stopped ingesting: " + volume->ingest_error());
    }
    if (volume.ok() && volume->commit_lsn() >= lsn.value()) {
      const Status status = co_await sink->SetHorizon(lsn);
      co_return status;
    }
    const TimePoint next = runtime->scheduler->Now() + kBegunPoll;
    const bool stopped = co_await stop->Wait(next);
    if (stopped) {
      co_return Cancelled("the cold copy was stopped before its end; it can be repeated");
    }
  }
}

}  // namespace

Task<Status> CopyCold(Runtime* runtime, VolumeSink* sink, SourceProbe* probe, Event* stop,
                      std::string datadir) {
  const Result<bool> open = co_await probe->ServerHasFilesOpen();
  if (!open.ok()) {
    co_return open.status();
  }
  if (*open) {
    co_return InvalidArgument("a server runs on " + datadir + "; shut it down first");
  }
  const Result<ColdSource> source = co_await LookAtSource(runtime, datadir);
  if (!source.ok()) {
    co_return source.status();
  }
  const Lsn lsn = source->shutdown_lsn;
  Status status = co_await BeginLog(sink, &*source);
  if (!status.ok()) {
    co_return status;
  }
  SourceFacts facts = source->facts;
  std::vector<std::string> more;
  Result<std::vector<SpaceFile>> files =
      co_await ScanSpaceFiles(runtime, std::move(facts), std::move(more));
  if (!files.ok()) {
    co_return files.status();
  }
  SpaceCopierOptions options;
  options.page_size = source->facts.page_size;
  options.torn_page_patience = Duration::zero();
  SpaceCopier copier(runtime, sink, stop, options);
  for (SpaceFile& file : *files) {
    status = co_await CopyOne(sink, &copier, &*source, std::move(file));
    if (!status.ok()) {
      co_return status;
    }
  }
  SideFiles side_files(runtime, sink);
  status = co_await side_files.Update(datadir, lsn);
  if (status.ok()) {
    status = co_await SetHorizonWhenBegun(runtime, sink, stop, lsn);
  }
  if (status.ok()) {
    runtime->log->Info("cold copy complete: " + std::to_string(files->size()) + " tablespaces, " +
                       std::to_string(copier.bytes_read() >> 20) +
                       " MiB read; the volume's log begins at LSN " + std::to_string(lsn.value()));
  }
  co_return status;
}

}  // namespace redoubt::tail
