// SPDX-License-Identifier: MIT
#include "pageserver/rpc/log_service.h"

#include <algorithm>
#include <utility>

namespace redoubt {

Task<RpcReply> LogService::Prepare(Frame frame) {
  proto::PrepareRequest request;
  proto::PrepareResponse response;
  redoubt::Status status = DecodeRequest(frame, &request);
  if (status.ok()) {
    Result<VolumeRef> volume = registry_->FindByName(request.volume());
    status = volume.status();
    if (status.ok()) {
      const Result<PreparedEpoch> prepared =
          co_await (*volume)->log->Prepare(Epoch(request.epoch()));
      status = prepared.status();
      response.set_volume_uid((*volume)->settings.uid);
      if (status.code() == StatusCode::kStaleEpoch) {
        response.set_epoch((*volume)->log->status().epoch.value());
      }
      if (status.ok()) {
        response.set_volume_id((*volume)->settings.id.value());
        response.set_epoch(prepared->epoch.value());
        response.set_end_lsn(prepared->end.value());
        response.set_begin_lsn(prepared->begin.value());
        response.set_commit_lsn(prepared->commit.value());
        response.set_last_mtr_lsn(prepared->last_mtr.value());
        for (const EpochBegin& begin : prepared->history) {
          proto::EpochStart* start = response.add_epochs();
          start->set_epoch(begin.epoch.value());
          start->set_start_lsn(begin.start.value());
        }
      }
    }
  }
  ToProto(status, response.mutable_status());
  co_return MakeReply(response);
}

Task<RpcReply> LogService::EpochStart(Frame frame) {
  return RunOnVolume(this, registry_, std::move(frame), &LogService::DoEpochStart);
}

Task<redoubt::Status> LogService::DoEpochStart(EpochStartCall* call) {
  EpochStartIn begin;
  begin.epoch = Epoch(call->request.epoch());
  begin.start = Lsn(call->request.start_lsn());
  begin.member_count = call->request.member_count();
  for (const proto::EpochStart& entry : call->request.epochs()) {
    begin.history.push_back({Epoch(entry.epoch()), Lsn(entry.start_lsn())});
  }
  const Result<Lsn> end = co_await call->volume->log->BeginEpoch(std::move(begin));
  call->response.set_end_lsn(call->volume->log->status().end.value());
  co_return end.status();
}

// Not a coroutine: the chunk is in the order of appends when this returns.
Task<RpcReply> LogService::Append(Frame frame) {
  proto::AppendRequest request;
  const redoubt::Status decoded = DecodeRequest(frame, &request);
  if (!decoded.ok()) {
    return Refuse(decoded);
  }
  Result<VolumeRef> volume = registry_->Find(VolumeId(request.volume_id()));
  if (!volume.ok()) {
    return Refuse(volume.status());
  }
  RedoChunk chunk;
  chunk.epoch = Epoch(request.epoch());
  chunk.range = {Lsn(request.start_lsn()), Lsn(request.end_lsn())};
  chunk.first_mtr_lsn = Lsn(request.first_mtr_lsn());
  chunk.payload_crc32c = request.payload_crc32c();
  chunk.source_time_unix_ns = request.source_time_unix_ns();
  chunk.payload = std::make_shared<const Bytes>(std::move(frame.payload));
  std::shared_ptr<LogVolume::Ticket> ticket =
      (*volume)->log->BeginAppend(std::move(chunk), Lsn(request.commit_lsn()));
  return FinishAppend(std::move(*volume), std::move(ticket));
}

Task<RpcReply> LogService::Refuse(redoubt::Status status) {
  co_return MakeErrorReply<proto::AppendResponse>(status);
}

Task<RpcReply> LogService::FinishAppend(VolumeRef volume,
                                        std::shared_ptr<LogVolume::Ticket> ticket) {
  const AppendOutcome outcome = co_await volume->log->FinishAppend(std::move(ticket));
  proto::AppendResponse response;
  ToProto(outcome.status, response.mutable_status());
  response.set_end_lsn(outcome.end.value());
  response.set_commit_lsn(outcome.commit.value());
  co_return MakeReply(response);
}

Task<RpcReply> LogService::StartAt(Frame frame) {
  return RunOnVolume(this, registry_, std::move(frame), &LogService::DoStartAt);
}

Task<redoubt::Status> LogService::DoStartAt(StartAtCall* call) {
  const proto::StartAtRequest& request = call->request;
  std::string reason = request.reason();
  const redoubt::Status status = co_await call->volume->log->StartAt(
      Epoch(request.epoch()), Lsn(request.start_lsn()), std::move(reason), request.trimmed());
  call->response.set_end_lsn(call->volume->log->status().end.value());
  co_return status;
}

Task<RpcReply> LogService::Commit(Frame frame) {
  return RunOnVolume(this, registry_, std::move(frame), &LogService::DoCommit);
}

Task<redoubt::Status> LogService::DoCommit(CommitCall* call) {
  co_return call->volume->log->Commit(Epoch(call->request.epoch()),
                                      Lsn(call->request.commit_lsn()));
}

Task<RpcReply> LogService::Read(Frame frame) {
  return RunOnVolume(this, registry_, std::move(frame), &LogService::DoRead);
}

Task<Result<FeedBatch>> LogService::ReadBatch(ReadCall* call) {
  const proto::LogReadRequest& request = call->request;
  LogVolume* log = call->volume->log.get();
  const Lsn start(request.start_lsn());
  const size_t bytes_max = std::clamp<size_t>(request.bytes_max(), 1, kAnswerBytesMax);
  if (request.epoch() != 0) {
    return log->ReadForWriter(Epoch(request.epoch()), start, bytes_max);
  }
  return log->Read(start, bytes_max, DeadlineOf(runtime_->scheduler, request.deadline_ms()));
}

Task<redoubt::Status> LogService::DoRead(ReadCall* call) {
  if (!call->request.reader().empty()) {
    std::string reader = call->request.reader();
    const redoubt::Status noted = co_await call->volume->log->NoteReader(
        std::move(reader), Lsn(call->request.persisted_lsn()));
    if (!noted.ok()) {
      co_return noted;
    }
  }
  Result<FeedBatch> batch = co_await ReadBatch(call);
  if (!batch.ok()) {
    co_return batch.status();
  }
  size_t bytes = 0;
  for (RedoChunk& chunk : batch->chunks) {
    if (bytes > 0 && bytes + chunk.payload->size() > kAnswerBytesMax) {
      break;
    }
    bytes += chunk.payload->size();
    proto::ChunkHeader* header = call->response.add_chunks();
    header->set_epoch(chunk.epoch.value());
    header->set_start_lsn(chunk.range.start.value());
    header->set_end_lsn(chunk.range.end.value());
    header->set_first_mtr_lsn(chunk.first_mtr_lsn.value());
    header->set_payload_crc32c(chunk.payload_crc32c);
    header->set_source_time_unix_ns(chunk.source_time_unix_ns);
    call->payload_out.push_back(std::move(chunk.payload));
  }
  call->response.set_commit_lsn(batch->commit_lsn.value());
  co_return redoubt::Status::Ok();
}

Task<RpcReply> LogService::Status(Frame frame) {
  return RunOnVolume(this, registry_, std::move(frame), &LogService::DoStatus);
}

Task<redoubt::Status> LogService::DoStatus(StatusCall* call) {
  const LogVolumeStatus status = call->volume->log->status();
  call->response.set_begin_lsn(status.begin.value());
  call->response.set_end_lsn(status.end.value());
  call->response.set_commit_lsn(status.commit.value());
  call->response.set_epoch(status.epoch.value());
  call->response.set_volume_uid(call->volume->settings.uid);
  for (const auto& [name, persisted] : call->volume->log->readers()) {
    proto::LogReader* reader = call->response.add_readers();
    reader->set_name(name);
    reader->set_persisted_lsn(persisted.value());
  }
  co_return status.stopped;
}

}  // namespace redoubt
