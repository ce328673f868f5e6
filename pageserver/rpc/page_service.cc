// SPDX-License-Identifier: MIT
#include "pageserver/rpc/page_service.h"

#include <algorithm>
#include <string>
#include <utility>

#include "common/base/check.h"

namespace redoubt {
namespace {

constexpr uint32_t kHistoryEntriesMax = 10000;
constexpr uint32_t kVerifyPagesMax = 4096;
constexpr size_t kSideFileBytesMax = 16 << 20;
constexpr size_t kSpaceEventsMax = 65536;

constexpr size_t kPathBytesMax = 4096;
constexpr size_t kPathBytesShown = 100;

Status CheckPathText(const std::string& path, const std::string& of_what) {
  std::string problem;
  if (path.empty()) {
    problem = "is empty";
  } else if (path.size() > kPathBytesMax) {
    problem = "has " + std::to_string(path.size()) + " bytes, at most " +
              std::to_string(kPathBytesMax) + " are allowed";
  } else if (path.find('\0') != std::string::npos) {
    problem = "holds a NUL byte";
  } else {
    return Status::Ok();
  }
  return InvalidArgument("the path of " + of_what + " " + problem);
}

// A tablespace may lie anywhere (DATA DIRECTORY, ADD DATAFILE): here its path is a name that is
// never opened, and whoever writes a file for it decides where that goes.
Status CheckTablespacePath(const proto::SpaceEvent& event) {
  return CheckPathText(event.path(), "tablespace " + std::to_string(event.space()));
}

// A side file is written below a restored directory under this very name.
Status CheckSideFilePath(const std::string& path) {
  const std::string shown = "\"" + path.substr(0, kPathBytesShown) + "\"";
  REDOUBT_RETURN_IF_ERROR(CheckPathText(path, "side file " + shown));
  const bool climbs = path == ".." || path.starts_with("../") || path.ends_with("/..") ||
                      path.find("/../") != std::string::npos;
  if (path.front() == '/' || climbs) {
    return InvalidArgument("the path of side file " + shown +
                           " leads out of the data directory; only files below it are kept");
  }
  return Status::Ok();
}

// What answers a question as of `read_lsn` that has no deadline of its own: without the wait a
// server that was just started would answer as of an older LSN than it did before.
Task<Result<Lsn>> LsnToReadAt(Runtime* runtime, PageVolume* pages, uint64_t read_lsn) {
  return pages->ReadableLsn(Lsn(read_lsn), DeadlineOf(runtime->scheduler, 0));
}

PageId ToPageId(const proto::PageRef& ref) { return {SpaceId(ref.space()), PageNo(ref.page_no())}; }

void AnswerSpaces(const std::vector<SpaceState>& spaces, Lsn at,
                  proto::SpaceListResponse* response) {
  for (const SpaceState& space : spaces) {
    proto::SpaceInfo* out = response->add_spaces();
    out->set_space(space.space.value());
    out->set_path(space.path);
    out->set_page_count(space.page_count);
    out->set_flags(space.flags);
    out->set_unsupported_reason(space.unsupported_reason);
    out->set_unsupported_from_lsn(space.unsupported_from.value());
    out->set_created_lsn(space.created.value());
  }
  response->set_read_lsn(at.value());
}

// What only the writer of a volume may do: is `epoch` still the one that the volume's log obeys?
Task<Status> CheckWriter(Volume* volume, Epoch epoch) {
  if (volume->log != nullptr) {
    const Status here = volume->log->CheckEpoch(epoch);
    // A log server that the writer did not wait for hears of the epoch a little later. (Redo that
    // comes too early is refused for good; images may wait.)
    const bool not_begun = here.code() == StatusCode::kInvalidArgument && epoch != Epoch{};
    if (!not_begun) {
      co_return here;
    }
    volume->refused.Note(StatusCode::kUnavailable);
    co_return Unavailable(here.message() +
                          "; a log server that the writer did not wait for begins it a little "
                          "later: try again");
  }
  const Status status = co_await volume->feed->CheckWriter(epoch);
  co_return status;
}

}  // namespace

std::shared_ptr<const Bytes> PageService::ImageOf(const PageRead& read, uint32_t page_size) {
  if (read.image != nullptr) {
    REDOUBT_CHECK(read.image->size() == page_size);
    return read.image;
  }
  std::shared_ptr<const Bytes>& zeroes = zero_pages_[page_size];
  if (zeroes == nullptr) {
    zeroes = std::make_shared<const Bytes>(page_size);
  }
  return zeroes;
}

Task<RpcReply> PageService::GetPages(Frame frame) {
  return RunOnVolume(this, registry_, std::move(frame), &PageService::DoGetPages);
}

Task<Status> PageService::DoGetPages(GetPagesCall* call) {
  const proto::GetPagesRequest& request = call->request;
  const uint32_t page_size = call->volume->settings.page_size;
  const size_t count = static_cast<size_t>(request.pages_size());
  if (count * page_size > kAnswerBytesMax) {
    co_return ResourceExhausted(std::to_string(count) + " pages of " + std::to_string(page_size) +
                                " bytes are more than one answer holds");
  }
  if (request.shard() != 0) {
    co_return Unsupported("this server has one shard, numbered 0");
  }
  PageVolume* pages = call->volume->pages.get();
  const TimePoint deadline = DeadlineOf(runtime_->scheduler, request.deadline_ms());
  Lsn read_lsn(request.read_lsn());
  if (read_lsn == Lsn{}) {
    // Resolved here so that the answer can name it; right after a start nothing may be applied yet.
    const Result<Lsn> newest = co_await pages->ReadableLsn(Lsn{}, deadline);
    if (!newest.ok()) {
      co_return newest.status();
    }
    read_lsn = *newest;
  }
  std::vector<PageId> wanted;
  wanted.reserve(count);
  for (const proto::PageRef& ref : request.pages()) {
    wanted.push_back(ToPageId(ref));
  }
  const Result<std::vector<PageRead>> reads = co_await pages->GetPages(
      std::move(wanted), read_lsn, Lsn(request.not_modified_since()), deadline);
  if (!reads.ok()) {
    co_return reads.status();
  }
  REDOUBT_CHECK(reads->size() == count);
  call->response.set_read_lsn(read_lsn.value());
  call->response.set_page_size(page_size);
  call->response.set_applied_lsn(pages->applied().value());
  call->response.mutable_pages()->Reserve(request.pages_size());
  call->payload_out.reserve(count);
  for (const PageRead& read : *reads) {
    proto::PageResult* result = call->response.add_pages();
    if (!read.status.ok()) {
      ToProto(read.status, result->mutable_status());
      continue;
    }
    result->set_page_lsn(read.page_lsn.value());
    std::shared_ptr<const Bytes> image = ImageOf(read, page_size);
    const uint32_t crc = image_crcs_.CrcOf(image);
    call->payload_out.emplace_back(std::move(image), crc);
  }
  co_return Status::Ok();
}

Task<RpcReply> PageService::Scan(Frame frame) {
  return RunOnVolume(this, registry_, std::move(frame), &PageService::DoScan);
}

Task<Status> PageService::DoScan(ScanCall* call) {
  const proto::ScanPagesRequest& request = call->request;
  const uint32_t page_size = call->volume->settings.page_size;
  const uint32_t most = static_cast<uint32_t>(kAnswerBytesMax) / page_size;
  const uint32_t pages_max = request.pages_max() == 0 ? most : std::min(request.pages_max(), most);
  PageVolume* pages = call->volume->pages.get();
  const Result<Lsn> at = co_await LsnToReadAt(runtime_, pages, request.read_lsn());
  if (!at.ok()) {
    co_return at.status();
  }
  Result<ScanOutcome> scan = co_await pages->Scan(SpaceId(request.space()), *at,
                                                  PageNo(request.first_page_no()), pages_max);
  if (!scan.ok()) {
    co_return scan.status();
  }
  for (const ScannedPage& page : scan->pages) {
    proto::ScannedPage* result = call->response.add_pages();
    result->set_page_no(page.page_no.value());
    if (!page.read.status.ok()) {
      ToProto(page.read.status, result->mutable_status());
      continue;
    }
    result->set_page_lsn(page.read.page_lsn.value());
    call->payload_out.push_back(ImageOf(page.read, page_size));
  }
  call->response.set_next_page_no(scan->next_page_no.value());
  call->response.set_done(scan->done);
  co_return Status::Ok();
}

Task<RpcReply> PageService::History(Frame frame) {
  return RunOnVolume(this, registry_, std::move(frame), &PageService::DoHistory);
}

Task<Status> PageService::DoHistory(HistoryCall* call) {
  const proto::PageHistoryRequest& request = call->request;
  const Lsn to = request.to_lsn() == 0 ? kMaxLsn : Lsn(request.to_lsn());
  const uint32_t entries_max = request.entries_max() == 0
                                   ? kHistoryEntriesMax
                                   : std::min(request.entries_max(), kHistoryEntriesMax);
  const LsnRange range{Lsn(request.from_lsn()), to};
  const Result<std::vector<PageVersion>> versions =
      co_await call->volume->pages->History(ToPageId(request.page()), range, entries_max);
  if (!versions.ok()) {
    co_return versions.status();
  }
  for (const PageVersion& version : *versions) {
    proto::PageVersion* out = call->response.add_versions();
    out->set_kind(version.is_image ? proto::PageVersion::IMAGE : proto::PageVersion::MTR);
    out->set_start_lsn(version.range.start.value());
    out->set_end_lsn(version.range.end.value());
    out->set_stored_bytes(version.stored_bytes);
    for (const std::string& type : version.record_types) {
      out->add_record_types(type);
    }
  }
  co_return Status::Ok();
}

Task<RpcReply> PageService::PutImages(Frame frame) {
  return RunOnVolume(this, registry_, std::move(frame), &PageService::DoPutImages);
}

Task<Status> PageService::DoPutImages(PutImagesCall* call) {
  const proto::PutImagesRequest& request = call->request;
  const size_t page_size = call->volume->settings.page_size;
  const size_t count = static_cast<size_t>(request.images_size());
  const Status writer = co_await CheckWriter(call->volume.get(), Epoch(request.epoch()));
  if (!writer.ok()) {
    co_return writer;
  }
  if (call->payload.size() != count * page_size) {
    co_return InvalidArgument(std::to_string(count) + " images need a payload of " +
                              std::to_string(count * page_size) + " bytes, it has " +
                              std::to_string(call->payload.size()));
  }
  std::vector<PageImageIn> images;
  images.reserve(count);
  for (size_t i = 0; i < count; ++i) {
    const proto::PageImage& image = request.images(static_cast<int>(i));
    images.push_back({{SpaceId(image.space()), PageNo(image.page_no())},
                      Lsn(image.lsn()),
                      ByteView(call->payload).subspan(i * page_size, page_size)});
  }
  const Status status = co_await call->volume->pages->PutImages(std::move(images));
  co_return status;
}

Task<RpcReply> PageService::SpaceList(Frame frame) {
  return RunOnVolume(this, registry_, std::move(frame), &PageService::DoSpaceList);
}

Task<Status> PageService::DoSpaceList(SpaceListCall* call) {
  PageVolume* pages = call->volume->pages.get();
  if (call->request.unreadable_too()) {
    if (call->request.read_lsn() != 0) {
      co_return InvalidArgument("unreadable_too lists the newest state, not that of LSN " +
                                std::to_string(call->request.read_lsn()));
    }
    AnswerSpaces(pages->KnownSpaces(), pages->applied(), &call->response);
    co_return Status::Ok();
  }
  const Result<Lsn> at = co_await LsnToReadAt(runtime_, pages, call->request.read_lsn());
  if (!at.ok()) {
    co_return at.status();
  }
  const Result<std::vector<SpaceState>> spaces = co_await pages->ListSpaces(*at);
  if (!spaces.ok()) {
    co_return spaces.status();
  }
  AnswerSpaces(*spaces, *at, &call->response);
  co_return Status::Ok();
}

Task<RpcReply> PageService::SpacePut(Frame frame) {
  return RunOnVolume(this, registry_, std::move(frame), &PageService::DoSpacePut);
}

Task<Status> PageService::DoSpacePut(SpacePutCall* call) {
  const proto::SpacePutRequest& request = call->request;
  const Status writer = co_await CheckWriter(call->volume.get(), Epoch(request.epoch()));
  if (!writer.ok()) {
    co_return writer;
  }
  if (static_cast<size_t>(request.events_size()) > kSpaceEventsMax) {
    co_return ResourceExhausted("too many space events in one request");
  }
  std::vector<SpaceEventIn> events;
  for (const proto::SpaceEvent& event : request.events()) {
    if (event.kind() < proto::SpaceEvent::PRESENT || event.kind() > proto::SpaceEvent::SUPPORTED) {
      co_return InvalidArgument("space event of unknown kind " + std::to_string(event.kind()));
    }
    if (event.kind() == proto::SpaceEvent::PRESENT) {
      const Status path = CheckTablespacePath(event);
      if (!path.ok()) {
        co_return path;
      }
    }
    SpaceEventIn in;
    in.kind = static_cast<SpaceEventKind>(event.kind());
    in.space = SpaceId(event.space());
    in.lsn = Lsn(event.lsn());
    in.path = event.path();
    in.flags = event.flags();
    in.page_count = event.page_count();
    in.reason = event.reason();
    in.hole_start = Lsn(event.hole_start_lsn());
    events.push_back(std::move(in));
  }
  const Status status = co_await call->volume->pages->PutSpaceEvents(std::move(events));
  co_return status;
}

Task<RpcReply> PageService::SideFilePut(Frame frame) {
  return RunOnVolume(this, registry_, std::move(frame), &PageService::DoSideFilePut);
}

Task<Status> PageService::DoSideFilePut(SideFilePutCall* call) {
  const proto::SideFilePutRequest& request = call->request;
  Status status = co_await CheckWriter(call->volume.get(), Epoch(request.epoch()));
  if (status.ok()) {
    status = CheckSideFilePath(request.path());
  }
  if (status.ok() && call->payload.size() > kSideFileBytesMax) {
    status = ResourceExhausted("side file " + request.path() + " has " +
                               std::to_string(call->payload.size()) + " bytes, at most " +
                               std::to_string(kSideFileBytesMax) + " are kept");
  }
  if (!status.ok()) {
    co_return status;
  }
  SideFile file;
  file.path = request.path();
  file.mode = request.mode();
  file.lsn = Lsn(request.lsn());
  file.bytes = std::move(call->payload);
  status = co_await call->volume->pages->PutSideFile(std::move(file), request.deleted());
  co_return status;
}

Task<RpcReply> PageService::SideFileList(Frame frame) {
  return RunOnVolume(this, registry_, std::move(frame), &PageService::DoSideFileList);
}

Task<Status> PageService::DoSideFileList(SideFileListCall* call) {
  PageVolume* pages = call->volume->pages.get();
  const Result<Lsn> at = co_await LsnToReadAt(runtime_, pages, call->request.read_lsn());
  if (!at.ok()) {
    co_return at.status();
  }
  Result<std::vector<SideFile>> files = co_await pages->ListSideFiles(*at);
  if (!files.ok()) {
    co_return files.status();
  }
  for (SideFile& file : *files) {
    proto::SideFile* out = call->response.add_files();
    out->set_path(file.path);
    out->set_mode(file.mode);
    out->set_size_bytes(static_cast<uint32_t>(file.bytes.size()));
    out->set_lsn(file.lsn.value());
    call->payload_out.push_back(std::make_shared<const Bytes>(std::move(file.bytes)));
  }
  co_return Status::Ok();
}

Task<RpcReply> PageService::DynamicMeta(Frame frame) {
  return RunOnVolume(this, registry_, std::move(frame), &PageService::DoDynamicMeta);
}

Task<Status> PageService::DoDynamicMeta(DynamicMetaCall* call) {
  PageVolume* pages = call->volume->pages.get();
  const Result<Lsn> at = co_await LsnToReadAt(runtime_, pages, call->request.read_lsn());
  if (!at.ok()) {
    co_return at.status();
  }
  uint32_t table_count = 0;
  Result<Bytes> records = co_await pages->DynamicMeta(*at, &table_count);
  if (!records.ok()) {
    co_return records.status();
  }
  call->response.set_table_count(table_count);
  call->payload_out.push_back(std::make_shared<const Bytes>(std::move(*records)));
  co_return Status::Ok();
}

Task<RpcReply> PageService::LsnAtTime(Frame frame) {
  return RunOnVolume(this, registry_, std::move(frame), &PageService::DoLsnAtTime);
}

Task<Status> PageService::DoLsnAtTime(LsnAtTimeCall* call) {
  const Result<std::pair<Lsn, int64_t>> found =
      co_await call->volume->pages->LsnAtTime(call->request.time_unix_ns());
  if (!found.ok()) {
    co_return found.status();
  }
  call->response.set_lsn(found->first.value());
  call->response.set_sample_time_unix_ns(found->second);
  co_return Status::Ok();
}

Task<RpcReply> PageService::WaitLsn(Frame frame) {
  return RunOnVolume(this, registry_, std::move(frame), &PageService::DoWaitLsn);
}

Task<Status> PageService::DoWaitLsn(WaitLsnCall* call) {
  PageVolume* pages = call->volume->pages.get();
  const TimePoint deadline = DeadlineOf(runtime_->scheduler, call->request.deadline_ms());
  const Status status = co_await pages->WaitApplied(Lsn(call->request.lsn()), deadline);
  call->response.set_applied_lsn(pages->status().applied.value());
  co_return status;
}

Task<RpcReply> PageService::SetHorizon(Frame frame) {
  return RunOnVolume(this, registry_, std::move(frame), &PageService::DoSetHorizon);
}

Task<Status> PageService::DoSetHorizon(SetHorizonCall* call) {
  const Status writer = co_await CheckWriter(call->volume.get(), Epoch(call->request.epoch()));
  if (!writer.ok()) {
    co_return writer;
  }
  const Status status = co_await call->volume->pages->SetHorizon(Lsn(call->request.horizon_lsn()));
  co_return status;
}

Task<RpcReply> PageService::SpaceVerify(Frame frame) {
  return RunOnVolume(this, registry_, std::move(frame), &PageService::DoSpaceVerify);
}

Task<Status> PageService::DoSpaceVerify(SpaceVerifyCall* call) {
  const proto::SpaceVerifyRequest& request = call->request;
  const uint32_t pages_max =
      request.pages_max() == 0 ? kVerifyPagesMax : std::min(request.pages_max(), kVerifyPagesMax);
  const Result<VerifyOutcome> outcome = co_await call->volume->pages->Verify(
      SpaceId(request.space()), PageNo(request.first_page_no()), pages_max);
  if (!outcome.ok()) {
    co_return outcome.status();
  }
  call->response.set_pages_checked(outcome->pages_checked);
  call->response.set_versions_checked(outcome->versions_checked);
  call->response.set_next_page_no(outcome->next_page_no.value());
  call->response.set_done(outcome->done);
  for (const auto& [page_no, problem] : outcome->problems) {
    proto::PageProblem* out = call->response.add_problems();
    out->set_page_no(page_no.value());
    ToProto(problem, out->mutable_status());
  }
  co_return Status::Ok();
}

}  // namespace redoubt
