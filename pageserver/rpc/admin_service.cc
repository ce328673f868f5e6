// SPDX-License-Identifier: MIT
#include "pageserver/rpc/admin_service.h"

#include <algorithm>
#include <utility>

namespace redoubt {

Task<RpcReply> AdminService::Create(Frame frame) {
  proto::VolumeCreateRequest request;
  proto::VolumeCreateResponse response;
  redoubt::Status status = DecodeRequest(frame, &request);
  if (status.ok()) {
    NewVolume wanted;
    wanted.name = request.name();
    wanted.page_size = request.page_size();
    wanted.source_id = request.source_id();
    wanted.uid = request.uid();
    const Result<VolumeId> id = co_await registry_->Create(std::move(wanted));
    status = id.status();
    if (status.ok()) {
      response.set_volume_id(id->value());
    } else if (status.code() == StatusCode::kAlreadyExists) {
      response.set_volume_id(IdOf(request.name()).value());
    }
  }
  ToProto(status, response.mutable_status());
  co_return MakeReply(response);
}

Task<RpcReply> AdminService::List(Frame frame) {
  proto::VolumeListRequest request;
  proto::VolumeListResponse response;
  const redoubt::Status status = DecodeRequest(frame, &request);
  ToProto(status, response.mutable_status());
  if (status.ok()) {
    for (const VolumeRegistry::Listed& listed : registry_->List()) {
      FillState(listed, response.add_volumes());
    }
    FillCounters(response.mutable_server());
  }
  co_return MakeReply(response);
}

Task<RpcReply> AdminService::Status(Frame frame) {
  proto::VolumeStatusRequest request;
  proto::VolumeStatusResponse response;
  redoubt::Status status = DecodeRequest(frame, &request);
  if (status.ok()) {
    status = NotFound("no volume " + request.name());
    for (const VolumeRegistry::Listed& listed : registry_->List()) {
      if (listed.settings->name == request.name()) {
        FillState(listed, response.mutable_volume());
        status = redoubt::Status::Ok();
      }
    }
  }
  ToProto(status, response.mutable_status());
  co_return MakeReply(response);
}

Task<RpcReply> AdminService::Delete(Frame frame) {
  proto::VolumeDeleteRequest request;
  redoubt::Status status = DecodeRequest(frame, &request);
  if (status.ok() && request.confirm() != request.name()) {
    status = InvalidArgument("deleting volume " + request.name() +
                             " removes its redo and history for good: repeat the name to confirm");
  }
  if (status.ok()) {
    std::string name = request.name();
    status = co_await registry_->Delete(std::move(name));
  }
  co_return MakeErrorReply<proto::VolumeDeleteResponse>(status);
}

void AdminService::FillCounters(proto::ServerCounters* out) const {
  out->set_unknown_volume(registry_->unknown_count());
  if (counters_ == nullptr) {
    return;
  }
  out->set_connections(counters_->accepted);
  out->set_connections_refused(counters_->refused);
  out->set_connections_evicted(counters_->evicted);
  out->set_requests(counters_->requests);
  out->set_bad_frames(counters_->bad_frames);
  out->set_oversized_frames(counters_->oversized_frames);
}

VolumeId AdminService::IdOf(const std::string& name) {
  for (const VolumeRegistry::Listed& listed : registry_->List()) {
    if (listed.settings->name == name) {
      return listed.settings->id;
    }
  }
  return {};
}

void AdminService::FillState(const VolumeRegistry::Listed& listed, proto::VolumeState* state) {
  const VolumeSettings& settings = *listed.settings;
  state->set_name(settings.name);
  state->set_volume_id(settings.id.value());
  state->set_page_size(settings.page_size);
  state->set_source_id(settings.source_id);
  state->set_volume_uid(settings.uid);
  AddRefused(*listed.refused, state->mutable_refused());
  const Result<VolumeRef>& volume = listed.volume;
  if (!volume.ok()) {
    state->set_ingest_error(volume.status().ToString());
    return;
  }
  if ((*volume)->log != nullptr) {
    const LogVolumeStatus log = (*volume)->log->status();
    state->set_commit_lsn(log.commit.value());
    state->set_epoch(log.epoch.value());
    state->set_log_begin_lsn(log.begin.value());
    state->set_ingest_error(log.stopped.message());
  } else {
    const RemoteFeedStatus feed = (*volume)->feed->status();
    state->set_commit_lsn(feed.commit.value());
    state->set_epoch(feed.epoch.value());
    state->set_log_begin_lsn(feed.readable_from.value());
    state->set_feed_server(feed.source);
    state->set_feed_problem(feed.problem);
    state->set_feed_refused(feed.refused_count);
  }
  if ((*volume)->pages != nullptr) {
    FillPages((*volume)->pages->status(), state);
    // What was applied was committed: after a start the log servers may not have told yet.
    state->set_commit_lsn(std::max(state->commit_lsn(), state->applied_lsn()));
  } else if (state->ingest_error().empty() && !(*volume)->pages_failure.ok()) {
    state->set_ingest_error((*volume)->pages_failure.ToString());
  }
}

void AdminService::FillPages(const PageVolumeStatus& pages, proto::VolumeState* state) {
  state->set_applied_lsn(pages.applied.value());
  state->set_persisted_lsn(pages.persisted.value());
  state->set_horizon_lsn(pages.horizon.value());
  if (state->ingest_error().empty()) {
    state->set_ingest_error(pages.ingest_error);
  }
  state->set_ingested_bytes(pages.ingested_bytes);
  state->set_newest_time_unix_ns(static_cast<uint64_t>(pages.newest_time_unix_ns));
  for (const LsnRange& hole : pages.holes) {
    proto::LsnRangeProto* range = state->add_holes();
    range->set_start_lsn(hole.start.value());
    range->set_end_lsn(hole.end.value());
  }
  state->set_unsupported_space_count(pages.unsupported_space_count);
  for (const SpaceId space : pages.spaces_wanting_images) {
    state->add_spaces_wanting_images(space.value());
  }
}

}  // namespace redoubt
