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
      status = (*volume)->refused.Noted(prepared.status());
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
  std::shared_ptr<LogVolume::Ticket> ticket = (*volume)->log->BeginAppend(
      std::move(chunk), WriterTold{Lsn(request.commit_lsn()), Lsn(request.keep_from_lsn()),
                                   Lsn(request.mtr_end_lsn()), Lsn(request.pages_want_lsn())});
  return FinishAppend(std::move(*volume), std::move(ticket));
}

Task<RpcReply> LogService::Refuse(redoubt::Status status) {
  co_return MakeErrorReply<proto::AppendResponse>(status);
}

Task<RpcReply> LogService::FinishAppend(VolumeRef volume,
                                        std::shared_ptr<LogVolume::Ticket> ticket) {
  const AppendOutcome outcome = co_await volume->log->FinishAppend(std::move(ticket));
  proto::AppendResponse response;
  ToProto(volume->refused.Noted(outcome.status), response.mutable_status());
  response.set_end_lsn(outcome.end.value());
  response.set_commit_lsn(outcome.commit.value());
  response.set_pages_want_lsn(volume->log->PagesWant().value());
  co_return MakeReply(response);
}

Task<RpcReply> LogService::StartAt(Frame frame) {
  return RunOnVolume(this, registry_, std::move(frame), &LogService::DoStartAt);
}

Task<redoubt::Status> LogService::DoStartAt(StartAtCall* call) {
  const proto::StartAtRequest& request = call->request;
  std::string reason = request.reason();
  std::map<std::string, Lsn> readers;
  for (const proto::LogReader& reader : request.readers()) {
    readers[reader.name()] = Lsn(reader.persisted_lsn());
  }
  redoubt::Status status;
  if (!readers.empty()) {
    status = co_await call->volume->log->AddReaders(Epoch(request.epoch()), std::move(readers));
  }
  if (status.ok()) {
    status = co_await call->volume->log->StartAt(Epoch(request.epoch()), Lsn(request.start_lsn()),
                                                 std::move(reason), request.trimmed());
  }
  call->response.set_end_lsn(call->volume->log->status().end.value());
  co_return status;
}

Task<RpcReply> LogService::Commit(Frame frame) {
  return RunOnVolume(this, registry_, std::move(frame), &LogService::DoCommit);
}

Task<redoubt::Status> LogService::DoCommit(CommitCall* call) {
  const WriterTold told{Lsn(call->request.commit_lsn()), Lsn(call->request.keep_from_lsn()), Lsn{},
                        Lsn(call->request.pages_want_lsn())};
  call->response.set_pages_want_lsn(call->volume->log->PagesWant().value());
  co_return call->volume->log->Commit(Epoch(call->request.epoch()), told);
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

Task<redoubt::Status> LogService::NoteReader(Volume* volume, uint64_t volume_uid,
                                             std::string reader, Lsn persisted) {
  if (volume_uid != 0 && volume_uid != volume->settings.uid) {
    co_return NotFound("volume number " + std::to_string(volume->settings.id.value()) +
                       " is here another volume (" + volume->settings.name +
                       ") than the one that is meant");
  }
  if (reader.empty()) {
    co_return redoubt::Status::Ok();
  }
  const redoubt::Status noted = co_await volume->log->NoteReader(std::move(reader), persisted);
  co_return noted;
}

// What the reader has and what it is given now must be of one log.
redoubt::Status LogService::CheckHistory(const ReadCall& call, const FeedBatch& batch) {
  if (batch.chunks.empty() || !call.request.has_written_under()) {
    return redoubt::Status::Ok();
  }
  const Lsn from(call.request.start_lsn());
  const std::optional<EpochBegin> here = call.volume->log->WrittenUnder(from);
  const EpochBegin there{Epoch(call.request.written_under().epoch()),
                         Lsn(call.request.written_under().start_lsn())};
  if (!here.has_value() || *here == there) {
    return redoubt::Status::Ok();
  }
  return Corruption(
      "redo below LSN " + std::to_string(from.value()) + " was written here under epoch " +
      std::to_string(here->epoch.value()) + " (from LSN " + std::to_string(here->start.value()) +
      "), the reader has it from epoch " + std::to_string(there.epoch.value()) + " (from LSN " +
      std::to_string(there.start.value()) + "): this is no replica of the log that it has read");
}

Task<redoubt::Status> LogService::DoRead(ReadCall* call) {
  std::string reader = call->request.reader();
  const redoubt::Status noted =
      co_await NoteReader(call->volume.get(), call->request.volume_uid(), std::move(reader),
                          Lsn(call->request.persisted_lsn()));
  if (!noted.ok()) {
    co_return noted;
  }
  Result<FeedBatch> batch = co_await ReadBatch(call);
  if (!batch.ok()) {
    co_return batch.status();
  }
  const redoubt::Status same_log = CheckHistory(*call, *batch);
  if (!same_log.ok()) {
    co_return same_log;
  }
  Lsn last;
  size_t bytes = 0;
  for (RedoChunk& chunk : batch->chunks) {
    if (bytes > 0 && bytes + chunk.payload->size() > kAnswerBytesMax) {
      break;
    }
    bytes += chunk.payload->size();
    last = chunk.range.end;
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
  call->response.set_begins_at_lsn(batch->begins_at.value());
  const std::optional<EpochBegin> under = call->volume->log->WrittenUnder(last);
  if (under.has_value()) {
    call->response.mutable_written_under()->set_epoch(under->epoch.value());
    call->response.mutable_written_under()->set_start_lsn(under->start.value());
  }
  co_return redoubt::Status::Ok();
}

Task<RpcReply> LogService::Status(Frame frame) {
  return RunOnVolume(this, registry_, std::move(frame), &LogService::DoStatus);
}

Task<redoubt::Status> LogService::DoStatus(StatusCall* call) {
  const bool leaves = call->request.reader_leaves();
  std::string leaving = call->request.reader();
  std::string present = leaves ? std::string() : leaving;
  redoubt::Status noted =
      co_await NoteReader(call->volume.get(), call->request.volume_uid(), std::move(present),
                          Lsn(call->request.persisted_lsn()));
  if (noted.ok() && leaves) {
    noted = co_await call->volume->log->ForgetReader(std::move(leaving));
  }
  if (!noted.ok()) {
    co_return noted;
  }
  const LogVolumeStatus status = call->volume->log->status();
  call->response.set_begin_lsn(status.begin.value());
  call->response.set_readable_from_lsn(status.readable_from.value());
  call->response.set_keep_from_lsn(status.keep_from.value());
  call->response.set_pages_want_lsn(status.pages_want.value());
  call->response.set_end_lsn(status.end.value());
  call->response.set_commit_lsn(status.commit.value());
  call->response.set_epoch(status.epoch.value());
  call->response.set_volume_uid(call->volume->settings.uid);
  for (const auto& [name, persisted] : call->volume->log->readers()) {
    proto::LogReader* reader = call->response.add_readers();
    reader->set_name(name);
    reader->set_persisted_lsn(persisted.value());
  }
  AddRefused(call->volume->refused, call->response.mutable_refused());
  co_return status.stopped;
}

}  // namespace redoubt
