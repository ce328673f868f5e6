// SPDX-License-Identifier: MIT
#include "pageserver/log/log_server_link.h"

#include <algorithm>
#include <memory>
#include <utility>

#include "common/base/crc32c.h"
#include "common/innodb/log_block.h"
#include "common/runtime/rpc/typed_call.h"
#include "proto/admin_service.pb.h"
#include "proto/log_service.pb.h"

namespace redoubt {
namespace {

// Takes the next chunk, of which `payload` holds the bytes from the front on.
Result<RedoChunk> TakeChunk(const proto::ChunkHeader& header, ByteView payload) {
  RedoChunk chunk;
  chunk.epoch = Epoch(header.epoch());
  chunk.range = {Lsn(header.start_lsn()), Lsn(header.end_lsn())};
  const std::string name = "the chunk at LSN " + std::to_string(header.start_lsn());
  if (!innodb::IsDataLsn(chunk.range.start) || !innodb::IsDataLsn(chunk.range.end) ||
      chunk.range.empty() || innodb::PayloadBytes(chunk.range) > payload.size()) {
    return Corruption(name + " has impossible LSNs or too few bytes");
  }
  chunk.first_mtr_lsn = Lsn(header.first_mtr_lsn());
  if (chunk.first_mtr_lsn != Lsn{} &&
      (!chunk.range.Contains(chunk.first_mtr_lsn) || !innodb::IsDataLsn(chunk.first_mtr_lsn))) {
    return Corruption(name + " names an impossible first mtr");
  }
  chunk.source_time_unix_ns = header.source_time_unix_ns();
  chunk.payload_crc32c = header.payload_crc32c();
  const ByteView bytes = payload.first(innodb::PayloadBytes(chunk.range));
  if (Crc32c(bytes) != chunk.payload_crc32c) {
    return Corruption(name + " does not have its checksum");
  }
  chunk.payload = std::make_shared<const Bytes>(bytes.begin(), bytes.end());
  return chunk;
}

// The chunks of an answer to "from `from` on".
Result<FeedBatch> TakeBatch(const WithPayload<proto::LogReadResponse>& answer, Lsn from) {
  FeedBatch batch;
  batch.commit_lsn = Lsn(answer.message.commit_lsn());
  ByteView payload = answer.payload;
  Lsn next = from;
  for (const proto::ChunkHeader& header : answer.message.chunks()) {
    REDOUBT_ASSIGN_OR_RETURN(RedoChunk chunk, TakeChunk(header, payload));
    const bool first = batch.chunks.empty();
    if (chunk.range.end <= next || (!first && chunk.range.start < next)) {
      return Corruption("the chunk at LSN " + std::to_string(chunk.range.start.value()) +
                        " comes out of order");
    }
    if (chunk.range.end > batch.commit_lsn) {
      return Corruption("the chunk at LSN " + std::to_string(chunk.range.start.value()) +
                        " ends above what the server says is committed");
    }
    payload = payload.subspan(chunk.payload->size());
    next = chunk.range.end;
    batch.chunks.push_back(std::move(chunk));
  }
  batch.begins_at = Lsn(answer.message.begins_at_lsn());
  const bool begins = batch.begins_at != Lsn{};
  if (begins && (!innodb::IsDataLsn(batch.begins_at) || batch.begins_at <= from ||
                 batch.begins_at > batch.commit_lsn || !batch.chunks.empty())) {
    return Corruption("the log begins at LSN " + std::to_string(batch.begins_at.value()) +
                      ", which is impossible");
  }
  if (!payload.empty()) {
    return Corruption(std::to_string(payload.size()) + " bytes belong to no chunk");
  }
  return batch;
}

}  // namespace

LogServerLink::LogServerLink(Runtime* runtime, std::string address, RemoteVolume volume,
                             ReconnectingChannelOptions options)
    : runtime_(runtime),
      volume_(std::move(volume)),
      channel_(runtime, std::move(address), options) {}

void LogServerLink::NoteOutcome(const Status& status) {
  if (status.code() == StatusCode::kNotFound) {
    id_ = VolumeId{};  // looked for again
  } else if (status.code() == StatusCode::kDeadlineExceeded) {
    channel_.Drop();
  }
}

Task<Result<VolumeId>> LogServerLink::FindVolume(TimePoint deadline) {
  proto::VolumeStatusRequest request;
  request.set_name(volume_.name);
  const Result<proto::VolumeStatusResponse> answer = co_await Invoke<proto::VolumeStatusResponse>(
      &channel_, "VolumeStatus", proto::VOLUME_STATUS, std::move(request), nullptr, deadline);
  NoteOutcome(answer.status());
  if (!answer.ok()) {
    co_return answer.status();
  }
  if (answer->volume().volume_uid() != volume_.uid) {
    co_return InvalidArgument("it holds another volume named " + volume_.name +
                              ": has it another server's disk, or was the volume made anew?");
  }
  co_return VolumeId(answer->volume().volume_id());
}

Task<Result<Epoch>> LogServerLink::AskStatus(Lsn persisted, bool leaves, TimePoint deadline) {
  if (id_ == VolumeId{}) {
    const Result<VolumeId> found = co_await FindVolume(deadline);
    if (!found.ok()) {
      co_return found.status();
    }
    id_ = *found;
  }
  proto::LogStatusRequest request;
  request.set_volume_id(id_.value());
  request.set_volume_uid(volume_.uid);
  request.set_reader(volume_.reader);
  request.set_persisted_lsn(persisted.value());
  request.set_reader_leaves(leaves);
  const Result<proto::LogStatusResponse> answer = co_await Invoke<proto::LogStatusResponse>(
      &channel_, "LogStatus", proto::LOG_STATUS, std::move(request), nullptr, deadline);
  NoteOutcome(answer.status());
  if (!answer.ok()) {
    co_return answer.status();
  }
  state_.readable_from = Lsn(answer->readable_from_lsn());
  state_.end = Lsn(answer->end_lsn());
  state_.commit = Lsn(answer->commit_lsn());
  state_.epoch = Epoch(answer->epoch());
  co_return state_.epoch;
}

Task<Result<Epoch>> LogServerLink::Ask(Lsn persisted, TimePoint deadline) {
  const Result<Epoch> epoch = co_await AskStatus(persisted, /*leaves=*/false, deadline);
  state_.asked = true;
  state_.problem = epoch.status();
  co_return epoch;
}

Task<Status> LogServerLink::Leave(TimePoint deadline) {
  const Result<Epoch> told = co_await AskStatus(Lsn{}, /*leaves=*/true, deadline);
  co_return told.status();
}

Task<Result<ReadAnswer>> LogServerLink::Read(Lsn from, size_t bytes_max, Lsn persisted,
                                             std::optional<EpochBegin> under, TimePoint wait_until,
                                             TimePoint deadline) {
  if (id_ == VolumeId{}) {
    co_return Unavailable("the volume was not found there yet");
  }
  proto::LogReadRequest request;
  request.set_volume_id(id_.value());
  request.set_volume_uid(volume_.uid);
  request.set_start_lsn(from.value());
  request.set_bytes_max(static_cast<uint32_t>(bytes_max));
  request.set_deadline_ms(DeadlineMs(runtime_->scheduler->Now(), wait_until));
  request.set_reader(volume_.reader);
  request.set_persisted_lsn(persisted.value());
  if (under.has_value()) {
    request.mutable_written_under()->set_epoch(under->epoch.value());
    request.mutable_written_under()->set_start_lsn(under->start.value());
  }
  const Result<WithPayload<proto::LogReadResponse>> answer =
      co_await InvokeWithPayload<proto::LogReadResponse>(&channel_, "LogRead", proto::LOG_READ,
                                                         std::move(request), nullptr, deadline);
  NoteOutcome(answer.status());
  if (!answer.ok()) {
    co_return answer.status();
  }
  Result<FeedBatch> batch = TakeBatch(*answer, from);
  if (!batch.ok()) {
    co_return batch.status();
  }
  state_.commit = std::max(state_.commit, batch->commit_lsn);
  ReadAnswer read;
  read.batch = std::move(*batch);
  if (answer->message.has_written_under()) {
    read.written_under = EpochBegin{Epoch(answer->message.written_under().epoch()),
                                    Lsn(answer->message.written_under().start_lsn())};
  }
  co_return read;
}

Task<void> LogServerLink::Close() { return channel_.Close(); }

}  // namespace redoubt
