// SPDX-License-Identifier: MIT
#include "pageserver/page/ingest.h"

#include <algorithm>
#include <utility>

#include "common/base/check.h"
#include "common/base/crc32c.h"
#include "common/innodb/log_block.h"
#include "common/runtime/fault_point.h"

namespace redoubt {
namespace {

constexpr size_t kPieceBytes = 1 << 20;
constexpr size_t kReadBytes = 4 << 20;
constexpr Duration kReadWait = std::chrono::milliseconds(500);
constexpr Duration kRetryWait = std::chrono::milliseconds(200);
constexpr Duration kThrottleWait = std::chrono::milliseconds(5);
// While nobody reads at LSNs that are not applied, redo that comes in smaller pieces is gathered at
// its source for so long: each piece costs a request.
constexpr size_t kGatherBytes = 64 << 10;
constexpr Duration kGatherWait = std::chrono::milliseconds(10);
constexpr int64_t kSampleWindowNs = 500'000'000;

Status CheckChunk(const RedoChunk& chunk) {
  const std::string name = "redo chunk at LSN " + std::to_string(chunk.range.start.value());
  if (chunk.payload == nullptr || !innodb::IsDataLsn(chunk.range.start) ||
      !innodb::IsDataLsn(chunk.range.end) ||
      chunk.payload->size() != innodb::PayloadBytes(chunk.range)) {
    return Corruption(name + " has a payload of the wrong length");
  }
  if (chunk.first_mtr_lsn != Lsn{} &&
      (!chunk.range.Contains(chunk.first_mtr_lsn) || !innodb::IsDataLsn(chunk.first_mtr_lsn))) {
    return Corruption(name + " names LSN " + std::to_string(chunk.first_mtr_lsn.value()) +
                      " as the start of its first mtr");
  }
  return Status::Ok();
}

}  // namespace

Ingest::Ingest(VolumeState* state, RedoFeed* feed, BatchWriter* writer, TaskGroup* group)
    : state_(state), feed_(feed), writer_(writer), group_(group) {}

void Ingest::Restore(Lsn persisted, Lsn pull_from) {
  REDOUBT_CHECK(pull_from <= persisted);
  pull_from_ = pull_from;
  next_read_ = pull_from;
  fed_ = REDOUBT_PLANTED(state_->runtime, ingest_not_idempotent) ? pull_from : persisted;
  state_->open = std::make_shared<BatchSlot>(persisted);
  if (persisted != Lsn{}) {
    grouper_ = std::make_shared<RedoGrouper>(persisted);
  }
}

Task<void> Ingest::Run() {
  while (!group_->stopping() && state_->ingest_error.ok()) {
    const Lsn from = next_read_;
    Result<FeedBatch> batch =
        co_await feed_->Read(from, kReadBytes, state_->runtime->scheduler->Now() + kReadWait);
    if (!batch.ok()) {
      if (batch.status().code() == StatusCode::kCancelled) {
        co_return;
      }
      if (batch.status().code() == StatusCode::kBelowHorizon) {
        Fail(batch.status().WithContext("redo that was not ingested yet is gone"));
        co_return;
      }
      state_->runtime->log->Warning("ingest: cannot read redo from LSN " +
                                    std::to_string(from.value()) + ": " +
                                    batch.status().ToString());
      co_await group_->stop_event().Wait(state_->runtime->scheduler->Now() + kRetryWait);
      continue;
    }
    const bool idle = batch->chunks.empty();
    if (batch->begins_at != Lsn{}) {
      BeginAt(batch->begins_at);
    }
    size_t bytes = 0;
    for (const RedoChunk& chunk : batch->chunks) {
      bytes += chunk.payload == nullptr ? 0 : chunk.payload->size();
    }
    const Status status = co_await TakeChunks(&batch->chunks);
    if (!status.ok()) {
      Fail(status);
      co_return;
    }
    co_await MaybeFreeze(idle);
    if (bytes > 0 && bytes < kGatherBytes && state_->waiting_reads == 0) {
      co_await state_->read_waits.Wait(state_->runtime->scheduler->Now() + kGatherWait);
    }
  }
}

void Ingest::Fail(const Status& status) {
  state_->ingest_error = status;
  state_->runtime->log->Error("ingest of volume " + std::to_string(state_->options.volume.value()) +
                              " stopped at LSN " + std::to_string(state_->applied.value().value()) +
                              ": " + status.ToString());
}

void Ingest::StartAt(Lsn first_mtr) {
  FreezeOpen();
  grouper_ = std::make_shared<RedoGrouper>(first_mtr);
  state_->open = std::make_shared<BatchSlot>(first_mtr);
}

// Nothing was fed yet, and there is nothing below `begin`.
void Ingest::BeginAt(Lsn begin) {
  next_read_ = std::max(next_read_, begin);
  if (fed_ != Lsn{} || grouper_ != nullptr) {
    return;
  }
  REDOUBT_CHECK(state_->applied.value() == Lsn{});
  StartAt(begin);
  state_->applied.Advance(begin);
  fed_ = begin;
}

void Ingest::DeclareHole(const RedoChunk& chunk) {
  const Lsn known_until = state_->applied.value();
  state_->runtime->log->Warning("volume " + std::to_string(state_->options.volume.value()) +
                                ": redo from LSN " + std::to_string(known_until.value()) + " to " +
                                std::to_string(chunk.range.start.value()) +
                                " was lost; pages need a new import to be read beyond it");
  if (grouper_ != nullptr) {
    FreezeOpen();
    grouper_.reset();
  }
}

// Decides where parsing goes on in `chunk`. *skip_bytes: payload before that point.
Status Ingest::PrepareChunk(const RedoChunk& chunk, size_t* skip_bytes) {
  REDOUBT_RETURN_IF_ERROR(CheckChunk(chunk));
  *skip_bytes = 0;
  if (fed_ != Lsn{} && chunk.range.start > fed_) {
    DeclareHole(chunk);
  }
  if (grouper_ == nullptr) {
    *skip_bytes = chunk.payload->size();
    if (chunk.first_mtr_lsn == Lsn{}) {
      return Status::Ok();  // begins and ends inside one mtr whose start we do not have
    }
    const Lsn applied = state_->applied.value();
    if (applied != Lsn{} && chunk.first_mtr_lsn > applied) {
      if (state_->ranges.AddHole(applied, chunk.first_mtr_lsn)) {
        ranges_changed_ = true;
      }
    }
    StartAt(chunk.first_mtr_lsn);
    if (applied != Lsn{}) {
      state_->spaces.ForgetAll(applied, &state_->open->events);
    }
    state_->applied.Advance(chunk.first_mtr_lsn);
    fed_ = chunk.first_mtr_lsn;
  }
  REDOUBT_CHECK(chunk.range.start <= fed_);
  if (REDOUBT_PLANTED(state_->runtime, retry_applies_twice)) {
    return Status::Ok();
  }
  *skip_bytes =
      std::min<size_t>(chunk.payload->size(), innodb::PayloadBytes({chunk.range.start, fed_}));
  return Status::Ok();
}

// Small chunks are parsed together, large ones in parts: a piece is worth a trip to another thread,
// and bounded.
std::vector<Ingest::Part> Ingest::Gather(const std::vector<RedoChunk>& chunks, Cursor* cursor) {
  std::vector<Part> parts;
  size_t total = 0;
  while (cursor->index < chunks.size()) {
    const RedoChunk& chunk = chunks[cursor->index];
    const size_t left = chunk.payload->size() - cursor->offset;
    const bool follows = parts.empty() || (chunk.range.start == parts.back().chunk->range.end &&
                                           total + left <= kPieceBytes && CheckChunk(chunk).ok());
    if (!follows) {
      break;
    }
    const size_t bytes = std::min(left, kPieceBytes);
    parts.push_back({&chunk, chunk.payload, cursor->offset, bytes, cursor->fresh, bytes == left});
    total += bytes;
    if (bytes < left) {
      cursor->offset += bytes;
      cursor->fresh = false;
      break;
    }
    *cursor = {cursor->index + 1, 0, true};
  }
  return parts;
}

Ingest::Parsed Ingest::Parse(const std::vector<Part>& parts, RedoGrouper* grouper) {
  Parsed parsed{Status::Ok(), std::make_unique<RedoPiece>()};
  std::vector<ByteView> payloads;
  Status damaged;
  for (const Part& part : parts) {
    // A chunk is checked as a whole with its first part.
    if (part.check && Crc32c(*part.payload) != part.payload_crc32c) {
      damaged = Corruption("redo chunk at LSN " + std::to_string(part.chunk_start.value()) +
                           " has a wrong checksum");
      break;
    }
    payloads.push_back(ByteView(*part.payload).subspan(part.offset, part.bytes));
  }
  parsed.status = grouper->Take(payloads, parsed.piece.get());
  if (parsed.status.ok()) {
    parsed.status = damaged;
  }
  return parsed;
}

Task<Status> Ingest::TakeChunks(const std::vector<RedoChunk>* chunks) {
  Cursor cursor;
  while (cursor.index < chunks->size() && !group_->stopping()) {
    const RedoChunk& chunk = (*chunks)[cursor.index];
    if (cursor.fresh) {
      if (chunk.range.end <= fed_) {
        EndChunk(chunk, fed_);
        ++cursor.index;
        continue;
      }
      REDOUBT_CO_RETURN_IF_ERROR(PrepareChunk(chunk, &cursor.offset));
      if (cursor.offset == chunk.payload->size()) {
        EndChunk(chunk, chunk.range.end);
        cursor = {cursor.index + 1, 0, true};
        continue;
      }
    }
    co_await WaitForRoom();
    const auto parts = std::make_shared<const std::vector<Part>>(Gather(*chunks, &cursor));
    auto parse = [grouper = grouper_, parts]() { return Parse(*parts, grouper.get()); };
    Parsed parsed = co_await RunBlocking(state_->runtime->blocking, parse);
    for (const Part& part : *parts) {
      pull_from_ = parsed.piece->range.end > part.chunk_start ? part.chunk_start : pull_from_;
    }
    Merge(std::move(parsed.piece));
    REDOUBT_CO_RETURN_IF_ERROR(parsed.status);
    fed_ = grouper_->fed_lsn();
    for (const Part& part : *parts) {
      if (part.last) {
        EndChunk(*part.chunk, part.chunk->range.end);
      }
    }
    co_await MaybeFreeze(false);
  }
  co_return Status::Ok();
}

void Ingest::EndChunk(const RedoChunk& chunk, Lsn fed) {
  next_read_ = chunk.range.end;
  fed_ = fed;
  SampleTime(chunk);
}

void Ingest::Merge(std::unique_ptr<RedoPiece> piece) {
  const Lsn end = piece->range.end;
  if (end == piece->range.start) {
    return;
  }
  BatchSlot* const open = state_->open.get();
  if (open->deltas.empty()) {
    open->opened = state_->runtime->scheduler->Now();
  }
  for (const SpaceNote& note : piece->spaces) {
    state_->spaces.TakeNote(note, &open->events);
  }
  // Nobody can ever read it, so nobody has to keep it.
  std::erase_if(piece->runs, [this](const PageRun& run) {
    return state_->spaces.IsUnreadable(run.page.space, run.first_start, run.last_end);
  });
  for (const PageRun& run : piece->runs) {
    state_->Superseded(run.page, run.first_end);
  }
  state_->ingested_bytes += piece->payload_bytes;
  open->deltas.Merge(std::move(piece));
  open->pull_from = pull_from_;
  state_->applied.Advance(end);
}

// The last chunk of each window counts, so that "the newest LSN at or before a time" is never older
// than a window, and a quiet log is exact.
void Ingest::SampleTime(const RedoChunk& chunk) {
  if (chunk.source_time_unix_ns == 0) {
    return;
  }
  const bool next_window = chunk.source_time_unix_ns >= window_start_ns_ + kSampleWindowNs ||
                           chunk.source_time_unix_ns < window_start_ns_;
  if (next_window) {
    if (window_.time_unix_ns != 0) {
      state_->open->times.push_back(window_);
    }
    window_start_ns_ = chunk.source_time_unix_ns;
  }
  window_ = {chunk.source_time_unix_ns, chunk.range.end};
  state_->newest_time_unix_ns = chunk.source_time_unix_ns;
  state_->newest_sample = window_;
}

void Ingest::FreezeOpen() {
  BatchSlot* const open = state_->open.get();
  if (open == nullptr || open->deltas.empty()) {
    return;
  }
  if (window_.time_unix_ns != 0) {
    open->times.push_back(window_);
  }
  if (ranges_changed_) {
    open->ranges = state_->ranges.Encode();
    ranges_changed_ = false;
  }
  const Lsn end = open->deltas.range().end;
  state_->frozen.push_back(std::move(state_->open));
  state_->open = std::make_shared<BatchSlot>(end);
  state_->open->pull_from = pull_from_;
  writer_->Wake();
}

Task<void> Ingest::MaybeFreeze(bool idle) {
  const BatchSlot& open = *state_->open;
  const bool full = open.deltas.payload_bytes() >= state_->options.batch_bytes;
  const bool old = idle && !open.deltas.empty() &&
                   state_->runtime->scheduler->Now() >= open.opened + state_->options.batch_age_max;
  if (full || old) {
    FreezeOpen();
  }
  while (state_->frozen.size() > state_->options.frozen_batches_max && !group_->stopping() &&
         writer_->healthy()) {
    co_await writer_->WaitProgress(state_->runtime->scheduler->Now() + kRetryWait);
  }
  if (!writer_->healthy() && state_->ingest_error.ok()) {
    Fail(writer_->failure());
  }
}

Task<void> Ingest::WaitForRoom() {
  while (admission_ && !admission_() && !group_->stopping() && writer_->healthy()) {
    co_await state_->runtime->scheduler->Sleep(kThrottleWait);
  }
}

}  // namespace redoubt
