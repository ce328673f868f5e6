// SPDX-License-Identifier: MIT
#include "client/ctl/server_reader.h"

#include <algorithm>
#include <utility>

#include "client/ctl/parse.h"
#include "common/innodb/page_format.h"
#include "common/runtime/rpc/wire_message.h"

namespace redoubt::ctl {
namespace {

constexpr Duration kRetryDelay = std::chrono::milliseconds(200);

std::string Text(Lsn lsn) { return std::to_string(lsn.value()); }

Result<PageBatch> ToBatch(WithPayload<proto::ScanPagesResponse> answer, uint32_t page_size) {
  PageBatch batch;
  batch.buffer = std::move(answer.payload);
  batch.next_page_no = PageNo(answer.message.next_page_no());
  batch.done = answer.message.done();
  batch.pages.reserve(static_cast<size_t>(answer.message.pages_size()));
  size_t offset = 0;
  for (const proto::ScannedPage& page : answer.message.pages()) {
    BatchPage out{PageNo(page.page_no()), FromProto(page.status()), {}};
    if (out.status.ok()) {
      if (batch.buffer.size() - offset < page_size) {
        return Corruption("ScanPages: the answer has fewer images than pages");
      }
      out.image = ByteView(batch.buffer).subspan(offset, page_size);
      offset += page_size;
    }
    if (!batch.pages.empty() && out.page_no <= batch.pages.back().page_no) {
      return Corruption("ScanPages: the answer's pages are not in order");
    }
    batch.pages.push_back(std::move(out));
  }
  if (offset != batch.buffer.size()) {
    return Corruption("ScanPages: the answer has more images than pages");
  }
  return batch;
}

}  // namespace

std::vector<SpaceFile> ToSpaceFiles(const proto::SpaceListResponse& answer) {
  std::vector<SpaceFile> spaces;
  for (const proto::SpaceInfo& info : answer.spaces()) {
    const SpaceId space(info.space());
    if (innodb::IsTemporarySpace(space)) {
      continue;
    }
    spaces.push_back(
        {space, info.path(), info.page_count(), info.flags(), info.unsupported_reason()});
  }
  return spaces;
}

ServerReader::ServerReader(Runtime* runtime, Channel* channel, ServerOptions options)
    : runtime_(runtime), client_(channel), options_(std::move(options)) {}

Task<bool> ServerReader::MayRetry(StatusCode code, TimePoint deadline) {
  const TimePoint again = runtime_->scheduler->Now() + kRetryDelay;
  if (code != StatusCode::kUnavailable || again >= deadline) {
    co_return false;
  }
  co_await runtime_->scheduler->SleepUntil(again);
  co_return true;
}

Task<Status> ServerReader::Open() {
  proto::VolumeStatusRequest request;
  request.set_name(options_.volume);
  // Not repeated: an address that does not answer should be said at once.
  const TimePoint deadline = Deadline();
  const Result<proto::VolumeStatusResponse> answer =
      co_await client_.VolumeStatus(std::move(request), deadline);
  if (!answer.ok()) {
    co_return answer.status();
  }
  state_ = answer->volume();
  if (!innodb::IsPageSize(state_.page_size())) {
    co_return Corruption("volume " + options_.volume + " has page size " +
                         std::to_string(state_.page_size()));
  }
  read_lsn_ = Lsn(state_.applied_lsn());
  co_return Status::Ok();
}

Task<Status> ServerReader::ReadAt(std::optional<Lsn> lsn) {
  const Lsn horizon(state_.horizon_lsn());
  const std::string volume = "volume " + options_.volume;
  if (horizon.value() == 0 && !state_.ingest_error().empty()) {
    co_return Unavailable(volume + " cannot be read: " + state_.ingest_error());
  }
  if (horizon.value() == 0) {
    co_return Unavailable(volume +
                          " holds no complete copy yet: its first import has not finished; see "
                          "pagectl volume status");
  }
  if (!lsn) {
    read_lsn_ = Lsn(state_.applied_lsn());
    co_return Status::Ok();
  }
  read_lsn_ = *lsn;
  if (*lsn <= Lsn(state_.applied_lsn())) {
    co_return Status::Ok();  // the server knows best what it can read below the horizon
  }
  proto::WaitLsnRequest request;
  request.set_volume_id(state_.volume_id());
  request.set_lsn(lsn->value());
  const TimePoint deadline = Deadline();
  request.set_deadline_ms(DeadlineMs(runtime_->scheduler->Now(), deadline));
  // The server gives up first, and says more than a lost answer would.
  const TimePoint transport_deadline = deadline + std::chrono::seconds(5);
  const Result<proto::WaitLsnResponse> answer =
      co_await client_.WaitLsn(std::move(request), transport_deadline);
  if (!answer.ok() && answer.status().code() == StatusCode::kDeadlineExceeded) {
    co_return DeadlineExceeded(
        volume + ": LSN " + Text(*lsn) + " was not reached in time; applied is " +
        Text(Lsn(state_.applied_lsn())) + ". Is redotail running? --timeout sets how long to wait");
  }
  co_return answer.ok() ? Status::Ok() : answer.status();
}

Task<Status> ServerReader::ReadAtTime(int64_t time_unix_ns) {
  proto::LsnAtTimeRequest request;
  request.set_volume_id(state_.volume_id());
  request.set_time_unix_ns(time_unix_ns);
  const TimePoint deadline = Deadline();
  const Result<proto::LsnAtTimeResponse> answer =
      co_await client_.LsnAtTime(std::move(request), deadline);
  if (!answer.ok()) {
    const Status& status = answer.status();
    co_return Status(status.code(),
                     "volume " + options_.volume + " at " + FormatTime(time_unix_ns) + ": " +
                         status.message() + "; it can be read from LSN " +
                         std::to_string(state_.horizon_lsn()) + " to " +
                         std::to_string(state_.applied_lsn()) + " (" +
                         FormatTime(static_cast<int64_t>(state_.newest_time_unix_ns())) + ")");
  }
  sample_time_unix_ns_ = answer->sample_time_unix_ns();
  const Lsn lsn(answer->lsn());
  co_return co_await ReadAt(lsn);
}

Task<Result<std::vector<SpaceFile>>> ServerReader::Spaces() {
  const TimePoint deadline = Deadline();
  for (;;) {
    proto::SpaceListRequest request;
    request.set_volume_id(state_.volume_id());
    request.set_read_lsn(read_lsn_.value());
    const Result<proto::SpaceListResponse> answer =
        co_await client_.SpaceList(std::move(request), deadline);
    if (answer.ok()) {
      co_return ToSpaceFiles(*answer);
    }
    const bool again = co_await MayRetry(answer.status().code(), deadline);
    if (!again) {
      co_return answer.status();
    }
  }
}

Task<Result<PageBatch>> ServerReader::Scan(SpaceId space, PageNo first, uint32_t pages_max) {
  const TimePoint deadline = Deadline();
  for (;;) {
    proto::ScanPagesRequest request;
    request.set_volume_id(state_.volume_id());
    request.set_space(space.value());
    request.set_read_lsn(read_lsn_.value());
    request.set_first_page_no(first.value());
    request.set_pages_max(pages_max);
    Result<WithPayload<proto::ScanPagesResponse>> answer =
        co_await client_.ScanPages(std::move(request), deadline);
    if (answer.ok()) {
      co_return ToBatch(*std::move(answer), state_.page_size());
    }
    const bool again = co_await MayRetry(answer.status().code(), deadline);
    if (!again) {
      co_return answer.status();
    }
  }
}

Task<Result<std::vector<SideFileCopy>>> ServerReader::SideFiles() {
  proto::SideFileListRequest request;
  request.set_volume_id(state_.volume_id());
  request.set_read_lsn(read_lsn_.value());
  const TimePoint deadline = Deadline();
  const Result<WithPayload<proto::SideFileListResponse>> answer =
      co_await client_.SideFileList(std::move(request), deadline);
  if (!answer.ok()) {
    co_return answer.status();
  }
  std::vector<SideFileCopy> files;
  ByteReader reader(answer->payload);
  for (const proto::SideFile& file : answer->message.files()) {
    const ByteView bytes = reader.Take(file.size_bytes());
    files.push_back({file.path(), file.mode(), Bytes(bytes.begin(), bytes.end())});
  }
  if (!reader.AtEnd()) {
    co_return Corruption("SideFileList: sizes and payload do not agree");
  }
  co_return files;
}

Task<Result<Bytes>> ServerReader::DynamicMeta() {
  proto::DynamicMetaRequest request;
  request.set_volume_id(state_.volume_id());
  request.set_read_lsn(read_lsn_.value());
  const TimePoint deadline = Deadline();
  Result<WithPayload<proto::DynamicMetaResponse>> answer =
      co_await client_.DynamicMeta(std::move(request), deadline);
  if (!answer.ok()) {
    co_return answer.status();
  }
  co_return std::move(answer->payload);
}

}  // namespace redoubt::ctl
