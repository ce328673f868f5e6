// SPDX-License-Identifier: MIT
#include "client/tail/remote_sink.h"

#include <algorithm>
#include <utility>

#include "client/volume_creation.h"
#include "common/base/check.h"

namespace redoubt::tail {
namespace {

constexpr Duration kCallTimeout = std::chrono::seconds(60);
// A writer's start tries again by itself so long; then whoever opens may stop.
constexpr Duration kStartTimeout = std::chrono::seconds(10);
constexpr Duration kLookTimeout = std::chrono::seconds(5);
constexpr size_t kEventsPerRequest = 500;
constexpr Duration kRetryDelayMin = std::chrono::milliseconds(50);
constexpr Duration kRetryDelayMax = std::chrono::seconds(2);

bool MayPass(const Status& status) {
  switch (status.code()) {
    case StatusCode::kUnavailable:
    case StatusCode::kDeadlineExceeded:
    case StatusCode::kNoSpace:
    case StatusCode::kIoError:
    case StatusCode::kResourceExhausted:
      return true;
    default:
      return false;
  }
}

}  // namespace

RemoteSink::RemoteSink(Runtime* runtime, RemoteSinkOptions options)
    : runtime_(runtime),
      options_(std::move(options)),
      channel_(runtime, options_.address, ReconnectingChannelOptions()),
      client_(&channel_),
      closing_(runtime->scheduler) {}

RemoteSink::~RemoteSink() = default;

TimePoint RemoteSink::Deadline() const { return runtime_->scheduler->Now() + kCallTimeout; }

Task<bool> RemoteSink::MayTryAgain(Status status, const char* what, int attempt, Epoch epoch) {
  const bool reopened = status.code() == StatusCode::kStaleEpoch && position_.epoch > epoch;
  if ((!MayPass(status) && !reopened) || closing_.is_set()) {
    co_return false;
  }
  if (attempt == 0 || attempt % 20 == 19) {
    runtime_->log->Warning(std::string(what) + ": " + status.ToString() + "; trying again");
  }
  const Duration delay = std::min(kRetryDelayMin * (1 << std::min(attempt, 8)), kRetryDelayMax);
  const TimePoint next = runtime_->scheduler->Now() + delay;
  const bool stopped = co_await closing_.Wait(next);
  co_return !stopped;
}

Task<Status> RemoteSink::CheckVolume(SourceIdentity identity) {
  proto::VolumeStatusRequest look;
  look.set_name(options_.volume);
  const Result<proto::VolumeStatusResponse> found =
      co_await client_.VolumeStatus(std::move(look), Deadline());
  if (found.ok()) {
    const proto::VolumeState& volume = found->volume();
    if (volume.page_size() != identity.page_size) {
      co_return InvalidArgument("volume " + options_.volume + " has pages of " +
                                std::to_string(volume.page_size()) + " bytes, the server of " +
                                std::to_string(identity.page_size) + "; choose another --volume");
    }
    if (!volume.source_id().empty() && volume.source_id() != identity.server_uuid) {
      co_return InvalidArgument("volume " + options_.volume + " holds server " +
                                volume.source_id() + ", this is server " + identity.server_uuid +
                                "; choose another --volume");
    }
    co_return Status::Ok();
  }
  if (found.status().code() != StatusCode::kNotFound) {
    co_return found.status();
  }
  proto::VolumeCreateRequest create;
  create.set_name(options_.volume);
  create.set_page_size(identity.page_size);
  create.set_source_id(identity.server_uuid);
  if (!options_.log_servers.empty()) {
    // First, since a page role asks them whose volume it is.
    std::vector<std::string> addresses = options_.log_servers;
    proto::VolumeCreateRequest request = create;
    const Status status =
        co_await CreateVolume(runtime_, std::move(addresses), std::move(request), Deadline());
    if (!status.ok() && status.code() != StatusCode::kAlreadyExists) {
      co_return status;
    }
  }
  const Result<proto::VolumeCreateResponse> created =
      co_await client_.VolumeCreate(std::move(create), Deadline());
  if (!created.ok() && created.status().code() != StatusCode::kAlreadyExists) {
    co_return created.status();
  }
  runtime_->log->Info("created volume " + options_.volume);
  co_return Status::Ok();
}

Task<Result<Lsn>> RemoteSink::Open(SourceIdentity identity) {
  co_await CloseWriter();
  const Status checked = co_await CheckVolume(std::move(identity));
  if (!checked.ok()) {
    co_return checked;
  }
  LogWriterOptions options;
  options.volume = options_.volume;
  options.window_bytes = options_.window_bytes;
  std::vector<std::string> addresses = options_.log_servers;
  if (addresses.empty()) {
    addresses.push_back(options_.address);
  }
  std::unique_ptr<LogWriter> writer =
      std::make_unique<LogWriter>(runtime_, std::move(addresses), std::move(options));
  const TimePoint deadline = runtime_->scheduler->Now() + kStartTimeout;
  const Result<LogPosition> position = co_await writer->Start(Epoch{}, deadline);
  if (!position.ok()) {
    co_await writer->Stop();
    co_return position.status();
  }
  writer_ = std::move(writer);
  position_ = *position;
  co_return position->end;
}

Task<Result<proto::VolumeState>> RemoteSink::Look() {
  proto::VolumeStatusRequest request;
  request.set_name(options_.volume);
  const TimePoint deadline = runtime_->scheduler->Now() + kLookTimeout;
  const Result<proto::VolumeStatusResponse> found =
      co_await client_.VolumeStatus(std::move(request), deadline);
  if (!found.ok()) {
    co_return found.status();
  }
  co_return found->volume();
}

Task<Result<std::vector<proto::SpaceInfo>>> RemoteSink::Spaces() {
  REDOUBT_CHECK(position_.epoch != Epoch{});
  for (int attempt = 0;; ++attempt) {
    const Epoch epoch = position_.epoch;
    proto::SpaceListRequest request;
    request.set_volume_id(position_.volume.value());
    request.set_unreadable_too(true);
    const Result<proto::SpaceListResponse> list =
        co_await client_.SpaceList(std::move(request), Deadline());
    if (list.ok()) {
      co_return std::vector<proto::SpaceInfo>(list->spaces().begin(), list->spaces().end());
    }
    const bool again = co_await MayTryAgain(list.status(), "listing spaces", attempt, epoch);
    if (!again) {
      co_return list.status();
    }
  }
}

Task<Status> RemoteSink::StartAt(Lsn start, std::string reason) {
  REDOUBT_CHECK(writer_ != nullptr);
  for (int attempt = 0;; ++attempt) {
    const Epoch epoch = position_.epoch;
    const Status status = co_await writer_->StartAt(start, reason, Deadline());
    const bool again =
        !status.ok() && co_await MayTryAgain(status, "beginning the log", attempt, epoch);
    if (!again) {
      co_return status;
    }
  }
}

Task<Status> RemoteSink::Append(RedoAppend chunk) {
  REDOUBT_CHECK(writer_ != nullptr);
  for (;;) {
    if (closing_.is_set()) {
      co_return Cancelled("redotail is stopping");
    }
    const TimePoint deadline = runtime_->scheduler->Now() + std::chrono::seconds(1);
    const Status status = co_await writer_->Append(chunk, deadline);
    if (status.code() != StatusCode::kDeadlineExceeded) {
      co_return status;
    }
  }
}

Lsn RemoteSink::acknowledged() const {
  return writer_ == nullptr ? Lsn{} : writer_->acknowledged();
}

Lsn RemoteSink::next_lsn() const { return writer_ == nullptr ? Lsn{} : writer_->next_lsn(); }

Status RemoteSink::failure() const {
  return writer_ == nullptr ? Unavailable("not open") : writer_->failure();
}

Task<Status> RemoteSink::Compare(RedoAppend chunk) {
  const Epoch epoch = position_.epoch;
  proto::AppendRequest request;
  request.set_volume_id(position_.volume.value());
  request.set_epoch(epoch.value());
  request.set_start_lsn(chunk.range.start.value());
  request.set_end_lsn(chunk.range.end.value());
  request.set_first_mtr_lsn(chunk.first_mtr_lsn.value());
  const Result<proto::AppendResponse> answer =
      co_await client_.Append(std::move(request), chunk.payload, Deadline());
  co_return answer.status();
}

Task<Status> RemoteSink::PutImages(ImageBatch batch) {
  REDOUBT_CHECK(position_.epoch != Epoch{});
  const SharedPayload payload = std::make_shared<const Bytes>(std::move(batch.bytes));
  for (int attempt = 0;; ++attempt) {
    const Epoch epoch = position_.epoch;
    proto::PutImagesRequest request;
    request.set_volume_id(position_.volume.value());
    request.set_epoch(epoch.value());
    *request.mutable_images() = {batch.images.begin(), batch.images.end()};
    const Result<proto::PutImagesResponse> answer =
        co_await client_.PutImages(std::move(request), payload, Deadline());
    const bool again = !answer.ok() &&
                       co_await MayTryAgain(answer.status(), "putting page images", attempt, epoch);
    if (!again) {
      co_return answer.status();
    }
  }
}

Task<Status> RemoteSink::PutSpaces(std::vector<proto::SpaceEvent> events) {
  REDOUBT_CHECK(position_.epoch != Epoch{});
  // A server with many tables: the header of a frame is limited.
  for (size_t begin = 0; begin < events.size(); begin += kEventsPerRequest) {
    const size_t end = std::min(events.size(), begin + kEventsPerRequest);
    const Status status = co_await PutSomeSpaces(&events, begin, end);
    if (!status.ok()) {
      co_return status;
    }
  }
  co_return Status::Ok();
}

Task<Status> RemoteSink::PutSomeSpaces(const std::vector<proto::SpaceEvent>* events, size_t begin,
                                       size_t end) {
  for (int attempt = 0;; ++attempt) {
    const Epoch epoch = position_.epoch;
    proto::SpacePutRequest request;
    request.set_volume_id(position_.volume.value());
    request.set_epoch(epoch.value());
    *request.mutable_events() = {events->begin() + static_cast<ptrdiff_t>(begin),
                                 events->begin() + static_cast<ptrdiff_t>(end)};
    const Result<proto::SpacePutResponse> answer =
        co_await client_.SpacePut(std::move(request), Deadline());
    const bool again =
        !answer.ok() && co_await MayTryAgain(answer.status(), "putting spaces", attempt, epoch);
    if (!again) {
      co_return answer.status();
    }
  }
}

Task<Status> RemoteSink::PutSideFile(SideFileContent file, Lsn lsn) {
  REDOUBT_CHECK(position_.epoch != Epoch{});
  const SharedPayload payload = std::make_shared<const Bytes>(std::move(file.bytes));
  for (int attempt = 0;; ++attempt) {
    const Epoch epoch = position_.epoch;
    proto::SideFilePutRequest request;
    request.set_volume_id(position_.volume.value());
    request.set_epoch(epoch.value());
    request.set_lsn(lsn.value());
    request.set_path(file.path);
    request.set_mode(file.mode);
    request.set_deleted(file.deleted);
    const Result<proto::SideFilePutResponse> answer =
        co_await client_.SideFilePut(std::move(request), payload, Deadline());
    const bool again = !answer.ok() &&
                       co_await MayTryAgain(answer.status(), "putting a side file", attempt, epoch);
    if (!again) {
      co_return answer.status();
    }
  }
}

Task<Status> RemoteSink::SetHorizon(Lsn horizon) {
  REDOUBT_CHECK(position_.epoch != Epoch{});
  for (int attempt = 0;; ++attempt) {
    const Epoch epoch = position_.epoch;
    proto::SetHorizonRequest request;
    request.set_volume_id(position_.volume.value());
    request.set_epoch(epoch.value());
    request.set_horizon_lsn(horizon.value());
    const Result<proto::SetHorizonResponse> answer =
        co_await client_.SetHorizon(std::move(request), Deadline());
    const bool again = !answer.ok() &&
                       co_await MayTryAgain(answer.status(), "setting the horizon", attempt, epoch);
    if (!again) {
      co_return answer.status();
    }
  }
}

Task<void> RemoteSink::CloseWriter() {
  if (writer_ != nullptr) {
    const std::unique_ptr<LogWriter> writer = std::move(writer_);
    co_await writer->Stop();
  }
}

Task<void> RemoteSink::Close() {
  closing_.Set();
  co_await CloseWriter();
  co_await channel_.Close();
}

}  // namespace redoubt::tail
