// SPDX-License-Identifier: MIT
#include "client/tail/dry_run_sink.h"

#include <utility>

#include "common/base/check.h"

namespace redoubt::tail {

DryRunSink::DryRunSink(Runtime* runtime) : runtime_(runtime) {}

Task<Result<Lsn>> DryRunSink::Open(SourceIdentity identity) {
  runtime_->log->Info("dry run: server " + identity.server_uuid + ", pages of " +
                      std::to_string(identity.page_size) + " bytes; nothing is sent");
  co_return end_;
}

Task<Result<proto::VolumeState>> DryRunSink::Look() {
  proto::VolumeState state;
  state.set_commit_lsn(end_.value());
  state.set_applied_lsn(end_.value());
  state.set_horizon_lsn(horizon_.value());
  state.set_log_begin_lsn(begin_.value());
  co_return state;
}

Task<Result<std::vector<proto::SpaceInfo>>> DryRunSink::Spaces() {
  std::vector<proto::SpaceInfo> spaces;
  for (const auto& [id, space] : spaces_) {
    spaces.push_back(space);
  }
  co_return spaces;
}

Task<Status> DryRunSink::StartAt(Lsn start, std::string reason) {
  REDOUBT_CHECK(start >= end_);
  runtime_->log->Info("dry run: log starts at LSN " + std::to_string(start.value()) + ": " +
                      reason);
  begin_ = start;
  end_ = start;
  co_return Status::Ok();
}

Task<Status> DryRunSink::Append(RedoAppend chunk) {
  REDOUBT_CHECK(chunk.range.start == end_);
  ++chunk_count_;
  payload_bytes_ += chunk.payload->size();
  end_ = chunk.range.end;
  co_return Status::Ok();
}

Task<Status> DryRunSink::Compare(RedoAppend chunk) {
  co_return chunk.range.end <= end_ ? Status::Ok() : Unsupported("beyond the end");
}

Task<Status> DryRunSink::PutImages(ImageBatch batch) {
  image_count_ += batch.images.size();
  co_return Status::Ok();
}

Task<Status> DryRunSink::PutSpaces(std::vector<proto::SpaceEvent> events) {
  for (const proto::SpaceEvent& event : events) {
    runtime_->log->Info("dry run: space " + std::to_string(event.space()) + " " +
                        proto::SpaceEvent::Kind_Name(event.kind()) + " at LSN " +
                        std::to_string(event.lsn()) + " " + event.path() +
                        (event.reason().empty() ? "" : ": " + event.reason()));
    if (event.kind() == proto::SpaceEvent::PRESENT) {
      proto::SpaceInfo& space = spaces_[event.space()];
      space.set_space(event.space());
      space.set_path(event.path());
    }
  }
  co_return Status::Ok();
}

Task<Status> DryRunSink::PutSideFile(SideFileContent file, Lsn lsn) {
  ++side_file_count_;
  runtime_->log->Debug("dry run: side file " + file.path + " at LSN " +
                       std::to_string(lsn.value()));
  co_return Status::Ok();
}

Task<Status> DryRunSink::SetHorizon(Lsn horizon) {
  horizon_ = horizon;
  runtime_->log->Info("dry run: horizon " + std::to_string(horizon.value()));
  co_return Status::Ok();
}

Task<void> DryRunSink::Close() {
  runtime_->log->Info("dry run: would have sent " + std::to_string(chunk_count_) + " chunks with " +
                      std::to_string(payload_bytes_) + " bytes of redo up to LSN " +
                      std::to_string(end_.value()) + ", " + std::to_string(image_count_) +
                      " page images, " + std::to_string(side_file_count_) + " side files");
  co_return;
}

}  // namespace redoubt::tail
