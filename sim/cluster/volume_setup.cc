// SPDX-License-Identifier: MIT
#include "sim/cluster/volume_setup.h"

#include <string>
#include <utility>
#include <vector>

#include "sim/cluster/base_import.h"

namespace redoubt::sim {
namespace {

constexpr Duration kRpcDeadline = std::chrono::seconds(5);
constexpr Duration kRetry = std::chrono::milliseconds(200);

}  // namespace

VolumeSetup::VolumeSetup(Runtime* runtime, RunContext* context)
    : runtime_(runtime), context_(context), tasks_(runtime->scheduler) {
  for (const std::vector<ServerPlace>* places : {&context->log_servers, &context->page_servers}) {
    for (const ServerPlace& place : *places) {
      channels_.try_emplace(place.node, std::make_unique<ReconnectingChannel>(
                                            runtime, place.address, ReconnectingChannelOptions()));
    }
  }
}

TimePoint VolumeSetup::Deadline() const { return runtime_->scheduler->Now() + kRpcDeadline; }

Task<void> VolumeSetup::Close() {
  tasks_.Stop();
  for (const auto& [node, channel] : channels_) {
    co_await channel->Close();
  }
  co_await tasks_.Join();
  channels_.clear();
}

Task<Status> VolumeSetup::CreateVolume(NodeId server) {
  proto::VolumeCreateRequest request;
  request.set_name(context_->settings.volume);
  request.set_page_size(context_->settings.page_size);
  request.set_uid(context_->settings.volume_uid);
  const bool created_before = context_->volume_created;
  VolumeClient client = ClientOf(server);
  const Result<proto::VolumeCreateResponse> answer =
      co_await client.VolumeCreate(std::move(request), Deadline());
  if (answer.ok()) {
    if (created_before && !context_->replicated()) {
      context_->findings.ReportLoss("C1", "the volume was created before and has vanished");
    }
    co_return Status::Ok();
  }
  const bool there = answer.status().code() == StatusCode::kAlreadyExists;
  co_return there ? Status::Ok() : answer.status();
}

Task<void> VolumeSetup::CreateVolumeAt(VolumeSetup* self, NodeId server, size_t* there,
                                       Status* problem) {
  const Status status = co_await self->CreateVolume(server);
  if (status.ok()) {
    ++*there;
  } else {
    *problem = status;
  }
}

Task<Status> VolumeSetup::EnsureVolume() {
  if (!context_->replicated()) {
    const Status status = co_await CreateVolume(context_->log_servers.front().node);
    context_->volume_created = context_->volume_created || status.ok();
    co_return status;
  }
  if (context_->volume_created) {
    co_return Status::Ok();
  }
  size_t there = 0;
  Status problem;
  TaskGroup group(runtime_->scheduler);
  for (const ServerPlace& server : context_->log_servers) {
    group.Spawn(CreateVolumeAt(this, server.node, &there, &problem));
  }
  co_await group.Join();
  if (there <= context_->log_servers.size() / 2) {
    co_return problem;
  }
  // Who reads redo must have said so before there is any: what the others have persisted is
  // trimmed.
  for (const ServerPlace& server : context_->page_servers) {
    const Status made = co_await CreateVolume(server.node);
    if (!made.ok()) {
      co_return made;
    }
  }
  context_->volume_created = true;
  co_return Status::Ok();
}

Task<Status> VolumeSetup::SetHorizonAt(NodeId server, VolumeId volume, Epoch epoch) {
  VolumeClient client = ClientOf(server);
  if (!context_->settings.computes) {
    const WriterOf writer{volume, epoch};
    const Status imported =
        co_await ImportBase(runtime_, &client, &context_->model, writer, kRpcDeadline);
    if (!imported.ok()) {
      co_return imported;
    }
  }
  proto::SetHorizonRequest request;
  request.set_volume_id(volume.value());
  request.set_epoch(epoch.value());
  request.set_horizon_lsn(context_->truth->begin_lsn().value());
  const Result<proto::SetHorizonResponse> answer =
      co_await client.SetHorizon(std::move(request), Deadline());
  if (answer.ok()) {
    context_->horizon_set[server] = context_->world->now_ns();
  }
  co_return answer.status();
}

// Every server has a number of its own for the volume.
Task<Status> VolumeSetup::FindAndSetHorizon(NodeId server, Epoch epoch) {
  proto::VolumeStatusRequest request;
  request.set_name(context_->settings.volume);
  VolumeClient client = ClientOf(server);
  const Result<proto::VolumeStatusResponse> answer =
      co_await client.VolumeStatus(std::move(request), Deadline());
  if (answer.status().code() == StatusCode::kNotFound) {
    // A page server that is new, or has lost its disk.
    const Status created = co_await CreateVolume(server);
    co_return created.ok() ? Unavailable("the volume was only now made there") : created;
  }
  if (!answer.ok()) {
    co_return answer.status();
  }
  const VolumeId volume(answer->volume().volume_id());
  const Status set = co_await SetHorizonAt(server, volume, epoch);
  co_return set;
}

Task<void> VolumeSetup::SetHorizons(Epoch epoch) {
  while (!tasks_.stopping()) {
    for (const ServerPlace& server : context_->page_servers) {
      const bool rotten = context_->rotten_servers.contains(server.node);
      if (!tasks_.stopping() && !rotten && !context_->horizon_set.contains(server.node)) {
        const Status status = co_await FindAndSetHorizon(server.node, epoch);
        if (!status.ok()) {
          runtime_->log->Info("the horizon is not set: " + status.ToString());
        }
      }
    }
    co_await tasks_.stop_event().Wait(runtime_->scheduler->Now() + kRetry);
  }
}

void VolumeSetup::KeepHorizonsSet(Epoch epoch) { tasks_.Spawn(SetHorizons(epoch)); }

Task<Status> VolumeSetup::SetHorizon(VolumeId volume, Epoch epoch) {
  if (!context_->horizon_set.empty()) {
    co_return Status::Ok();
  }
  const Status set = co_await SetHorizonAt(context_->page_servers.front().node, volume, epoch);
  co_return set;
}

}  // namespace redoubt::sim
